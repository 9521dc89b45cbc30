"""A few rows at a time, without a DataFrame: the way of single predictions, a few microseconds a row.

It says the same as `read_prediction`, to which it hands whatever is unusual.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from modelyard.schemas import ModelWarning
from modelyard.tables import advice
from modelyard.tables.cells import category, is_missing, looks_like_number
from modelyard.tables.contract import MISSING_CATEGORY, CategoricalColumn, CellReading, Contract
from modelyard.tables.training import read_prediction

FEW_ROWS = 64

CheckedRow = list[float | str]
CheckedRows = tuple[list[CheckedRow], tuple[ModelWarning, ...]]

_NAN = float("nan")


class _Unusual(Exception):
    """What the short way does not decide."""


class RowReader:
    """Reads a few rows or records against one contract; made once for each loaded model, safe to share by threads."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._names = contract.feature_names
        self._readings = [contract.readings[name] for name in self._names]
        self._has_number_markers = any(reading.markers.numbers for reading in self._readings)
        self._lookups = [
            _lookup(contract.categorical[name], reading) if name in contract.categorical else None
            for name, reading in zip(self._names, self._readings, strict=True)
        ]
        self._pick = itemgetter(*self._names) if len(self._names) > 1 else lambda record: (record[self._names[0]],)

    def read(self, X: Any, *, feature_names: Sequence[str] | None = None) -> CheckedRows | None:
        """Return the checked rows (floats, NaN where missing, and category texts) and the warnings.

        None where X is not 1 to FEW_ROWS rows or records: `read_prediction` is for those. Raises InvalidTable.
        """
        if not isinstance(X, (list, tuple)) or not 0 < len(X) <= FEW_ROWS:
            return None
        if feature_names is None and not self._has_number_markers:
            try:
                return self._read(X)
            except (_Unusual, TypeError, KeyError, OverflowError):
                pass
        return self._read_slowly(X, feature_names)

    def _read(self, X: Sequence[Any]) -> CheckedRows:
        width = len(self._names)
        unknown: dict[str, int] = {}
        extra: dict[Any, None] = {}
        checked: list[CheckedRow] = []
        kind = type(X[0])
        for row in X:
            if type(row) is not kind:
                raise _Unusual
            if kind is dict:
                cells = self._pick(row)
                if len(row) != width:
                    extra.update(dict.fromkeys(key for key in row if key not in self._contract.feature_types))
            elif (kind is list or kind is tuple) and len(row) == width:
                cells = row
            else:
                raise _Unusual
            checked.append(self._row(cells, unknown))
        if not extra and not unknown:
            return checked, ()
        in_order = {name: unknown[name] for name in self._names if name in unknown}
        return checked, (*advice.extra_columns(tuple(map(str, extra))), *advice.unknown_category_warnings(in_order))

    def _row(self, cells: Sequence[Any], unknown: dict[str, int]) -> CheckedRow:
        row: CheckedRow = []
        for position, lookup in enumerate(self._lookups):
            cell = cells[position]
            if lookup is None:
                kind = type(cell)
                if kind is float or kind is int:
                    value = float(cell)
                    if value - value == 0.0 or value != value:
                        row.append(value)
                        continue
                    raise _Unusual  # infinite
                if is_missing(cell, self._readings[position].markers):
                    row.append(_NAN)
                    continue
                raise _Unusual
            text = lookup.get(cell) if type(cell) is not bool else None  # True would find 1
            row.append(text if text is not None else self._category(position, cell, unknown))
        return row

    def _category(self, position: int, cell: Any, unknown: dict[str, int]) -> str:
        name = self._names[position]
        try:
            text = category(cell, self._readings[position])
        except ValueError:
            raise _Unusual from None
        lookup = self._lookups[position]
        if lookup is None or text not in lookup.known:
            unknown[name] = unknown.get(name, 0) + 1
        return text

    def _read_slowly(self, X: Sequence[Any], feature_names: Sequence[str] | None) -> CheckedRows:
        table = read_prediction(X, self._contract, feature_names=feature_names)
        rows = [[_NAN if cell is None else cell for cell in row] for row in table.frame.iter_rows()]
        return rows, table.warnings


class _Lookup(dict[Any, str]):
    """Cells as they mostly come, with the categories they are; `known` are all categories seen in training."""

    known: frozenset[str]


def _lookup(column: CategoricalColumn, reading: CellReading) -> _Lookup:
    lookup = _Lookup()
    lookup.known = frozenset(column.categories)
    for text in column.categories:
        if text == MISSING_CATEGORY:
            lookup.update(dict.fromkeys(chain([None], reading.markers.texts), MISSING_CATEGORY))
        elif not text.startswith("\x00") and category(text, reading) == text:
            lookup[text] = text
            if column.source == "numbers" and looks_like_number(text):
                lookup[float(text) if "." in text or "e" in text else int(text)] = text
    return lookup


def read_prediction_rows(X: Any, contract: Contract) -> CheckedRows | None:
    """Read a few rows or records without a DataFrame; None where X is something else or more. Raises InvalidTable.

    Keep a RowReader instead where the same contract is used again.
    """
    return RowReader(contract).read(X)
