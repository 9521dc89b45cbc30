"""The page that predicts."""

PREDICTIONS: dict[str, tuple[str, str]] = {
    "predict.model": ("Model", "Модель"),
    "predict.way": ("What to predict for", "Для чего предсказывать"),
    "predict.table": ("A table", "Таблица"),
    "predict.row": ("One row", "Одна строка"),
    "predict.table_help": (
        "The table needs these {n} columns, in any order: {columns}",
        "В таблице нужны эти столбцы ({n}), в любом порядке: {columns}",
    ),
    "predict.more_columns": ("and {n} more", "и ещё {n}"),
    "predict.interval": ("Interval around each number", "Интервал вокруг каждого числа"),
    "predict.no_interval": ("none", "нет"),
    "predict.interval_help": (
        "How often the true number is to lie within it, by how far the model was off on the rows held out.",
        "Как часто истинное число должно попадать в него, судя по ошибкам модели на отложенных строках.",
    ),
    "predict.low": ("From", "От"),
    "predict.high": ("To", "До"),
    "predict.go": ("Predict", "Предсказать"),
    "predict.asking": ("Asking the model", "Спрашиваю модель"),
    "predict.prediction": ("Prediction", "Предсказание"),
    "predict.probability": ("P({name})", "P({name})"),
    "predict.by": ("says {model}", "по мнению {model}"),
    "predict.distribution": ("What was predicted", "Что предсказано"),
    "predict.certainty": ("How sure it is", "Насколько уверенно"),
    "predict.rows": ("Row by row", "По строкам"),
    "predict.download": ("Download as CSV", "Скачать CSV"),
    "predict.with_reasons": (
        "Pick a row to ask why, and what if. The download names the three main reasons of each.",
        "Выберите строку, чтобы узнать, почему и что если. В файле у каждой строки три главные причины.",
    ),
    "predict.without_reasons": (
        "Pick a row to ask why, and what if. So large a table is downloaded without reasons.",
        "Выберите строку, чтобы узнать, почему и что если. Столь большая таблица скачивается без причин.",
    ),
    "predict.of_training": (
        "The model was trained on this table, so its answers here flatter. This is how good it was on rows held out.",
        "На этой таблице модель обучалась, поэтому ответы здесь льстят ей. Вот какой она была на незнакомых строках.",
    ),
    "predict.first_rows": (
        "The first {shown} of {rows} rows; the download has all.",
        "Первые {shown} из {rows} строк; в файле — все.",
    ),
    "predict.truth": ("Column with the true labels", "Столбец с верными ответами"),
    "predict.truth_hint": ("none", "нет"),
    "predict.truth_help": (
        "If the table knows the answers, see at once how often the model is right.",
        "Если в таблице есть ответы, сразу видно, как часто модель права.",
    ),
    "predict.truth_rows": (
        "The true labels cannot be lined up with the predictions: the number of rows differs.",
        "Ответы не удаётся сопоставить с предсказаниями: число строк различается.",
    ),
    "predict.right_ones": ("{right} of {rows} rows are right", "Верно строк: {right} из {rows}"),
    "predict.measured_on": ("Measured on {rows} rows", "Измерено на строках: {rows}"),
    "predict.no_numbers": ("This column holds no numbers.", "В этом столбце нет чисел."),
    "why.title": ("Why", "Почему"),
    "why.of": ("Why {prediction}", "Почему {prediction}"),
    "why.row_hint": ("a row's number", "номер строки"),
    "why.base": ("Base", "База"),
    "why.score": ("Score", "Оценка"),
    "why.log_odds": (
        "In log-odds of {output}: a bar to the right speaks for it, a bar to the left against it.",
        "В логарифмах шансов класса {output}: столбик вправо говорит за него, влево — против.",
    ),
    "why.target": (
        "In the unit of the target: a bar to the right raises the number, a bar to the left lowers it.",
        "В единицах целевого столбца: столбик вправо увеличивает число, влево — уменьшает.",
    ),
    "row.help": (
        "Filled in with what is typical. An empty field is a missing value, which is allowed.",
        "Заполнено типичными значениями. Пустое поле — пропуск, это допустимо.",
    ),
    "row.seen": ("In training: {low} to {high}.", "При обучении: от {low} до {high}."),
    "row.moments": ("In training: {low} to {high} (UTC).", "При обучении: от {low} до {high} (UTC)."),
    "row.categories": (
        "Seen in training: {n} values. Others can be typed in.",
        "При обучении встречалось значений: {n}. Можно ввести и другое.",
    ),
    "row.missing": ("missing", "пропуск"),
}
