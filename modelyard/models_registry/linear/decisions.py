"""The decision values of a linear model from its pipeline's fitted numbers alone: lookups and a sum.

A numeric column adds `(x - mean) / scale * weight`, in this order: folded into the weight, the sum loses digits if
the mean is large against the deviation (timestamps). A categorical column adds the weight of its text. What the values
mean (log-odds, or the prediction itself) is the predictors' affair.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.models_registry.contributions import Contributions
from modelyard.schemas import ModelWarning
from modelyard.tables.contract import CategoricalColumn, Contract

Weights = npt.NDArray[np.float64]

LARGEST_Z = 1e100
"""The shares of a sum that was not finite are cut off here, far beyond any number that training saw."""


def column_weights(pipeline: Any) -> dict[str, Weights]:
    """Return each column's weights, shape (d, w): d decision values, w features of the column.

    There is one decision value for two classes and for regression, else one a class.
    """
    columns, coef = pipeline[0], np.atleast_2d(pipeline[-1].coef_)
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


class Decisions:
    """The decision values of rows, d each: one for two classes and for regression, else one a class."""

    def __init__(self, pipeline: Any, contract: Contract) -> None:
        fitted = _fitted_columns(pipeline)
        weights = column_weights(pipeline)
        self._intercept: Weights = np.atleast_1d(np.array(pipeline[-1].intercept_, dtype=np.float64))
        names = contract.feature_names
        self._numeric = [_Numeric(i, n, fitted[n], weights[n]) for i, n in enumerate(names) if n in fitted]
        categories = fitted_categories(pipeline)
        self._categorical = [
            _Categorical(i, n, categories[n], weights[n], contract.categorical[n])
            for i, n in enumerate(names)
            if n in categories
        ]
        self._numbers = [one.as_tuple() for one in self._numeric]
        self._lookups = [one.as_tuple() for one in self._categorical]
        self.size_bytes = 2_000
        self.size_bytes += sum(one.size_bytes for one in self._numeric)
        self.size_bytes += sum(one.size_bytes for one in self._categorical)

    def of_few(self, rows: Sequence[Sequence[Any]]) -> list[float]:
        """Return the one decision value of each of a few checked rows."""
        numbers, lookups, intercept = self._numbers, self._lookups, float(self._intercept[0])
        answer = []
        for row in rows:
            decision = intercept
            for i, mean, scale, weight, missing in numbers:
                x = row[i]
                # Only NaN differs from itself; math.isnan would cost a third of the row.
                decision += (x - mean) / scale * weight if x == x else missing
            for i, get in lookups:
                decision += get(row[i], 0.0)
            # Neither infinite nor NaN gives 0.
            answer.append(decision if decision - decision == 0.0 else float(self._bounded(row)[0]))
        return answer

    def several_of_few(self, rows: Sequence[Sequence[Any]]) -> list[list[float]]:
        """Return the d decision values of each of a few checked rows; d is more than one."""
        numbers, lookups, intercept = self._numbers, self._lookups, self._intercept.tolist()
        isfinite = math.isfinite
        none = (0.0,) * len(intercept)
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
            answer.append(decisions if all(map(isfinite, decisions)) else self._bounded(row).tolist())
        return answer

    def of_many(self, frame: pl.DataFrame) -> Weights:
        """Return the decision values of a checked frame's n rows, shape (d, n)."""
        decision = np.repeat(self._intercept[:, None], frame.height, axis=1)
        with np.errstate(over="ignore", invalid="ignore"):  # sums that are not finite are made again below
            for number in self._numeric:
                number.add(frame, decision)
        for category in self._categorical:
            category.add(frame, decision)
        for at in np.flatnonzero(~np.isfinite(decision).all(axis=0)).tolist():
            decision[:, at] = self._bounded(frame.row(at))
        return decision

    def contributions(self, frame: pl.DataFrame) -> Contributions:
        """Take the decision values of a checked frame's n rows apart: the base is the value at the means of training.

        The mean of a numeric column is the scaler's, that of a categorical one the mean weight of training's rows.
        """
        base = self._intercept.copy()
        shares = np.zeros((len(self._numeric) + len(self._categorical), len(base), frame.height))
        with np.errstate(over="ignore", invalid="ignore"):  # as in `of_many`
            for number in self._numeric:
                number.add(frame, shares[number.position])
        for category in self._categorical:
            category.add(frame, shares[category.position])
            shares[category.position] -= category.mean[:, np.newaxis]
            base += category.mean
        with np.errstate(over="ignore", invalid="ignore"):
            broken = np.flatnonzero(~np.isfinite(shares.sum(axis=0)).all(axis=0)).tolist()
        for at in broken:
            for number in self._numeric:
                shares[number.position, :, at] = number.bounded_z(frame[number.name][at]) * number.weights
        uncounted = [category.name for category in self._categorical if not category.is_counted]
        return Contributions(base, shares.transpose(2, 1, 0), _uncounted_categories(uncounted))

    def _bounded(self, row: Sequence[Any]) -> Weights:
        """Return the decision values, shape (d,), of a row whose numbers are so far out that their sum was none."""
        decision = self._intercept.copy()
        for number in self._numeric:
            decision += number.bounded_z(row[number.position]) * number.weights
        for i, get in self._lookups:
            decision += get(row[i], 0.0)
        return decision


