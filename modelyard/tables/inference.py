"""Inference: whether columns of a training table are numeric, categorical or datetime, and how their cells are read.

The caller's declarations hold. Other columns are inferred from all their cells, and the way in which a CSV writes its
numbers from all columns together. A column that could have been meant another way than it was taken gets a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from modelyard.errors import FieldError
from modelyard.schemas import FeatureType, ModelWarning
from modelyard.schemas.base import Decimal, Thousands
from modelyard.tables import advice, columns, csv_cells
from modelyard.tables.columns import TEXT_TYPES
from modelyard.tables.contents import Content, break_of_majority, check_dtype, content_of
from modelyard.tables.contract import CellReading
from modelyard.tables.lookalikes import lookalike, may_hold_numbers, odd_date
from modelyard.tables.missing import Markers, column_markers
from modelyard.tables.sources import FIND_OUT, Cells, FileOptions
from modelyard.tables.spelling import PLAIN, Spelling, grouped_by_dots, holds_codes, spelling_of, told_spelling

_INFERRED: dict[Content, FeatureType] = {"numbers": "numeric", "datetimes": "datetime"}
"""The types of undeclared columns; those that hold anything else are categorical."""


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How the caller wants a table to be read: the texts that are missing, and a CSV's decimal and thousands marks.

    If neither mark is given, each column's spelling is found out. `roles` are the column roles by name, `exclude` are
    columns to ignore; those that are `inherited` from a parent model may be missing. `file` says how a file is read.
    """

    missing_markers: tuple[str, ...]
    decimal: Decimal | None = None
    thousands: Thousands | None = None
    exclude: tuple[str, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    inherited: frozenset[str] = frozenset()
    file: FileOptions = FIND_OUT

    @property
    def told(self) -> Spelling | None:
        """The spelling of all numbers, None if it is to be found out."""
        return told_spelling(self.decimal, self.thousands)


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """How a column is read, and the warnings about it."""

    feature_type: FeatureType
    reading: CellReading
    warnings: tuple[ModelWarning, ...] = ()


def plan_columns(
    features: Mapping[str, Cells], declared: Mapping[str, FeatureType], options: ReadingOptions, *, text_cells: bool
) -> tuple[dict[str, ColumnPlan], list[FieldError]]:
    """Plan how each column is read. Returns errors for columns that mix numbers and text and are not declared."""
    among = column_markers(options.missing_markers, among_numbers=False)
    among_numbers = column_markers(options.missing_markers, among_numbers=True)
    contents: dict[str, Content] = {}
    for name, column in features.items():
        check_dtype(name, column)
        contents[name] = content_of(column, among, among_numbers, text_cells=text_cells)
    spellings = _spellings(features, contents, declared, options.told, among_numbers) if text_cells else {}
    plans: dict[str, ColumnPlan] = {}
    errors: list[FieldError] = []
    for name, column in features.items():
        content = contents[name]
        if name in spellings:
            content = "numbers" if spellings[name] is not None else "text"
        if content == "mixed" and name not in declared:
            errors.extend(break_of_majority(name, column, among_numbers))
            continue
        kind = declared.get(name) or _INFERRED.get(content, "categorical")
        source = content if content in ("numbers", "booleans", "datetimes") else "text"
        markers = among if kind == "categorical" and content not in _INFERRED else among_numbers
        spelling = spellings.get(name) or (options.told if kind == "numeric" and text_cells else None) or PLAIN
        plan = ColumnPlan(kind, CellReading(markers, source, spelling))
        plans[name] = replace(plan, warnings=_doubts(name, column, plan, declared, options, text_cells=text_cells))
    return plans, errors


def _spellings(
    features: Mapping[str, Cells],
    contents: Mapping[str, Content],
    declared: Mapping[str, FeatureType],
    told: Spelling | None,
    markers: Markers,
) -> dict[str, Spelling | None]:
    """Return the spelling of each column of texts whose numbers are not written as `1234.5`.

    The spelling is None for a column that turns out to hold no numbers. Columns that are as they seem are left out.
    """
    texts = {
        name: _distinct(column, markers)
        for name, column in features.items()
        if isinstance(column, pl.Series) and column.dtype in TEXT_TYPES and declared.get(name) in (None, "numeric")
        if contents[name] == "text" or (contents[name] == "numbers" and told is not None)
    }
    if told is not None:
        ways = (told, replace(told, percent=True))
        return {
            name: next((way for way in ways if not way.plain_texts(text).has_nulls()), None)
            for name, text in texts.items()
            if not holds_codes(text)
        }
    found = {name: spelling_of(text) for name, text in texts.items()}
    if any(spelling is not None and spelling.decimal == "," for spelling in found.values()):
        found = {name: found[name] or spelling_of(text, decimal_comma=True) for name, text in texts.items()}
        found |= {
            name: Spelling(",", ".")
            for name, column in features.items()
            if contents[name] == "numbers" and _grouped_by_dots(column, markers)
        }
    return {name: spelling for name, spelling in found.items() if spelling is not None}


def _grouped_by_dots(column: Cells, markers: Markers) -> bool:
    if not isinstance(column, pl.Series) or column.dtype not in TEXT_TYPES:
        return False
    return grouped_by_dots(_distinct(column, markers))


def _distinct(column: pl.Series, markers: Markers) -> pl.Series:
    """Return the distinct texts that are not missing."""
    seen = csv_cells.distinct_texts(column)
    return seen.filter(~seen.is_in(markers.series))


def _doubts(
    name: str,
    column: Cells,
    plan: ColumnPlan,
    declared: Mapping[str, FeatureType],
    options: ReadingOptions,
    *,
    text_cells: bool,
) -> tuple[ModelWarning, ...]:
    """Warn of numbers whose value depends on how they were read, and of categories that may be meant as numbers."""
    text = columns.texts_of(name, column)
    if text is None or plan.feature_type == "datetime" or (name in declared and plan.feature_type == "categorical"):
        return ()
    if plan.feature_type == "numeric":
        spelling = plan.reading.spelling
        worth_a_word = spelling.percent or (spelling.thousands and options.told is None)
        return (advice.numbers_read_as(name, spelling),) if worth_a_word else ()
    markers = column_markers(options.missing_markers, among_numbers=True)
    if may_hold_numbers(text):
        bare = csv_cells.stripped(text)
        bare = bare.set(bare.is_in(markers.series), None)
        if (row := odd_date(bare)) is not None:
            return (advice.dates_in_another_spelling(name, row),)
        if (seen := lookalike(bare)) is not None:
            return (advice.numbers_in_another_spelling(name, seen, text_cells=text_cells),)
    if not text_cells or (strays := csv_cells.strays_among_numbers(text, markers)).is_empty():
        return ()
    return (advice.strays_among_numbers(name, strays),)
