"""The predictor every estimator can have: through its own `predict_proba` or `predict` on a polars frame.

Model classes with a quicker way bring their own; this one also serves the classes of third parties.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.tables.contract import Contract, as_text


class EstimatorPredictor:
    """Answers with `predict_proba`, its columns in the order of the contract's classes; without any with `predict`."""

    def __init__(self, estimator: Any, contract: Contract) -> None:
        self.size_bytes = pickled_size(estimator)
        self._estimator = estimator
        self._schema = frame_schema(contract)
        self._order = class_order(estimator.classes_, contract) if contract.classes else None

    def few(self, rows: Sequence[Sequence[float | str]]) -> list[list[float]]:
        frame = pl.DataFrame(list(rows), schema=self._schema, orient="row", nan_to_null=True)
        answer: list[list[float]] = self.many(frame.with_columns(pl.col(pl.Float64).fill_nan(None))).tolist()
        return answer

    def many(self, frame: pl.DataFrame) -> npt.NDArray[np.float64]:
        if frame.height == 0:  # many estimators refuse a table without rows
            return np.empty((0, 1 if self._order is None else len(self._order)))
        if self._order is None:
            return np.asarray(self._estimator.predict(as_text(frame)), dtype=np.float64).reshape(-1, 1)
        return np.asarray(self._estimator.predict_proba(as_text(frame)), dtype=np.float64)[:, self._order]


def class_order(classes: Any, contract: Contract) -> list[int]:
    """Return the place of each of the contract's classes (or of its text) among an estimator's `classes_`."""
    known = np.asarray(classes).tolist()
    labels: Sequence[Any] = contract.classes if set(contract.classes) <= set(known) else [*map(str, contract.classes)]
    return [known.index(label) for label in labels]


def frame_schema(contract: Contract) -> dict[str, type[pl.DataType]]:
    """Return the polars types of a checked table's columns, in order."""
    return {name: pl.Float64 if kind == "numeric" else pl.String for name, kind in contract.feature_types.items()}


def pickled_size(estimator: Any) -> int:
    """Estimate the memory of an estimator by the length of its pickle, in bytes."""
    counter = _Counter()
    pickle.dump(estimator, counter, protocol=pickle.HIGHEST_PROTOCOL)
    return counter.length


class _Counter:
    """A file that only counts, so that measuring needs no copy."""

    length = 0

    def write(self, chunk: Any) -> int:
        size = memoryview(chunk).nbytes
        self.length += size
        return size
