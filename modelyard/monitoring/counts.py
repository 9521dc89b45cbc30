"""The counts of what one model was asked, and answered, in some time. Counts of one model add up."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import polars.selectors as cs

from modelyard.monitoring.bins import Apart, CategoryBins, Counts
from modelyard.monitoring.watch import Watch, WatchedColumn
from modelyard.schemas import Prediction, ResolvedDecision
from modelyard.tables import CheckedRow, FewRows, Table

_FEW_CLASSES = 5
"""To look for so many labels one after the other is quicker than to look each answer up."""


@dataclass(slots=True)
class ModelCounts:
    """Of `rows` rows: an array of counts for each column, and of the answers one for each decision that they obeyed."""

    rows: int = 0
    columns: dict[str, Counts] = field(default_factory=dict)
    answers: dict[str, Counts] = field(default_factory=dict)

    def add(self, other: ModelCounts) -> None:
        """Add the counts of other rows. Counts of another form are left out: they are of another model."""
        self.rows += other.rows
        _add(self.columns, other.columns)
        _add(self.answers, other.answers)

    def to_json(self) -> dict[str, Any]:
        """Return the counts as JSON can hold them."""
        return {
            "rows": self.rows,
            "columns": {name: counts.tolist() for name, counts in self.columns.items()},
            "answers": {key: counts.tolist() for key, counts in self.answers.items()},
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> ModelCounts:
        """Read what `to_json` returned."""
        arrays = (
            {key: np.array(counts, dtype=np.int64) for key, counts in said[part].items()}
            for part in ("columns", "answers")
        )
        return cls(said["rows"], *arrays)


def _add(counts: dict[str, Counts], more: dict[str, Counts]) -> None:
    for key, other in more.items():
        mine = counts.get(key)
        if mine is None or mine.shape == other.shape:
            counts[key] = other if mine is None else mine + other


def key_of(decision: ResolvedDecision | None) -> str:
    """Return the key of what answers obeyed; the empty one if there is nothing to obey."""
    return "" if decision is None else hashlib.blake2b(decision.model_dump_json().encode(), digest_size=6).hexdigest()


def count_cells(watch: Watch, few: Sequence[FewRows], tables: Sequence[Table]) -> tuple[ModelCounts, Apart]:
    """Count the cells of what one model was asked; return the counts, and what is apart in all columns together."""
    rows = list(chain.from_iterable(one.rows for one in few))
    counts = ModelCounts(len(rows) + sum(table.frame.height for table in tables))
    unknown = _unknown((*few, *tables))
    frames = [table.frame.with_columns(cs.enum().to_physical()) for table in tables]  # all columns in one go
    missing_cells = unknown_cells = 0
    for column in watch.columns:
        pieces = [column.bins.count(_cells_of_rows(column, rows))] if rows else []
        pieces += (column.bins.count(column.cells(frame)) for frame in frames)
        found: Counts = np.sum(pieces, axis=0)
        if isinstance(column.bins, CategoryBins):
            warned = unknown.get(column.name, 0)
            column.bins.tell_unknown(found, warned - (int(found[-1]) if column.warns_of_missing else 0))
        apart = column.bins.apart(found)
        missing_cells, unknown_cells = missing_cells + apart.missing, unknown_cells + apart.unknown
        counts.columns[column.name] = found
    return counts, Apart(missing_cells, unknown_cells)


def count_answers(watch: Watch, answers: list[Prediction]) -> Counts | None:
    """Count the answers of a model by its classes or bins; None if numbers have none."""
    if watch.classes:
        few = len(watch.classes) <= _FEW_CLASSES
        count = answers.count if few else Counter(answers).__getitem__
        return np.array([count(label) for label in watch.classes], dtype=np.int64)
    return None if watch.answers is None else watch.answers.count(np.array(answers, dtype=np.float64))


def _cells_of_rows(column: WatchedColumn, rows: Sequence[CheckedRow]) -> Any:
    cells = [row[column.place] for row in rows]
    return cells if column.is_categorical else np.array(cells, dtype=np.float64)


def _unknown(answered: Iterable[FewRows | Table]) -> dict[str, int]:
    """Count the cells with unknown categories by column, as the warnings of the answers tell them."""
    counts: dict[str, int] = {}
    for warning in chain.from_iterable(checked.warnings for checked in answered):
        if warning.code == "unknown_categories" and warning.column is not None:
            counts[warning.column] = counts.get(warning.column, 0) + (warning.count or 0)
    return counts
