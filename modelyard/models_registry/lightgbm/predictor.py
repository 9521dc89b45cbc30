"""Predicting with LightGBM: a few rows one by one in its single-row configuration, many as a matrix.

Both give a row the same bits, alone or among others. The single-row configuration is made once and holds what
`predict` looks up at each call; called with the interpreter's lock held, it needs none of its own.
"""

from __future__ import annotations

import ctypes
import math
import weakref
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.models_registry.contributions import Contributions
from modelyard.models_registry.lightgbm.codes import Codes
from modelyard.models_registry.predictors import class_order, pickled_size
from modelyard.tables.contract import Contract

_SETTINGS = {"verbosity": -1, "num_threads": 1}
_FLOAT64, _PREDICTIONS, _FROM_THE_FIRST = 1, 0, 0
"""Constants of LightGBM's C interface."""

_ScoreRow = Callable[["array[float]"], list[float]]
"""Returns LightGBM's scores of a coded row: k probabilities, of two classes the second's alone, or the one value."""


class LightGBMPredictor:
    """LightGBM's own probabilities in the order of the contract's classes, or without classes its values."""

    def __init__(self, estimator: Any, contract: Contract) -> None:
        self.size_bytes = pickled_size(estimator)
        self._codes = Codes(contract)
        self._booster = estimator.booster_
        self._order = class_order(estimator.classes_, contract) if contract.classes else [0]
        self._score = self._quickest_way(len(contract.feature_names))

    def few(self, rows: Sequence[Sequence[float | str]]) -> list[list[float]]:
        """Return the k numbers of each of a few checked rows."""
        score, code = self._score, self._codes.row
        return [self._in_order(score(code(row))) for row in rows]

    def many(self, frame: pl.DataFrame) -> npt.NDArray[np.float64]:
        """Return the numbers of a checked frame's n rows, shape (n, k)."""
        if frame.height == 0:
            return np.empty((0, len(self._order)))
        scores = self._predict(self._codes.matrix(frame))
        if len(self._order) == 2:
            scores = np.stack([1.0 - scores, scores], axis=1)
        return np.ascontiguousarray(scores.reshape(frame.height, -1)[:, self._order])

    def contributions(self, frame: pl.DataFrame) -> Contributions:
        """Take the raw scores of a checked frame's n rows apart, n at least 1: log-odds, or the values themselves."""
        matrix = self._codes.matrix(frame)
        values = self._predict(matrix, pred_contrib=True)
        shares = values.reshape(frame.height, -1, matrix.shape[1] + 1)  # score by score, each with its base
        return Contributions.of_trees(shares).in_order(self._order)

    def _in_order(self, scores: list[float]) -> list[float]:
        if len(self._order) == 2:
            scores = [1.0 - scores[0], scores[0]]
        return [scores[at] for at in self._order]

    def _predict(self, matrix: npt.NDArray[np.float64], **settings: bool) -> npt.NDArray[np.float64]:
        scores: npt.NDArray[np.float64] = self._booster.predict(matrix, **_SETTINGS, **settings)
        return scores

    def _public_way(self, row: array[float]) -> list[float]:
        scores: list[float] = self._predict(np.array([row])).ravel().tolist()
        return scores

    def _quickest_way(self, width: int) -> _ScoreRow:
        """Return the single-row configuration if this release of LightGBM has it and it leads to the same scores."""
        try:
            quick = SingleRow(self._booster, width, len(self._public_way(array("d", [0.0] * width))))
            for cell in (0.0, 1.0, math.nan):
                row = array("d", [cell] * width)
                if quick(row) != self._public_way(row):
                    return self._public_way
        except (AttributeError, OSError, TypeError, ValueError, ctypes.ArgumentError):
            return self._public_way
        return quick


class SingleRow:
    """Scores one row of `width` floats after the other by LightGBM's C interface, ready set up; `n` scores a row.

    Raises AttributeError, OSError or ValueError if LightGBM is not built as is known here.
    """

    def __init__(self, booster: Any, width: int, n: int) -> None:
        from modelyard.models_registry.lightgbm.library import lightgbm

        functions = ctypes.PyDLL(lightgbm.basic._LIB._name)  # type: ignore[attr-defined]
        self._booster = booster  # the configuration points into it
        self._score = functions.LGBM_BoosterPredictForMatSingleRowFast
        self._scores = ctypes.c_double * n
        self._length = ctypes.byref(ctypes.c_int64())
        self._width = width
        configuration = ctypes.c_void_p()
        settings = " ".join(f"{name}={value}" for name, value in _SETTINGS.items()).encode()
        failed = functions.LGBM_BoosterPredictForMatSingleRowFastInit(
            booster._handle,
            ctypes.c_int(_PREDICTIONS),
            ctypes.c_int(_FROM_THE_FIRST),
            ctypes.c_int(booster.best_iteration),
            ctypes.c_int(_FLOAT64),
            ctypes.c_int32(width),
            ctypes.c_char_p(settings),
            ctypes.byref(configuration),
        )
        if failed:
            raise ValueError("LightGBM has no single-row configuration for this model")
        self._configuration = configuration
        weakref.finalize(self, functions.LGBM_FastConfigFree, configuration).atexit = False

    def __call__(self, row: array[float]) -> list[float]:
        """Return the scores of a row."""
        if len(row) != self._width:
            raise ValueError(f"a row must have {self._width} cells, got {len(row)}")
        scores = self._scores()
        if self._score(self._configuration, ctypes.c_void_p(row.buffer_info()[0]), self._length, scores):
            raise ValueError("LightGBM could not score a row")
        return scores[:]
