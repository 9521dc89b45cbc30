"""What is watched of one model: the cells of its callers' columns, and where they stand in a checked table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.schemas import FeatureType
from modelyard.tables import MISSING_CATEGORY, CheckedRow, Contract


class WatchedColumn(NamedTuple):
    """A column as its callers know it, and its place in a checked table; of a datetime column, that of its days."""

    name: str
    kind: FeatureType
    place: int
    warns_of_missing: bool
    """Whether a missing cell is warned of as an unknown category, since training had none."""


@dataclass(frozen=True, slots=True)
class Watch:
    """One model that is watched. Loaded twice, it is watched by two equal ones."""

    model_id: str
    name: str
    version: int
    columns: tuple[WatchedColumn, ...]
    width: int
    """The number of columns."""

    @classmethod
    def of(cls, model_id: str, name: str, version: int, contract: Contract) -> Watch:
        """Watch a model by its contract."""
        places = {column: place for place, column in enumerate(contract.expanded.feature_names)}
        columns = tuple(
            WatchedColumn(
                column,
                kind,
                places[contract.parts[column][-1] if kind == "datetime" else column],
                kind == "categorical" and MISSING_CATEGORY not in contract.categorical[column].categories,
            )
            for column, kind in contract.feature_types.items()
        )
        return cls(model_id, name, version, columns, len(columns))


Cells = npt.NDArray[np.float64] | Sequence[str] | pl.Series
"""The cells of one column: numbers with NaN for a missing one, shape (n,), or categories."""


def cells_of_rows(column: WatchedColumn, rows: Sequence[CheckedRow]) -> Cells:
    """Return a column of plain rows."""
    place = column.place
    if column.kind == "categorical":
        return [row[place] for row in rows]  # type: ignore[misc]
    return np.array([row[place] for row in rows], dtype=np.float64)


def cells_of_frame(column: WatchedColumn, frame: pl.DataFrame) -> Cells:
    """Return a column of a checked frame."""
    series = frame.to_series(column.place)
    return series if column.kind == "categorical" else series.to_numpy()


def missing_in(cells: Cells) -> int:
    """Count the missing cells of a column."""
    if isinstance(cells, np.ndarray):
        return int(np.count_nonzero(cells != cells))
    if isinstance(cells, pl.Series):
        if isinstance(cells.dtype, pl.Enum) and MISSING_CATEGORY not in cells.dtype.categories:
            return 0
        return int((cells == MISSING_CATEGORY).sum())
    return cells.count(MISSING_CATEGORY)
