"""Where a person decides: a threshold, what it does with rows, what it brings, whom to act on."""

DECIDING: dict[str, tuple[str, str]] = {
    "cut.class": ("The class that matters, against all others", "Важный класс, против всех остальных"),
    "cut.threshold": ("Call a row “{label}” from this probability on", "Называть строку «{label}» от вероятности"),
    "cut.at_half": ("0.5", "0.5"),
    "cut.at_f1": ("Best F1: {threshold}", "Лучшая F1: {threshold}"),
    "cut.at_profit": ("Best profit: {threshold}", "Лучшая прибыль: {threshold}"),
    "cut.at_own": ("As decided: {threshold}", "Как решено: {threshold}"),
    "cut.use": ("Use {threshold} from now on", "Отвечать так с порогом {threshold}"),
    "cut.used": ("This is how it answers", "Так она и отвечает"),
    "cut.called": ("called “{label}”", "названы «{label}»"),
    "cut.not_called": ("not called so", "не названы"),
    "cut.is": ("are “{label}”", "на деле «{label}»"),
    "cut.is_not": ("are not", "на деле нет"),
    "cut.precision": ("Right when it says so", "Верно среди названных"),
    "cut.recall": ("Found", "Найдено"),
    "cut.share": ("Acted on", "Доля названных"),
    "cut.measured": (
        "{rows} {rows:row|rows} held out. A threshold that looks best on them is a little worse on others.",
        "Отложенных строк: {rows}. Порог, лучший на них, на других строках чуть хуже.",
    ),
    "cut.no_rows": (
        "The model keeps no predictions for rows held out, so what a threshold does is not known. Retrain it.",
        "Модель не хранит предсказаний для отложенных строк, и действие порога неизвестно. Переобучите её с проверкой.",
    ),
    "money.title": ("What it brings", "Что это приносит"),
    "money.help": (
        "What a row brings; costs are negative. Until you say otherwise, each error costs 1.",
        "Что приносит строка; затраты отрицательны. Пока не сказано иное, ошибка стоит 1.",
    ),
    "money.hit": ("Rightly “{label}”", "Верно «{label}»"),
    "money.alarm": ("Wrongly “{label}”", "Ошибочно «{label}»"),
    "money.miss": ("Missed “{label}”", "Пропущено «{label}»"),
    "money.rest": ("Rightly left alone", "Верно не тронуто"),
    "money.per_row": ("Profit per 100 rows", "Прибыль на 100 строк"),
    "money.now": (
        "At {threshold}, 100 rows bring **{profit}**; calling all of them so {everyone}, none {no_one}.",
        "При {threshold} сто строк приносят **{profit}**; если назвать все: {everyone}, ни одной: {no_one}.",
    ),
    "money.decide": ("Let these amounts decide", "Решать по этим суммам"),
    "money.decide_help": (
        "The server then takes the threshold that costs mean, and another one only if rows show that it is better.",
        "Сервер возьмёт порог, следующий из сумм, а иной — только если строки показывают, что он лучше.",
    ),
    "gain.title": ("Whom to act on first", "С кого начать"),
    "gain.share": ("Act on this part of the rows, the most probable first", "Доля строк, начиная с самых вероятных"),
    "gain.says": (
        "The top **{share}** of rows hold **{found}** of all “{label}”: {lift} {lift:time|times} as many as by chance.",
        "В первых **{share}** строк — **{found}** всех «{label}»: в {lift} {lift:раз|раза|раз} больше, чем наугад.",
    ),
    "gain.curve": ("Found by share acted on", "Найдено по доле строк"),
    "gain.curve_help": (
        "The dashed line is a choice by chance.",
        "Пунктир — выбор наугад.",
    ),
    "gain.download": ("Download {rows:this|these} {rows} {rows:row|rows}", "Скачать {rows} {rows:строку|строки|строк}"),
    "gain.of_table": (
        "Of {table}: the rows to act on first, the most probable above.",
        "Из {table}: строки, с которых начать, самые вероятные сверху.",
    ),
    "gain.held_out": (
        "Of {table}: rows held out of the training, as they were answered then, the most probable above.",
        "Из {table}: отложенные при обучении строки с тогдашними ответами, самые вероятные сверху.",
    ),
    "gain.no_table": (
        "To download these rows, show a table under “{errors}”, or predict for one.",
        "Чтобы скачать эти строки, покажите таблицу на вкладке «{errors}» или сделайте предсказание.",
    ),
    "decision.other_rules": ("Other rules", "Другие правила"),
    "chart.profit": ("Profit per 100 rows", "Прибыль на 100 строк"),
    "chart.found": ("Found of all of the class", "Найдено из всего класса"),
    "chart.lift": ("Lift", "Лифт"),
}
