"""Which kept rows outcomes are of.

An outcome by prediction and row is that row's. An outcome by id is that of every kept row with this id that has none
yet: who is predicted for every day until something happens has one outcome for all these days, and what happens later
does not change what happened before. If every row has one, it corrects the last one, for all rows that this went to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from modelyard.ml_core.outcomes.reading import GivenOutcomes, OfId, OfRow
from modelyard.ml_core.tasks import TASKS
from modelyard.ml_core.tasks.base import Truth
from modelyard.schemas import AddedOutcomes
from modelyard.storage import CONTRACT_FILE, AnswerCollection, KeptOutcomes, ModelRecord, ModelStore
from modelyard.tables import contract_from_json

_EXAMPLES = 5
_NEVER = (datetime.min.replace(tzinfo=UTC), 0.0)


_Known = tuple[datetime, float]
"""When the outcome of a row was given, and what it is."""


@dataclass(slots=True)
class _Kept:
    """The kept rows that are asked for, each with the id of its model, and the outcomes that they have."""

    models: dict[OfRow, str] = field(default_factory=dict)
    by_id: dict[str, list[OfRow]] = field(default_factory=dict)
    known: dict[OfRow, _Known] = field(default_factory=dict)

    def meant_by(self, of: OfRow | OfId) -> Sequence[OfRow]:
        """Return the rows that an outcome is of."""
        if isinstance(of, OfRow):
            return (of,) if of in self.models else ()
        rows = self.by_id.get(of.id, [])
        without = [row for row in rows if row not in self.known]
        if without or not rows:
            return without
        last = max(self.known[row][0] for row in rows)
        return [row for row in rows if self.known[row][0] == last]


def match(
    given: GivenOutcomes, models: list[ModelRecord], store: ModelStore, answers: AnswerCollection
) -> tuple[AddedOutcomes, dict[str, KeptOutcomes]]:
    """Return what becomes of outcomes for these models of one name, and what is to be kept of them by model.

    Of several for one row the last one counts. Raises InvalidTable naming the outcomes whose labels are none.
    """
    kept = _find(given, models, answers)
    meant = [kept.meant_by(of) for of in given.of]
    unknown = [str(of) for of, rows in zip(given.of, meant, strict=True) if not rows]
    labels = _labels(given, [[kept.models[row] for row in rows] for rows in meant], models, store)
    last = {row: place for place, rows in enumerate(meant) for row in rows}
    now = datetime.now(UTC)
    new: dict[str, KeptOutcomes] = {}
    replaced = set()
    for row, place in last.items():
        model_id = kept.models[row]
        label, before = float(labels[model_id][place]), kept.known.get(row)
        if before is not None and before[1] == label:
            continue
        of_model = new.setdefault(model_id, KeptOutcomes(now, [], [], []))
        of_model.predictions.append(row.prediction_id)
        of_model.rows.append(row.row)
        of_model.labels.append(label)
        if before is not None:
            replaced.add(place)
    said = AddedOutcomes(
        name=models[0].metadata.name,
        outcomes=len(given.of),
        matched=len(given.of) - len(unknown),
        replaced=len(replaced),
        unknown=len(unknown),
        unknown_examples=list(dict.fromkeys(unknown))[:_EXAMPLES],
    )
    return said, new


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
                if row in kept.models and outcomes.given >= kept.known.get(row, _NEVER)[0]:
                    kept.known[row] = (outcomes.given, label)
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
