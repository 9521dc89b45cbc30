"""Rows that are there more than once, and rows that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

import numpy as np
import polars as pl

from modelyard.schemas import ModelWarning
from modelyard.tables.contract import TrainingTable

WORTH_A_WORD = 0.01
"""The share of the rows from which on duplicates and contradictions are told of."""

DISTINCT = 0.1
"""If fewer than this share of the rows differ, the columns are too coarse to tell rows apart: equal rows are usual."""

MORE_THAN_CHANCE = 10
"""So many times more rows must be equal than columns drawn independently of each other would give."""


def check_duplicates(table: TrainingTable) -> Iterator[ModelWarning]:
    """Warn of rows equal to an earlier one, and of rows equal in the features whose labels differ."""
    rows = table.frame.height
    hashed = pl.DataFrame({"row": table.frame.hash_rows(seed=0), "label": pl.Series(table.codes)})
    labelled = hashed.group_by("row", "label").len()
    duplicates = rows - labelled.height
    distinct = labelled["row"].n_unique()
    contradicting = 0
    if table.contract.classes and distinct < labelled.height:
        contradicting = int(labelled.filter(labelled["row"].is_duplicated())["len"].sum())
    worth = WORTH_A_WORD * rows
    if distinct < DISTINCT * rows or max(duplicates, contradicting) < worth or _is_chance(table.frame, hashed["row"]):
        return
    if duplicates >= worth:
        yield _duplicates(duplicates, rows)
    if contradicting >= worth:
        yield _contradictions(contradicting, rows)


def _is_chance(frame: pl.DataFrame, hashed: pl.Series) -> bool:
    """Whether the columns are so coarse that as many pairs of rows would be equal if they were drawn independently."""
    by_chance = reduce(lambda likely, column: likely * _equal_pairs(column), frame, 1.0)
    return _equal_pairs(hashed) <= MORE_THAN_CHANCE * by_chance


def _equal_pairs(column: pl.Series) -> float:
    """Return the share of the pairs of different rows that have the same cell."""
    n, sizes = len(column), column.rename("cell").value_counts(name="size")["size"].cast(pl.Float64).to_numpy()
    return float(np.sum(sizes * (sizes - 1)) / (n * (n - 1)))


def _duplicates(count: int, rows: int) -> ModelWarning:
    message = (
        f"{_counted(count, rows)} equal to an earlier one: if one is held out and its twin is not, the model is judged "
        "by what it has seen, and looks better than it is; if the same thing was recorded twice, remove the second, "
        "and if they belong together, give the column that says so the role group"
    )
    return ModelWarning(code="duplicate_rows", message=message, count=count)


def _contradictions(count: int, rows: int) -> ModelWarning:
    message = (
        f"{_counted(count, rows)} equal to another one in all features, and its label differs: no model can be right "
        "about both; look for labels that are wrong, or for a column that tells such rows apart"
    )
    return ModelWarning(code="contradicting_rows", message=message, count=count)


def _counted(count: int, rows: int) -> str:
    return f"{count:,} of {rows:,} rows ({count / rows:.1%}) {'is' if count == 1 else 'are'}"
