"""The audit: who did what, and who was refused."""

AUDIT: dict[str, tuple[str, str]] = {
    "page.audit": ("Audit", "Журнал"),
    "audit.lead": (
        "What was changed, and who was refused or let in, newest first. Times are UTC.",
        "Что изменено, кому отказано и кто вошёл; сначала новейшее. Время — UTC.",
    ),
    "audit.key": ("Who", "Кто"),
    "audit.key_hint": ("a key's name, or local:anna", "имя ключа или local:anna"),
    "audit.verb": ("Verb", "Действие"),
    "audit.any_verb": ("all", "все"),
    "audit.anonymous": ("anonymous", "аноним"),
    "audit.done": ("done", "сделано"),
    "audit.door_rest": ("REST", "REST"),
    "audit.door_grpc": ("gRPC", "gRPC"),
    "audit.door_server": ("server", "сервер"),
    "audit.door_local": ("local", "на месте"),
    "audit.since": ("Since", "С даты"),
    "audit.when": ("When", "Когда"),
    "audit.what": ("What", "Что"),
    "audit.ended": ("Ended", "Итог"),
    "audit.from": ("From", "Откуда"),
    "audit.times": ("{words}, {n} {n:time|times}", "{words}, {n} {n:раз|раза|раз}"),
    "audit.none": ("No entries of that kind.", "Таких записей нет."),
    "audit.none_yet": (
        "No entries of that kind on this page. The audit goes on: turn to the next one.",
        "На этой странице таких записей нет. Журнал продолжается на следующей.",
    ),
    "audit.follows": (
        "Entries {first} to {last} are all here, and each carries the hash of the one before.",
        "Записи с {first} по {last} здесь все, и каждая несёт хеш предыдущей.",
    ),
    "audit.broken": (
        "Entry {number} does not follow from the one before it: something was removed or changed.",
        "Запись {number} не следует из предыдущей: что-то удалено или изменено.",
    ),
    "audit.verify": (
        "`modelyard audit verify` on the yard's folder reads every entry, and checks the signatures if there is a key.",
        "`modelyard audit verify` в папке двора читает все записи и проверяет подписи, если у двора есть ключ.",
    ),
}
