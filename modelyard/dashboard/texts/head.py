"""The head of a model's page: what the model predicts, and how good it is, said plainly."""

HEAD: dict[str, tuple[str, str]] = {
    "head.predicts": (
        "Predicts **{target}** from {columns} {columns:column|columns} · {kind} · {made}",
        "Предсказывает **{target}** по {columns} {columns:столбцу|столбцам} · {kind} · {made}",
    ),
    "head.right": ("Right", "Верно"),
    "head.rmse": ("Error (RMSE)", "Ошибка (RMSE)"),
    "head.always_label": ("Always “{label}”", "Всегда «{label}»"),
    "head.always_frequent": ("Always the most frequent", "Всегда самый частый"),
    "head.always_mean": ("Always the mean", "Всегда среднее"),
    "head.in_unit": ("In the unit of {target}.", "В единицах {target}."),
    "head.same_for_all": ("one for all rows", "один на все строки"),
    "head.interval": ("{interval} (90 %)", "{interval} (90 %)"),
    "head.finds": (
        "It finds **{recall}** of the rows that are “{label}”; {precision} of those it calls so are.",
        "Находит **{recall}** строк класса «{label}»; из названных так верны {precision}.",
    ),
    "head.finds_none": (
        "It finds **no row** of “{label}”.",
        "**Не находит ни одной** строки класса «{label}».",
    ),
    "head.weakest": (
        "Weakest at “{label}”: it finds **{recall}** of these rows.",
        "Слабее всего на «{label}»: находит **{recall}** таких строк.",
    ),
    "head.off_by": (
        "On average it is off by **{mae}**, and explains {r2} of the spread of {target}.",
        "В среднем ошибается на **{mae}** и объясняет {r2} разброса {target}.",
    ),
    "head.decides": (
        "It answers {decision}; all numbers here are counted so.",
        "Отвечает: {decision}; все числа здесь посчитаны так же.",
    ),
    "head.not_counted": (
        "It answers {decision}, but the numbers here are those of the most probable class: no rows held out are kept.",
        "Отвечает: {decision}, но числа здесь — для самого вероятного класса: отложенные строки не сохранены.",
    ),
    "head.overfitted": (
        "It learned by heart: {train} on the rows fitted, {held_out} on rows it had not seen.",
        "Заучено наизусть: {train} на обучающих строках, {held_out} на незнакомых.",
    ),
    "head.no_better_than_baseline": (
        "Not clearly better than one and the same answer for every row.",
        "Не явно лучше, чем один и тот же ответ для всех строк.",
    ),
    "head.worse_than_baseline": (
        "By its loss worse than the same answer for every row: the order may be right, the probabilities mislead.",
        "По потерям хуже, чем один и тот же ответ для всех строк: порядок может быть верным, но не вероятности.",
    ),
    "head.few_rows_held_out": (
        "Judged by only {n} {n:row or group|rows or groups}: the numbers can be far off.",
        "Оценено лишь по {n} {n:строке или группе|строкам или группам}: числа могут сильно отличаться.",
    ),
    "head.downloads": ("Download", "Скачать"),
}
