"""What each threshold of a class would do on the validation: precision, recall, share, and the cost of a row."""

from __future__ import annotations

import numpy as np

from modelyard.ml_core.deciding.deciders import TOLERANCE, Floats, best_of
from modelyard.ml_core.deciding.pools import Pools
from modelyard.ml_core.resampling import interval
from modelyard.ml_core.resampling.measures import ratio
from modelyard.ml_core.validation_predictions import ValidationPredictions
from modelyard.schemas import DecisionPoint

_STEPS, _RANKS = 101, 97
"""Thresholds at equal distances, and at equal numbers of rows: rare classes have all of theirs near 0."""


def cost_curve(
    validation: ValidationPredictions, matrix: Floats, code: int, own: float | None, pools: Pools
) -> list[DecisionPoint]:
    """Return the curve of the class `code` over at most 199 thresholds, ascending; `own` is among them.

    `matrix`, shape (k, k), holds the costs. A row that does not reach a threshold gets the most probable other class.
    """
    truth, scores = validation.truth, validation.scores[:, code]
    thresholds = _thresholds(scores, own)
    m, steps = len(thresholds), np.searchsorted(thresholds, scores + TOLERANCE, side="right")
    others = [other for other in range(len(matrix)) if other != code]
    below = matrix[truth, best_of(validation.scores, others)]
    sums = pools.add_by(matrix[truth, code] - below, steps, m) + pools.add(below)[:, None]
    ones, positive, total = np.ones(len(truth)), (truth == code).astype(np.float64), pools.weights.sum()
    reached = pools.add_by(ones, steps, m).sum(axis=0)
    found = pools.add_by(positive, steps, m).sum(axis=0)
    precision, recall = ratio(found, reached), ratio(found, np.full(m, pools.add(positive).sum()))
    costs, resampled = sums.sum(axis=0) / total, pools.means(sums)
    return [
        DecisionPoint(
            threshold=float(thresholds[at]),
            precision=_number(precision[at]),
            recall=_number(recall[at]),
            share=float(reached[at] / total),
            cost=float(costs[at]),
            **cost_interval(float(costs[at]), resampled[:, at]),
        )
        for at in range(m)
    ]


def cost_interval(cost: float, resampled: Floats) -> dict[str, float]:
    """Return the interval of a cost by its resamples, shape (rounds,), as fields of a value; it holds the cost."""
    low, high = interval(resampled) or (cost, cost)
    return {"cost_low": min(low, cost), "cost_high": max(high, cost)}


def _thresholds(scores: Floats, own: float | None) -> Floats:
    ranked = np.quantile(scores, np.linspace(0, 1, _RANKS))
    found: Floats = np.unique(np.clip([*np.linspace(0, 1, _STEPS), *ranked, 0.0 if own is None else own], 0, 1))
    return found


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
