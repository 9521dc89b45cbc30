"""Many records of JSON as columns: from the text to typed cells, without a dictionary a record.

Only the form that a contract expects goes this way: every record with exactly its columns, and plain cells. All else is
read as JSON and told apart where every table is, so that there is one place for errors and warnings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Annotated, Any

import msgspec
import orjson
import polars as pl

from modelyard.errors import InvalidTable
from modelyard.tables.columns import Cells
from modelyard.tables.contract import Contract
from modelyard.tables.rows import FEW_ROWS

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""Beyond it orjson reads floats."""

_NUMERIC = float | str | None
_CATEGORICAL = str | bool | _Int64 | float | None


@dataclass(frozen=True, slots=True)
class JsonRecords:
    """The text of a JSON list of records: one more form of a table to predict for."""

    text: bytes


class RecordReader:
    """Reads the text of records against one contract; made once for each loaded model, safe to share by threads."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract

    def read(self, records: JsonRecords) -> Any:
        """Return the table as columns, or as the list of records where it is another, or short enough for `RowReader`.

        Raises InvalidTable for broken JSON.
        """
        try:
            rows = self._decoder.decode(records.text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            rows = []
        return self._columns(rows) if len(rows) > FEW_ROWS else _loads(records.text)

    def _columns(self, rows: Sequence[Any]) -> dict[str, Cells]:
        types = self._contract.feature_types.items()
        return {
            name: _series(name, list(map(attrgetter(f"f{i}"), rows)), pl.Float64 if kind == "numeric" else pl.String)
            for i, (name, kind) in enumerate(types)
        }

    @cached_property
    def _decoder(self) -> msgspec.json.Decoder[Any]:
        kinds = self._contract.feature_types.values()
        record = msgspec.defstruct(
            "Record",
            [(f"f{i}", _NUMERIC if kind == "numeric" else _CATEGORICAL) for i, kind in enumerate(kinds)],
            rename={f"f{i}": name for i, name in enumerate(self._contract.feature_names)},
            forbid_unknown_fields=True,
            gc=False,
        )
        return msgspec.json.Decoder(list[record])  # type: ignore[valid-type]


def _series(name: str, cells: list[Any], dtype: type[pl.DataType]) -> Cells:
    """Return cells of one type as a Series, others as they are."""
    try:
        return pl.Series(name, cells, dtype=dtype, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        return cells


def _loads(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidTable(f"X is not valid JSON: {error}") from None
