"""Labels: integers, text or booleans, none missing, at least two classes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidTable
from modelyard.schemas import ModelWarning
from modelyard.schemas.showing import shown, shown_instead
from modelyard.tables import advice, cells
from modelyard.tables.class_sizes import check_class_sizes
from modelyard.tables.contract import CellReading
from modelyard.tables.csv_cells import TextContent, distinct_texts, text_content
from modelyard.tables.inference import ColumnPlan, ReadingOptions
from modelyard.tables.missing import BLANKS, Markers, label_markers
from modelyard.tables.moments import beyond_years
from modelyard.tables.sources import Cells, RawTable, way_out

Label = bool | int | str
LABEL_DUE = "must be an integer, text or a boolean"
_REGRESSION = "other numbers would be regression"
INT64 = range(-(2**63), 2**63)
_NUMBERS = CellReading(Markers(frozenset()), "numbers")


@dataclass(frozen=True, slots=True)
class Target:
    """The targets of n rows, shape (n,): indices into `classes` if there are any, else the numbers themselves."""

    codes: npt.NDArray[Any]
    classes: tuple[Label, ...] = ()
    warnings: tuple[ModelWarning, ...] = ()


class TargetReader(Protocol):
    """Reads the column of targets, as `read_labels` does for classes."""

    def __call__(
        self, column: Cells, label: str, options: ReadingOptions, plan: ColumnPlan | None, *, text_cells: bool
    ) -> Target:
        """Return the targets. `plan` says how they are read if they are a CSV's numeric column. Raises InvalidTable."""
        ...


def label_column(y: Any) -> Cells:
    """Return y as a column. Raises InvalidTable if it is no list, tuple, Series or one-dimensional array."""
    if isinstance(y, pl.Series):
        return y.to_list() if y.dtype == pl.Object else y
    if isinstance(y, np.ndarray):
        if y.ndim != 1:
            raise InvalidTable(f"y must be a list of labels, got an array of {y.ndim} dimensions")
        return list(y) if y.dtype.kind in "mM" else list(y.tolist())  # dates and durations would become integers
    if isinstance(y, (list, tuple)):
        return y
    raise InvalidTable(f"y must be a list of labels, got {shown_instead(y)}")


def read_labels(
    column: Cells,
    label: str,
    options: ReadingOptions,
    plan: ColumnPlan | None = None,
    *,
    text_cells: bool = False,
    for_numbers: Sequence[str] = (),
) -> Target:
    """Return one code for each row and the classes they index, sorted; outer blanks of a text do not count.

    `label` names the labels in messages; with `text_cells` (CSV) text that is all numbers, or all `true` and `false`,
    is read as such. `for_numbers` are the model classes for a target that is no label but a number. Raises
    InvalidTable.
    """
    check_years(column, label)
    markers = label_markers(options.missing_markers)
    seen = _distinct(column)
    kinds = set(map(cells.kind_of, set(map(type, seen))))
    if len(kinds) > 1 or "other" in kinds:  # a set would take True for 1
        raise _wrong_labels(column, label, markers, for_numbers, text_cells=text_cells)
    read = _reader(column if text_cells else seen, markers, kinds, for_numbers)
    try:
        known = {value: read(value) for value in set(seen)}
    except (TypeError, ValueError):  # a decimal's signaling NaN has no hash
        raise _wrong_labels(column, label, markers, for_numbers, text_cells=text_cells) from None
    classes = sorted(set(known.values()))
    if len(classes) < 2:
        raise InvalidTable(f"{label} must hold at least two classes, got only {shown(classes[0])}")
    code = {value: number for number, value in enumerate(classes)}
    codes = _codes(column, {value: code[known_label] for value, known_label in known.items()})
    check_class_sizes(codes, label, for_numbers if type(classes[0]) is int else ())
    return Target(codes, tuple(classes), advice.labels_like_numbers(label, classes, for_numbers))


def read_known_labels(
    column: Cells, label: str, classes: Sequence[Label], missing_markers: Sequence[str], *, text_cells: bool = False
) -> npt.NDArray[np.int64]:
    """Return one code for each row: an index into a model's `classes`, or their number for any other label.

    Labels are of the type of the classes, which the texts of a CSV (`text_cells`) are read as. `label` names the labels
    in messages. Raises InvalidTable.
    """
    check_years(column, label)
    markers = label_markers(missing_markers)
    read = _reader_of(_KINDS[type(classes[0])], markers, (), "the model's labels", written=text_cells)
    seen = _distinct(column)
    known: dict[Any, Label] | None = None
    if len(set(map(cells.kind_of, set(map(type, seen))))) == 1:  # a set would take True for 1
        with suppress(TypeError, ValueError):
            known = {value: read(value) for value in set(seen)}
    if known is None:
        raise _wrong(column.to_list() if isinstance(column, pl.Series) else column, label, read)
    code = {value: number for number, value in enumerate(classes)}
    return _codes(column, {value: code.get(found, len(classes)) for value, found in known.items()})


def find_labels(raw: RawTable, y: Any, target: str | None) -> tuple[str, Cells]:
    """Return the labels of a table, `y` or its column `target`, after their name in messages. Raises InvalidTable."""
    if y is not None:
        labels = label_column(y)
        if len(labels) != raw.height:
            raise InvalidTable.of(
                [FieldError(("y",), f"y has {len(labels)} labels, X has {raw.height} rows", len(labels))]
            )
        if target in raw.columns:  # left among the features it would give the labels away
            message = f"target {target!r} is a column of X, and y is given, too: leave one of them out"
            raise InvalidTable.of([FieldError(("target",), message, target)])
        return "y", labels
    if target is None:
        raise InvalidTable("the labels are missing: give y, or target with the name of the label column of X")
    if target not in raw.columns:
        known = ", ".join(map(repr, list(raw.columns)[:50]))
        hint = way_out(raw, [target])
        message = f"target {target!r} is not a column of X; it has {known}" + (hint and f"; {hint}")
        raise InvalidTable.of([FieldError(("target",), message, target)])
    return f"target {target!r}", raw.columns[target]


