"""The thresholds that there are on the validation, and the best of them by what is asked for.

A threshold lies half way between the lowest probability that reaches it and the next lower one, because it is for rows
to come.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from modelyard.ml_core.deciding.deciders import Floats


class Cuts:
    """The m thresholds of rows whose class is asked for, descending: after the last one every row is answered.

    `scores` are the probabilities of the class and `positive` says which rows have it, both of shape (n,); `weights`
    are the rows' own. `found` is the weight of the class's rows that reach each threshold, `reached` that of all rows;
    shape (m,).
    """

    def __init__(self, positive: npt.NDArray[np.bool_], scores: Floats, weights: Floats | None) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ordered = scores[self._order]
        self._ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        weights = np.ones(len(scores)) if weights is None else weights
        self.found, self.reached = self.added(weights * positive), self.added(weights)
        upper = ordered[self._ends]
        lower = np.append(upper[1:], 0.0)
        middle = (upper + lower) / 2
        self.thresholds = np.where(middle > lower, middle, upper)
        self.thresholds[-1] = 0.0
        self.positives, self.total = float(self.found[-1]), float(self.reached[-1])

    def added(self, values: Floats) -> Floats:
        """Add up values of the n rows over those that reach each threshold."""
        sums: Floats = np.cumsum(values[self._order])[self._ends]
        return sums

    def best(self, goodness: Floats) -> float:
        """Return the threshold where a value of shape (m,) is greatest; of equals the highest threshold."""
        return float(self.thresholds[int(goodness.argmax())])


def f1(cuts: Cuts) -> Floats:
    """Return the F1 of the class at each threshold."""
    return 2 * cuts.found / (cuts.reached + cuts.positives)


def balanced_accuracy(cuts: Cuts) -> Floats:
    """Return the mean recall of the class and of the rest at each threshold."""
    rest = cuts.total - cuts.positives
    return (cuts.found / cuts.positives + (rest - (cuts.reached - cuts.found)) / rest) / 2


METRICS: dict[str, Callable[[Cuts], Floats]] = {"f1": f1, "balanced_accuracy": balanced_accuracy}


def precise(cuts: Cuts, least: float) -> float | None:
    """Return the lowest threshold with at least this precision; None if there is none."""
    fit = np.flatnonzero((cuts.found >= (least - 1e-12) * cuts.reached) & (cuts.reached > 0))
    return float(cuts.thresholds[fit[-1]]) if len(fit) else None


def within(cuts: Cuts, share: float) -> tuple[float, float]:
    """Return the lowest threshold that at most this share of the rows reach, and the share that do.

    If more rows than that have the highest probability alone, it is that probability's.
    """
    fit = np.flatnonzero(cuts.reached <= (share + 1e-12) * cuts.total)
    at = int(fit[-1]) if len(fit) else 0
    return float(cuts.thresholds[at]), float(cuts.reached[at] / cuts.total)
