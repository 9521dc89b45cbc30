"""JSON and JSON lines: text becomes rows, records or columns as Python values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from modelyard.errors import InvalidTable
from modelyard.schemas.json_faults import json_fault, placed_json_fault
from modelyard.tables.sources.forms import FORMS
from modelyard.tables.sources.pandas_orients import orient_of

_LINES_EXTENSIONS = (".jsonl", ".ndjson")
_CSV_EXTENSIONS = (".csv", ".tsv", ".txt", ".tab", ".psv")


@dataclass(frozen=True, slots=True)
class JsonTable:
    """The text of a JSON list of records or rows, cut out of the body of a request."""

    text: bytes

    def document(self) -> Any:
        """Return the records or rows as Python values. Raises InvalidTable if the text is not JSON."""
        try:
            return orjson.loads(self.text)
        except orjson.JSONDecodeError as error:
            raise InvalidTable(f"X is not valid JSON: {placed_json_fault(error)}") from None


def read_document(data: bytes, extension: str, label: str) -> Any:
    """Return the rows, records or columns in a file of JSON or JSON lines; None if the text is CSV.

    `extension` is that of the file's name, in lower case; `label` names the file in messages. Raises InvalidTable.
    """
    start = data.lstrip()[:1]
    if extension in _LINES_EXTENSIONS:
        return _read_lines(data, label)
    if start not in (b"{", b"[") and extension != ".json":
        return None
    try:
        return _table_in(orjson.loads(data), label)
    except orjson.JSONDecodeError as error:
        may_be_csv = extension in _CSV_EXTENSIONS
        # Many tools write JSON lines as .json; a list may be the header of a CSV, an object is none.
        if (start == b"{" or not may_be_csv) and _is_json(data.lstrip().split(b"\n", 1)[0]):
            return _read_lines(data, label)
        if may_be_csv:
            return None
        raise InvalidTable(f"{label} is not JSON: {placed_json_fault(error)}") from None


def _table_in(document: Any, label: str) -> Any:
    if isinstance(document, dict) and document and not _may_be_columns(document):
        return [document]
    if not isinstance(document, (list, dict)):
        raise InvalidTable(f"{label}: JSON must hold {FORMS}")
    return document


def _may_be_columns(document: dict[str, Any]) -> bool:
    """Whether an object is a table, or one in pandas' words that will be refused; any other is one record."""
    return any(isinstance(value, list) for value in document.values()) or orient_of(document) is not None


def _read_lines(data: bytes, label: str) -> list[Any]:
    rows = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            fault = f"{json_fault(error)} (column {error.colno})"
            raise InvalidTable(f"{label}, line {number} is not JSON: {fault}") from None
    return rows


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True
