"""Reading a table to predict for against the contract of a model. `Reader` is the only way in."""

from modelyard.tables.reading.few_rows import FEW_ROWS, CheckedRow, FewRows
from modelyard.tables.reading.reader import Reader

__all__ = ["FEW_ROWS", "CheckedRow", "FewRows", "Reader"]
