"""A decimal's signaling NaN, which can be neither compared, hashed nor made a float, is a missing cell like any NaN."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from modelyard.errors import InvalidTable
from modelyard.settings import DEFAULT_MISSING_MARKERS
from modelyard.tables import FEW_ROWS, Reader, ReadingOptions, TrainingTable, read_training

SNAN = Decimal("sNaN")


def train(column: list[Any], y: list[Any], feature_type: str | None = None, marker: str = "?") -> TrainingTable:
    return read_training(
        {"a": column},
        y,
        target=None,
        feature_types={"a": feature_type} if feature_type else None,
        feature_names=None,
        options=ReadingOptions((*DEFAULT_MISSING_MARKERS, marker)),
    )


NUMBERS = [1, 2, SNAN]
DECIMALS = [Decimal(1), Decimal(2), SNAN]
TEXTS = ["x", "z", SNAN]


@pytest.mark.parametrize("marker", ["?", "-1"])
@pytest.mark.parametrize(
    ("column", "feature_type"),
    [
        *((column, kind) for column in (NUMBERS, DECIMALS) for kind in (None, "numeric", "categorical")),
        (TEXTS, None),
        (TEXTS, "categorical"),
    ],
)
def test_it_is_missing_like_null(column: list[Any], feature_type: str | None, marker: str) -> None:
    table = train(column, [0, 1, 0], feature_type, marker)
    expected = train([*column[:2], None], [0, 1, 0], feature_type, marker)
    assert table.frame.equals(expected.frame)
    assert table.contract == expected.contract
    reader = Reader(table.contract)
    few, null = (reader.read([[cell]]) for cell in (SNAN, None))
    assert repr(few) == repr(null)
    many, nulls = (reader.read_table([[cell]] * 2 * FEW_ROWS).frame.cast(pl.String) for cell in (SNAN, None))
    assert many.equals(nulls)


def test_it_is_no_label() -> None:
    with pytest.raises(InvalidTable, match=r"y, row 2: must not be missing, got Decimal\('sNaN'\)"):
        train([1, 2, 3], [0, 1, SNAN])
