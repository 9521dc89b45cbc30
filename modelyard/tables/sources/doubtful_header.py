"""Whether the names of a file's columns are no names: cells of a file without a header, or a file read in another way.

Only errors and warnings are made of it. Nothing is read otherwise because of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from modelyard.tables.missing import column_markers

if TYPE_CHECKING:
    from modelyard.tables.sources.raw import RawTable

WAY_OUT = "if the file has no header, say header=false"

_SAMPLE_ROWS = 1000
_YEARS = range(1900, 2101)
_DIGITS = re.compile(r"[0-9]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_MARKERS = column_markers((), among_numbers=True)


def looks_like_data(raw: RawTable) -> bool:
    """Whether the names of a CSV's columns look like their cells, as far as the cells of a column look alike at all.

    All names of numeric columns must be numbers near the column's own, and four of five names of texts must be like
    theirs (a category may be rare). Years, and numbers that count, are the names of columns in many real tables.
    """
    if not raw.text_cells or raw.given_names:
        return False
    found: list[bool | None] = []
    for name, column in raw.columns.items():
        cells = pl.Series(column[:_SAMPLE_ROWS], dtype=pl.String).drop_nulls()
        numbers = cells.cast(pl.Float64, strict=False).drop_nulls()
        if name in _MARKERS or cells.is_empty():
            found.append(None)
        elif 2 * len(numbers) <= len(cells):
            found.append(_is_like_texts(name, cells))
        elif _lies_near(_number(name), numbers):
            found.append(True)
        else:
            return False
    alike, unlike = found.count(True), found.count(False)
    return 2 * alike > len(found) and 4 * unlike <= alike and not _are_names(raw.columns)


def way_out(raw: RawTable, absent: Sequence[str]) -> str:
    """Say what may help if columns are not found in a table; empty if nothing is in doubt."""
    names = list(raw.columns)
    if not raw.text_cells:
        if names != [f"f{position}" for position in range(len(names))]:
            return ""
        return "rows have no names: give feature_names, or send records (of pandas: orient='records')"
    if raw.doubt:
        return raw.doubt
    if len(names) == 1 and set(absent) & set(re.split(r"[^\w.-]+", names[0])):
        return (
            "if its columns are parted by blanks or another mark, write them with commas, or name the mark in delimiter"
        )
    return WAY_OUT if looks_like_data(raw) else ""


def _is_like_texts(name: str, cells: pl.Series) -> bool | None:
    """Whether a name is like a column's texts. Returns None if the texts differ too much to say."""
    if (cells == name).any() or (name[0].isdigit() and _shape(name) in map(_shape, cells)):
        return True
    return None if 2 * cells.n_unique() > len(cells) else False


def _lies_near(number: float | None, numbers: pl.Series) -> bool:
    low, high = numbers.to_numpy().min(), numbers.to_numpy().max()
    return number is not None and low - (high - low) <= number <= high + (high - low)


def _are_names(names: Iterable[str]) -> bool:
    """Whether the numbers among names are years, or count by the same step."""
    numbers = [number for name in names if (number := _number(name)) is not None]
    if len(numbers) < 2:
        return False
    if all(number in _YEARS for number in numbers):
        return True
    steps = {after - before for before, after in pairwise(numbers)}
    return len(steps) == 1 and (len(numbers) > 2 or abs(next(iter(steps))) == 1)


def _shape(text: str) -> str:
    return _LETTERS.sub("a", _DIGITS.sub("0", text))


def _number(name: str) -> float | None:
    try:
        return float(name)
    except ValueError:
        return None
