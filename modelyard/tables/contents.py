"""What a column holds, before it is decided how its cells are read."""

from __future__ import annotations

from typing import Any, Literal

import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidTable
from modelyard.tables import cells
from modelyard.tables.columns import TEXT_TYPES, texts_of
from modelyard.tables.csv_cells import distinct_texts, plain_numbers, text_content
from modelyard.tables.missing import Markers
from modelyard.tables.moments import YEARS_DUE, all_moments, beyond_years, moment_of
from modelyard.tables.sources import Cells

Content = Literal["numbers", "booleans", "datetimes", "text", "mixed", "missing"]

_CELL_TYPES = (*TEXT_TYPES, pl.Boolean, pl.Null, pl.Date, pl.Datetime, pl.Time)


def check_dtype(name: str, column: Cells) -> None:
    """Check that a polars column does not hold lists, structs, durations, bytes and the like. Raises InvalidTable.

    Python lists pass, because they are judged cell by cell. Refuses dates of other years than 1 to 9999.
    """
    if isinstance(column, pl.Series) and not (column.dtype.is_numeric() or column.dtype in _CELL_TYPES):
        message = f"column {name!r} must hold numbers, text, booleans or dates, not {column.dtype}"
        raise InvalidTable.of([FieldError(("X", name), message, str(column.dtype))])
    if isinstance(column, pl.Series) and (found := beyond_years(column, MAX_FIELD_ERRORS)):
        raise InvalidTable.of([cells.wrong_cell(name, row, YEARS_DUE, cell) for row, cell in found])


def content_of(column: Cells, among: Markers, among_numbers: Markers, *, text_cells: bool) -> Content:
    """Return what a column holds beside missing cells; `mixed` is numbers together with text or booleans.

    Missing cells are told by `among_numbers` in a column of numbers or datetimes, by `among` in any other. With
    `text_cells` (CSV) a column whose texts are all numbers, or all `true` and `false`, counts as numbers or booleans.
    Texts that all tell moments count as datetimes in any format.
    """
    if isinstance(column, pl.Series):
        return _series_content(column, among, among_numbers, text_cells)
    kinds = set(map(cells.kind_of, set(map(type, column)))) - {"missing"}
    if len(kinds) > 1:
        markers = among_numbers if "number" in kinds else among
        kinds = {cells.kind_of(type(cell)) for cell in column if not cells.is_missing(cell, markers)}
    if "number" in kinds:
        return "numbers" if kinds == {"number"} else "mixed"
    if not kinds:
        return "missing"
    if kinds == {"boolean"}:
        return "booleans"
    return "datetimes" if kinds <= {"moment", "text"} and _all_tell_moments(column, among_numbers) else "text"


def break_of_majority(name: str, column: Cells, markers: Markers) -> list[FieldError]:
    """Name the cells of a mixed column that differ from what most of its cells are."""
    present = [(row, cell) for row, cell in enumerate(column) if not cells.is_missing(cell, markers)]
    kinds = [cells.kind_of(type(cell)) for _, cell in present]
    numbers = [kind == "number" for kind in kinds]
    most = 2 * sum(numbers) >= len(numbers)
    due = "a number" if most else "a date" if set(kinds) == {"number", "moment"} else "text or a boolean"
    problem = f"must be {due} like the rest of the column (or declare it categorical in feature_types)"
    wrong = [place for place, is_number in zip(present, numbers, strict=True) if is_number is not most]
    return [
        cells.wrong_cell(name, row, cells.unfit(cell) or problem, cell)
        for (row, cell), _ in zip(wrong, range(MAX_FIELD_ERRORS), strict=False)
    ]


def _series_content(series: pl.Series, among: Markers, among_numbers: Markers, text_cells: bool) -> Content:
    dtype = series.dtype
    if dtype.is_numeric():
        return "numbers"
    if dtype == pl.Boolean:
        return "booleans"
    if dtype == pl.Null:
        return "missing"
    if dtype in TEXT_TYPES and text_cells:
        if plain_numbers(series) is not None:
            return "numbers"
        written = text_content(distinct_texts(series), among, among_numbers)
        if written != "text":
            return written
    if dtype in TEXT_TYPES:
        return "datetimes" if all_moments(series, among_numbers.series) else "text"
    return "text" if dtype == pl.Time else "datetimes"


def _all_tell_moments(column: list[Any] | tuple[Any, ...], markers: Markers) -> bool:
    """Whether a list of dates and texts holds moments and missing cells alone."""
    text = texts_of("", column)
    if text is not None:
        return all_moments(text, markers.series)
    return all(cells.is_missing(cell, markers) or moment_of(cell) is not None for cell in column)
