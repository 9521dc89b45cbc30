"""How a caller says that a table is read: the fields that all requests with a table share."""

from __future__ import annotations

import codecs
from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool, ValidationInfo, field_validator

from modelyard.schemas.base import Decimal, Request, Thousands
from modelyard.schemas.showing import shown

_NO_TEXT_OF_FILES = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})
"""Codecs of Python's that decode text, but in which no program writes files."""

_DELIMITER_NAMES = {"\\t": "\t", "tab": "\t"}


def _check_encoding(encoding: str) -> str:
    try:
        b".".decode(encoding, "replace")  # fails of codecs that make no text
        if codecs.lookup(encoding).name.replace("_", "-") not in _NO_TEXT_OF_FILES:
            return encoding
    except (LookupError, ValueError, UnicodeError):
        pass
    raise ValueError(
        f"encoding must be one that Python knows, such as utf-8, utf-16, cp1251 or latin-1, got {shown(encoding)}"
    )


def _check_delimiter(delimiter: str) -> str:
    mark = _DELIMITER_NAMES.get(delimiter, delimiter)
    if len(mark) == 1 and mark.isascii() and not mark.isalnum() and mark not in '"\r\n\0':
        return mark
    raise ValueError(
        "delimiter must be one ASCII character that is no letter, digit, quote or line end "
        f"(a tab may be written \\t), got {shown(delimiter)}"
    )


Encoding = Annotated[str, AfterValidator(_check_encoding)]
Delimiter = Annotated[str, AfterValidator(_check_delimiter)]
ColumnNames = Annotated[list[str], Field(min_length=1)]


class TableRequest(Request):
    """Base of requests with a table, which may say how it is read. What is left out is found out, or is the model's.

    All but `names` and `header` of an Excel workbook, and its `sheet`, concern CSV and leave other formats alone:
    `decimal` and `thousands` are the marks in its numbers, `delimiter` parts its cells, `skip_rows` is the number of
    lines (of a sheet: rows) before the table. With `header` false the first row is data, and `names` are the columns'
    names in the order of the file; `names` alone imply it. `encoding` is that of text, which is UTF-8 otherwise.
    """

    decimal: Decimal | None = None
    thousands: Thousands | None = None
    encoding: Encoding | None = None
    delimiter: Delimiter | None = None
    skip_rows: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] | None = None
    header: StrictBool | None = None
    names: ColumnNames | None = None
    sheet: Annotated[str, Field(min_length=1)] | None = None

    @field_validator("thousands")
    @classmethod
    def _differs_from_decimal(cls, thousands: Thousands | None, before: ValidationInfo) -> Thousands | None:
        if thousands is not None and thousands == before.data.get("decimal"):
            raise ValueError(f"decimal and thousands must be two marks, got {thousands!r} for both")
        return thousands

    @field_validator("names")
    @classmethod
    def _stand_for_a_header(cls, names: list[str] | None, before: ValidationInfo) -> list[str] | None:
        if names is not None and before.data.get("header"):
            raise ValueError("names are those of a table without a header; leave them out, or say that header is false")
        return names
