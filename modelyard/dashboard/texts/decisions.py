"""How a model answers: its decision."""

DECISIONS: dict[str, tuple[str, str]] = {
    "model.decision": ("Decision", "Решение"),
    "history.decision": ("given a decision: {decision}", "задано решение: {decision}"),
    "decision.says": ("The model answers {decision}", "Модель отвечает: {decision}"),
    "decision.plain": (
        "Every error counts alike. If one kind of error is worse than the other, tell it what each costs.",
        "Все ошибки равны. Если одна ошибка хуже другой, укажите цену каждой.",
    ),
    "decision.saves_cost": (
        "It **costs {saving} less** than answering by the most probable class (between {low} and {high}).",
        "Обходится **на {saving} дешевле** ответа самым вероятным классом (от {low} до {high}).",
    ),
    "decision.saves_cost_more": (
        "It **costs {saving} more** than answering by the most probable class (between {low} and {high}).",
        "Обходится **на {saving} дороже** ответа самым вероятным классом (от {low} до {high}).",
    ),
    "decision.saves_errors": (
        "It makes **{saving} fewer errors** than answering by the most probable class (between {low} and {high}).",
        "Ошибается **на {saving} реже**, чем ответ самым вероятным классом (от {low} до {high}).",
    ),
    "decision.saves_errors_more": (
        "It makes **{saving} more errors** than answering by the most probable class (between {low} and {high}).",
        "Ошибается **на {saving} чаще**, чем ответ самым вероятным классом (от {low} до {high}).",
    ),
    "decision.no_saving": (
        "No saving is shown against answering by the most probable class.",
        "Выгода по сравнению с ответом самым вероятным классом не показана.",
    ),
    "decision.measured": (
        "Measured on {rows} rows that were held out; ranges hold in 9 of 10 cases.",
        "Измерено на отложенных строках ({rows}); границы верны в 9 случаях из 10.",
    ),
    "decision.cross_fitted": (
        "The threshold was found on one half of them and measured on the other, both ways.",
        "Порог найден на одной их половине и измерен на другой, в обе стороны.",
    ),
    "decision.change": ("How shall it answer?", "Как ей отвечать?"),
    "decision.ask": ("Rule", "Правило"),
    "decision.most_probable": ("The most probable class", "Самый вероятный класс"),
    "decision.costs": ("What errors cost", "По цене ошибок"),
    "decision.threshold": ("A threshold of my own", "Свой порог"),
    "decision.f1": ("The best F1", "Лучшая F1"),
    "decision.balanced_accuracy": ("The best balanced accuracy", "Лучшая сбалансированная доля"),
    "decision.min_precision": ("A precision to be kept", "Заданная точность"),
    "decision.capacity": ("As many as can be handled", "Сколько можно обработать"),
    "decision_help.most_probable": ("All errors are equally bad.", "Все ошибки одинаково плохи."),
    "decision_help.costs": ("The answer that costs least on average.", "Ответ, который в среднем дешевле всего."),
    "decision_help.threshold": (
        "The class is answered from this probability on.",
        "Класс называется, начиная с этой вероятности.",
    ),
    "decision_help.f1": ("Precision and recall in balance.", "Баланс точности и полноты."),
    "decision_help.balanced_accuracy": (
        "The class and the rest count alike, however rare one is.",
        "Класс и остальные весят одинаково, каким бы редким он ни был.",
    ),
    "decision_help.min_precision": (
        "As many rows as possible, this part of them right.",
        "Как можно больше строк, из них верна заданная доля.",
    ),
    "decision_help.capacity": (
        "The class goes to this part of the rows, the most probable ones.",
        "Класс получает эта доля строк, самые вероятные.",
    ),
    "decision.class": ("Class", "Класс"),
    "decision.threshold_field": ("Probability (0 to 1)", "Вероятность (от 0 до 1)"),
    "decision.min_precision_field": ("Precision (0 to 1)", "Точность (от 0 до 1)"),
    "decision.share_field": ("Part of the rows (0 to 1)", "Доля строк (от 0 до 1)"),
    "decision.cost_field": (
        "Cost of answering “{answer}” if “{true}” is true",
        "Цена ответа «{answer}», когда верно «{true}»",
    ),
    "decision.cost_table": (
        "What each answer costs (columns), by the true class (rows). Gains are negative.",
        "Цена каждого ответа (столбцы) для истинного класса (строки). Выгода отрицательна.",
    ),
    "decision.save": ("Save the decision", "Сохранить решение"),
    "decision.what_it_does": ("What it does", "Что это даёт"),
    "decision.column_own": ("This decision", "Это решение"),
    "decision.column_plain": ("Most probable", "Самый вероятный"),
    "decision.row_precision": ("Right among “{label}” answers", "Верных среди ответов «{label}»"),
    "decision.row_recall": ("Found of all “{label}” rows", "Найдено из всех строк «{label}»"),
    "decision.row_share": ("Rows answered “{label}”", "Строк с ответом «{label}»"),
    "decision.row_cost": ("Cost a row", "Цена строки"),
    "decision.cost_curve": ("Cost by threshold", "Цена в зависимости от порога"),
    "decision.cost_curve_help": (
        "What a row costs if “{label}” is answered from this probability on; the dashed line is the decision.",
        "Цена строки, если «{label}» называется начиная с этой вероятности; пунктир — решение.",
    ),
    "decision.errors_curve_help": (
        "Errors a row if “{label}” is answered from this probability on; the dashed line is the decision.",
        "Ошибок на строку, если «{label}» называется начиная с этой вероятности; пунктир — решение.",
    ),
    "decision.share_curve": ("Precision, recall and share by threshold", "Точность, полнота и доля от порога"),
    "decision.share_curve_help": (
        "The higher the threshold, the fewer rows are answered “{label}”, and the surer those are.",
        "Чем выше порог, тем меньше строк получают «{label}» и тем надёжнее ответ.",
    ),
    "decision.obeyed": ("Answers by the decision: {decision}.", "Ответы по решению: {decision}."),
    "decision.obeyed_threshold": (
        "“{label}” from a probability of {threshold} on",
        "«{label}» при вероятности от {threshold}",
    ),
    "decision.obeyed_least_cost": ("the class of least expected cost", "класс с наименьшей ожидаемой ценой"),
    "decision.obeyed_most_probable": ("the most probable class", "самый вероятный класс"),
    "chart.threshold": ("Threshold", "Порог"),
    "chart.cost": ("Cost a row", "Цена строки"),
    "chart.cost_low": ("At least", "Не меньше"),
    "chart.cost_high": ("At most", "Не больше"),
    "chart.errors": ("Errors a row", "Ошибок на строку"),
    "chart.share": ("Share of rows", "Доля строк"),
}
