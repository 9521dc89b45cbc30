"""A few rows or records as plain rows, without a DataFrame: the way of single predictions, a few microseconds a row.

Only usual cells go this way. Whatever is unusual, and every error, is left to the way of all tables.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any

import polars as pl

from modelyard.schemas import FeatureType, ModelWarning
from modelyard.tables import advice
from modelyard.tables.cells import category, is_missing, looks_like_number, moment
from modelyard.tables.contract import MISSING_CATEGORY, CategoricalColumn, CellReading, Contract, Table
from modelyard.tables.parts import parts_of

FEW_ROWS = 64
"""The most rows that are read and scored as plain rows."""

CheckedRow = list[float | str]
"""The expanded contract's columns in order: floats (NaN if missing) and category texts as in Table."""

_NAN = float("nan")


@dataclass(slots=True)  # to make a frozen one takes three times as long, a tenth of a whole reading
class FewRows:
    """A checked table of at most FEW_ROWS rows, as plain rows."""

    rows: list[CheckedRow]
    warnings: tuple[ModelWarning, ...] = ()
    ids: list[bool | int | float | str | None] | None = None

    @classmethod
    def of(cls, table: Table) -> FewRows:
        """Return the rows of a short table."""
        return cls(
            [[_NAN if cell is None else cell for cell in row] for row in table.frame.iter_rows()],
            table.warnings,
            table.ids,
        )

    def frame(self, contract: Contract) -> pl.DataFrame:
        """Return the rows as the frame of a Table, by the contract that they were checked against."""
        types = contract.expanded.feature_types.items()
        # Each column is made by itself, because an expression over all of them takes longer than the rest of a row.
        columns = zip(types, zip(*self.rows, strict=True), strict=True)
        return pl.DataFrame([_series(name, kind, cells) for (name, kind), cells in columns])


def _series(name: str, kind: FeatureType, cells: Sequence[float | str]) -> pl.Series:
    if kind != "numeric":
        return pl.Series(name, cells, dtype=pl.String)
    return pl.Series(name, [None if cell != cell else cell for cell in cells], dtype=pl.Float64)


class _Unusual(Exception):
    """Raised for what the quick way does not decide."""


class FewRowsReader:
    """Reads a few rows or records against one contract; of other keys only those that are not `known` are told."""

    def __init__(self, contract: Contract, known: Collection[str] = ()) -> None:
        self._known = {*contract.feature_types, *known}
        given = contract.feature_names
        self._width = len(given)
        self._pick = itemgetter(*given) if len(given) > 1 else lambda record: (record[given[0]],)
        self._moments = [
            (contract.readings[name], contract.datetimes[name].first) if name in contract.datetimes else None
            for name in given
            if contract.datetimes
        ]
        expanded = contract.expanded
        self._names = expanded.feature_names
        self._readings = [expanded.readings[name] for name in self._names]
        self._has_number_markers = any(reading.markers.numbers for reading in self._readings)
        self._lookups = {
            position: _lookup(contract.categorical[name], self._readings[position])
            for position, name in enumerate(self._names)
            if name in contract.categorical
        }
        self._texts = [(position, lookup.of) for position, lookup in self._lookups.items()]
        self._numbers = [position for position in range(len(self._names)) if position not in self._lookups]

    def read(self, X: Sequence[Any]) -> FewRows | None:
        """Return at least one row or record, checked; None if something is unusual or wrong."""
        if self._has_number_markers:
            return None
        width, kind = self._width, type(X[0])
        checked_row = self._expanded_row if self._moments else self._row
        unknown: dict[str, int] = {}
        checked: list[CheckedRow] = []
        has_extra = False
        try:
            for row in X:
                if type(row) is not kind:
                    return None
                if kind is dict:
                    cells = self._pick(row)
                    if len(row) != width:
                        has_extra = True
                elif (kind is list or kind is tuple) and len(row) == width:
                    cells = row
                else:
                    return None
                checked.append(checked_row(cells, unknown))
        except (_Unusual, TypeError, KeyError, OverflowError):
            return None
        return FewRows(checked, self._warnings(X if has_extra else (), unknown) if has_extra or unknown else ())

    def _row(self, cells: Sequence[Any], unknown: dict[str, int]) -> CheckedRow:
        row = list(cells)
        for position in self._numbers:
            cell = row[position]
            if type(cell) is float and cell - cell == 0.0:  # finite
                continue
            if type(cell) is int:
                row[position] = float(cell)
            elif is_missing(cell, self._readings[position].markers):
                row[position] = _NAN
            else:
                raise _Unusual
        for position, category_of in self._texts:
            cell = row[position]
            text = category_of(cell)
            row[position] = text if text is not None else self._category(position, cell, unknown)
        return row

    def _expanded_row(self, cells: Sequence[Any], unknown: dict[str, int]) -> CheckedRow:
        """Return a row as `_row` does, with the parts of moments in their places."""
        expanded: list[Any] = []
        for cell, known in zip(cells, self._moments, strict=True):
            if known is None:
                expanded.append(cell)
                continue
            reading, first = known
            try:
                expanded.extend(parts_of(moment(cell, reading), first))
            except ValueError:
                raise _Unusual from None
        return self._row(expanded, unknown)

    def _category(self, position: int, cell: Any, unknown: dict[str, int]) -> str:
        name = self._names[position]
        try:
            text = category(cell, self._readings[position])
        except ValueError:
            raise _Unusual from None
        if text not in self._lookups[position].known:
            unknown[name] = unknown.get(name, 0) + 1
        return text

    def _warnings(self, wide: Sequence[Any], unknown: Mapping[str, int]) -> tuple[ModelWarning, ...]:
        """Warn of the other keys of `wide` records, and of `unknown` categories."""
        extra = dict.fromkeys(key for record in wide for key in record if key not in self._known)
        in_order = {name: unknown[name] for name in self._names if name in unknown}
        return *advice.extra_columns(tuple(map(str, extra))), *advice.unknown_category_warnings(in_order)


class _Lookup(dict[Any, str]):
    """The category of each cell that is usual; `known` are all categories seen in training."""

    known: frozenset[str]

    of: Callable[[Any], str | None]
    """Returns the category of a cell; None if it is not usual."""

    def of_no_boolean(self, cell: Any) -> str | None:
        """Look a cell up among numbers, where True would find 1."""
        return None if type(cell) is bool else self.get(cell)


def _lookup(column: CategoricalColumn, reading: CellReading) -> _Lookup:
    lookup = _Lookup()
    lookup.known = frozenset(column.categories)
    lookup.of = lookup.of_no_boolean if column.source == "numbers" else lookup.get
    for text in column.categories:
        if text == MISSING_CATEGORY:
            lookup.update(dict.fromkeys(chain([None], reading.markers.texts), MISSING_CATEGORY))
        elif not text.startswith("\x00") and category(text, reading) == text:
            lookup[text] = text
            if column.source == "numbers" and looks_like_number(text):
                lookup[float(text) if "." in text or "e" in text else int(text)] = text
    return lookup
