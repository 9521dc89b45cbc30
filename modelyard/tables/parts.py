"""The numeric parts of a datetime column, which are all that model classes see of it.

The parts of `when` are `when.year`, `when.month`, `when.day`, `when.weekday` (Monday is 1), `when.hour` and
`when.days`, the days since training's first moment with their fraction; all in UTC.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from datetime import datetime

import polars as pl

from modelyard.tables.moments import microseconds

PARTS = ("year", "month", "day", "weekday", "hour", "days")

_DAY = 86_400_000_000.0
"""Microseconds of a day."""


def part_names(column: str, taken: Container[str]) -> tuple[str, ...]:
    """Return the names of a column's parts, with underscores behind those that are `taken` by other columns."""
    return tuple(free_name(f"{column}.{part}", taken) for part in PARTS)


def parts_of(moment: datetime | None, first: datetime) -> tuple[float | None, ...]:
    """Return the parts of a moment, counted from `first`; each is None if the moment is missing."""
    if moment is None:
        return (None,) * len(PARTS)
    days = float(microseconds(moment) - microseconds(first)) / _DAY
    whole = (moment.year, moment.month, moment.day, moment.isoweekday(), moment.hour)
    return (*map(float, whole), days)


def expand(frame: pl.DataFrame, firsts: Mapping[str, datetime], names: Mapping[str, tuple[str, ...]]) -> pl.DataFrame:
    """Return a frame in which each column of moments gave way to its parts; other columns stay where they are.

    `firsts` has the first moment of each such column, `names` the names of its parts.
    """
    columns: list[pl.Series] = []
    for series in frame:
        if series.name in firsts:
            columns.extend(_parts(series, firsts[series.name], names[series.name]))
        else:
            columns.append(series)
    return pl.DataFrame(columns)


def _parts(moments: pl.Series, first: datetime, names: tuple[str, ...]) -> list[pl.Series]:
    found = moments.dt
    whole = (found.year(), found.month(), found.day(), found.weekday(), found.hour())
    since = (moments.to_physical() - microseconds(first)).cast(pl.Float64).to_numpy()
    days = pl.Series(since / _DAY).fill_nan(None)  # polars multiplies by a reciprocal, which gives other bits
    parts = (*whole, days)
    return [part.cast(pl.Float64).alias(name) for part, name in zip(parts, names, strict=True)]


def free_name(name: str, taken: Container[str]) -> str:
    """Return a name with as many underscores behind it as it takes to be none of those `taken`."""
    while name in taken:
        name += "_"
    return name
