"""Views for people with SQL: models, jobs, aliases, evaluations and the audit as columns with types.

Nothing of ours reads them. They are made of the documents at each query, so they cost a writer nothing, and what cannot
be made is left out with a word in the log: no view keeps a yard from being opened.
"""

from __future__ import annotations

import logging
import re

from modelyard.errors import ModelyardError
from modelyard.storage.postgres.schema import changing
from modelyard.storage.postgres.session import Session

log = logging.getLogger("modelyard.storage")

VERSION = 1
"""Of all views: the views of a lower one are replaced. Columns may be added at their ends only."""

# `jsonb` takes no \u0000, which may stand in a body: it is shown as U+FFFD. A body is parsed once for all columns,
# because the planner leaves a subquery with an offset alone.
_READ = r"""
lateral (
    select case when strpos({0}, '\u0000') = 0 then {0}
        else regexp_replace({0}, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g') end::jsonb as said
    offset 0
) as read
"""
_OF_DOCUMENTS = f"from documents, {_READ.format('body')} where body is not null and collection ="
_MODELS = f"""
select id as model_id, m->>'name' as name, (m->>'version')::integer as version, m->>'status' as status,
    m->>'model_class_key' as model_class, m->>'task' as task,
    (m->>'created_at')::timestamptz as created_at, m->>'created_by' as created_by,
    (m->>'updated_at')::timestamptz as updated_at, m->>'parent_id' as parent_id, m->>'target' as target,
    (m->>'n_rows')::bigint as n_rows, (m->>'training_seconds')::double precision as training_seconds,
    array(select jsonb_array_elements_text(m->'tags')) as tags, m->>'description' as description,
    m->'metrics' as metrics, m->'hyperparams' as hyperparams, m->>'fingerprint' as fingerprint,
    (m->'artifact'->>'bytes')::bigint as artifact_bytes
from (select id, said->'metadata' as m {_OF_DOCUMENTS} 'models' offset 0) as model
"""  # noqa: S608
_JOBS = f"""
select id as job_id, j->>'status' as status, j->>'kind' as kind, j->>'model_class_key' as model_class,
    j->>'name' as name, j->>'model_id' as model_id, j->>'parent_id' as parent_id,
    (j->>'created_at')::timestamptz as created_at, ordered_by as created_by,
    (j->>'started_at')::timestamptz as started_at, (j->>'ended_at')::timestamptz as ended_at,
    j->'error'->>'code' as error_code, j->'error'->>'detail' as error
from (select id, said->'job' as j, said->>'by' as ordered_by {_OF_DOCUMENTS} 'jobs' offset 0) as job
"""  # noqa: S608
_ALIASES = f"""
select said->>'name' as name, said->>'alias' as alias, (said->>'version')::integer as version,
    said->>'model_id' as model_id, (said->>'since')::timestamptz as moved_at, said->>'by' as moved_by,
    (said->>'moves')::integer as moves
{_OF_DOCUMENTS} 'aliases' and said->>'version' is not null
"""
_EVALUATIONS = f"""
select e->>'evaluation_id' as evaluation_id, (e->>'at')::timestamptz as at, e->>'label' as label, e->>'task' as task,
    (e->>'n_rows')::bigint as n_rows, m->>'model_id' as model_id, m->>'name' as name,
    (m->>'version')::integer as version, m->>'alias' as alias, m->'metrics' as metrics
from series, {_READ.format("entries")}, jsonb_array_elements(said) as e, jsonb_array_elements(e->'models') as m
where stream = 'evaluations'
"""  # noqa: S608
_AUDIT = f"""
select (e->>'number')::bigint as number, (e->>'at')::timestamptz as at, e->>'key' as key, e->>'address' as address,
    e->>'door' as door, e->>'verb' as verb, e->'what' as what, e->>'code' as code, (e->>'count')::bigint as count,
    e->>'request_id' as request_id, (e->>'transaction')::bigint as transaction
from audit, {_READ.format("entries")}, jsonb_array_elements(said) as e
"""  # noqa: S608
_VIEWS = {
    "models": (_MODELS, "models, each a row, those that were deleted but not for good, too"),
    "jobs": (_JOBS, "trainings and searches"),
    "aliases": (_ALIASES, "where aliases point now"),
    "evaluations": (_EVALUATIONS, "what labelled tables showed, a row for each model of an evaluation"),
    "audit_entries": (_AUDIT, "the audit, an entry a row; its hashes are verified by `modelyard audit verify` alone"),
}
_SAID = "Modelyard, views {}: {}"
_OURS = re.compile(r"Modelyard, views (\d+): ")
_FOUND = """
select relname, coalesce(obj_description(oid, 'pg_class'), '') from pg_class
where relname = any(%s) and relnamespace = current_schema()::regnamespace
"""


def prepare(session: Session) -> None:
    """Make the views that are missing or older than this release; leave alone what is somebody else's. Raises nothing.

    Who reads a view is not waited for longer than a second.
    """
    try:
        if not _wanted(session):
            return
        with changing(session):
            session.run("set local lock_timeout = '1s'")
            for name in _wanted(session):
                query, about = _VIEWS[name]
                session.run(f"create or replace view {name} as {query}")
                session.run(f"comment on view {name} is '{_SAID.format(VERSION, about)}'")
    except ModelyardError as error:
        log.warning("the views for people with SQL are not made: %s", error.detail)


def _wanted(session: Session) -> list[str]:
    found = dict(session.rows(_FOUND, list(_VIEWS)))
    versions = {name: _OURS.match(said) for name, said in found.items()}
    for name in sorted(name for name, ours in versions.items() if ours is None):
        log.warning("there is no view %s for people with SQL, because something else has that name", name)
    return [name for name in _VIEWS if name not in found or ((ours := versions[name]) and int(ours[1]) < VERSION)]
