"""Tables: rows, records, columns, CSV, JSON, JSON lines, Parquet and Arrow become one checked polars DataFrame.

`read_training` makes the contract a model keeps, `read_prediction` checks against it, `RowReader` does so for a few
rows at the least cost, `JsonTableReader` for many rows or records of JSON. Nothing here knows models, storage or doors.
"""

from modelyard.tables.contract import (
    MISSING_CATEGORY,
    CategoricalColumn,
    Contract,
    Table,
    TrainingTable,
    escape_category,
    unescape_category,
)
from modelyard.tables.contract_json import contract_from_json, contract_to_json
from modelyard.tables.inference import ReadingOptions
from modelyard.tables.profile import profile_columns
from modelyard.tables.reading.few_rows import FEW_ROWS, RowReader, read_prediction_rows
from modelyard.tables.reading.json_text import JsonTable, JsonTableReader
from modelyard.tables.sources.files import read_arrow, read_file
from modelyard.tables.training import read_prediction, read_training

__all__ = [
    "FEW_ROWS",
    "MISSING_CATEGORY",
    "CategoricalColumn",
    "Contract",
    "JsonTable",
    "JsonTableReader",
    "ReadingOptions",
    "RowReader",
    "Table",
    "TrainingTable",
    "contract_from_json",
    "contract_to_json",
    "escape_category",
    "profile_columns",
    "read_arrow",
    "read_file",
    "read_prediction",
    "read_prediction_rows",
    "read_training",
    "unescape_category",
]