class _Numeric:
    """One numeric column: its imputed value, mean, scale, and weights (one a decision value)."""

    def __init__(self, position: int, name: str, fitted: tuple[float, float, float], weights: Weights) -> None:
        imputed, mean, scale = fitted
        self.position, self.name = position, name
        self.mean, self.scale, self.missing_z = mean, scale, (imputed - mean) / scale
        self.weights = np.array(weights[:, 0])
        self.size_bytes = 600 + 80 * len(self.weights)

    def as_tuple(self) -> tuple[Any, ...]:
        """Return position, mean, scale, weights and a missing cell's share.

        The last two are floats if there is one decision value, else tuples.
        """
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
    """One categorical column: its texts in the order of the encoder, their weights, shape (d, w), and the mean weight.

    The mean, shape (d,), is over the rows of training; over the categories if the contract has not counted the rows.
    """

    def __init__(
        self, position: int, name: str, categories: Sequence[str], weights: Weights, seen: CategoricalColumn
    ) -> None:
        self.position, self.name = position, name
        self.is_counted = seen.counts is not None
        counts = dict(zip(seen.categories, seen.counts or (), strict=False))
        self.mean: Weights = np.average(weights, axis=1, weights=[counts.get(text, 1) for text in categories])
        self.texts = list(categories)
        self.enum = pl.Enum(categories)
        unknown = np.zeros((weights.shape[0], 1))
        self.weights = np.concatenate([weights, unknown], axis=1)
        self.size_bytes = 600 + sum(sys.getsizeof(text) + 150 + 56 * weights.shape[0] for text in categories)

    def as_tuple(self) -> tuple[Any, ...]:
        """Return position and the lookup from text to weight: a float if there is one decision value, else a tuple."""
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


def _uncounted_categories(columns: Sequence[str]) -> tuple[ModelWarning, ...]:
    """Warn that the base is not training's mean, because the model has not kept how frequent categories were."""
    if not columns:
        return ()
    message = (
        "the model is of a release that did not keep how frequent its categories were, so base and contributions take "
        f"all categories of a column as equally frequent; retrain it to mend that: {', '.join(map(repr, columns[:20]))}"
    )
    return (ModelWarning(code="categories_not_counted", message=message, count=len(columns)),)


def _fitted_columns(pipeline: Any) -> dict[str, tuple[float, float, float]]:
    """Return imputed value, mean and scale of each numeric column."""
    for kind, transformer, names in pipeline[0].transformers_:
        if kind == "numeric":
            scaler = transformer.named_steps["scaler"]
            imputed = transformer.named_steps["imputer"].statistics_.tolist()
            return dict(
                zip(names, zip(imputed, scaler.mean_.tolist(), scaler.scale_.tolist(), strict=True), strict=True)
            )
    return {}


def fitted_categories(pipeline: Any) -> dict[str, list[str]]:
    """Return each categorical column's categories, in the order of its weights."""
    for kind, transformer, names in pipeline[0].transformers_:
        if kind == "categorical":
            return {name: found.tolist() for name, found in zip(names, transformer.categories_, strict=True)}
    return {}


def _scalar_or_tuple(values: Weights) -> float | tuple[float, ...]:
    return float(values[0]) if len(values) == 1 else tuple(values.tolist())
