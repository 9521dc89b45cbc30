"""A small profile of each column, for the eye: what it seems to hold, what is missing, how its values are spread.

The server infers feature types from the whole table; this looks at its first rows and never decides anything.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from modelyard.dashboard.formats import number
from modelyard.schemas import FeatureType
from modelyard.settings import DEFAULT_MISSING_MARKERS

_PADDED_NUMBER = r"^[+-]?0\d"
_MOMENT = r"^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d\S*)?$"
_PYTHONS_DAYS = (-719_162, 2_932_896)
"""The days since 1970 that Python's dates reach from and to."""

_BINS = 12


@dataclass(frozen=True, slots=True)
class ColumnLook:
    """One column at a glance.

    `missing` and `distinct` count the rows looked at; `typical` is the range of numbers or days, or the most
    frequent texts, `spread` the counts of a histogram or of the most frequent values.
    """

    name: str
    feature_type: FeatureType
    missing: int
    distinct: int
    typical: str
    spread: tuple[int, ...]


def look_at(column: pl.Series) -> ColumnLook:
    """Profile a column."""
    present = without_missing(column)
    numbers = _numbers(present)
    missing = len(column) - len(present)
    distinct = present.n_unique() if len(present) else 0
    days = _days(present)
    if days is not None and len(days):
        typical, spread = _span(days)
        return ColumnLook(column.name, "datetime", missing, distinct, typical, spread)
    if numbers is None or not len(numbers):
        typical, spread = _frequent(present)
        return ColumnLook(column.name, "categorical", missing, distinct, typical, spread)
    typical, spread = _range(numbers)
    return ColumnLook(column.name, "numeric", missing, distinct, typical, spread)


def without_missing(column: pl.Series) -> pl.Series:
    """Return the cells that are not missing, texts without the blanks around them."""
    present = column.filter(~is_missing(column))
    return present.str.strip_chars() if present.dtype == pl.String else present


def is_missing(column: pl.Series, markers: Collection[str] = DEFAULT_MISSING_MARKERS) -> pl.Series:
    """Return for each cell whether it is missing; `markers` are the texts that say so."""
    missing = column.is_null()
    if column.dtype == pl.String:
        return missing | column.str.strip_chars().is_in(list(markers)).fill_null(value=False)
    return missing | column.is_nan().fill_null(value=False) if column.dtype.is_float() else missing


def _numbers(column: pl.Series) -> pl.Series | None:
    if column.dtype.is_numeric():
        return column.cast(pl.Float64)
    if column.dtype != pl.String or column.str.contains(_PADDED_NUMBER).any():
        return None
    numbers = column.cast(pl.Float64, strict=False)
    return None if numbers.has_nulls() else numbers


def _days(column: pl.Series) -> pl.Series | None:
    """Return the days of dates and times; None if the column holds anything else."""
    if column.dtype in (pl.Date, pl.Datetime):
        return column.cast(pl.Date)
    if column.dtype != pl.String or not column.str.contains(_MOMENT).all():
        return None
    days = column.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    return None if days.has_nulls() else days


def _span(days: pl.Series) -> tuple[str, tuple[int, ...]]:
    days = days.filter(days.to_physical().is_between(*_PYTHONS_DAYS))
    if not len(days):
        return "", ()
    _, spread = _range(days.to_physical().cast(pl.Float64))
    return " … ".join(str(day) for day in (days.min(), days.max())), spread


def _range(numbers: pl.Series) -> tuple[str, tuple[int, ...]]:
    numbers = numbers.filter(numbers.is_finite())
    if not len(numbers):
        return "", ()
    low, high = float(numbers.min()), float(numbers.max())  # type: ignore[arg-type]
    if low == high:
        return number(low), (len(numbers),)
    bins = min(_BINS, numbers.n_unique())
    counts = numbers.hist(bin_count=bins)["count"].to_list()
    return f"{number(low)} … {number(high)}", tuple(counts)


def _frequent(column: pl.Series) -> tuple[str, tuple[int, ...]]:
    if not len(column):
        return "", ()
    counts = column.cast(pl.String, strict=False).alias("text").value_counts(sort=True).head(_BINS)
    values = [str(value) for value in counts["text"].head(3).to_list()]
    return ", ".join(values), tuple(counts["count"].to_list())
