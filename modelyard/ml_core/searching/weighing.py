"""Which trials together answer best: the weights of an ensemble, and the smallest one that is about as good.

Only the best trial of each model class takes part. Weights are found by greedy selection with replacement (Caruana et
al. 2004, "Ensemble selection from libraries of models") on scores of rows that the fits had not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from modelyard.ml_core.resampling import Floats, interval
from modelyard.ml_core.searching.folds import Folds
from modelyard.ml_core.tasks.base import Scores
from modelyard.models_registry.ensemble.blending import blend
from modelyard.schemas import is_loss

LEVEL = 0.1
"""The chance that a difference is said to be shown without being there."""

_SHOWN = NormalDist().inv_cdf(1 - LEVEL / 2)
_SPARED = 1.0
"""How many standard errors a smaller set may be worse (Breiman et al. 1984).

To ask for a difference that is shown costs more than members do: of few rows nothing is ever shown, and the one model
that looks best there often is not (`breast_cancer`: 0.15 for 0.10).
"""

_PICKS = 20
"""A weight is a multiple of one part in so many."""

_MOST_CLASSES = 5


@dataclass(frozen=True, slots=True)
class Weighed:
    """Some model classes by their weights, which add up to 1; what they answer together, and how good that is.

    `resampled` is the metric of each resample, shape (rounds,).
    """

    weights: Mapping[str, float]
    scores: Scores
    value: float
    resampled: Floats

    @property
    def interval(self) -> tuple[float, float] | tuple[None, None]:
        """The ends of the value's interval of 90 %, which reaches at least to the value itself; None if it has none."""
        found = interval(self.resampled)
        return (None, None) if found is None else (min(found[0], self.value), max(found[1], self.value))


def smallest_best(scores: Mapping[str, Scores], folds: Folds) -> Weighed:
    """Return the smallest set that is within a standard error of the best one; `scores` are of one trial a model class.

    Of sets of one size the best counts. Of more than five model classes the best five are combined.
    """
    lower = is_loss(folds.metric)
    alone = sorted(scores, key=lambda key: folds.value(scores[key]), reverse=not lower)[:_MOST_CLASSES]
    sets: dict[tuple[str, ...], Weighed] = {}
    for size in range(1, len(alone) + 1):
        for keys in combinations(alone, size):
            weights = greedy_weights([scores[key] for key in keys], folds)
            kept = {key: float(weight) for key, weight in zip(keys, weights, strict=True) if weight > 0}
            if tuple(kept) not in sets:
                sets[tuple(kept)] = _blended(kept, scores, folds)
    ranked = sorted(sets.values(), key=lambda one: one.value if lower else -one.value)
    good = [one for one in ranked if not is_worse(one, ranked[0], lower=lower, errors=_SPARED)]
    return min(good, key=lambda one: len(one.weights))  # the first of the smallest, which is the best of them


def is_worse(one: Weighed, best: Weighed, *, lower: bool, errors: float = _SHOWN) -> bool:
    """Whether one is worse than the best by more than some standard errors of the difference, by paired resamples.

    Left out, they are those by which it is shown that it is worse.
    """
    worse_by = (one.value - best.value) * (1 if lower else -1)
    differences = one.resampled - best.resampled
    defined = differences[np.isfinite(differences)]
    if len(defined) < 2:
        return False
    return worse_by > errors * float(defined.std(ddof=1))


def greedy_weights(scores: Sequence[Scores], folds: Folds) -> npt.NDArray[np.float64]:
    """Return the weights of members by their scores: 20 times the one is picked that makes the blend better most.

    Better is a lower log loss, or for regression a lower squared error, whatever the search's metric: they value a
    probability for itself, and so do not follow noise in a ranking.
    """
    counts = np.zeros(len(scores))
    are_probabilities = bool(folds.table.contract.classes)
    for _ in range(_PICKS if len(scores) > 1 else 1):
        losses = []
        for place in range(len(scores)):
            tried = counts.copy()
            tried[place] += 1
            blended = blend(scores, tried / tried.sum(), are_probabilities=are_probabilities)
            losses.append(_loss(blended, folds))
        counts[int(np.argmin(losses))] += 1
    found: npt.NDArray[np.float64] = counts / counts.sum()
    return found


def _blended(weights: Mapping[str, float], scores: Mapping[str, Scores], folds: Folds) -> Weighed:
    blended = blend(
        [scores[key] for key in weights],
        list(weights.values()),
        are_probabilities=bool(folds.table.contract.classes),
    )
    return weighed(blended, folds, weights)


def weighed(scores: Scores, folds: Folds, weights: Mapping[str, float]) -> Weighed:
    """Judge scores of the rows held out."""
    return Weighed(weights, scores, folds.value(scores), folds.resampled(scores))


def _loss(scores: Scores, folds: Folds) -> float:
    if folds.table.contract.classes:
        own = scores[np.arange(len(scores)), folds.truth]
        losses = -np.log(np.maximum(own, np.finfo(np.float64).eps))
    else:
        losses = (scores[:, 0] - folds.truth) ** 2
    return float(np.average(losses, weights=folds.weights))
