"""Which kept rows outcomes are of.

An outcome by prediction and row is that row's. An outcome by id is that of every kept row with this id that has none
yet: who is predicted for every day until something happens has one outcome for all these days, and what happens later
does not change what happened before. If every row has one, it corrects the last one by id, for all rows that this one
reached, those included whose outcome was changed by prediction since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from modelyard.ml_core.outcomes.reading import GivenOutcomes, OfId, OfRow
from modelyard.ml_core.tasks import TASKS
from modelyard.ml_core.tasks.base import Truth
from modelyard.schemas import AddedOutcomes
from modelyard.schemas.showing import MAX_CHARS, cut
from modelyard.storage import CONTRACT_FILE, AnswerCollection, KeptOutcomes, ModelRecord, ModelStore
from modelyard.tables import contract_from_json

_EXAMPLES = 5


class _Known(NamedTuple):
    """The outcome of a row, when it was given, and when the row last had one by its id, if ever."""

    label: float
    at: datetime
    by_id_at: datetime | None

    def and_also(self, other: _Known) -> _Known:
        """Return what is known of the row by both: the later outcome."""
        earlier, later = (self, other) if other.at >= self.at else (other, self)
        by_id_at = max(filter(None, (earlier.by_id_at, later.by_id_at)), default=None)
        return later._replace(by_id_at=by_id_at)


@dataclass(slots=True)
class _Kept:
    """The kept rows that are asked for, each with the id of its model, and the outcomes that they have."""

    models: dict[OfRow, str] = field(default_factory=dict)
    by_id: dict[str, list[OfRow]] = field(default_factory=dict)
    known: dict[OfRow, _Known] = field(default_factory=dict)

    def is_new(self, row: OfRow, label: float) -> bool:
        """Whether a row has no outcome yet, or another one."""
        return row not in self.known or self.known[row].label != label

    def meant_by(self, of: OfRow | OfId) -> Sequence[OfRow]:
        """Return the rows that an outcome is of."""
        if isinstance(of, OfRow):
            return (of,) if of in self.models else ()
        rows = self.by_id.get(of.id, [])
        without = [row for row in rows if row not in self.known]
        if without or not rows:
            return without
        known = {row: self.known[row] for row in rows}
        reached = {row: one.by_id_at for row, one in known.items() if one.by_id_at is not None}
        reached = reached or {row: one.at for row, one in known.items()}
        last = max(reached.values())
        return [row for row, at in reached.items() if at == last]


def match(
    given: GivenOutcomes, models: list[ModelRecord], store: ModelStore, answers: AnswerCollection
) -> tuple[AddedOutcomes, list[tuple[str, KeptOutcomes]]]:
    """Return what becomes of outcomes for these models of one name, and what is to be kept of them by model.

    Of several for one row the last one counts. One by id that is new to some of its rows is kept for all of them, so
    that a correction reaches them all. Raises InvalidTable naming the outcomes whose labels are none.
    """
    kept = _find(given, models, answers)
    meant = [kept.meant_by(of) for of in given.of]
    unknown = [cut(str(of), MAX_CHARS) for of, rows in zip(given.of, meant, strict=True) if not rows]
    labels = _labels(given, [[kept.models[row] for row in rows] for rows in meant], models, store)
    last = {row: place for place, rows in enumerate(meant) for row in rows}
    label_of = {row: float(labels[kept.models[row]][place]) for row, place in last.items()}
    new = {place for row, place in last.items() if kept.is_new(row, label_of[row])}
    replaced = {place for row, place in last.items() if row in kept.known and kept.is_new(row, label_of[row])}
    said = AddedOutcomes(
        name=models[0].metadata.name,
        outcomes=len(given.of),
        matched=len(given.of) - len(unknown),
        replaced=len(replaced),
        unknown=len(unknown),
        unknown_examples=list(dict.fromkeys(unknown))[:_EXAMPLES],
    )
    return said, _to_keep({row: label for row, label in label_of.items() if last[row] in new}, last, given, kept)


def _to_keep(
    labels: dict[OfRow, float], places: dict[OfRow, int], given: GivenOutcomes, kept: _Kept
) -> list[tuple[str, KeptOutcomes]]:
    """Return new labels of rows by model, each from the outcome at its place, as they are stored."""
    now = datetime.now(UTC)
    found: dict[tuple[str, bool], KeptOutcomes] = {}
    for row, label in labels.items():
        model_id, by_id = kept.models[row], isinstance(given.of[places[row]], OfId)
        outcomes = found.setdefault((model_id, by_id), KeptOutcomes(now, [], [], [], by_id))
        outcomes.predictions.append(row.prediction_id)
        outcomes.rows.append(row.row)
        outcomes.labels.append(label)
    return [(model_id, outcomes) for (model_id, _), outcomes in found.items()]


def _find(given: GivenOutcomes, models: list[ModelRecord], answers: AnswerCollection) -> _Kept:
    """Look for the kept rows that are asked for; first on the days that the ids of predictions name."""
    ids = [model.metadata.model_id for model in models]
    kept = _Kept()
    search = _Search(given.of, kept)
    search.look(ids, answers, search.first_day)
    if search.first_day is not None and (left := [row for row in search.rows if row not in kept.models]):
        _Search(left, kept).look(ids, answers, None)
    for model_id in ids:
        for outcomes in answers.outcomes(model_id):
            for prediction, number, label in zip(outcomes.predictions, outcomes.rows, outcomes.labels, strict=True):
                row = OfRow(prediction, number)
                if row in kept.models:
                    one = _Known(label, outcomes.given, outcomes.given if outcomes.by_id else None)
                    kept.known[row] = kept.known[row].and_also(one) if row in kept.known else one
    return kept


class _Search:
    """Looks for the rows that outcomes are of."""

    def __init__(self, wanted: Iterable[OfRow | OfId], kept: _Kept) -> None:
        self.rows: set[OfRow] = set()
        self._ids: set[str] = set()
        for of in wanted:
            if isinstance(of, OfRow):
                self.rows.add(of)
            else:
                self._ids.add(of.id)
        self._predictions = {row.prediction_id for row in self.rows}
        self._kept = kept
        self.first_day = None if self._ids else min(map(_day_of, self._predictions), default=None)

    def look(self, model_ids: Iterable[str], answers: AnswerCollection, since: datetime | None) -> None:
        """Look through what models have answered since a day."""
        kept = self._kept
        for model_id in model_ids:
            for _, one in answers.answers(model_id, since):
                if one.id in self._predictions:
                    for number in range(one.first, one.first + len(one.scores)):
                        if (row := OfRow(one.id, number)) in self.rows:
                            kept.models[row] = model_id
                for number, cell in enumerate(one.ids or () if self._ids else (), one.first):
                    if cell is not None and cell in self._ids:
                        row = OfRow(one.id, number)
                        kept.models[row] = model_id
                        kept.by_id.setdefault(cell, []).append(row)


def _day_of(prediction_id: str) -> datetime:
    """Return the day before the one that an id begins with, since clocks differ; today if it begins with none."""
    try:
        return datetime.strptime(prediction_id[:8], "%Y%m%d").replace(tzinfo=UTC) - timedelta(days=1)
    except (ValueError, OverflowError):
        return datetime.now(UTC)


def _labels(
    given: GivenOutcomes, of_models: list[list[str]], models: list[ModelRecord], store: ModelStore
) -> dict[str, Truth]:
    """Return the labels of all outcomes as each model knows them that some of them are of."""
    places: dict[str, list[int]] = {}
    for place, model_ids in enumerate(of_models):
        for model_id in model_ids:
            places.setdefault(model_id, []).append(place)
    found = {}
    for model in models:
        if model.metadata.model_id in places:
            contract = contract_from_json(store.read_file(model, CONTRACT_FILE))
            task = TASKS[model.metadata.task]
            found[model.metadata.model_id] = given.labels_for(places[model.metadata.model_id], task, contract)
    return found
