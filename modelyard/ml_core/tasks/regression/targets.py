"""The target of a regression: a column of finite numbers, none missing, read as a numeric feature is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidTable
from modelyard.ml_core.tasks.base import Truth
from modelyard.schemas import ModelWarning
from modelyard.schemas.showing import shown
from modelyard.tables import ReadingOptions, advice, cells, columns
from modelyard.tables.contract import CellReading
from modelyard.tables.inference import ColumnPlan
from modelyard.tables.labels import Target, check_years, wrong_label
from modelyard.tables.missing import column_markers
from modelyard.tables.sources import Cells

LARGEST_TARGET = 1e150
"""Beyond it squares, which errors are measured by, leave the range of a float."""

MOST_LIKE_LABELS = 4
"""Whole numbers of at most so many different values are rather labels than a quantity."""


def read_numbers(
    column: Cells,
    label: str,
    options: ReadingOptions,
    plan: ColumnPlan | None = None,
    *,
    text_cells: bool = False,
    for_labels: Sequence[str] = (),
) -> Target:
    """Return the n numbers of a column, float64.

    `label` names them in messages. `plan` says how they are written in a CSV. `for_labels` are the
    model classes for a target that is no quantity. Raises InvalidTable.
    """
    values, plan = _read(column, label, options, plan, for_labels, text_cells=text_cells)
    distinct = np.unique(values)
    if len(distinct) < 2:
        raise InvalidTable(f"{label} must hold at least two different numbers, got only {shown(float(distinct[0]))}")
    return Target(values, warnings=(*plan.warnings, *_like_labels(label, distinct, len(values), for_labels)))


def read_known_numbers(
    column: Cells, label: str, options: ReadingOptions, plan: ColumnPlan | None, *, text_cells: bool
) -> Truth:
    """Return the n numbers of a column to judge predictions by, float64. Raises InvalidTable."""
    return _read(column, label, options, plan, (), text_cells=text_cells)[0]


def _read(
    column: Cells,
    label: str,
    options: ReadingOptions,
    plan: ColumnPlan | None,
    for_labels: Sequence[str],
    *,
    text_cells: bool,
) -> tuple[Truth, ColumnPlan]:
    check_years(column, label)
    if isinstance(column, pl.Series) and not (column.dtype.is_numeric() or column.dtype in columns.TEXT_TYPES):
        column = column.to_list()  # none of its cells is a number
    plan = plan or ColumnPlan("numeric", CellReading(column_markers(options.missing_markers, among_numbers=True)))
    wrong: list[FieldError] = []
    numbers = columns.numeric_series(label, column, plan.reading, wrong, text_cells=text_cells)
    if wrong or numbers.has_nulls() or not (numbers.abs() <= LARGEST_TARGET).all():
        raise InvalidTable.of(_wrong_numbers(column, label, plan.reading, for_labels, text_cells=text_cells))
    return numbers.to_numpy(writable=True), plan


def _like_labels(label: str, distinct: np.ndarray, n: int, for_labels: Sequence[str]) -> tuple[ModelWarning, ...]:
    """Warn of a few whole numbers that come again and again."""
    few = len(distinct) <= MOST_LIKE_LABELS and 2 * len(distinct) <= n
    if not few or not for_labels or not np.array_equal(distinct, np.floor(distinct)):
        return ()
    message = (
        f"{label} has only {len(distinct)} different whole numbers, like labels; "
        f"if they are labels, take {advice.one_of(for_labels)}"
    )
    return (ModelWarning(code="numbers_like_labels", message=message, count=len(distinct)),)


def _wrong_numbers(
    column: Cells, label: str, reading: CellReading, for_labels: Sequence[str], *, text_cells: bool
) -> list[FieldError]:
    errors: list[FieldError] = []
    for row, cell in enumerate(column):
        problem = _problem(cell, reading, for_labels, text_cells=text_cells)
        if problem is not None:
            errors.append(wrong_label(label, row, problem, cell))
            if len(errors) == MAX_FIELD_ERRORS:
                break
    return errors


def _problem(cell: object, reading: CellReading, for_labels: Sequence[str], *, text_cells: bool) -> str | None:
    """Say what a cell must be that is no number of a target; None if it is one."""
    try:
        value = cells.number(cell, reading, text_cells=text_cells)
    except ValueError as problem:
        kind = cells.kind_of(type(cell))
        instead = f"; for labels take {advice.one_of(for_labels)}" if for_labels and kind in ("text", "boolean") else ""
        return f"{'must be a number' if kind == 'boolean' else problem}{instead}"
    if value is None:
        return "must not be missing"
    within = abs(value) <= LARGEST_TARGET
    return None if within else f"must be a number between -{LARGEST_TARGET:g} and {LARGEST_TARGET:g}"
