"""Sources: rows, records, columns, CSV, JSON, Parquet, Arrow and Excel become named raw columns.

Nothing here knows a contract, or what a cell means.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard.tables.sources.binary import read_arrow
from modelyard.tables.sources.doubtful_header import looks_like_data, way_out
from modelyard.tables.sources.files import (
    FileContent,
    Layout,
    extension_of,
    layout_of,
    read_file,
    read_raw_file,
    sheets_of,
    source_of,
    stored_name,
)
from modelyard.tables.sources.forms import read_form
from modelyard.tables.sources.json_documents import JsonTable
from modelyard.tables.sources.options import FIND_OUT, UNPACKED_BYTES, FileOptions
from modelyard.tables.sources.raw import Cells, RawTable, check_names
from modelyard.tables.sources.workbook import Sheets

__all__ = [
    "FIND_OUT",
    "UNPACKED_BYTES",
    "Cells",
    "FileContent",
    "FileOptions",
    "JsonTable",
    "Layout",
    "RawTable",
    "Sheets",
    "check_names",
    "extension_of",
    "layout_of",
    "looks_like_data",
    "read_arrow",
    "read_file",
    "read_source",
    "sheets_of",
    "source_of",
    "stored_name",
    "way_out",
]


def read_source(
    X: Any,
    feature_names: Sequence[str] | None,
    expected: Sequence[str] | None,
    options: FileOptions = FIND_OUT,
    carried: str | None = None,
) -> RawTable:
    """Turn a table in any form, or a file, into named columns; see `read_form`. `options` say how a file is read.

    Raises InvalidTable, and PayloadTooLarge if too much comes out of a compressed file.
    """
    if isinstance(X, (Path, FileContent)):
        return read_raw_file(X, options, feature_names=feature_names, expected=expected, carried=carried)
    return read_form(X.document() if isinstance(X, JsonTable) else X, feature_names, expected, carried)
