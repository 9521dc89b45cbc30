"""Whole columns: what they hold, and their cells as numbers or as categories.

Each conversion takes a vectorised way first and goes through the cells one by one only where that way fails, to name
the wrong ones. What a cell means is defined in `cells`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Literal, TypeAlias

import numpy as np
import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidTable
from modelyard.tables import cells
from modelyard.tables.contract import MISSING_CATEGORY, CategorySource, as_codes

Cells: TypeAlias = "pl.Series | list[Any] | tuple[Any, ...]"
Content = Literal["numbers", "booleans", "text", "mixed", "missing"]

_LEADING_ZERO = r"^[+-]?0[0-9]"
_FEW_TEXTS = 1000
"""Up to here texts are looked at one by one, beyond by whole columns."""

TEXT_TYPES = (pl.String, pl.Categorical, pl.Enum)
_CELL_TYPES = (*TEXT_TYPES, pl.Boolean, pl.Null, pl.Date, pl.Datetime, pl.Time)


def check_dtype(name: str, column: Cells) -> None:
    """Refuse a polars column of lists, structs, durations, bytes and the like; a list is judged cell by cell."""
    if isinstance(column, pl.Series) and not (column.dtype.is_numeric() or column.dtype in _CELL_TYPES):
        message = f"column {name!r} must hold numbers, text, booleans or dates, not {column.dtype}"
        raise InvalidTable.of([FieldError(("X", name), message, str(column.dtype))])


def content_of(column: Cells, markers: frozenset[str], *, text_cells: bool) -> Content:
    """Tell what a column holds beside missing cells; `mixed`: numbers together with text or booleans.

    With `text_cells` (CSV) text that is all numbers, or all `true` and `false`, counts as such.
    """
    if isinstance(column, pl.Series):
        return _series_content(column, markers, text_cells)
    kinds = set(map(cells.kind_of, set(map(type, column)))) - {"missing"}
    if len(kinds) > 1:
        kinds = {cells.kind_of(type(cell)) for cell in column if not cells.is_missing(cell, markers)}
    if "number" in kinds:
        return "numbers" if kinds == {"number"} else "mixed"
    if not kinds:
        return "missing"
    return "booleans" if kinds == {"boolean"} else "text"


def numeric_series(
    name: str, column: Cells, markers: frozenset[str], errors: list[FieldError], *, text_cells: bool = False
) -> pl.Series:
    """Return a column as Float64, null where missing; what is no finite number is added to `errors`."""
    fast = _fast_numbers(name, column, markers, text_cells)
    if fast is not None:
        return fast
    convert = _each(name, column, lambda cell: cells.number(cell, markers, text_cells=text_cells), errors)
    return pl.Series(name, convert, dtype=pl.Float64)


def category_series(
    name: str, column: Cells, source: CategorySource, markers: frozenset[str], errors: list[FieldError]
) -> pl.Series:
    """Return a column as categories in estimators' form, without nulls; what cannot be one is added to `errors`."""
    fast = _fast_categories(name, column, source, markers)
    if fast is not None:
        return fast
    convert = _each(name, column, lambda cell: cells.category(cell, source, markers), errors)
    return pl.Series(name, convert, dtype=pl.String).fill_null(MISSING_CATEGORY)


def coded_series(
    name: str, column: Cells, source: CategorySource, markers: frozenset[str], errors: list[FieldError]
) -> pl.Series:
    """Return a column as `category_series` does, but as an Enum of the categories that occur, sorted."""
    text = _listed_texts(name, column)
    coded = None if text is None else _coded_texts(text, source, markers)
    return as_codes(category_series(name, column, source, markers, errors)) if coded is None else coded


def break_of_majority(name: str, column: Cells, markers: frozenset[str]) -> list[FieldError]:
    """Name the cells of a mixed column that differ from what most of its cells are."""
    present = [(row, cell) for row, cell in enumerate(column) if not cells.is_missing(cell, markers)]
    numbers = [cells.kind_of(type(cell)) == "number" for _, cell in present]
    most = 2 * sum(numbers) >= len(numbers)
    due = "a number" if most else "text or a boolean"
    problem = f"must be {due} like the rest of the column (or declare it categorical in feature_types)"
    wrong = [place for place, is_number in zip(present, numbers, strict=True) if is_number is not most]
    return [
        cells.wrong_cell(name, row, problem, cell)
        for (row, cell), _ in zip(wrong, range(MAX_FIELD_ERRORS), strict=False)
    ]


def _series_content(series: pl.Series, markers: frozenset[str], text_cells: bool) -> Content:
    dtype = series.dtype
    if dtype.is_numeric():
        return "numbers"
    if dtype == pl.Boolean:
        return "booleans"
    if dtype == pl.Null:
        return "missing"
    if dtype in TEXT_TYPES:
        return text_content(series, markers) if text_cells else "text"
    return "text"


def text_content(series: pl.Series, markers: frozenset[str]) -> Content:
    """Tell what CSV's cells are written as; infinite numbers count beside finite ones, to be refused later."""
    present = _present_text(series, markers).drop_nulls()
    if present.is_empty():
        return "missing"
    numbers = present.cast(pl.Float64, strict=False)
    if not numbers.has_nulls() and not numbers.is_nan().any() and numbers.is_finite().any():
        return "text" if present.str.contains(_LEADING_ZERO).any() else "numbers"
    return "booleans" if present.str.to_lowercase().is_in(["true", "false"]).all() else "text"


