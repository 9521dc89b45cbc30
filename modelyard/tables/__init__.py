"""Tables: rows, records, columns, CSV, JSON, Parquet, Arrow and Excel become one checked table.

`read_training` makes the contract that a model keeps, and a `Reader` checks tables to predict for against it. Nothing
here knows models, storage or doors.
"""

from modelyard.tables.contract import MISSING_CATEGORY, CategoricalColumn, Contract, Table, TrainingTable
from modelyard.tables.contract_json import contract_from_json, contract_to_json
from modelyard.tables.inference import ReadingOptions
from modelyard.tables.profile import profile_columns
from modelyard.tables.reading import FEW_ROWS, CheckedRow, FewRows, Reader
from modelyard.tables.sources import (
    UNPACKED_BYTES,
    FileContent,
    FileOptions,
    JsonTable,
    RawTable,
    read_arrow,
    read_file,
    source_of,
    stored_name,
)
from modelyard.tables.training import read_training

__all__ = [
    "FEW_ROWS",
    "MISSING_CATEGORY",
    "UNPACKED_BYTES",
    "CategoricalColumn",
    "CheckedRow",
    "Contract",
    "FewRows",
    "FileContent",
    "FileOptions",
    "JsonTable",
    "RawTable",
    "Reader",
    "ReadingOptions",
    "Table",
    "TrainingTable",
    "contract_from_json",
    "contract_to_json",
    "profile_columns",
    "read_arrow",
    "read_file",
    "read_training",
    "source_of",
    "stored_name",
]
