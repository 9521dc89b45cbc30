"""The numbers of a table whose cells are all text, as a training reads them: `1.234,5`, `12,5%`, but not `007`.

It is for who shows a table, or writes it in another format; what a model reads goes by its contract.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from modelyard.errors import FieldError
from modelyard.schemas.base import Decimal, Thousands
from modelyard.settings import DEFAULT_MISSING_MARKERS
from modelyard.tables.cells import EXACT_INTEGERS
from modelyard.tables.columns import numeric_series
from modelyard.tables.contract import CellReading
from modelyard.tables.inference import ReadingOptions, plan_columns

_NOT_WHOLE = r"[.,eE%]"


@dataclass(frozen=True, slots=True)
class Numerals:
    """How the columns of numbers are read, by name; none if the cells have types of their own."""

    readings: Mapping[str, CellReading] = field(default_factory=dict)

    @property
    def decimal(self) -> Decimal:
        """The decimal mark: a comma if a column has one."""
        return "," if any(reading.spelling.decimal == "," for reading in self.readings.values()) else "."

    def in_numbers(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return rows with their numbers as numbers, null if missing. A column that would lose a cell stays text."""
        return frame.with_columns(_numbers(one, self.readings[one.name]) for one in frame if one.name in self.readings)


def numerals_of(
    frame: pl.DataFrame, decimal: Decimal | None, thousands: Thousands | None, markers: Iterable[str] | None
) -> Numerals:
    """Find out how the numbers of a table are written; what is told holds. `markers` are texts that mean missing."""
    missing = DEFAULT_MISSING_MARKERS if markers is None else tuple(markers)
    options = ReadingOptions(missing, decimal, thousands)
    plans, _ = plan_columns({column.name: column for column in frame}, {}, options, text_cells=True)
    return Numerals({name: plan.reading for name, plan in plans.items() if plan.feature_type == "numeric"})


def _numbers(column: pl.Series, reading: CellReading) -> pl.Series:
    if column.dtype != pl.String:
        return column
    errors: list[FieldError] = []
    numbers = numeric_series(column.name, column, reading, errors, text_cells=True)
    if errors or (numbers.abs() >= EXACT_INTEGERS).any():
        return column
    whole = not column.filter(numbers.is_not_null()).str.contains(_NOT_WHOLE).any()
    return numbers.cast(pl.Int64) if whole else numbers
