"""The tables of the benchmarks: one of 32,000 rows, 6 numeric and 8 text columns, and a small one; two classes each.

Made by code from one seed, so that everybody measures the same; missing cells and rare categories among them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

SMALL: dict[str, Any] = {
    "X": {"a": [float(i % 17) for i in range(150)], "b": ["xyz"[i % 3] for i in range(150)]},
    "y": ["no", "yes"] * 75,
}
ROWS = 32_000
NUMERIC = tuple(f"number_{i}" for i in range(6))
TEXT = tuple(f"text_{i}" for i in range(8))
CATEGORIES = (2, 5, 7, 9, 14, 16, 23, 42)
"""How many texts each text column chooses from, as in census data."""


def make_table(rows: int = ROWS, seed: int = 7) -> tuple[pl.DataFrame, pl.Series]:
    """Return X and y (`no` and `yes`) of so many rows."""
    random = np.random.default_rng(seed)
    numbers = {name: _numbers(random, rows, i) for i, name in enumerate(NUMERIC)}
    codes = {name: random.zipf(1.4, rows) % count for name, count in zip(TEXT, CATEGORIES, strict=True)}
    X = pl.DataFrame(
        {
            **{name: pl.Series(values, nan_to_null=True) for name, values in numbers.items()},
            **{name: _texts(name, values) for name, values in codes.items()},
        }
    )
    score = sum(np.nan_to_num((x - np.nanmean(x)) / np.nanstd(x)) for x in numbers.values())
    score = score + sum(np.sin(1.7 * values) for values in codes.values()) + random.logistic(size=rows)
    return X, pl.Series("label", np.where(score > np.quantile(score, 0.7), "yes", "no"))


def _numbers(random: np.random.Generator, rows: int, kind: int) -> np.ndarray:
    makers = (
        lambda: random.integers(17, 91, rows).astype(float),
        lambda: np.round(random.lognormal(10, 1, rows), 2),
        lambda: random.normal(size=rows),
        lambda: random.integers(0, 17, rows).astype(float),
        lambda: np.where(random.random(rows) < 0.9, 0.0, random.integers(1, 99_999, rows)),
        lambda: np.where(random.random(rows) < 0.05, np.nan, random.uniform(-1, 1, rows)),
    )
    return makers[kind]()


def _texts(name: str, codes: np.ndarray) -> pl.Series:
    return pl.Series([f"{name}-{'value' * (code % 3)}{code}" for code in codes.tolist()])
