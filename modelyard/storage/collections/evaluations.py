"""What labelled tables have shown of models: one entry of a series for each evaluation, whichever models took part.

An evaluation stays when one of its models is deleted for good: it is of the others, too, and rewrites nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from modelyard import calls
from modelyard.access.audit import deed
from modelyard.schemas import EvaluationPage, EvaluationQuery, KeptEvaluation
from modelyard.storage.collections.audit import AuditCollection
from modelyard.storage.collections.cursors import decode_cursor, encode_cursor
from modelyard.storage.protocols import Series

_STREAM = "evaluations"


class EvaluationCollection:
    """The evaluations of a yard. Every use raises Unavailable if the system refuses."""

    def __init__(self, series: Series, audit: AuditCollection) -> None:
        self._series = series
        self._audit = audit

    def keep(self, evaluation: KeptEvaluation) -> None:
        """Keep an evaluation, after the audit has said so."""
        models = ", ".join(f"{model.name}:{model.version}" for model in evaluation.models)
        self._audit.keep([deed("evaluate", {"evaluation_id": evaluation.evaluation_id, "models": models})])
        self._series.append(_STREAM, [evaluation.model_dump(mode="json")])

    def page(self, model_id: str, query: EvaluationQuery) -> EvaluationPage:
        """Return a page of a model's evaluations, newest first. Raises InvalidRequest for a cursor that is none.

        Raises DataLoss if an entry is damaged.
        """
        return self._page(lambda model: bool(model["model_id"] == model_id), query)

    def page_of_alias(self, name: str, alias: str, query: EvaluationQuery) -> EvaluationPage:
        """Return a page of the evaluations in which a model was asked by an alias of its name. Raises like `page`."""
        return self._page(lambda model: bool(model["name"] == name and model.get("alias") == alias), query)

    def _page(self, takes_part: Callable[[dict[str, Any]], bool], query: EvaluationQuery) -> EvaluationPage:
        before = None if query.cursor is None else decode_cursor(query.cursor)
        meant = (
            entry.fields
            for entry in self._series.scan(_STREAM)
            if any(map(takes_part, entry.fields["models"]))
            if before is None or entry.fields["evaluation_id"] < before
        )
        newest = heapq.nlargest(query.limit + 1, meant, key=lambda fields: fields["evaluation_id"])
        found = [_seen(KeptEvaluation.model_validate(fields)) for fields in newest[: query.limit]]
        more = len(newest) > query.limit
        return EvaluationPage(evaluations=found, next_cursor=encode_cursor(found[-1].evaluation_id) if more else None)


def _seen(evaluation: KeptEvaluation) -> KeptEvaluation:
    """Leave out the models that the caller may not see."""
    sees = calls.who().sees
    models = [model for model in evaluation.models if sees(model.name)]
    if len(models) == len(evaluation.models):
        return evaluation
    ids = {model.model_id for model in models}
    pairs = [pair for pair in evaluation.pairs if {pair.a, pair.b} <= ids]
    return evaluation.model_copy(update={"models": models, "pairs": pairs})
