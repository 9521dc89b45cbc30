"""The one reader of tables to predict for: any form of a table becomes checked rows or a checked table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidTable
from modelyard.schemas import ColumnRole
from modelyard.schemas.base import Decimal, Thousands
from modelyard.tables import advice, columns
from modelyard.tables.contents import check_dtype
from modelyard.tables.contract import Contract, Table
from modelyard.tables.reading.few_rows import FEW_ROWS, FewRows, FewRowsReader
from modelyard.tables.reading.ids import ids_of_column, ids_of_records
from modelyard.tables.reading.json_text import JsonTextReader
from modelyard.tables.reading.known_texts import read_texts
from modelyard.tables.sources import FIND_OUT, FileOptions, JsonTable, RawTable, read_source
from modelyard.tables.spelling import Spelling, told_spelling


class Reader:
    """Reads tables to predict for against one contract. Made once for each loaded model; threads may share it.

    X is rows, records, columns, a polars DataFrame, a RawTable, a JsonTable, the Path of a file or a FileContent.
    Records, columns, DataFrames and files match by name in any order; rows, and files without a header, by position, or
    by `feature_names`. Columns that the contract does not have are dropped with a warning, unless they have a role:
    then they are no news, and the ids are carried. `decimal` and `thousands` say how a CSV writes its numbers, and
    `file` how a file is read, if not as in training, which is `usual`.
    """

    def __init__(
        self, contract: Contract, usual: FileOptions = FIND_OUT, roles: Mapping[str, ColumnRole] = MappingProxyType({})
    ) -> None:
        self.usual = usual
        self.id_column = next((name for name, role in roles.items() if role == "id"), None)
        self._contract = contract
        self._roles = roles
        self._few_rows = FewRowsReader(contract, roles)
        self._json_text = JsonTextReader(contract, self.id_column)

    def read(
        self,
        X: Any,
        feature_names: Sequence[str] | None = None,
        decimal: Decimal | None = None,
        thousands: Thousands | None = None,
        file: FileOptions | None = None,
    ) -> FewRows | Table:
        """Check X in the quickest way for its form. Raises InvalidTable, PayloadTooLarge.

        1 to FEW_ROWS rows or records become FewRows, every other form becomes a Table.
        """
        if type(X) is JsonTable:
            X = self._json_text.read(X, feature_names)
        if not isinstance(X, (list, tuple)) or not 0 < len(X) <= FEW_ROWS:
            return self.read_table(X, feature_names, decimal, thousands, file)
        few = self._few_rows.read(X) if feature_names is None else None
        if few is None:
            return FewRows.of(self.read_table(X, feature_names))
        if self.id_column is not None and type(X[0]) is dict:
            few.ids = ids_of_records(X, self.id_column)
        return few

    def read_table(
        self,
        X: Any,
        feature_names: Sequence[str] | None = None,
        decimal: Decimal | None = None,
        thousands: Thousands | None = None,
        file: FileOptions | None = None,
    ) -> Table:
        """Check X as `read` does, but into a Table, however few its rows. Raises InvalidTable, PayloadTooLarge."""
        contract = self._contract
        carried = self.id_column
        raw = read_source(X, feature_names, contract.feature_names, file or self.usual, carried)
        raw = raw.without_index(contract.feature_types if carried is None else {*contract.feature_types, carried})
        raw.require(contract.feature_types)
        series, unknown = _read_columns(raw, contract, told_spelling(decimal, thousands))
        others = (*(name for name in raw.columns if name not in contract.feature_types), *raw.dropped)
        extra = tuple(name for name in others if name not in self._roles) if self._roles else others
        frame = contract.expand(pl.DataFrame(series))
        warnings = (
            *advice.blank_rows(raw.blank_rows),
            *advice.extra_columns(extra),
            *advice.unknown_categories(frame, contract, unknown),
        )
        column = None if carried is None else raw.columns.get(carried)
        return Table(frame, warnings, None if carried is None or column is None else ids_of_column(column, carried))


def _read_columns(raw: RawTable, contract: Contract, told: Spelling | None) -> tuple[list[pl.Series], dict[str, int]]:
    """Return the contract's columns in order, and the unknown categories of each column in which they were counted.

    `told` is how numbers are written, if not as in training. Raises InvalidTable.
    """
    errors: list[FieldError] = []
    read: list[pl.Series] = []
    texts = read_texts(raw.columns, contract)
    for name, reading in contract.readings.items():
        column = raw.columns[name]
        check_dtype(name, column)
        if contract.feature_types[name] == "numeric":
            numbers = reading if told is None else replace(reading, spelling=told)
            read.append(columns.numeric_series(name, column, numbers, errors, text_cells=raw.text_cells))
        elif contract.feature_types[name] == "datetime":
            read.append(columns.datetime_series(name, column, reading, errors))
        elif name in texts:
            read.append(texts[name][0])
        else:
            read.append(columns.category_series(name, column, reading, errors))
        if len(errors) >= MAX_FIELD_ERRORS:
            break
    if errors:
        raise InvalidTable.of(errors)
    return read, {name: unknown for name, (_, unknown) in texts.items()}
