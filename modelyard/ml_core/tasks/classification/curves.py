"""The curves of a report: ROC, precision-recall and calibration, thinned so that a page can draw them.

Classes are codes; of two classes only the second has curves, of more each one against the rest.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from modelyard.ml_core.tasks.base import Weights
from modelyard.ml_core.tasks.classification.metrics import Codes, Probabilities
from modelyard.schemas import Curve, Label
from modelyard.schemas.showing import label_text

MAX_POINTS = 200
CALIBRATION_BINS = 10

Floats = npt.NDArray[np.float64]
Points = tuple[Floats, Floats]


def roc_curves(
    codes: Codes, probabilities: Probabilities, classes: Sequence[Label], weights: Weights | None = None
) -> dict[str, Curve]:
    """Return for each class the true positive rate (y) over the false positive rate (x), from (0, 0) to (1, 1)."""
    return _curves(_roc, codes, probabilities, classes, weights)


def precision_recall_curves(
    codes: Codes, probabilities: Probabilities, classes: Sequence[Label], weights: Weights | None = None
) -> dict[str, Curve]:
    """Return for each class the precision (y) over the recall (x), from recall 0 to recall 1."""
    return _curves(_precision_recall, codes, probabilities, classes, weights)


def calibration_curves(
    codes: Codes, probabilities: Probabilities, classes: Sequence[Label], weights: Weights | None = None
) -> dict[str, Curve]:
    """Return for each class the share of its rows (y) over the mean probability (x) of up to 10 bins.

    The bins hold about as many rows, or as much weight, each (quantiles).
    """
    return _curves(_calibration, codes, probabilities, classes, weights)


def _curves(
    points: Callable[[Any, Floats, Weights | None], Points],
    codes: Codes,
    probabilities: Probabilities,
    classes: Sequence[Label],
    weights: Weights | None,
) -> dict[str, Curve]:
    """Draw each class that has both rows of its own and others; without either no curve is defined."""
    if weights is not None:  # rows of weight 0 count nowhere
        codes, probabilities, weights = codes[weights > 0], probabilities[weights > 0], weights[weights > 0]
    counts = np.bincount(codes, minlength=len(classes))
    drawn = [1] if len(classes) == 2 else range(len(classes))
    curves = {}
    for code in drawn:
        if 0 < counts[code] < len(codes):
            x, y = thin(*points(codes == code, probabilities[:, code], weights))
            curves[label_text(classes[code])] = Curve(x=x.tolist(), y=y.tolist())
    return curves


def _roc(truth: Any, scores: Floats, weights: Weights | None) -> Points:
    from sklearn.metrics import roc_curve

    x, y, _ = roc_curve(truth, scores, sample_weight=weights)
    return x, y


def _precision_recall(truth: Any, scores: Floats, weights: Weights | None) -> Points:
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(truth, scores, drop_intermediate=True, sample_weight=weights)
    return recall[::-1], precision[::-1]


def _calibration(truth: Any, scores: Floats, weights: Weights | None) -> Points:
    """Return what scikit-learn's calibration_curve does, which takes no weights."""
    bins = min(CALIBRATION_BINS, len(scores))
    percents = np.linspace(0, 1, bins + 1) * 100
    if weights is None:
        weights, edges = np.ones(len(scores)), np.percentile(scores, percents)
    else:
        edges = np.percentile(scores, percents, weights=weights, method="inverted_cdf")
    places = np.searchsorted(edges[1:-1], scores)
    total, sums, hits = (
        np.bincount(places, weights=values, minlength=bins) for values in (weights, weights * scores, weights * truth)
    )
    return sums[total > 0] / total[total > 0], hits[total > 0] / total[total > 0]


def thin(x: Floats, y: Floats, limit: int = MAX_POINTS) -> Points:
    """Return at most `limit` points of a line, both ends among them, that keep its shape.

    From the ends on, the point is added that spans the largest triangle with its neighbours (the way of Douglas and
    Peucker, by area and to a number of points), so the area under the line hardly changes.
    """
    if len(x) <= limit:
        return x, y
    kept = [0, len(x) - 1]
    candidates = [_farthest(x, y, *kept)]
    while len(kept) < limit and candidates:
        _, start, between, end = heapq.heappop(candidates)
        kept.append(between)
        for half in ((start, between), (between, end)):
            if half[1] - half[0] > 1:
                heapq.heappush(candidates, _farthest(x, y, *half))
    kept.sort()
    return x[kept], y[kept]


def _farthest(x: Floats, y: Floats, start: int, end: int) -> tuple[float, int, int, int]:
    """Return the point between two that strays most from their chord: (-area, start, point, end)."""
    inner = slice(start + 1, end)
    area = np.abs((x[end] - x[start]) * (y[inner] - y[start]) - (y[end] - y[start]) * (x[inner] - x[start]))
    farthest = int(area.argmax())
    return -float(area[farthest]), start, start + 1 + farthest, end
