"""A name in production: drift, outcomes, performance, evaluations."""

PRODUCTION: dict[str, tuple[str, str]] = {
    "life.of": ("Which version", "Какая версия"),
    "life.fresh": ("fresh", "свежая"),
    "life.stale": ("stale", "устарела"),
    "life.drifting": ("drifting", "дрейф"),
    "life.unknown": ("unknown", "неизвестно"),
    "life.none_known": (
        "Nobody knows yet how good its answers are: none were kept. Keep them, then give the outcomes.",
        "Пока неизвестно, насколько верны ответы: они не хранятся. Включите хранение и загрузите исходы.",
    ),
    "life.none_yet": (
        "Nobody knows yet how good its answers are: answers are kept, but none of its own so far.",
        "Пока неизвестно, насколько верны ответы: ответы хранятся, но ответов этой версии среди них ещё нет.",
    ),
    "life.few_outcomes": (
        "Too few outcomes in {week} to tell: {outcomes} of {rows} {rows:row|rows}.",
        "Слишком мало исходов за {week}: {outcomes} из {rows} {rows:строки|строк}.",
    ),
    "life.is_drifting": (
        "What it is asked is no longer like its training ({week}). Outcomes ({outcomes} of {rows}) show no harm.",
        "Запросы больше не похожи на обучение ({week}); по исходам ({outcomes} из {rows}) вреда не видно.",
    ),
    "life.is_drifting_unjudged": (
        "What it is asked is no longer like its training ({week}). No outcome is known yet that would show any harm.",
        "Запросы больше не похожи на обучение ({week}); вредит ли это, покажут исходы — пока ни один не известен.",
    ),
    "life.is_stale": (
        "In {week} worse than its validation beyond noise: {metric} {now}; {then} was promised (outcomes: {outcomes}).",
        "За {week} хуже обещанного сверх случайности: {metric} {now}, а при проверке {then} (исходов: {outcomes}).",
    ),
    "life.is_fresh": (
        "As good as its validation in {week}: {metric} {now}, and {then} was promised (outcomes: {outcomes}).",
        "За {week} не хуже обещанного: {metric} {now}, при проверке {then} (исходов: {outcomes}).",
    ),
    "life.retrain": ("Retrain v{version} on new rows", "Переобучить v{version} на новых строках"),
    "life.inputs": ("What it is asked", "О чём спрашивают"),
    "life.hourly": ("Predictions by hour, in UTC", "Предсказания по часам, UTC"),
    "life.hour": ("Hour", "Час"),
    "life.histogram_of": ("Column, the farthest off first", "Столбец, сначала самые изменившиеся"),
    "life.asked": ("asked", "запросы"),
    "life.training": ("training", "обучение"),
    "life.share": ("Share of rows", "Доля строк"),
    "life.bin": ("Cells", "Значения"),
    "life.when": ("When", "Когда"),
    "life.performance": ("How good the answers were", "Насколько верны были ответы"),
    "life.no_outcomes": (
        "No outcomes are known yet. Give a table of what really happened to answers that were kept.",
        "Исходов пока нет. Загрузите таблицу с тем, что на самом деле случилось.",
    ),
    "life.metric": ("Metric", "Метрика"),
    "life.weeks_help": (
        "By the week in which was asked; bars are intervals of 90 %.",
        "По неделе запроса; полосы — интервалы на 90 %.",
    ),
    "life.band": (
        "The grey band is what the validation of v{version} promised.",
        "Серая полоса — обещанное проверкой v{version}.",
    ),
    "life.week": ("Week", "Неделя"),
    "life.rows": ("Rows asked", "Строк спрошено"),
    "life.outcomes": ("Outcomes", "Исходов"),
    "life.keep": ("Keep all answers by this name", "Хранить все ответы по этому имени"),
    "life.keep_help": (
        "Answers, never cells of features, so that what really happened can be joined to them.",
        "Ответы без значений признаков: к ним можно будет присоединить исходы.",
    ),
    "life.upload": ("Give outcomes", "Загрузить исходы"),
    "life.upload_help": (
        "A table with the column `label`, and `prediction_id` with `row`, or `id`.",
        "Таблица со столбцом `label` и с `prediction_id` и `row` либо с `id`.",
    ),
    "life.upload_go": ("Join them to {name}", "Присоединить к {name}"),
    "life.uploading": ("Joining the outcomes", "Присоединяем исходы"),
    "life.added": (
        "{matched} of {outcomes} {outcomes:outcome|outcomes} belong to kept answers; {replaced} replaced another one.",
        "Исходов, относящихся к сохранённым ответам: {matched} из {outcomes}; заменили прежний: {replaced}.",
    ),
    "life.unknown_outcomes": (
        "{unknown} {unknown:belongs|belong} to no kept answer, such as: {examples}.",
        "Не относятся ни к одному ответу: {unknown}, например: {examples}.",
    ),
    "life.evaluations": ("Judged by labelled tables", "Оценки по таблицам с ответами"),
    "life.no_evaluations": (
        "No labelled table has judged it yet. Compare, or Champion and challenger, does that.",
        "Таблицы с ответами её ещё не оценивали. Это делает сравнение версий.",
    ),
    "life.label": ("Table", "Таблица"),
}
