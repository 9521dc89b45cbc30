"""Whole columns: their cells as numbers, as moments or as categories.

Each conversion takes a vectorised way first. Only if that fails it goes through the cells one by one, to name the wrong
ones. What a cell means is defined in `cells`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError
from modelyard.tables import cells
from modelyard.tables.contract import MISSING_CATEGORY, CellReading, as_codes
from modelyard.tables.csv_cells import is_finite, numbers_and_strays, plain_numbers, stripped
from modelyard.tables.missing import BLANKS
from modelyard.tables.moments import MOMENT_TYPE, moments_in, typed_moments
from modelyard.tables.sources import Cells
from modelyard.tables.spelling import PLAIN

_FEW_TEXTS = 1000
"""Up to so many distinct texts of a column are looked at one by one, more of them as whole columns."""

TEXT_TYPES = (pl.String, pl.Categorical, pl.Enum)


def numeric_series(
    name: str, column: Cells, reading: CellReading, errors: list[FieldError], *, text_cells: bool = False
) -> pl.Series:
    """Return a column as Float64, null if missing. Cells that are no finite numbers are added to `errors`."""
    fast = _fast_numbers(name, column, reading, text_cells)
    if fast is not None:
        return fast
    convert = _each(name, column, lambda cell: cells.number(cell, reading, text_cells=text_cells), errors)
    return pl.Series(name, convert, dtype=pl.Float64)


def datetime_series(name: str, column: Cells, reading: CellReading, errors: list[FieldError]) -> pl.Series:
    """Return a column as Datetime in microseconds (UTC), null if missing. Other cells are added to `errors`."""
    fast = _fast_moments(name, column, reading)
    if fast is not None:
        missing = cells.missing_moments(reading.markers)
        return fast.set(fast.is_in(list(missing)), None) if missing else fast
    convert = _each(name, column, lambda cell: cells.moment(cell, reading), errors)
    return pl.Series(name, convert, dtype=MOMENT_TYPE)


def category_series(name: str, column: Cells, reading: CellReading, errors: list[FieldError]) -> pl.Series:
    """Return a column as categories in estimators' form, without nulls. Other cells are added to `errors`."""
    fast = _fast_categories(name, column, reading)
    if fast is not None:
        return fast
    convert = _each(name, column, lambda cell: cells.category(cell, reading), errors)
    return pl.Series(name, convert, dtype=pl.String).fill_null(MISSING_CATEGORY)


def coded_series(name: str, column: Cells, reading: CellReading, errors: list[FieldError]) -> pl.Series:
    """Return a column as `category_series` does, but as an Enum of the categories that occur, sorted."""
    text = texts_of(name, column)
    coded = None if text is None else _coded_texts(text, reading)
    return as_codes(category_series(name, column, reading, errors)) if coded is None else coded


def rounded_integers(column: Cells, numbers: pl.Series, reading: CellReading) -> list[int]:
    """Return the rows of whole numbers that a float does not hold; `numbers` is the column as it was read."""
    large = (numbers.abs() >= cells.EXACT_INTEGERS).fill_null(value=False).arg_true().to_list()
    return [row for row in large if _is_rounded(column[row], numbers[row], reading)]


def _is_rounded(cell: Any, number: float, reading: CellReading) -> bool:
    if isinstance(cell, str):
        plain = reading.spelling.plain(cell.strip(BLANKS)) or ""
        return plain.lstrip("+-").isdigit() and int(plain) != int(number)
    return isinstance(cell, int) and int(cell) != int(number)


def _fast_numbers(name: str, column: Cells, reading: CellReading, text_cells: bool) -> pl.Series | None:
    numbers = _written_numbers(column, reading) if text_cells else None
    if numbers is None:
        numbers = column if isinstance(column, pl.Series) else _listed_numbers(name, column)
        if numbers is None or not (numbers.dtype.is_numeric() or numbers.dtype == pl.Null):
            return None
    numbers = numbers.cast(pl.Float64).rename(name)
    if reading.markers.numbers:
        numbers = numbers.set(numbers.is_in(sorted(reading.markers.numbers)), None)
    if is_finite(numbers):
        return numbers
    if numbers.is_nan().any():
        numbers = numbers.fill_nan(None)
    return None if numbers.is_infinite().any() else numbers


def _written_numbers(column: Cells, reading: CellReading) -> pl.Series | None:
    """Return a column of texts as numbers, null if missing; None if a cell is neither."""
    if not isinstance(column, pl.Series) or column.dtype not in TEXT_TYPES:
        return None
    if reading.spelling == PLAIN and (numbers := plain_numbers(column)) is not None:
        return numbers
    numbers, strays = numbers_and_strays(stripped(column), reading.markers, reading.spelling)
    return None if strays.any() else numbers


