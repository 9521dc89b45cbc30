"""What a client can send: tables, labels and hyperparams as plain texts, numbers, booleans and None.

Cells of other types become what the core takes them for. What no wire carries is refused here, before anything is sent,
with the core's class of error and in its words. Everything that can be sent is left to the server to judge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np
import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidArgument, InvalidHyperparams, InvalidTable
from modelyard.schemas.showing import shown
from modelyard.tables.cells import finite, is_nan, iso_text, kind_of, require_unicode, shortest_float, unfit, wrong_cell
from modelyard.tables.labels import INT64, LABEL_DUE, check_years, label_column, wrong_label
from modelyard.tables.sources import check_names
from modelyard.tables.sources.forms import cells_of, read_form

Plain = str | int | float | bool | None
_AS_THEY_ARE = frozenset({str, int, bool, type(None)})
SentT = TypeVar("SentT")


def plain_cell(cell: Any) -> Plain:
    """Return a cell as a plain value: NaN stays NaN, infinity infinity, dates and times become ISO texts.

    Raises ValueError saying what the cell must be.
    """
    return _converter(type(cell))(cell)


def plain_label(label: Any) -> Plain:
    """Return a label as a plain value. Raises ValueError for what is no label, times among it."""
    kind = kind_of(type(label))
    if kind in ("moment", "time", "other"):
        raise ValueError(LABEL_DUE)
    value = plain_cell(label)
    if isinstance(label, Decimal) and label.is_finite() and label == int(label):
        value = int(label)
    if type(value) is int and value in INT64:
        return value
    return finite(value) if type(value) in (int, float) else value  # no wire carries larger integers


def plain_labels(y: Any, label: str = "y") -> list[Plain]:
    """Return a column of labels as plain values; `label` names it in messages. Raises InvalidTable."""
    column = label_column(y)
    check_years(column, label)
    given = list(column)
    with suppress(ValueError):
        # Mostly a few labels come over and over.
        if set(map(type, given)) <= _AS_THEY_ARE and all(plain_label(one) is one for one in set(given)):
            return given
    written: list[Plain] = []
    wrong: list[FieldError] = []
    for row, one in enumerate(given):
        try:
            written.append(plain_label(one))
        except ValueError as problem:
            wrong.append(wrong_label(label, row, problem, one))
            if len(wrong) == MAX_FIELD_ERRORS:
                break
    if wrong:
        raise InvalidTable.of(wrong)
    return written


def check_target(X: Any, target: str | None, feature_names: Sequence[str] | None) -> None:
    """Refuse labels in X's column `target` that would arrive as others: a date is a legal cell, sent as its text.

    Raises InvalidTable.
    """
    if target is None:
        return
    column = None
    with suppress(InvalidTable):  # the server says what is wrong with the form of X
        column = read_form(X, feature_names, None).columns.get(target)
    if column is not None:
        plain_labels(column, f"target {target!r}")


def send_hyperparams(given: Mapping[str, Any], write: Callable[[Plain], SentT]) -> dict[str, SentT]:
    """Return hyperparams as `write` sends their plain values; what they must be it says by ValueError.

    Raises InvalidHyperparams.
    """
    sent: dict[str, SentT] = {}
    wrong: list[FieldError] = []
    for name, value in given.items():
        try:
            sent[name] = write(_plain_hyperparam(value))
        except ValueError as problem:
            message = f"hyperparam {shown(name)} {problem}, got {shown(value)}"
            wrong.append(FieldError(("hyperparams", name), message, value))
    if wrong:
        raise InvalidHyperparams.of(wrong)
    return sent


def keys_of(records: Sequence[Mapping[Any, Any]]) -> list[str]:
    """Return all keys of some records, in the order in which they come. Raises InvalidTable if one is no text."""
    keys = list(dict.fromkeys(chain.from_iterable(records)))
    if not keys:
        raise InvalidTable("X has no columns")
    try:
        for key in keys:
            require_unicode(key)
    except (AttributeError, ValueError):
        check_names(keys, "X")
    return keys


def wrong_cells(X: Any, feature_names: Sequence[str] | None, write: Callable[[Any], object]) -> InvalidArgument:
    """Build the error that names the cells of a table which `write` refuses by ValueError, column after column.

    Columns of rows are named as in training: by `feature_names`, else f0, f1, ...
    """
    found = _refused(_named_columns(X, feature_names), write)
    return InvalidTable.of(list(islice(found, MAX_FIELD_ERRORS)))


def _refused(columns: Iterable[tuple[str, Iterable[tuple[int, Any]]]], write: Callable[[Any], object]) -> Iterator[Any]:
    for name, column in columns:
        for row, cell in column:
            try:
                write(cell)
            except ValueError as problem:
                yield wrong_cell(name, row, str(problem), cell)


def _named_columns(X: Any, feature_names: Sequence[str] | None) -> Iterator[tuple[str, Iterable[tuple[int, Any]]]]:
    """Yield the name of each column and its cells with their rows, also of records and rows of different lengths."""
    if isinstance(X, dict):
        yield from ((name, enumerate(cells_of(column))) for name, column in X.items())
    elif isinstance(X, pl.DataFrame):
        yield from ((column.name, enumerate(column.to_list())) for column in X)
    elif isinstance(X[0], dict):
        for key in keys_of(X):
            yield key, ((row, record[key]) for row, record in enumerate(X) if key in record)
    else:
        width = max(map(len, X))
        given = list(feature_names or ())[:width]
        for place, name in enumerate([*given, *(f"f{place}" for place in range(len(given), width))]):
            yield name, ((row, cells[place]) for row, cells in enumerate(X) if place < len(cells))


def _plain_hyperparam(value: Any) -> Plain:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(require_unicode(value))
    if isinstance(value, int):
        finite(value)
        return int(value)
    if isinstance(value, float):
        return float(value)
    raise ValueError("must be text, a number, a boolean or null")


def _converter_of(kind: type) -> Callable[[Any], Plain]:
    meaning = kind_of(kind)
    if meaning == "number":
        whole = issubclass(kind, (int, np.integer))
        return int if whole else shortest_float if issubclass(kind, np.float32) else _float
    return _CONVERTERS[meaning]


_converter: Callable[[type], Callable[[Any], Plain]] = lru_cache(maxsize=1024)(_converter_of)


def _float(number: Any) -> float:
    return math.nan if is_nan(number) else float(number)


def _refuse(cell: Any) -> Plain:
    raise ValueError(unfit(cell))


_CONVERTERS: dict[str, Callable[[Any], Plain]] = {
    "missing": lambda _: None,
    "boolean": bool,
    "text": lambda cell: require_unicode(str(cell)),
    "moment": lambda cell: None if cell != cell else iso_text(cell),
    "time": lambda cell: str(cell.isoformat()),
    "other": _refuse,
}
