"""Predicting with the logistic regression pipeline without the pipeline: lookups and a sum.

A numeric column adds `(x - mean) / scale * weight`, in this order: folded into the weight, the sum loses digits if
the mean is large against the deviation (timestamps). A categorical column adds the weight of its text.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.models_registry.predictors import class_order
from modelyard.tables.contract import Contract

Weights = npt.NDArray[np.float64]

LARGEST_Z = 1e100
"""The shares of a sum that was not finite are cut off here, far beyond any change of a probability."""


def column_weights(pipeline: Any) -> dict[str, Weights]:
    """Return each column's weights, shape (d, w): d decision values (1 for two classes), w features of the column."""
    columns, coef = pipeline.named_steps["columns"], pipeline.named_steps["classifier"].coef_
    weights: dict[str, Weights] = {}
    start = 0
    for kind, transformer, names in columns.transformers_:
        if kind not in ("numeric", "categorical"):
            continue
        widths = [1] * len(names) if kind == "numeric" else [len(found) for found in transformer.categories_]
        for name, width in zip(names, widths, strict=True):
            weights[name] = coef[:, start : start + width]
            start += width
    return weights


class LinearPredictor:
    """The pipeline's own probabilities to 1e-12, from its fitted numbers alone."""

    def __init__(self, pipeline: Any, contract: Contract) -> None:
        classifier = pipeline.named_steps["classifier"]
        fitted = _fitted_columns(pipeline)
        weights = column_weights(pipeline)
        self._order = class_order(classifier.classes_, contract)
        self._intercept: Weights = np.array(classifier.intercept_, dtype=np.float64)
        names = contract.feature_names
        self._numeric = [_Numeric(i, n, fitted[n], weights[n]) for i, n in enumerate(names) if n in fitted]
        categories = fitted_categories(pipeline)
        self._categorical = [
            _Categorical(i, n, categories[n], weights[n]) for i, n in enumerate(names) if n in categories
        ]
        self._few = self._few_binary if len(self._order) == 2 else self._few_multiclass
        self._numbers = [one.as_tuple() for one in self._numeric]
        self._lookups = [one.as_tuple() for one in self._categorical]
        self.size_bytes = 2_000
        self.size_bytes += sum(one.size_bytes for one in self._numeric)
        self.size_bytes += sum(one.size_bytes for one in self._categorical)

    def few(self, rows: Sequence[Sequence[float | str]]) -> list[list[float]]:
        return self._few(rows)

    def many(self, frame: pl.DataFrame) -> Weights:
        decision = np.repeat(self._intercept[:, None], frame.height, axis=1)
        with np.errstate(over="ignore", invalid="ignore"):  # sums that are not finite are made again below
            for number in self._numeric:
                number.add(frame, decision)
        for category in self._categorical:
            category.add(frame, decision)
        for at in np.flatnonzero(~np.isfinite(decision).all(axis=0)).tolist():
            decision[:, at] = self._bounded_decision(frame.row(at))
        return self._probabilities(decision)

    def _probabilities(self, decision: Weights) -> Weights:
        """Return probabilities, shape (n, k), of decision values, shape (d, n)."""
        probabilities = _sigmoid(decision[0]) if len(self._order) == 2 else _softmax(decision)
        return np.ascontiguousarray(probabilities[self._order].T)

    def _bounded_decision(self, row: Sequence[Any]) -> Weights:
        """Return the decision values, shape (d), of a row whose numbers are so far out that their sum was none."""
        decision = self._intercept.copy()
        for number in self._numeric:
            decision += number.bounded_z(row[number.position]) * number.weights
        for i, get in self._lookups:
            decision += get(row[i], 0.0)
        return decision

    def _bounded(self, row: Sequence[Any]) -> list[float]:
        answer: list[float] = self._probabilities(self._bounded_decision(row)[:, None])[0].tolist()
        return answer

    def _few_binary(self, rows: Sequence[Sequence[Any]]) -> list[list[float]]:
        numbers, lookups, intercept = self._numbers, self._lookups, float(self._intercept[0])
        exp, positive_last = math.exp, self._order == [0, 1]
        answer = []
        for row in rows:
            decision = intercept
            for i, mean, scale, weight, missing in numbers:
                x = row[i]
                # Only NaN differs from itself; math.isnan would cost a third of the row.
                decision += (x - mean) / scale * weight if x == x else missing
            for i, get in lookups:
                decision += get(row[i], 0.0)
            if decision - decision != 0.0:  # neither infinite nor NaN gives 0
                answer.append(self._bounded(row))
                continue
            positive = 1.0 / (1.0 + exp(-decision)) if decision > -700.0 else exp(max(decision, -1e4))
            answer.append([1.0 - positive, positive] if positive_last else [positive, 1.0 - positive])
        return answer

    def _few_multiclass(self, rows: Sequence[Sequence[Any]]) -> list[list[float]]:
        numbers, lookups, intercept = self._numbers, self._lookups, self._intercept.tolist()
        order, exp, isfinite = self._order, math.exp, math.isfinite
        none = (0.0,) * len(order)
        answer = []
        for row in rows:
            decisions = intercept
            for i, mean, scale, weights, missing in numbers:
                x = row[i]
                if x == x:  # only NaN does not
                    z = (x - mean) / scale
                    decisions = [d + z * w for d, w in zip(decisions, weights, strict=True)]
                else:
                    decisions = [d + w for d, w in zip(decisions, missing, strict=True)]
            for i, get in lookups:
                decisions = [d + w for d, w in zip(decisions, get(row[i], none), strict=True)]
            if not all(map(isfinite, decisions)):
                answer.append(self._bounded(row))
                continue
            largest = max(decisions)
            shares = [exp(d - largest) for d in decisions]
            total = sum(shares)
            answer.append([shares[at] / total for at in order])
        return answer


