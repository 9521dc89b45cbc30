"""One row: why the model says what it says, and what if a cell were another."""

WHAT_IF: dict[str, tuple[str, str]] = {
    "what_if.effect": ("What if {column} were another", "Что если {column} будет другим"),
    "what_if.effect_help": (
        "All other cells stay as they are; the large point is this row.",
        "Остальные ячейки не меняются; крупная точка — эта строка.",
    ),
    "what_if.column": ("Column to vary", "Какой столбец менять"),
    "what_if.no_range": (
        "Nothing is known of the range of this column.",
        "О диапазоне этого столбца ничего не известно.",
    ),
    "what_if.probability": ("Probability of {label}", "Вероятность класса {label}"),
    "what_if.unread": (
        "These cells of the row cannot be read here and are shown as missing: {columns}",
        "Эти ячейки строки прочитать не удалось, они показаны как пропуски: {columns}",
    ),
}
