"""Kept answers and their outcomes: two streams for each model, so that they go when it is deleted for good.

Answers are appended without waiting for the disk, because each prediction would wait for it; outcomes are on the disk
when they are answered. What a name's predictions are kept by is a document. No cell of a table is ever here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from modelyard import calls
from modelyard.access.audit import deed
from modelyard.errors import FailedPrecondition, Unavailable
from modelyard.references import NameReference
from modelyard.storage.collections.audit import AuditCollection
from modelyard.storage.collections.model_index import KEPT_NAMES, ModelIndex
from modelyard.storage.collections.resolving import check_name_visible, not_found
from modelyard.storage.protocols import Documents, Series

log = logging.getLogger("modelyard.storage")

NONE_KEPT = "this yard keeps no answers: MODELYARD_KEEP_ANSWERS_DAYS is 0"
_ANSWERS, _OUTCOMES = "answers-", "outcomes-"
_ROWS_A_LINE = 10_000


class KeptAnswers(msgspec.Struct, gc=False):
    """What was answered to some rows, the first of which is row `first` of the prediction `id`.

    `scores` are the probabilities, or for regression the number, of each row; `answers` the codes of the classes
    answered, None for regression; `ids` the cells of the column of ids as texts, if there is one. `alias` is the one by
    which the model was asked.
    """

    id: str
    first: int
    scores: list[list[float]]
    answers: list[int] | None = None
    ids: list[str | None] | None = None
    alias: str | None = None


class KeptOutcomes(msgspec.Struct, gc=False):
    """What really happened to rows of predictions: codes of classes, or numbers.

    `given` is when this was said, `by_id` whether the rows were named by their id.
    """

    given: datetime
    predictions: list[str]
    rows: list[int]
    labels: list[float]
    by_id: bool = False


def stream_owner(stream: str) -> str | None:
    """Return the id of the model whose answers or outcomes a stream holds; None for any other stream."""
    return next((stream.removeprefix(kind) for kind in (_ANSWERS, _OUTCOMES) if stream.startswith(kind)), None)


class AnswerCollection:
    """The kept answers of a yard and their outcomes. They are kept for `days`; 0: none are.

    Every use raises Unavailable if the system refuses, DataLoss for damaged outcomes.
    """

    def __init__(
        self, documents: Documents, series: Series, index: ModelIndex, audit: AuditCollection, *, days: int
    ) -> None:
        self._documents = documents
        self._series = series
        self._index = index
        self._audit = audit
        self._days = days
        self._day: object = None

    @property
    def are_kept(self) -> bool:
        """Whether answers are kept at all."""
        return self._days > 0

    def keeps(self, name: str) -> bool:
        """Whether all predictions by a name are kept."""
        with self._documents.reading():
            return self.are_kept and name in self._index.kept_names

    def set_keeps(self, name: str, keep: bool) -> None:
        """Keep all predictions by a name from now on, or no longer.

        Raises ModelNotFound, FailedPrecondition if no answers are kept at all.
        """
        check_name_visible(name)
        if keep and not self.are_kept:
            raise FailedPrecondition(NONE_KEPT)
        with self._documents.transaction() as transaction:
            if not self._index.versions(name):
                raise not_found(self._index, NameReference(name))
            if keep == (transaction.get(KEPT_NAMES, name) is not None):
                return
            if keep:
                since = datetime.now(UTC).isoformat()
                transaction.put(KEPT_NAMES, name, {"since": since, "by": calls.who().name})
            else:
                transaction.remove(KEPT_NAMES, name)
            self._audit.note(transaction, "set_keep_answers", {"name": name, "keep": str(keep).lower()})

    def keep(self, model_id: str, kept: KeptAnswers) -> None:
        """Keep what a model answered. It outlives this process from here on."""
        for start in range(0, len(kept.scores), _ROWS_A_LINE):
            part = slice(start, start + _ROWS_A_LINE)
            entry: dict[str, Any] = {"id": kept.id, "first": kept.first + start, "scores": kept.scores[part]}
            if kept.answers is not None:
                entry["answers"] = kept.answers[part]
            if kept.ids is not None:
                entry["ids"] = kept.ids[part]
            if kept.alias is not None:
                entry["alias"] = kept.alias
            at = self._series.append(_ANSWERS + model_id, [entry], loose=True)
            if at.date() != self._day:
                self._day = at.date()
                threading.Thread(target=self._drop_old, args=(at,), daemon=True).start()

    def answers(self, model_id: str, since: datetime | None = None) -> Iterator[tuple[datetime, KeptAnswers]]:
        """Iterate what is kept of a model's answers, with the moments at which they were given, in no order.

        `since` leaves out the days before it.
        """
        return self._series.read(_ANSWERS + model_id, KeptAnswers, since)

    def outcomes(self, model_id: str) -> Iterator[KeptOutcomes]:
        """Iterate the outcomes that were given for a model's answers, in no order."""
        return (entry for _, entry in self._series.read(_OUTCOMES + model_id, KeptOutcomes))

    def add_outcomes(self, name: str, given: int, found: Iterable[tuple[str, KeptOutcomes]]) -> None:
        """Keep outcomes by model, after the audit has said that so many were given for a name."""
        self._audit.keep([deed("add_outcomes", {"name": name, "outcomes": str(given)})])
        for model_id, outcomes in found:
            predictions, rows, labels = outcomes.predictions, outcomes.rows, outcomes.labels
            for start in range(0, len(rows), _ROWS_A_LINE):
                part = slice(start, start + _ROWS_A_LINE)
                entry = KeptOutcomes(outcomes.given, predictions[part], rows[part], labels[part], outcomes.by_id)
                self._series.append(_OUTCOMES + model_id, [msgspec.to_builtins(entry)])

    def forget(self, model_id: str) -> None:
        """Remove all that is kept of a model's answers."""
        for kind in (_ANSWERS, _OUTCOMES):
            self._series.remove(kind + model_id)

    def _drop_old(self, now: datetime) -> None:
        try:
            for stream in self._series.streams():
                if stream_owner(stream) is not None:
                    self._series.drop(stream, now - timedelta(days=self._days))
        except Unavailable as error:
            log.warning("kept answers that are too old cannot be removed: %s", error.detail)
