"""Predicting with a linear pipeline without the pipeline: its decision values, and what they mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from modelyard.models_registry.contributions import Contributions
from modelyard.models_registry.linear.decisions import Decisions, Weights
from modelyard.models_registry.predictors import class_order
from modelyard.tables.contract import Contract


class LogisticPredictor:
    """The pipeline's own probabilities to 1e-12, from its fitted numbers alone."""

    def __init__(self, pipeline: Any, contract: Contract) -> None:
        self._decisions = Decisions(pipeline, contract)
        self._order = class_order(pipeline[-1].classes_, contract)
        self._few = self._few_binary if len(self._order) == 2 else self._few_multiclass
        self.size_bytes = self._decisions.size_bytes

    def few(self, rows: Sequence[Sequence[float | str]]) -> list[list[float]]:
        return self._few(rows)

    def many(self, frame: pl.DataFrame) -> Weights:
        """Return the probabilities of a checked frame's n rows, shape (n, k)."""
        decision = self._decisions.of_many(frame)
        probabilities = _sigmoid(decision[0]) if len(self._order) == 2 else _softmax(decision)
        return np.ascontiguousarray(probabilities[self._order].T)

    def contributions(self, frame: pl.DataFrame) -> Contributions:
        """Take the log-odds of a checked frame's n rows apart."""
        return self._decisions.contributions(frame).in_order(self._order)

    def _few_binary(self, rows: Sequence[Sequence[Any]]) -> list[list[float]]:
        exp, positive_last = math.exp, self._order == [0, 1]
        answer = []
        for decision in self._decisions.of_few(rows):
            positive = 1.0 / (1.0 + exp(-decision)) if decision > -700.0 else exp(max(decision, -1e4))
            answer.append([1.0 - positive, positive] if positive_last else [positive, 1.0 - positive])
        return answer

    def _few_multiclass(self, rows: Sequence[Sequence[Any]]) -> list[list[float]]:
        order, exp = self._order, math.exp
        answer = []
        for decisions in self._decisions.several_of_few(rows):
            largest = max(decisions)
            shares = [exp(d - largest) for d in decisions]
            total = sum(shares)
            answer.append([shares[at] / total for at in order])
        return answer


class RidgePredictor:
    """The pipeline's own values from its fitted numbers alone: the decision value is the answer."""

    def __init__(self, pipeline: Any, contract: Contract) -> None:
        self._decisions = Decisions(pipeline, contract)
        self.size_bytes = self._decisions.size_bytes

    def few(self, rows: Sequence[Sequence[float | str]]) -> list[list[float]]:
        """Return the value of each of a few checked rows, in a list of its own."""
        return [[value] for value in self._decisions.of_few(rows)]

    def many(self, frame: pl.DataFrame) -> Weights:
        """Return the values of a checked frame's n rows, shape (n, 1)."""
        return np.ascontiguousarray(self._decisions.of_many(frame).T)

    def contributions(self, frame: pl.DataFrame) -> Contributions:
        """Take the values of a checked frame's n rows apart."""
        return self._decisions.contributions(frame)


def _sigmoid(decision: Weights) -> Weights:
    with np.errstate(over="ignore"):  # exp(710) is infinite, and 1 / inf the right answer
        positive = 1.0 / (1.0 + np.exp(-decision))
    return np.stack([1.0 - positive, positive])


def _softmax(decision: Weights) -> Weights:
    with np.errstate(over="ignore"):  # a difference beyond all floats is -inf, and exp(-inf) the right answer
        shares: Weights = np.exp(decision - decision.max(axis=0))
    total: Weights = shares.sum(axis=0)
    return shares / total
