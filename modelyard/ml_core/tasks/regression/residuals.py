"""What a report shows of predicted numbers: how far they are off, and they themselves beside the true ones."""

from __future__ import annotations

import math

import numpy as np

from modelyard.ml_core.tasks.base import Scores, Truth
from modelyard.schemas import ActualAndPredicted, Histogram
from modelyard.tables.profile import histogram

MAX_POINTS = 2_000
COVERED = 0.9
"""The share of true numbers that the interval is to hold whose coverage a report tells."""

_SEED = 0


def margin(absolute: Truth, share: float) -> float | None:
    """Return the ⌈(n + 1) share⌉-th smallest of n absolute residuals, which ascend; None if there are not so many."""
    rank = math.ceil(round((len(absolute) + 1) * share, 9))  # 0.1 * 30 is 3.0000000000000004
    return float(absolute[rank - 1]) if rank <= len(absolute) else None


def fewest_rows(share: float) -> int:
    """Return how many residuals a margin for this share needs."""
    return max(1, math.ceil(round(share / (1 - share), 9)))


def coverage(truth: Truth, scores: Scores) -> float | None:
    """Return the share of rows within the margin for COVERED; None if there are too few of them.

    Cross-fitted: the margin of one half of the rows, drawn by a fixed seed, is applied to the other half.
    """
    absolute = np.random.default_rng(_SEED).permutation(np.abs(truth - scores[:, 0]))
    halves = np.array_split(absolute, 2)
    within = 0
    for half, other in (halves, halves[::-1]):
        found = margin(np.sort(half), COVERED)
        if found is None:
            return None
        within += int((other <= found).sum())
    return within / len(absolute)


def residuals(truth: Truth, scores: Scores) -> Histogram:
    """Count the true numbers minus the predicted ones in up to 20 bins of one width."""
    return Histogram(**histogram(truth - scores[:, 0]))


def actual_and_predicted(truth: Truth, scores: Scores) -> ActualAndPredicted:
    """Return true and predicted numbers row by row; of more than MAX_POINTS rows a seeded sample, in their order."""
    rows = np.arange(len(truth))
    if len(rows) > MAX_POINTS:
        rows = np.sort(np.random.default_rng(_SEED).choice(rows, MAX_POINTS, replace=False))
    return ActualAndPredicted(actual=truth[rows].tolist(), predicted=scores[rows, 0].tolist())
