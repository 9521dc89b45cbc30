"""The kept rows of one model as arrays, with their outcomes: millions of them take little more than their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from modelyard.ml_core.resampling import Floats, Indices
from modelyard.storage import KeptAnswers, KeptOutcomes

_AT_ONCE = 20_000
_ENTRY = [("key", np.uint64), ("first", np.int64), ("rows", np.int64), ("week", np.int64), ("alias", np.int64)]


@dataclass(frozen=True, slots=True)
class KeptRows:
    """n rows that a model has answered.

    `weeks`, shape (n,), are ISO weeks counted from the year 1 on, `aliases` places in `alias_names`, `scores` have
    shape (n, k), `answers` are codes of classes (None for regression) and `labels` the outcomes, NaN if not known.
    """

    weeks: Indices
    aliases: Indices
    alias_names: list[str | None]
    scores: Floats
    answers: Indices | None
    labels: Floats

    def parts(self) -> Iterator[tuple[int, str | None, npt.NDArray[np.bool_]]]:
        """Yield each week and alias that there are, the newest week first, and which rows are theirs."""
        pairs = np.unique(np.column_stack((-self.weeks, self.aliases)), axis=0)
        for week, alias in pairs.tolist():
            yield -week, self.alias_names[alias], (self.weeks == -week) & (self.aliases == alias)


def week_of(moment: datetime) -> int:
    """Return the number of the ISO week of a moment (UTC)."""
    return (moment.toordinal() - 1) // 7


def week_in_words(week: int) -> str:
    """Return a week as ISO 8601 writes it."""
    year, number, _ = date.fromordinal(week * 7 + 1).isocalendar()
    return f"{year}-W{number:02}"


def gather(
    answers: Iterable[tuple[datetime, KeptAnswers]], outcomes: Iterable[KeptOutcomes], first_week: int
) -> KeptRows | None:
    """Put what is kept of a model's answers from a week on into arrays, with their outcomes. None if nothing is."""
    names: dict[str | None, int] = {}
    pieces: list[_Piece] = []
    found: list[tuple[int, KeptAnswers]] = []
    for at, one in answers:
        if (week := week_of(at)) >= first_week:
            found.append((week, one))
            if len(found) == _AT_ONCE:
                pieces.append(_piece(found, names))
                found = []
    if found:
        pieces.append(_piece(found, names))
    if not pieces:
        return None
    entries = np.concatenate([piece.entries for piece in pieces])
    rows = entries["rows"]
    codes = [piece.answers for piece in pieces if piece.answers is not None]
    return KeptRows(
        weeks=np.repeat(entries["week"], rows),
        aliases=np.repeat(entries["alias"], rows),
        alias_names=list(names),
        scores=np.concatenate([piece.scores for piece in pieces]),
        answers=np.concatenate(codes) if codes else None,
        labels=_labels(entries, outcomes),
    )


class _Piece(NamedTuple):
    """Some entries, as `_ENTRY` has them, and what they hold of their rows."""

    entries: npt.NDArray[Any]
    scores: Floats
    answers: Indices | None


def _piece(found: list[tuple[int, KeptAnswers]], names: dict[str | None, int]) -> _Piece:
    """Make arrays of entries with their weeks: as Python values they would take several times the memory."""
    ones = [one for _, one in found]
    entries = np.array(
        [
            (key_of(one.id), one.first, len(one.scores), week, names.setdefault(one.alias, len(names)))
            for week, one in found
        ],
        dtype=_ENTRY,
    )
    codes = None if ones[0].answers is None else [code for one in ones for code in one.answers or ()]
    scores = np.array([row for one in ones for row in one.scores], dtype=np.float64)
    return _Piece(entries, scores, None if codes is None else np.array(codes, dtype=np.int64))


def _labels(entries: npt.NDArray[Any], outcomes: Iterable[KeptOutcomes]) -> Floats:
    """Return the outcome of each row of the entries, the last of several."""
    labels: Floats = np.full(int(entries["rows"].sum()), np.nan)
    starts = np.cumsum(entries["rows"]) - entries["rows"]
    predictions, prediction = np.unique(entries["key"], return_inverse=True)
    longest = int((entries["first"] + entries["rows"]).max())
    places = prediction * longest + entries["first"]  # of the parts of predictions, in one order
    order = np.argsort(places)
    for given in sorted(map(_given, outcomes), key=lambda one: one.at):
        of = np.searchsorted(predictions, given.keys)
        part = np.searchsorted(places, of * longest + given.rows, side="right", sorter=order) - 1
        found = order[np.maximum(part, 0)]
        row = given.rows - entries["first"][found]
        is_there = (entries["key"][found] == given.keys) & (row >= 0) & (row < entries["rows"][found])
        labels[(starts[found] + row)[is_there]] = given.labels[is_there]
    return labels


class _Given(NamedTuple):
    """Outcomes as arrays, and when they were given."""

    at: datetime
    keys: npt.NDArray[np.uint64]
    rows: Indices
    labels: Floats


def _given(outcomes: KeptOutcomes) -> _Given:
    keys = np.array(list(map(key_of, outcomes.predictions)), dtype=np.uint64)
    return _Given(outcomes.given, keys, np.array(outcomes.rows, dtype=np.int64), np.array(outcomes.labels))


def key_of(prediction_id: str) -> int:
    """Return the random part of an id as a number."""
    return int(prediction_id[-16:], 16)
