"""The cells of a CSV, which are all text: whether they are written as numbers, as `true` and `false`, or as text."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from modelyard.tables.missing import BLANKS, Markers
from modelyard.tables.spelling import MINUS, PLAIN, Spelling, holds_codes

TextContent = Literal["numbers", "booleans", "text", "missing"]


def plain_numbers(text: pl.Series) -> pl.Series | None:
    """Return cells as numbers if all of them are plain finite numbers or empty, as they mostly are; else None."""
    numbers = text.cast(pl.Float64, strict=False)
    if numbers.null_count() != text.null_count() or not is_finite(numbers) or numbers.null_count() == len(numbers):
        return None
    return None if holds_codes(text) else numbers


def distinct_texts(text: pl.Series) -> pl.Series:
    """Return the distinct texts of a column, without outer blanks. Two that differed by a blank only both stay."""
    return stripped(text.unique().drop_nulls())


def text_content(seen: pl.Series, among: Markers, among_numbers: Markers) -> TextContent:
    """Return how a column is written, by its distinct texts without outer blanks.

    Infinite numbers count beside finite ones, to be refused later.
    """
    numbers, strays = numbers_and_strays(seen, among_numbers)
    if not strays.any() and numbers.is_finite().any():
        return "text" if holds_codes(seen) else "numbers"
    present = seen.filter(~seen.is_in(among.series))
    if present.is_empty():
        return "missing"
    return "booleans" if present.str.to_lowercase().is_in(["true", "false"]).all() else "text"


def strays_among_numbers(column: pl.Series, among_numbers: Markers) -> pl.Series:
    """Return the rows of the few cells that are no numbers, in a column whose other cells are.

    Returns no rows if there are more of them than one in ten, unless they are a single cell or at most two distinct
    texts. Numbers with leading zeros are codes, so a column of them is no column of numbers.
    """
    numbers, strays = numbers_and_strays(stripped(column), among_numbers)
    rows = strays.arg_true()
    count = len(numbers) - numbers.null_count()
    few = len(rows) == 1 or 9 * len(rows) <= count
    if count < 2 or not (few or column.gather(rows).n_unique() <= 2):
        return rows.clear()
    return rows.clear() if holds_codes(column.filter(numbers.is_not_null())) else rows


def stripped(series: pl.Series) -> pl.Series:
    """Return text without outer blanks."""
    return series.cast(pl.String).str.strip_chars(BLANKS)


def numbers_and_strays(text: pl.Series, markers: Markers, spelling: Spelling = PLAIN) -> tuple[pl.Series, pl.Series]:
    """Return texts as numbers (null if they are none), and a mask of those that are neither numbers nor missing."""
    numbers = (text if spelling == PLAIN else spelling.plain_texts(text)).cast(pl.Float64, strict=False).fill_nan(None)
    odd = numbers.is_null() & text.is_not_null()
    if not odd.any():
        return numbers, odd
    if spelling == PLAIN and text.str.starts_with(MINUS).any():
        return numbers_and_strays(text.str.replace(f"^{MINUS}", "-"), markers)
    return numbers, odd & ~text.is_in(markers.series)


def is_finite(numbers: pl.Series) -> bool:
    """Whether all numbers are finite. Nulls are ignored."""
    if numbers.has_nulls():
        return numbers.is_finite().all()
    return bool(np.isfinite(numbers.to_numpy()).all())  # a fifth of what polars takes
