"""What a report shows of predicted numbers: how far they are off, and they themselves beside the true ones."""

from __future__ import annotations

import numpy as np

from modelyard.ml_core.tasks.base import Scores, Truth
from modelyard.schemas import ActualAndPredicted, Histogram
from modelyard.tables.profile import histogram

MAX_POINTS = 2_000
_SEED = 0


def residuals(truth: Truth, scores: Scores) -> Histogram:
    """Count the true numbers minus the predicted ones in up to 20 bins of one width."""
    return Histogram(**histogram(truth - scores[:, 0]))


def actual_and_predicted(truth: Truth, scores: Scores) -> ActualAndPredicted:
    """Return true and predicted numbers row by row; of more than MAX_POINTS rows a seeded sample, in their order."""
    rows = np.arange(len(truth))
    if len(rows) > MAX_POINTS:
        rows = np.sort(np.random.default_rng(_SEED).choice(rows, MAX_POINTS, replace=False))
    return ActualAndPredicted(actual=truth[rows].tolist(), predicted=scores[rows, 0].tolist())
