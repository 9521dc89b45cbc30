"""Predicting with CatBoost by the shortest of its own ways.

For a few rows most of `predict_proba`'s time goes into looking at the data, into threads and into the model's metadata:
a Pool made from lists, one thread, raw values and slim metadata take a tenth of the time of a frame. For many rows
CatBoost reads the frame column by column.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.models_registry.contributions import Contributions
from modelyard.models_registry.predictors import class_order, pickled_size
from modelyard.tables.contract import MISSING_CATEGORY, Contract

ROWS_FOR_THREADS = 10_000
"""Below this starting threads costs more than they save (measured on two cores, 300 trees, 14 columns)."""


class _Predictor:
    """What predictors of CatBoost share: a slim copy of the estimator, and the quickest way to its raw values."""

    def __init__(self, estimator: Any, contract: Contract) -> None:
        from catboost import Pool

        self.size_bytes = pickled_size(estimator)
        self._pool = Pool
        self._estimator, self._loss = _slimmed(estimator)
        types = contract.feature_types.values()
        self._categorical = [i for i, feature_type in enumerate(types) if feature_type == "categorical"]
        self._make_pool = self._quickest_pool(contract)

    def _raw(self, rows: Sequence[Sequence[float | str]]) -> list[Any]:
        """Return the raw values of a few checked rows: one number a row, k for MultiClass."""
        pool = self._make_pool(rows)
        raw: list[Any] = self._estimator.predict(pool, prediction_type="RawFormulaVal", thread_count=1).tolist()
        return raw

    def _tree_shap(self, estimator: Any, frame: pl.DataFrame) -> Contributions:
        threads = self._threads(frame)
        pool = self._whole_pool(frame, threads)
        values = estimator.get_feature_importance(pool, type="ShapValues", thread_count=threads)
        return Contributions.of_trees(np.asarray(values, dtype=np.float64))

    def _threads(self, frame: pl.DataFrame) -> int:
        return 1 if frame.height < ROWS_FOR_THREADS else -1

    def _whole_pool(self, data: Any, thread_count: int) -> Any:
        return self._pool(data, cat_features=self._categorical, thread_count=thread_count)

    def _public_pool(self, rows: Sequence[Sequence[float | str]]) -> Any:
        return self._whole_pool(list(rows), thread_count=1)

    def _short_pool(self, rows: Sequence[Sequence[float | str]]) -> Any:
        """Make a Pool without the checks of its constructor, which take longer than the making."""
        pool = self._pool.__new__(self._pool)
        pool._init_pool(np.array(rows, dtype=object), None, self._categorical, *(None,) * 14, 1)
        return pool

    def _quickest_pool(self, contract: Contract) -> Callable[[Sequence[Sequence[float | str]]], Any]:
        """Return the short way to a Pool if this release of CatBoost has it and it leads to the same answer."""
        kinds = contract.feature_types.values()
        row: list[float | str] = [0.5 if kind == "numeric" else MISSING_CATEGORY for kind in kinds]
        public = self._public_pool([row])
        try:
            short = self._short_pool([row])
        except (AttributeError, TypeError, ValueError):
            return self._public_pool
        same = self._estimator.predict(public) == self._estimator.predict(short)
        return self._short_pool if same.all() else self._public_pool


class CatBoostPredictor(_Predictor):
    """CatBoost's own probabilities, in the order of the contract's classes."""

    def __init__(self, estimator: Any, contract: Contract) -> None:
        super().__init__(estimator, contract)
        self._order = class_order(estimator.classes_, contract)
        self._knows_link = self._loss in ("Logloss", "MultiClass")
        self._ordered = self._order == list(range(len(self._order)))

    def few(self, rows: Sequence[Sequence[float | str]]) -> list[list[float]]:
        """Return the class probabilities of each of a few checked rows."""
        if not rows:
            return []
        if not self._knows_link:
            answer: list[list[float]] = self._probabilities(list(rows), thread_count=1).tolist()
            return answer
        return self._linked(self._raw(rows))

    def many(self, frame: pl.DataFrame) -> npt.NDArray[np.float64]:
        if frame.height == 0:
            return np.empty((0, len(self._order)))
        return self._probabilities(frame, self._threads(frame))

    def contributions(self, frame: pl.DataFrame) -> Contributions:
        """Take the log-odds of a checked frame's rows apart, at least one."""
        return self._tree_shap(self._estimator, frame).in_order(self._order)

    def _linked(self, raw: Sequence[Any]) -> list[list[float]]:
        """Return the probabilities of raw values: one number a row for Logloss, k for MultiClass."""
        shares = [_sigmoid(value) if isinstance(value, float) else _softmax(value) for value in raw]
        return shares if self._ordered else [[row[at] for at in self._order] for row in shares]

    def _probabilities(self, data: Any, thread_count: int) -> npt.NDArray[np.float64]:
        pool = self._whole_pool(data, thread_count)
        answer: npt.NDArray[np.float64] = self._estimator.predict_proba(pool, thread_count=thread_count)
        return answer if self._ordered else answer[:, self._order]


class CatBoostValues(_Predictor):
    """CatBoost's own values, one a row: raw values are the answer, because the squared error has no link."""

    def few(self, rows: Sequence[Sequence[float | str]]) -> list[list[float]]:
        """Return the value of each of a few checked rows, in a list of its own."""
        return [[value] for value in self._raw(rows)] if rows else []

    def many(self, frame: pl.DataFrame) -> npt.NDArray[np.float64]:
        """Return the values of a checked frame's n rows, shape (n, 1)."""
        if frame.height == 0:
            return np.empty((0, 1))
        threads = self._threads(frame)
        pool = self._whole_pool(frame, threads)
        return np.asarray(self._estimator.predict(pool, thread_count=threads), dtype=np.float64).reshape(-1, 1)

    def contributions(self, frame: pl.DataFrame) -> Contributions:
        """Take the values of a checked frame's rows apart, at least one, in the target's unit."""
        scale, bias = self._estimator.get_scale_and_bias()
        found = self._tree_shap(self._unscaled, frame)
        return Contributions(found.base * scale + bias, found.shares * scale)

    @cached_property
    def _unscaled(self) -> Any:
        """The estimator without scale and bias, because CatBoost explains no other.

        It is made for the first explanation, so that a model that only predicts is in memory once.
        """
        plain = self._estimator.copy()
        plain.set_scale_and_bias(1.0, 0.0)
        return plain


def _slimmed(estimator: Any) -> tuple[Any, str]:
    """Return a copy with little metadata, and the name of its loss.

    CatBoost parses the metadata `params` at each prediction, which takes twice as long as the trees; of all that stands
    there it needs the loss.
    """
    slim = estimator.copy()
    metadata = slim.get_metadata()
    loss = json.loads(metadata["params"])["loss_function"]
    metadata["params"] = json.dumps({"loss_function": loss})
    return slim, loss["type"]


def _sigmoid(value: float) -> list[float]:
    if value < -700.0:  # exp overflows
        return [1.0, 0.0]
    positive = 1.0 / (1.0 + math.exp(-value))
    return [1.0 - positive, positive]


def _softmax(values: Sequence[float]) -> list[float]:
    largest = max(values)
    shares = [math.exp(value - largest) for value in values]
    total = sum(shares)
    return [share / total for share in shares]
