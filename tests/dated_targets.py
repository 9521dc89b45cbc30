"""Tables whose column `day`, the target, holds dates: in every form of a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl


def dated_targets(ages: Sequence[Any]) -> list[dict[str, Any]]:
    """Return fields of requests to train, one request a form. `ages` is the other column."""
    days = [date(2020, 1, 1 + i % 2) for i in range(len(ages))]
    rows = list(zip(ages, days, strict=True))
    tables: list[dict[str, Any]] = [
        {"X": {"age": ages, "day": days}},
        {"X": {"age": ages, "day": np.array(days, dtype="datetime64[D]")}},
        {"X": {"age": ages, "day": pl.Series(days)}},
        {"X": pl.DataFrame({"age": ages, "day": days})},
        {"X": [{"age": age, "day": day} for age, day in rows]},
        {"X": rows, "feature_names": ["age", "day"]},
        {"X": rows, "target": "f1"},
    ]
    return [{"y": None, "target": "day", **table} for table in tables]
