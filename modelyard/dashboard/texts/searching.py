"""Searches."""

SEARCHING: dict[str, tuple[str, str]] = {
    "search.title": ("Search for the best", "Найти лучшую модель"),
    "search.lead": (
        "Tries all algorithms with many hyperparams, and takes the best, or several together if that is better.",
        "Пробует все алгоритмы с разными гиперпараметрами и берёт лучшую модель или несколько вместе, если так точнее.",
    ),
    "search.max_seconds": ("Seconds", "Секунды"),
    "search.max_seconds_help": (
        "No trial begins after so many seconds; then the best is fitted.",
        "После этого времени новые попытки не начинаются, и обучается лучшая модель.",
    ),
    "search.trials": ("Trials at most", "Попыток не более"),
    "search.trials_help": (
        "The first of each algorithm has its defaults; those that are hopeless are given up early.",
        "Первая попытка каждого алгоритма — с обычными значениями; безнадёжные прекращаются рано.",
    ),
    "search.best_so_far": ("best so far, rows held out", "лучшее, отложенные строки"),
    "search.trials_in": ("{time}, {n} {n:trial|trials}", "{time}, {n} {n:попытка|попытки|попыток}"),
    "search.board_help": (
        "In parentheses: an interval that holds nine times in ten. If two overlap, no real difference is shown yet.",
        "В скобках — интервал, верный в 9 случаях из 10. Если два пересекаются, заметной разницы пока не видно.",
    ),
    "search.leaderboard": ("Leaderboard", "Таблица попыток"),
    "search.leaderboard_help": (
        "What the search tried, judged by rows that the trials had not seen, the best first.",
        "Что пробовал поиск, по строкам, которых попытки не видели; лучшие сверху.",
    ),
    "search.class": ("Algorithm", "Алгоритм"),
    "search.interval": ("Nine times in ten between", "В девяти случаях из десяти между"),
    "search.weight": ("Weight", "Вес"),
    "search.seconds": ("Seconds", "Секунды"),
    "search.words": ("Compared with the model", "В сравнении с моделью"),
    "search.ensemble": ("Ensemble", "Ансамбль"),
    "search.ensemble_kept": (
        "**Ensemble** of {members}, as in the parent: the same members, hyperparams and weights.",
        "**Ансамбль** из {members}, как у предыдущей версии: те же члены, гиперпараметры и веса.",
    ),
}
