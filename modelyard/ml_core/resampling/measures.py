"""Metrics of many resamples at once.

A resample of n rows is a row of whole weights: how often each was drawn. So a metric sorts its rows once, and then
measures many resamples by sums, each with `weights` of shape (rounds, n) and an answer of shape (rounds,). Weights of
one's own (rows that count more than others) multiply; weights of all ones give the metric itself. A resample in which
a metric is not defined is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

Measure = Callable[[Floats], Mapping[str, Floats]]
"""Takes weights of shape (rounds, n), returns the values of some metrics by name, each of shape (rounds,)."""


def means(losses: Floats) -> Callable[[Floats], Floats]:
    """Return what measures the weighted means of losses a row, shape (n, m); it answers with shape (rounds, m)."""
    columns = np.ascontiguousarray(losses.T)

    def measure(weights: Floats) -> Floats:
        sums = np.einsum("rn,mn->rm", weights, columns)  # BLAS would wake its threads for each few rounds
        return ratio(sums, weights.sum(axis=1)[:, None])

    return measure


def medians(losses: Floats) -> Callable[[Floats], Floats]:
    """Return what measures the weighted median of losses, shape (n,); in the middle of two it is their mean."""
    order = np.argsort(losses, kind="stable")
    ordered = losses[order]

    def measure(weights: Floats) -> Floats:
        reached = np.take(weights, order, axis=1).cumsum(axis=1)
        lower = [int(row.searchsorted(row[-1] / 2, "left")) for row in reached]
        upper = [int(row.searchsorted(row[-1] / 2, "right")) for row in reached]
        middle: Floats = (ordered[lower] + ordered[np.minimum(upper, len(ordered) - 1)]) / 2
        return middle

    return measure


class Ranking:
    """Rows sorted once by a score, to measure how well it tells positive rows from others.

    `positive` and `scores` have shape (n,). Rows of one score count as one step, as scikit-learn has it.
    """

    def __init__(self, positive: npt.NDArray[np.bool_], scores: Floats) -> None:
        self._order = np.argsort(-scores, kind="stable")
        self._positive = positive[self._order].astype(np.float64)
        ordered = scores[self._order]
        starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        self._starts = None if len(starts) == len(scores) else starts

    def measure(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the areas under the ROC curve, and the average precisions; NaN without rows of both kinds."""
        weights = np.take(weights, self._order, axis=1)
        hits = weights * self._positive
        if self._starts is not None:
            weights = np.add.reduceat(weights, self._starts, axis=1)
            hits = np.add.reduceat(hits, self._starts, axis=1)
        found, passed = hits.cumsum(axis=1), weights.cumsum(axis=1)
        positives = found[:, -1].copy()
        others = passed[:, -1] - positives
        # Negatives before a step are ranked above its positives, negatives of the same step count half.
        above = _dot(hits, passed) - _dot(hits, found)
        if self._starts is not None:
            above -= (_dot(hits, weights) - _dot(hits, hits)) / 2
        auc = 1 - ratio(above, positives * others)
        np.maximum(passed, np.finfo(np.float64).tiny, out=passed)  # before the first row drawn 0 of 0 are found
        average = ratio(_dot(hits, np.divide(found, passed, out=found)), positives)
        return auc, np.where(others > 0, average, np.nan)


class Confusion:
    """Rows counted by their class and by the class predicted for them; both are codes below k, shape (n,)."""

    def __init__(self, codes: Indices, predicted: Indices, k: int) -> None:
        self._true, self._answered = _Sums(codes, k), _Sums(predicted, k)
        self._right = (codes == predicted).astype(np.float64)

    def measure(self, weights: Floats) -> dict[str, Floats]:
        """Return precision, recall and F1, and balanced accuracy: means over the classes that occur.

        Balanced accuracy leaves out what occurs in the answers alone. What would divide by 0 counts as 0.
        """
        true, answered = self._true.measure(weights), self._answered.measure(weights)
        hit = self._true.measure(weights * self._right)
        either = true + answered
        recall, classes = ratio(hit, true, 0.0), (either > 0).sum(axis=1)
        return {
            "balanced_accuracy": ratio(recall.sum(axis=1), (true > 0).sum(axis=1)),
            "precision": ratio(ratio(hit, answered, 0.0).sum(axis=1), classes),
            "recall": ratio(recall.sum(axis=1), classes),
            "f1": ratio(ratio(2 * hit, either, 0.0).sum(axis=1), classes),
        }


class _Sums:
    """The weights of rows added up by a code below k, shape (rounds, k)."""

    def __init__(self, codes: Indices, k: int) -> None:
        self._order = np.argsort(codes, kind="stable")
        self._present, self._starts = np.unique(codes[self._order], return_index=True)
        self._k = k

    def measure(self, weights: Floats) -> Floats:
        sums = np.zeros((len(weights), self._k))
        sums[:, self._present] = np.add.reduceat(np.take(weights, self._order, axis=1), self._starts, axis=1)
        return sums


def _dot(a: Floats, b: Floats) -> Floats:
    products: Floats = np.einsum("ij,ij->i", a, b)
    return products


def ratio(above: Floats, below: Floats | Indices, otherwise: float = np.nan) -> Floats:
    """Return above / below, `otherwise` where it would divide by 0."""
    shape = np.broadcast_shapes(above.shape, below.shape)
    divided: Floats = np.divide(above, below, out=np.full(shape, otherwise), where=below > 0)
    return divided
