"""Whether models are asked what they were trained on."""

DRIFT: dict[str, tuple[str, str]] = {
    "model.drift": ("Drift", "Дрейф"),
    "drift.span": ("Asked within", "Запросы за"),
    "drift.day": ("24 hours", "24 часа"),
    "drift.week": ("7 days", "7 дней"),
    "drift.quarter": ("90 days", "90 дней"),
    "drift.ok": ("like training", "как в обучении"),
    "drift.watch": ("watch", "под вопросом"),
    "drift.drifted": ("drifted", "дрейф"),
    "drift.too_few_rows": ("too few rows", "мало строк"),
    "drift.no_reference": ("nothing to compare with", "не с чем сравнить"),
    "drift.not_judged": ("not judged", "не оценивается"),
    "drift.asked": (
        "{rows} {rows:row|rows} in {hours} {hours:hour|hours}.",
        "{rows} {rows:строка|строки|строк} за {hours} {hours:час|часа|часов}.",
    ),
    "drift.unlike": (
        "Not like training's ({n}): {columns}.",
        "Не похожи на обучение ({n}): {columns}.",
    ),
    "drift.said_ok": ("They are like training's.", "Они такие же, как при обучении."),
    "drift.said_too_few_rows": ("Too few to tell.", "Этого мало, чтобы судить."),
    "drift.said_no_reference": (
        "An earlier release trained the model, or a repair left its counts out; retrain it to tell drift.",
        "Модель обучена прежним выпуском или лишилась подсчётов при починке; переобучите её, чтобы видеть дрейф.",
    ),
    "drift.predictions": ("predictions", "предсказания"),
    "drift.column": ("Column", "Столбец"),
    "drift.status": ("Status", "Состояние"),
    "drift.psi": ("PSI", "PSI"),
    "drift.missing": ("Missing", "Пропуски"),
    "drift.unknown": ("Unknown", "Неизвестные"),
    "drift.out_of_range": ("Out of range", "Вне диапазона"),
    "drift.farthest": ("Farthest off: training → seen", "Сильнее всего: обучение → запросы"),
    "drift.help": (
        "PSI says how far the shares are from training's: above 0.1 it matters, above 0.25 much. Dates are not judged.",
        "PSI показывает, насколько доли отличаются от обучения: выше 0,1 заметно, 0,25 — сильно. Даты не оцениваются.",
    ),
}
