"""The names of models: what a new one may be, and those there are, page by page.

The index tells which there are, the documents what their versions are like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

import orjson

from modelyard.errors import InvalidRequest
from modelyard.schemas import LINE_VERSIONS, LinePoint, NamePage, NameQuery, NameSummary, check_name, headline
from modelyard.storage.collections.cursors import decode_cursor, encode_cursor
from modelyard.storage.collections.model_index import IndexEntry, ModelIndex, folded
from modelyard.storage.collections.models import MODELS, model_record
from modelyard.storage.protocols import Documents


def checked_name(name: str | None, model_class_key: str, model_id: str) -> str:
    """Return the name of a new model, made from its class and id if it has none. Raises InvalidRequest."""
    if name is None:
        return f"{model_class_key[:87]}-{model_id[-12:]}"
    try:
        return check_name(name)
    except ValueError as error:
        raise InvalidRequest(str(error)) from None


def page(
    documents: Documents, index: ModelIndex, query: NameQuery, sees: Callable[[str], bool] | None = None
) -> NamePage:
    """Return a page of names; with `sees`, only those that somebody sees. Call it within a `reading`.

    Raises InvalidRequest for a cursor that is none.
    """
    before = None if query.cursor is None else decode_cursor(query.cursor)
    newest = _newest(index, query, sees)
    rest = (entry for entry in newest.values() if before is None or entry.model_id < before)
    found = list(islice(rest, query.limit + 1))
    names = [_summary(documents, index, entry, query) for entry in found[: query.limit]]
    more = len(found) > query.limit
    return NamePage(names=names, total=len(newest), next_cursor=encode_cursor(names[-1].model_id) if more else None)


def _newest(index: ModelIndex, query: NameQuery, sees: Callable[[str], bool] | None) -> dict[str, IndexEntry]:
    """Return the newest version that is asked for of each name, the newest first."""
    found: Iterable[IndexEntry] = _of_status(index.newest_first(), query)
    if (key := query.model_class_key) is not None:
        found = (entry for entry in found if entry.model_class_key == key)
    if (alias := query.alias) is not None:
        found = (entry for entry in found if alias in index.aliases.of_name(entry.name))
    if words := folded(query.search):
        found = (entry for entry in found if entry.has(words))
    if sees is not None:
        found = (entry for entry in found if sees(entry.name))
    newest: dict[str, IndexEntry] = {}
    for entry in found:
        newest.setdefault(entry.name, entry)
    return newest


def _of_status(entries: Iterable[IndexEntry], query: NameQuery) -> Iterable[IndexEntry]:
    if query.status == "all":
        return entries
    active = query.status == "active"
    return (entry for entry in entries if entry.active is active)


def _summary(documents: Documents, index: ModelIndex, entry: IndexEntry, query: NameQuery) -> NameSummary:
    model = model_record(entry.model_id, _raw(documents, entry)).metadata
    versions = sorted(_of_status(index.versions(entry.name), query), key=lambda one: one.version)
    metric = headline(model.task, model.metrics)
    return NameSummary(
        **model.model_dump(include=set(NameSummary.model_fields) & set(type(model).model_fields) - {"aliases"}),
        versions=len(versions),
        aliases={alias: of["version"] for alias, of in sorted(index.aliases.of_name(entry.name).items())},
        metric=metric,
        line=[
            LinePoint(version=one.version, value=_value(documents, one, metric)) for one in versions[-LINE_VERSIONS:]
        ],
    )


def _value(documents: Documents, entry: IndexEntry, metric: str | None) -> float | None:
    """Return a metric of a version, without all else that is known of it: that takes ten times as long."""
    value = orjson.loads(_raw(documents, entry))["metadata"]["metrics"].get(metric)
    return None if value is None else float(value)


def _raw(documents: Documents, entry: IndexEntry) -> bytes:
    raw = documents.raw(MODELS, entry.model_id)
    assert raw is not None  # the index observes the documents
    return raw