def strays_among_numbers(column: Cells, markers: frozenset[str]) -> pl.Series:
    """Return the rows of CSV's cells that are no numbers, in a column where nearly all others are; else none.

    Nearly all: nine of ten, or all but one. Numbers with leading zeros are codes, so their column is none of numbers.
    """
    none = pl.Series(dtype=pl.UInt32)
    if not isinstance(column, pl.Series) or column.dtype not in TEXT_TYPES:
        return none
    present = _present_text(column, markers)
    numbers = present.cast(pl.Float64, strict=False).is_not_null()
    strays = (~numbers & present.is_not_null()).arg_true()
    count = int(numbers.sum())
    if count < 2 or (len(strays) > 1 and 9 * len(strays) > count) or present.str.contains(_LEADING_ZERO).any():
        return none
    return strays


def _present_text(series: pl.Series, markers: frozenset[str]) -> pl.Series:
    """Return text without surrounding blanks, null where it is missing."""
    text = series.cast(pl.String).str.strip_chars(cells.BLANKS)
    return text.set(text.is_in(sorted(markers)), None)


def _fast_numbers(name: str, column: Cells, markers: frozenset[str], text_cells: bool) -> pl.Series | None:
    if not isinstance(column, pl.Series):
        listed = _listed_numbers(name, column)
        if listed is None:
            return None
        column = listed
    numbers = column
    if text_cells and column.dtype in TEXT_TYPES:
        present = _present_text(column, markers)
        numbers = present.cast(pl.Float64, strict=False)
        if numbers.null_count() != present.null_count() or numbers.is_nan().any():
            return None
    elif not column.dtype.is_numeric() and column.dtype != pl.Null:
        return None
    numbers = numbers.cast(pl.Float64).rename(name)
    if _is_finite(numbers):
        return numbers
    if numbers.is_nan().any():
        numbers = numbers.fill_nan(None)
    return None if numbers.is_infinite().any() else numbers


def _is_finite(numbers: pl.Series) -> bool:
    """Tell whether all numbers are finite, nulls aside."""
    if numbers.has_nulls():
        return numbers.is_finite().all()
    return bool(np.isfinite(numbers.to_numpy()).all())  # a fifth of what polars takes


def _listed_numbers(name: str, column: Sequence[Any]) -> pl.Series | None:
    types = set(map(type, column))
    if not set(map(cells.kind_of, types)) <= {"number", "missing"}:
        return None
    try:
        if types <= {float, type(None)}:  # twice as quick as through numpy
            return pl.Series(name, column, dtype=pl.Float64)
        return pl.Series(name, np.array(column, dtype=np.float64))
    except OverflowError:
        return None


def _fast_categories(name: str, column: Cells, source: CategorySource, markers: frozenset[str]) -> pl.Series | None:
    text = _listed_texts(name, column)
    if text is not None:
        if source == "text":
            return text_categories(text, markers).rename(name)
        column = text
    if not isinstance(column, pl.Series):
        return _listed_categories(name, column, source, markers)
    if column.dtype == pl.Boolean:
        return column.cast(pl.String).fill_null(MISSING_CATEGORY).rename(name)
    single = column.dtype == pl.Float32
    seen = (column.fill_nan(None) if column.dtype.is_float() else column).unique().drop_nulls()
    values = seen.to_numpy() if single else seen.to_list()
    try:
        texts = [cells.category(cell, source, markers) for cell in values]
    except ValueError:
        return None
    return _replaced(column, seen, texts).rename(name)


def _coded_texts(text: pl.Series, source: CategorySource, markers: frozenset[str]) -> pl.Series | None:
    """Return texts as coded categories; None where they are many, or one cannot be a category."""
    seen = text.unique().to_list()
    if len(seen) > _FEW_TEXTS:
        return None
    try:
        found = [cells.category(cell, source, markers) for cell in seen]
    except ValueError:
        return None
    categories = pl.Enum(sorted(set(found)))
    if found == seen:
        return text.cast(categories)
    return text.replace_strict(seen, found, return_dtype=categories)


def _listed_texts(name: str, column: Cells) -> pl.Series | None:
    """Return a column that holds texts and nothing else, or a list of them, as a Series of texts."""
    if isinstance(column, pl.Series):
        return column.cast(pl.String).rename(name) if column.dtype in TEXT_TYPES else None
    if not set(map(type, column)) <= {str, type(None)}:
        return None
    try:
        return pl.Series(name, column, dtype=pl.String)
    except UnicodeEncodeError:
        return None


def text_categories(text: pl.Series, markers: frozenset[str]) -> pl.Series:
    """Return texts as categories in estimators' form."""
    return text.to_frame().select(category_expr(pl.nth(0), markers)).to_series()


def category_expr(text: pl.Expr, markers: frozenset[str]) -> pl.Expr:
    """Return what makes texts categories in estimators' form, without nulls."""
    missing = text.str.strip_chars(cells.BLANKS).is_in(sorted(markers))
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


def _listed_categories(
    name: str, column: Sequence[Any], source: CategorySource, markers: frozenset[str]
) -> pl.Series | None:
    kinds = set(map(cells.kind_of, set(map(type, column))))
    if not (kinds <= {"number", "missing"} or kinds <= {"boolean", "missing"}):
        return None
    try:
        texts = {cell: cells.category(cell, source, markers) for cell in set(column)}
    except ValueError:
        return None
    return pl.Series(name, list(map(texts.__getitem__, column)), dtype=pl.String)


def _each(name: str, column: Cells, convert: Callable[[Any], Any], errors: list[FieldError]) -> list[Any]:
    """Convert cell by cell; stop where as many are wrong as an error names."""
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
