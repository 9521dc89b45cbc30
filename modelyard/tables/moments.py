"""Dates and times: which cells tell a moment, and which moment that is.

A moment is a naive datetime in UTC, to the microsecond, of the years 1 to 9999. Cells without an offset are taken for
UTC, dates for their midnight; finer fractions of a second are cut off. Single cells and whole columns are read here by
the same rules.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.tables.missing import BLANKS

MOMENT_TYPE = pl.Datetime("us")
"""The polars type of a column of moments."""

MOMENT_DUE = "must be a date, with or without a time, as ISO 8601 writes it (2024-01-05, 2024-01-05T10:00:00Z)"

_OFFSET = r"(Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)?"
_TIME = r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])(?:\.([0-9]+))?)?"
_WRITTEN = re.compile(rf"^([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})(?:[T ]{_TIME}{_OFFSET})?$")
"""What a text must look like, in the syntax that Python's and Rust's regular expressions share."""

YEARS_DUE = "must be of the years 1 to 9999"

_FIRST_LOOK = 100
_DAY = 86_400_000_000
_EPOCH = datetime.fromtimestamp(0, UTC).replace(tzinfo=None)


def moment_of(cell: Any) -> datetime | None:
    """Return the moment of a date, a datetime or a text that ISO 8601 writes so; None for any other cell."""
    told = _written_moment(cell.strip(BLANKS)) if isinstance(cell, str) else as_python(cell)
    if isinstance(told, datetime):
        return _in_utc(told)
    return None if told is None else datetime.combine(told, time.min)


def microseconds(moment: datetime) -> int:
    """Return the microseconds from 1970 to a moment."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


_EARLIEST = microseconds(datetime.combine(date.min, time.min))
_LATEST = microseconds(datetime.combine(date.max, time.max))
_RANGES = {
    "ns": (-(2**63), 2**63 - 1),  # from 1677 to 2262
    "us": (_EARLIEST, _LATEST),
    "ms": (_EARLIEST // 1_000, _LATEST // 1_000),
    "days": (_EARLIEST // _DAY, _LATEST // _DAY),
}
"""The first and the last number since 1970 in each unit of polars' columns."""


def as_python(cell: Any) -> date | None:
    """Return a date or datetime of Python, pandas or numpy as Python's; None for NaT, other cells and other years."""
    if isinstance(cell, np.datetime64):
        return cells[0] if isinstance(cells := array_of_moments(np.array([cell])), pl.Series) else None
    return cell if isinstance(cell, date) and cell == cell else None  # NaT differs from itself


def written(moment: datetime) -> str:
    """Write a moment the shortest way: midnight as its date alone, no fraction if there is none."""
    return moment.isoformat().removesuffix("T00:00:00")


def moments_in(texts: pl.Series) -> pl.Series:
    """Return the moments that texts without outer blanks tell, null for a text that tells none."""
    names = ("day", "hour", "minute", "second", "fraction", "offset")
    found = texts.str.extract_groups(_WRITTEN.pattern).struct.rename_fields(names).struct.unnest()
    offset = pl.col("offset").str.strip_chars_start("+-").str.replace(":", "", literal=True).str.pad_end(4, "0")
    minutes = _whole(offset.str.slice(0, 2)) * 60 + _whole(offset.str.slice(2, 2))
    east = pl.when(pl.col("offset").str.starts_with("-")).then(-minutes).otherwise(minutes)
    seconds = (_whole(pl.col("hour")) * 60 + _whole(pl.col("minute")) - east) * 60 + _whole(pl.col("second"))
    fraction = _whole(pl.col("fraction").str.slice(0, 6).str.pad_end(6, "0"))
    days = pl.col("day").str.to_date("%Y-%m-%d", strict=False).to_physical().cast(pl.Int64)
    told = found.select((days * _DAY + seconds * 1_000_000 + fraction).alias(texts.name)).to_series()
    return told.set(~told.is_between(_EARLIEST, _LATEST), None).cast(MOMENT_TYPE)


def all_moments(texts: pl.Series, missing: pl.Series) -> bool:
    """Whether some texts tell moments and all others are `missing`. Outer blanks do not count.

    The first texts are looked at alone, because most columns of texts tell none.
    """
    if not _present(texts.head(_FIRST_LOOK), missing).str.contains(_WRITTEN.pattern).all():
        return False
    present = _present(texts, missing)
    return not present.is_empty() and not moments_in(present).has_nulls()


def typed_moments(column: pl.Series) -> pl.Series:
    """Return the moments of a column of polars' dates or datetimes that `beyond_years` finds nothing in."""
    if isinstance(column.dtype, pl.Datetime):  # the zone is only how UTC is shown
        column = column.to_physical().cast(pl.Datetime(column.dtype.time_unit))
    return column.cast(MOMENT_TYPE)


def beyond_years(column: pl.Series, most: int) -> list[tuple[int, str]]:
    """Return up to `most` rows of polars' dates and datetimes beyond the years 1 to 9999, each with what it holds.

    Polars stops at some of them in the midst of a calculation, and at all of them on the way to Python.
    """
    if column.dtype not in (pl.Date, pl.Datetime):
        return []
    unit = column.dtype.time_unit if isinstance(column.dtype, pl.Datetime) else "days"
    told, (first, last) = column.to_physical(), _RANGES[unit]
    rows = (~told.is_between(first, last)).fill_null(value=False).arg_true().head(most)
    return [(row, f"{told[row]} {unit} since 1970") for row in rows]


def array_of_moments(array: npt.NDArray[Any]) -> pl.Series | list[Any]:
    """Return a numpy array of datetime64 as a Series; as a list of cells if one is outside the years 1 to 9999."""
    years = array.astype("datetime64[Y]").astype(np.int64) + 1970
    if not (((years >= 1) & (years <= 9999)) | np.isnat(array)).all():
        return list(array)
    return pl.Series(array if array.dtype == "datetime64[D]" else array.astype("datetime64[us]"))


def _present(texts: pl.Series, missing: pl.Series) -> pl.Series:
    seen = texts.unique().drop_nulls().cast(pl.String).str.strip_chars(BLANKS)
    return seen.filter(~seen.is_in(missing))


def _written_moment(text: str) -> datetime | None:
    if _WRITTEN.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # no such day
        return None


def _in_utc(cell: datetime) -> datetime | None:
    offset = cell.utcoffset()
    moment = datetime.combine(cell.date(), cell.time())  # of pandas' timestamps without their nanoseconds
    try:
        return moment - offset if offset else moment
    except OverflowError:
        return None


def _whole(digits: pl.Expr) -> pl.Expr:
    return digits.cast(pl.Int64, strict=False).fill_null(0)
