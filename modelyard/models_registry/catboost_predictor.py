"""Predicting with CatBoost by the shortest of its own ways.

For a few rows most of `predict_proba`'s time goes into looking at the data and into threads: a Pool made from lists and
one thread take a fifth of the time of a frame. For many rows CatBoost reads the frame column by column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.models_registry.catboost_streams import making_a_pool
from modelyard.models_registry.predictors import class_order, pickled_size
from modelyard.tables.contract import Contract

ROWS_FOR_THREADS = 10_000
"""Below this starting threads costs more than they save (measured on two cores, 300 trees, 14 columns)."""


class CatBoostPredictor:
    """CatBoost's own probabilities, in the order of the contract's classes."""

    def __init__(self, estimator: Any, contract: Contract) -> None:
        from catboost import Pool

        self.size_bytes = pickled_size(estimator)
        self._pool = Pool
        self._estimator = estimator
        types = contract.feature_types.values()
        self._categorical = [i for i, feature_type in enumerate(types) if feature_type == "categorical"]
        self._order = class_order(estimator.classes_, contract)
        self._ordered = self._order == list(range(len(self._order)))

    def few(self, rows: Sequence[Sequence[float | str]]) -> list[list[float]]:
        """Return the class probabilities of each of a few checked rows."""
        if not rows:
            return []
        answer: list[list[float]] = self._probabilities(list(rows), thread_count=1).tolist()
        return answer

    def many(self, frame: pl.DataFrame) -> npt.NDArray[np.float64]:
        """Return the probabilities of a checked frame's n rows, shape (n, k)."""
        if frame.height == 0:
            return np.empty((0, len(self._order)))
        return self._probabilities(frame, thread_count=1 if frame.height < ROWS_FOR_THREADS else -1)

    def _probabilities(self, data: Any, thread_count: int) -> npt.NDArray[np.float64]:
        with making_a_pool():
            pool = self._pool(data, cat_features=self._categorical, thread_count=thread_count)
        answer: npt.NDArray[np.float64] = self._estimator.predict_proba(pool, thread_count=thread_count)
        return answer if self._ordered else answer[:, self._order]