def wrong_label(label: str, row: int, problem: object, cell: Any) -> FieldError:
    """Build the error for one label; `label` names the labels, rows count from 0."""
    return FieldError(("y", row), f"{label}, row {row}: {problem}, got {shown(cell)}", cells.plain(cell))


def check_years(column: Cells, label: str) -> None:
    """Refuse a polars column with dates of other years than 1 to 9999. Raises InvalidTable."""
    found = beyond_years(column, MAX_FIELD_ERRORS) if isinstance(column, pl.Series) else []
    if found:
        raise InvalidTable.of([wrong_label(label, row, LABEL_DUE, cell) for row, cell in found])


def _distinct(column: Cells) -> Cells:
    """Return the distinct labels if polars can tell them at once, else all labels."""
    if not isinstance(column, pl.Series):
        return column
    return (column.unique() if _is_plain(column) else column).to_list()


def _codes(column: Cells, of_label: Mapping[Any, int]) -> npt.NDArray[np.int64]:
    if isinstance(column, pl.Series):
        if _is_plain(column):
            codes = column.replace_strict(list(of_label), list(of_label.values()), return_dtype=pl.Int64)
            return codes.to_numpy()
        column = column.to_list()
    return np.fromiter(map(of_label.__getitem__, column), dtype=np.int64, count=len(column))


def _is_plain(column: pl.Series) -> bool:
    return column.dtype in (pl.String, pl.Boolean) or column.dtype.is_integer()


def _reader(
    column: Cells, markers: Markers, kinds: set[cells.Kind], for_numbers: Sequence[str]
) -> Callable[[Any], Label]:
    """Return the function that turns a cell into a label of the column's type. It raises ValueError for other cells.

    A column that is still a Series comes from a CSV.
    """
    written = isinstance(column, pl.Series)
    kind = (
        _WRITTEN_AS[text_content(distinct_texts(column), markers, markers)]
        if isinstance(column, pl.Series)
        else _most(column, markers, kinds)
    )
    return _reader_of(kind, markers, for_numbers, _LIKE_MOST, written=written)


def _reader_of(
    kind: cells.Kind, markers: Markers, for_numbers: Sequence[str], like: str, *, written: bool
) -> Callable[[Any], Label]:
    """Return the function that turns a cell into a label of a kind; `written`: the cells are texts of a CSV."""

    def read(cell: Any) -> Label:
        if cells.is_missing(cell, markers):
            raise ValueError("must not be missing")
        if written and kind == "number":
            return _whole(cell.strip(BLANKS), for_numbers)
        if written and kind == "boolean":
            return _written_boolean(cell.strip(BLANKS))
        found = cells.kind_of(type(cell))
        if found not in ("number", "boolean", "text"):
            raise ValueError(LABEL_DUE)
        if found != kind:
            raise ValueError(f"must be {_DUE[kind]} like {like}")
        if found == "text":
            return cells.require_unicode(str(cell)).strip(BLANKS)
        return bool(cell) if found == "boolean" else _whole(cell, for_numbers)

    return read


def _written_boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _most(column: Iterable[Any], markers: Markers, kinds: set[cells.Kind]) -> cells.Kind:
    """Return the kind of most labels that are there."""
    if len(kinds) == 1:
        return next(iter(kinds))
    counts = Counter(cells.kind_of(type(cell)) for cell in column if not cells.is_missing(cell, markers))
    return max(_DUE, key=lambda kind: counts[kind])


_WRITTEN_AS: dict[TextContent, cells.Kind] = {
    "numbers": "number",
    "booleans": "boolean",
    "text": "text",
    "missing": "text",
}
_KINDS: dict[type, cells.Kind] = {bool: "boolean", int: "number", str: "text"}
_LIKE_MOST = "most labels; labels of different types do not go together"
_DUE: dict[cells.Kind, str] = {"number": "an integer", "boolean": "a boolean", "text": "text"}


def _whole(cell: Any, for_numbers: Sequence[str]) -> int:
    value: int | None
    try:
        value = int(cell)  # integers, and their text in CSV
    except (ValueError, OverflowError):
        value = None
    if value is None or (not isinstance(cell, str) and value != cell):
        number = cells.number(cell, _NUMBERS, text_cells=True)
        if number is None or not math.isfinite(number) or not number.is_integer():
            others = f"for other numbers take {advice.one_of(for_numbers)}" if for_numbers else _REGRESSION
            raise ValueError(f"must be a whole number, text or a boolean; {others}")
        value = int(number)
    if value not in INT64:
        raise ValueError("must be an integer of 64 bits")
    return value


def _wrong_labels(
    column: Cells, label: str, markers: Markers, for_numbers: Sequence[str], *, text_cells: bool
) -> InvalidTable:
    values: Cells = column.to_list() if isinstance(column, pl.Series) else column
    kinds = set(map(cells.kind_of, set(map(type, values))))
    return _wrong(values, label, _reader(column if text_cells else values, markers, kinds, for_numbers))


def _wrong(column: Cells, label: str, read: Callable[[Any], Label]) -> InvalidTable:
    errors: list[FieldError] = []
    for row, cell in enumerate(column):
        try:
            read(cell)
        except ValueError as problem:
            errors.append(wrong_label(label, row, problem, cell))
            if len(errors) == MAX_FIELD_ERRORS:
                break
    return InvalidTable.of(errors)  # type: ignore[return-value]