def _fast_moments(name: str, column: Cells, reading: CellReading) -> pl.Series | None:
    """Return a typed column, or one of texts, as moments; None if a cell is neither a moment nor missing."""
    if isinstance(column, pl.Series) and column.dtype in (pl.Date, pl.Datetime):
        return typed_moments(column).rename(name)
    if (text := texts_of(name, column)) is None:
        return None
    text = stripped(text)
    moments = moments_in(text)
    odd = text.filter(moments.is_null() & text.is_not_null())
    return moments if odd.is_in(reading.markers.series).all() else None


def _listed_numbers(name: str, column: Sequence[Any]) -> pl.Series | None:
    types = set(map(type, column))
    if not set(map(cells.kind_of, types)) <= {"number", "missing"}:
        return None
    try:
        if types <= {float, type(None)}:  # twice as quick as through numpy
            return pl.Series(name, column, dtype=pl.Float64)
        return pl.Series(name, np.array(column, dtype=np.float64))
    except (OverflowError, ValueError):  # too large, or a decimal's signaling NaN
        return None


def _fast_categories(name: str, column: Cells, reading: CellReading) -> pl.Series | None:
    text = texts_of(name, column)
    if text is not None:
        if reading.source == "text":
            return text.to_frame().select(category_expr(pl.nth(0), reading)).to_series().rename(name)
        column = text
    if not isinstance(column, pl.Series):
        return _listed_categories(name, column, reading)
    if column.dtype == pl.Boolean:
        return column.cast(pl.String).fill_null(MISSING_CATEGORY).rename(name)
    single = column.dtype == pl.Float32
    seen = (column.fill_nan(None) if column.dtype.is_float() else column).unique().drop_nulls()
    values = seen.to_numpy() if single else seen.to_list()
    try:
        texts = [cells.category(cell, reading) for cell in values]
    except ValueError:
        return None
    return _replaced(column, seen, texts).rename(name)


def _coded_texts(text: pl.Series, reading: CellReading) -> pl.Series | None:
    """Return texts as coded categories; None if there are many of them, or if one cannot be a category."""
    seen = text.unique().to_list()
    if len(seen) > _FEW_TEXTS:
        return None
    try:
        found = [cells.category(cell, reading) for cell in seen]
    except ValueError:
        return None
    categories = pl.Enum(sorted(set(found)))
    if found == seen:
        return text.cast(categories)
    return text.replace_strict(seen, found, return_dtype=categories)


def texts_of(name: str, column: Cells) -> pl.Series | None:
    """Return a column of texts, or a list of them, as a Series of texts; None if it holds anything else."""
    if isinstance(column, pl.Series):
        return column.cast(pl.String).rename(name) if column.dtype in TEXT_TYPES else None
    if not set(map(type, column)) <= {str, type(None)}:
        return None
    try:
        return pl.Series(name, column, dtype=pl.String)
    except UnicodeEncodeError:
        return None


def category_expr(text: pl.Expr, reading: CellReading) -> pl.Expr:
    """Return the expression that turns texts into categories in estimators' form, without nulls."""
    bare = text.str.strip_chars(BLANKS)
    missing = bare.is_in(reading.markers.series)
    text = text if reading.edition == 1 else bare
    escaped = text.str.starts_with("\x00")
    return (
        pl.when(text.is_null() | missing)
        .then(pl.lit(MISSING_CATEGORY))
        .when(escaped)
        .then(pl.lit("\x00") + text)
        .otherwise(text)
    ).name.keep()


def _replaced(column: pl.Series, seen: pl.Series, texts: list[str]) -> pl.Series:
    if column.dtype.is_float():
        column = column.fill_nan(None)
    replacement = pl.Series(texts, dtype=pl.String)
    return column.replace_strict(seen, replacement, default=None, return_dtype=pl.String).fill_null(MISSING_CATEGORY)


def _listed_categories(name: str, column: Sequence[Any], reading: CellReading) -> pl.Series | None:
    kinds = set(map(cells.kind_of, set(map(type, column))))
    if not (kinds <= {"number", "missing"} or kinds <= {"boolean", "missing"}):
        return None
    try:
        texts = {cell: cells.category(cell, reading) for cell in set(column)}
    except (TypeError, ValueError):  # a decimal's signaling NaN has no hash
        return None
    return pl.Series(name, list(map(texts.__getitem__, column)), dtype=pl.String)


def _each(name: str, column: Cells, convert: Callable[[Any], Any], errors: list[FieldError]) -> list[Any]:
    """Convert cell by cell. Stops once as many cells are wrong as an error can name."""
    converted: list[Any] = []
    for row, cell in enumerate(chain(column)):
        try:
            converted.append(convert(cell))
        except ValueError as problem:
            errors.append(cells.wrong_cell(name, row, str(problem), cell))
            if len(errors) >= MAX_FIELD_ERRORS:
                break
            converted.append(None)
    return converted
