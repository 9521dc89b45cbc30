"""Where a model is wrong: its answers row by row, how good they are among rows alike, and the groups that stand out.

Rows are alike in one column (a category, or a bin of its numbers) or in two. Of many groups some look bad by chance, so
a group stands out only if it does by an interval that holds for all groups looked at together (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.errors import PayloadTooLarge
from modelyard.ml_core.deciding.resolving import answered
from modelyard.ml_core.evaluating.scores import Answered
from modelyard.ml_core.resampling import SHARE
from modelyard.ml_core.tasks.base import Rows
from modelyard.schemas import MOST_PROBABLE, Condition, Label, ResolvedDecision, RowAnswers, RowGroup, Weaknesses
from modelyard.tables.contract import MISSING_CATEGORY, unescape_category

MOST_NUMBERS = 10_000_000
"""The most numbers of one model's row-by-row answers: as JSON they are some 200 MB."""

FEWEST_ROWS = 30
"""Smaller groups are shown by column, but never said to stand out."""

_BINS, _CATEGORIES = 8, 12
_MOST_SEGMENTS, _MOST_CROSSED = 5, 5
_ALIKE = 0.5
"""Of two groups that share more of their rows than this, only the clearer one is shown."""

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows, by a mask of shape (n,), and the conditions that they meet."""

    where: tuple[Condition, ...]
    rows: Mask


def weaknesses(answers: Answered, decision: ResolvedDecision | None) -> Weaknesses:
    """Judge the answers that a model gives by its decision, group by group. Raises PayloadTooLarge."""
    n, k = answers.scores.shape
    if n * (k + 3) > MOST_NUMBERS:
        raise PayloadTooLarge(
            f"row by row an answer may have at most {MOST_NUMBERS:,} numbers, got {n * (k + 3):,} for {n:,} rows; "
            "judge fewer rows at a time, or leave out 'weaknesses'"
        )
    values, of_rows = _judged(answers, decision)
    is_share = bool(answers.contract.classes)
    by_column = {column.name: list(_groups(column)) for column in answers.frame}
    z = NormalDist().inv_cdf((1 + SHARE) / 2)
    whole = _row_group((), values, z, is_share=is_share)
    return Weaknesses(
        measure="accuracy" if is_share else "mae",
        value=whole.value,
        low=whole.low,
        high=whole.high,
        segments=_segments(list(by_column.values()), values, is_share=is_share),
        columns={
            name: [_row_group(group.where, values[group.rows], z, is_share=is_share) for group in groups]
            for name, groups in by_column.items()
        },
        answers=of_rows,
    )


def _judged(answers: Answered, decision: ResolvedDecision | None) -> tuple[Floats, RowAnswers]:
    """Return how good each answer is (1 or 0, or how far a number is off), and the answers."""
    classes, truth, scores = answers.contract.classes, answers.truth, answers.scores
    rows: Rows = np.arange(len(truth)) if answers.rows is None else answers.rows
    if not classes:
        found = RowAnswers(rows=rows.tolist(), actual=truth.tolist(), predicted=scores[:, 0].tolist())
        return np.abs(truth - scores[:, 0]), found
    codes = answered(decision or MOST_PROBABLE, classes, scores)
    known: list[Label | None] = [*classes, None]
    return (codes == truth).astype(np.float64), RowAnswers(
        rows=rows.tolist(),
        actual=[known[code] for code in truth.tolist()],
        predicted=[classes[code] for code in codes.tolist()],
        probabilities=scores.tolist(),
    )


def _groups(column: pl.Series) -> Iterator[_Group]:
    """Yield the groups of rows that are alike in a column of a checked table, without empty ones."""
    if column.dtype == pl.Float64:
        yield from _of_numbers(column)
    else:
        yield from _of_categories(column.cast(pl.String))


def _of_numbers(column: pl.Series) -> Iterator[_Group]:
    """Bin numbers so that about as many rows are in each bin; of few different numbers each has a bin."""
    cells = column.to_numpy()
    missing = np.isnan(cells)
    present = cells[~missing]
    if len(present):
        inner = np.unique(present)[1:]
        if len(inner) >= _BINS:
            inner = np.unique(np.quantile(present, np.arange(1, _BINS) / _BINS, method="inverted_cdf"))
        codes = np.searchsorted(inner, cells, side="right")
        for code in range(len(inner) + 1):
            rows = (codes == code) & ~missing
            if rows.any():
                low, high = float(cells[rows].min()), float(cells[rows].max())
                yield _Group((Condition(column=column.name, kind="range", low=low, high=high),), rows)
    if missing.any():
        yield _Group((Condition(column=column.name, kind="missing"),), missing)


def _of_categories(column: pl.Series) -> Iterator[_Group]:
    often = column.alias("text").value_counts(sort=True)["text"].to_list()
    for category in [text for text in often if text != MISSING_CATEGORY][:_CATEGORIES]:
        rows = (column == category).to_numpy()
        yield _Group((Condition(column=column.name, kind="value", value=unescape_category(category)),), rows)
    rest = [text for text in often if text != MISSING_CATEGORY][_CATEGORIES:]
    if rest:
        yield _Group((Condition(column=column.name, kind="others"),), column.is_in(rest).to_numpy())
    if MISSING_CATEGORY in often:
        yield _Group((Condition(column=column.name, kind="missing"),), (column == MISSING_CATEGORY).to_numpy())


def _segments(by_column: Sequence[Sequence[_Group]], values: Floats, *, is_share: bool) -> list[RowGroup]:
    """Return the groups that are worse than all rows beyond chance, the clearest first."""
    singles = [group for groups in by_column for group in groups if _may_stand_out(group.rows)]
    strengths = {id(group): _strength(group.rows, values, is_share=is_share) for group in singles}
    crossed = [
        _Group((*worse.where, *other.where), both)
        for worse in sorted(singles, key=lambda group: -strengths[id(group)])[:_MOST_CROSSED]
        for other in singles
        if other.where[0].column != worse.where[0].column
        if _may_stand_out(both := worse.rows & other.rows)
    ]
    candidates = [*singles, *crossed]
    if not candidates:
        return []
    z = NormalDist().inv_cdf(1 - (1 - SHARE) / 2 / len(candidates))
    ranked = sorted(candidates, key=lambda group: -_strength(group.rows, values, is_share=is_share))
    shown: list[_Group] = []
    found: list[RowGroup] = []
    mean = float(values.mean())
    for group in ranked:
        told = _row_group(group.where, values[group.rows], z, is_share=is_share)
        stands_out = told.high < mean if is_share else told.low > mean
        if stands_out and all(_overlap(group.rows, other.rows) <= _ALIKE for other in shown):
            shown.append(group)
            found.append(told)
        if len(found) == _MOST_SEGMENTS:
            break
    return found


def _may_stand_out(rows: Mask) -> bool:
    return FEWEST_ROWS <= int(np.count_nonzero(rows)) < len(rows)


def _strength(rows: Mask, values: Floats, *, is_share: bool) -> float:
    """Return by how many standard errors a group is worse than all rows."""
    within, spread = values[rows], float(values.std()) or 1.0
    worse = float(values.mean() - within.mean())
    return (worse if is_share else -worse) / spread * math.sqrt(len(within))


def _overlap(rows: Mask, others: Mask) -> float:
    return np.count_nonzero(rows & others) / np.count_nonzero(rows | others)


def _row_group(where: tuple[Condition, ...], values: Floats, z: float, *, is_share: bool) -> RowGroup:
    """Return a group with its mean and the interval of z standard errors; of shares by Wilson (1927)."""
    n, mean = len(values), float(values.mean())
    if is_share:
        middle = (mean + z * z / (2 * n)) / (1 + z * z / n)
        width = z / (1 + z * z / n) * math.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
    else:
        middle, width = mean, z * (float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0)
    return RowGroup(where=list(where), n_rows=n, value=mean, low=max(middle - width, 0.0), high=middle + width)