class _Numeric:
    """One numeric column: its imputed value, mean, scale, and weights (one a decision value)."""

    def __init__(self, position: int, name: str, fitted: tuple[float, float, float], weights: Weights) -> None:
        imputed, mean, scale = fitted
        self.position, self.name = position, name
        self.mean, self.scale, self.missing_z = mean, scale, (imputed - mean) / scale
        self.weights = np.array(weights[:, 0])
        self.size_bytes = 600 + 80 * len(self.weights)

    def as_tuple(self) -> tuple[Any, ...]:
        """Return position, mean, scale, weights and a missing cell's share: floats for two classes, else tuples."""
        weights = _scalar_or_tuple(self.weights)
        missing = _scalar_or_tuple(self.missing_z * self.weights)
        return self.position, self.mean, self.scale, weights, missing

    def add(self, frame: pl.DataFrame, decision: Weights) -> None:
        """Add the column's share to `decision`, shape (d, n)."""
        x = frame[self.name].to_numpy()  # nulls come as NaN
        z = (x - self.mean) / self.scale
        missing = np.isnan(x)
        if missing.any():
            z[missing] = self.missing_z
        for k, weight in enumerate(self.weights.tolist()):
            decision[k] += z * weight

    def bounded_z(self, x: float | None) -> float:
        """Return the standardised value of a cell (None or NaN if missing), cut off at LARGEST_Z."""
        if x is None or x != x:
            return self.missing_z
        return min(max((x - self.mean) / self.scale, -LARGEST_Z), LARGEST_Z)


class _Categorical:
    """One categorical column: its texts in the order of the encoder, and their weights, shape (d, w)."""

    def __init__(self, position: int, name: str, categories: Sequence[str], weights: Weights) -> None:
        self.position, self.name = position, name
        self.texts = list(categories)
        self.enum = pl.Enum(categories)
        unknown = np.zeros((weights.shape[0], 1))
        self.weights = np.concatenate([weights, unknown], axis=1)
        self.size_bytes = 600 + sum(sys.getsizeof(text) + 150 + 56 * weights.shape[0] for text in categories)

    def as_tuple(self) -> tuple[Any, ...]:
        """Return position and the lookup from text to weight: a float for two classes, else a tuple."""
        weights = [_scalar_or_tuple(column) for column in self.weights.T[:-1]]
        return self.position, dict(zip(self.texts, weights, strict=True)).get

    def add(self, frame: pl.DataFrame, decision: Weights) -> None:
        """Add the column's share to `decision`, shape (d, n)."""
        codes = frame[self.name].cast(self.enum, strict=False).to_physical()
        if codes.has_nulls():
            codes = codes.fill_null(len(self.texts))
        taken = codes.to_numpy()
        for k, weights in enumerate(self.weights):
            decision[k] += np.take(weights, taken)  # in half the time of weights[taken]


def _fitted_columns(pipeline: Any) -> dict[str, tuple[float, float, float]]:
    """Return imputed value, mean and scale of each numeric column."""
    found: dict[str, tuple[float, float, float]] = {}
    for transformer, names in _columns(pipeline, "numeric"):
        scaler, imputer = transformer.named_steps["scaler"], transformer.named_steps["imputer"]
        numbers = zip(imputer.statistics_.tolist(), scaler.mean_.tolist(), scaler.scale_.tolist(), strict=True)
        found |= zip(names, numbers, strict=True)
    return found


def fitted_categories(pipeline: Any) -> dict[str, list[str]]:
    """Return each categorical column's categories, in the order of its weights."""
    found = _columns(pipeline, "categorical")
    return {
        name: one.tolist() for encoder, names in found for name, one in zip(names, encoder.categories_, strict=True)
    }


def _columns(pipeline: Any, kind: str) -> list[tuple[Any, list[str]]]:
    """Return the fitted transformer of a kind of columns, and their names; nothing if there are none."""
    return [(part, names) for name, part, names in pipeline.named_steps["columns"].transformers_ if name == kind]


def _scalar_or_tuple(values: Weights) -> float | tuple[float, ...]:
    return float(values[0]) if len(values) == 1 else tuple(values.tolist())


def _sigmoid(decision: Weights) -> Weights:
    with np.errstate(over="ignore"):  # exp(710) is infinite, and 1 / inf the right answer
        positive = 1.0 / (1.0 + np.exp(-decision))
    return np.stack([1.0 - positive, positive])


def _softmax(decision: Weights) -> Weights:
    with np.errstate(over="ignore"):  # a difference beyond all floats is -inf, and exp(-inf) the right answer
        shares: Weights = np.exp(decision - decision.max(axis=0))
    total: Weights = shares.sum(axis=0)
    return shares / total
