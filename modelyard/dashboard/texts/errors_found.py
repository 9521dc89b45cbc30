"""Where a model is wrong."""

ERRORS_FOUND: dict[str, tuple[str, str]] = {
    "model.errors": ("Where it is wrong", "Где она ошибается"),
    "errors.help": (
        "Show it a table with the true answers. Its training table will do: then only rows that were held out count.",
        "Покажите таблицу с верными ответами. Подойдёт и обучающая: тогда считаются только отложенные строки.",
    ),
    "errors.take": ("Take {table}", "Взять {table}"),
    "errors.target": ("Column with the answers", "Столбец с ответами"),
    "errors.go": ("Find where it is wrong", "Найти, где она ошибается"),
    "errors.asking": ("Judging …", "Оценивается…"),
    "errors.deleted": ("A deleted model is not judged. Restore it first.", "Удалённая модель не оценивается."),
    "errors.right": (
        "Right in **{value}** of {rows} {rows:row|rows} ({interval}, nine times in ten).",
        "Верно **{value}** из {rows} {rows:строки|строк} ({interval}, в 9 случаях из 10).",
    ),
    "errors.off": (
        "On average off by **{value}** in {rows} {rows:row|rows} ({interval}, nine times in ten).",
        "В среднем ошибка **{value}** на {rows} {rows:строке|строках} ({interval}, в 9 случаях из 10).",
    ),
    "errors.held_out": (
        "This is its own training table: the answers are those of fits that had not seen the row.",
        "Это её обучающая таблица: ответы даны моделями, которые не видели строку.",
    ),
    "errors.segments": ("Groups that stand out", "Заметно слабые группы"),
    "errors.segments_help": (
        "Groups of rows, of one column or two, that are worse than the whole beyond chance.",
        "Группы строк по одному или двум столбцам, которые хуже целого не случайно.",
    ),
    "errors.no_segments": (
        "No group of rows is worse than the whole beyond chance.",
        "Ни одна группа строк не хуже целого сверх случайности.",
    ),
    "errors.group": ("Rows with", "Строки, где"),
    "errors.and": ("{one} and {other}", "{one} и {other}"),
    "errors.value": ("{column} = {value}", "{column} = {value}"),
    "errors.range": ("{column} {low} … {high}", "{column} {low} … {high}"),
    "errors.others": ("{column}: rarer values", "{column}: редкие значения"),
    "errors.missing": ("{column} missing", "{column}: пропуск"),
    "errors.by_column": ("By the values of a column", "По значениям столбца"),
    "errors.by_column_help": (
        "Each dot is a group, the line its interval; the dashed line is the whole.",
        "Точка — группа, отрезок — её интервал; пунктир — целое.",
    ),
    "errors.column": ("Column", "Столбец"),
    "errors.confusion": ("What is taken for what", "Что за что принято"),
    "errors.confusion_help": (
        "Click a cell to see its rows below.",
        "Нажмите на клетку, и её строки будут ниже.",
    ),
    "errors.rows": ("The surest mistakes", "Самые уверенные ошибки"),
    "errors.rows_of": (
        "Rows that are “{actual}” and taken for “{predicted}”: {n}",
        "Строки класса «{actual}», принятые за «{predicted}»: {n}",
    ),
    "errors.largest": ("The largest errors", "Самые большие ошибки"),
    "errors.rows_help": (
        "Pick a row to ask why, and what if. {shown} of {all} are shown.",
        "Выберите строку, чтобы узнать, почему и что если. Показано {shown} из {all}.",
    ),
    "errors.none": ("There are no such rows.", "Таких строк нет."),
    "errors.line": ("Line", "Строка файла"),
    "error.line": ("line {line} of {file}", "строка {line} файла {file}"),
    "errors.row": ("Row", "Строка"),
    "errors.actual": ("It is", "На деле"),
    "errors.predicted": ("It says", "Ответ"),
    "errors.sure": ("How sure", "Уверенность"),
    "errors.error": ("Off by", "Ошибка"),
    "errors.open": ("Why this row, and what if", "Почему эта строка и что если"),
    "errors.too_large": (
        "{rows} rows are too many to be shown row by row here: show fewer, or ask evaluate by another door.",
        "Строк слишком много ({rows}) для разбора здесь: покажите меньше или спросите через другую дверь.",
    ),
    "chart.mae": ("Mean absolute error", "Средняя абсолютная ошибка"),
    "chart.accuracy": ("Right", "Верно"),
}
