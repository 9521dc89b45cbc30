"""Resolved decisions made ready to answer: from the probabilities of rows to the codes of their labels.

A row gets the same answer alone and among others. Its probabilities may differ in the last bit, because libraries add
up otherwise for many rows, so a threshold is reached from 1e-12 below it on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from modelyard.schemas import Label, ResolvedDecision
from modelyard.schemas.showing import label_text

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

TOLERANCE = 1e-12


class Decider(Protocol):
    """What answers by the probabilities of k classes."""

    def few(self, scores: Sequence[Sequence[float]]) -> list[int]:
        """Return the code of the answer for each of a few rows."""
        ...

    def many(self, scores: Floats) -> Codes:
        """Return what `few` returns for probabilities of shape (n, k); shape (n,)."""
        ...


def decider(decision: ResolvedDecision, classes: Sequence[Label]) -> Decider | None:
    """Make a decision ready to answer; None for the most probable class, which every task answers by itself."""
    if decision.rule == "most_probable":
        return None
    if decision.threshold is None:
        return LeastCost(cost_matrix(decision.costs or {}, classes))
    texts = [label_text(label) for label in classes]
    return Reaching(texts.index(str(decision.label)), decision.threshold, len(classes))


def cost_matrix(costs: Mapping[str, Mapping[str, float]], classes: Sequence[Label]) -> Floats:
    """Return costs as a matrix, shape (k, k): in the row of a true class what each answer costs; 0 if nothing is said.

    Labels that are none of the classes are left out.
    """
    texts = [label_text(label) for label in classes]
    rows = [costs.get(true, {}) for true in texts]
    return np.array([[row.get(predicted, 0.0) for predicted in texts] for row in rows], dtype=np.float64)


class Reaching:
    """Answers the class `code` if its probability reaches the threshold, else the most probable of the others."""

    def __init__(self, code: int, threshold: float, n_classes: int) -> None:
        self._code, self._bound = code, threshold - TOLERANCE
        self._others = [other for other in range(n_classes) if other != code]

    def few(self, scores: Sequence[Sequence[float]]) -> list[int]:
        """Return the code of the answer for each of a few rows."""
        code, bound, others = self._code, self._bound, self._others
        if len(others) == 1:
            other = others[0]
            return [code if row[code] >= bound else other for row in scores]
        return [code if row[code] >= bound else max(others, key=row.__getitem__) for row in scores]

    def many(self, scores: Floats) -> Codes:
        """Return the codes of n rows."""
        return np.where(scores[:, self._code] >= self._bound, self._code, best_of(scores, self._others))


class LeastCost:
    """Answers the class of least expected cost: of equally cheap ones the most probable, of those the first."""

    def __init__(self, matrix: Floats) -> None:
        self._matrix = matrix

    def few(self, scores: Sequence[Sequence[float]]) -> list[int]:
        """Return the code of the answer for each of a few rows."""
        codes: list[int] = self.many(np.array(scores, dtype=np.float64)).tolist() if scores else []
        return codes

    def many(self, scores: Floats) -> Codes:
        """Return the codes of n rows."""
        expected = np.zeros_like(scores)
        for code, row in enumerate(self._matrix):  # a product of matrices gives one row other bits than many
            expected += scores[:, code, None] * row
        slack = TOLERANCE * np.abs(self._matrix).max()
        cheapest = expected <= expected.min(axis=1, keepdims=True) + slack
        found: Codes = np.where(cheapest, scores, -1.0).argmax(axis=1)
        return found


def best_of(scores: Floats, codes: Sequence[int]) -> Codes:
    """Return for each row the most probable of some classes, of equals the first; shape (n,)."""
    if len(codes) == 1:
        return np.full(len(scores), codes[0], dtype=np.int64)
    chosen: Codes = np.array(codes, dtype=np.int64)[scores[:, list(codes)].argmax(axis=1)]
    return chosen
