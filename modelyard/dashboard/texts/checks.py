"""Checks of a table before a training, and their findings."""

CHECKS: dict[str, tuple[str, str]] = {
    "check.go": ("Check the table ({size})", "Проверить таблицу ({size})"),
    "check.under_way": ("The table is checked", "Таблица проверяется"),
    "check.nothing": ("The table was checked; nothing to worry about was found.", "Таблица проверена, замечаний нет."),
    "check.more": ("{n} more {n:finding|findings}", "Другие замечания: {n}"),
    "fix.id": ("Use as the row's id", "Взять как id строки"),
    "fix.ignore": ("Leave it out", "Не брать"),
    "fix.ignore_all": ("Leave out these {n} columns", "Не брать эти столбцы ({n})"),
    "fix.regression": ("Estimate its numbers", "Оценивать числа"),
    "fix.classification": ("Take them as labels", "Считать метками"),
    "fix.header": ("The first row is data", "Первая строка — данные"),
    "fix.unanswered": ("Drop the {n} {n:row|rows}", "Убрать {n} {n:строку|строки|строк}"),
    "fix.twins": ("Drop the repeats", "Убрать повторы"),
    "warning.header_like_data": (
        "The names of the columns look like cells: if the file has no header, its first row was taken for names.",
        "Имена столбцов похожи на значения: если в файле нет заголовка, за имена принята первая строка.",
    ),
    "warning.identifier_like": (
        "**{column}** looks like an identifier: {n} different values. It can hardly help; use it as the row's id.",
        "**{column}** похож на идентификатор: разных значений {n}. Отметьте его как идентификатор строки.",
    ),
    "warning.target_missing": (
        "**{column}** is missing in {n} {n:row|rows}: only rows with an answer can be learned from. Fill it in.",
        "**{column}** не заполнен в {n} {n:строке|строках}: учиться можно только на ответах. Заполните столбец.",
    ),
    "warning.constant": (
        "**{column}** has the same value in all {n} rows: nothing can be learned from it. Leave it out.",
        "**{column}**: одно и то же значение во всех {n} {n:строке|строках}, учиться не на чем. Исключите столбец.",
    ),
    "warning.mostly_missing": (
        "**{column}** is missing in {n} {n:row|rows}, more than half. Find out why, or leave it out.",
        "**{column}** не заполнен в {n} {n:строке|строках}, больше половины. Выясните причину или исключите столбец.",
    ),
    "warning.duplicate_rows": (
        "{n} {n:row repeats an earlier one|rows repeat earlier ones}: models look too good. Drop twins or group them.",
        "Строк, повторяющих другие: {n}; модель покажется лучше, чем есть. Удалите их или отметьте столбец группы.",
    ),
    "warning.contradicting_rows": (
        "{n} rows equal others in all features, but not in the label: no model is right about both. Check the labels.",
        "Строк, равных другим во всём, кроме метки: {n}; угадать обе нельзя. Проверьте метки.",
    ),
    "warning.rare_classes": (
        "Classes with very few rows: {n}. They can hardly be learned or judged; collect more rows, or join classes.",
        "Классов, где очень мало строк: {n}. Их трудно выучить и проверить; добавьте строк или объедините классы.",
    ),
    "warning.target_like_identifier": (
        "The target has {n} different labels, most of which occur once, like an identifier. Choose another target.",
        "Разных меток {n}, и большинство встречается один раз, как идентификатор. Выберите другую цель.",
    ),
    "warning.leak": (
        "**{column}** alone tells the target almost without error. Leave it out if it is not known when you predict.",
        "**{column}** один почти безошибочно выдаёт цель. Исключите его, если при предсказании он ещё не известен.",
    ),
    "warning.overfitted": (
        "Far better on the rows it was fitted to. More rows, fewer columns or a simpler model may help.",
        "На обучающих строках модель намного лучше. Помогут больше строк, меньше столбцов или модель попроще.",
    ),
    "warning.no_better_than_baseline": (
        "Not clearly better than the same answer for every row. More rows or columns that tell more may help.",
        "Не явно лучше одного и того же ответа для всех строк. Помогут больше строк или более значимые столбцы.",
    ),
    "warning.worse_than_baseline": (
        "Its probabilities mislead. Another algorithm, stronger regularization or calibration may help.",
        "Вероятности вводят в заблуждение. Помогут другой алгоритм, сильнее регуляризация или калибровка.",
    ),
    "warning.few_rows_held_out": (
        "Judged by only {n} {n:row or group|rows or groups}. Folds hold out all rows, and so tell more.",
        "Оценена лишь по {n} {n:строке или группе|строкам или группам}. Кросс-валидация откладывает все строки.",
    ),
}
