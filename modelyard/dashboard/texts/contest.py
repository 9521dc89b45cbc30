"""Trainings side by side."""

CONTEST: dict[str, tuple[str, str]] = {
    "contest.title": ("{n} trainings side by side", "{n} {n:обучение|обучения|обучений} рядом"),
    "contest.board": ("Side by side", "Сравнение"),
    "contest.shows": ("Compared with the first", "В сравнении с первой"),
    "contest.help": (
        "All are judged by the same rows, pair by pair ({metric}); other rows could reverse “no real difference”.",
        "Все оценены на одних строках, попарно ({metric}); без заметной разницы — на других порядок мог бы измениться.",
    ),
    "contest.no_pairs": (
        "The intervals say where each number would lie, nine times in ten, with other rows held out.",
        "Интервалы показывают, где оказалось бы число в девяти случаях из десяти при других отложенных строках.",
    ),
    "contest.first": ("looks best", "выглядит лучшей"),
    "contest.no_difference": ("no real difference", "без заметной разницы"),
    "contest.worse": ("worse", "хуже"),
    "contest.better": ("better by this measure", "по этой мере лучше"),
    "contest.keep": ("Keep", "Оставить"),
    "contest.keep_it": ("Keep it", "Оставить"),
    "contest.delete_others": ("Delete the others, restorable", "Удалить остальные с возможностью вернуть"),
    "contest.alias": ("Point an alias at it", "Направить на неё псевдоним"),
    "train.go_all": ("Train all {n}", "Обучить все: {n}"),
    "train.summary": ("Predicts {target} · {how}", "Предсказывает {target} · {how}"),
}
