"""How far models differ on the rows of one table, and what of it is shown by so many rows.

The resamples of all models are the same, so what makes a row easy or hard for all of them cancels out (a paired
bootstrap). The more pairs are compared, the more of them differ by chance: by Holm's procedure (1979), for each metric
over its pairs, the chance that any difference is said to be shown without being there stays below 10 %. The interval of
a pair has the width that the procedure tests it by, so it leaves out 0 exactly if a difference is shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np

from modelyard.ml_core.resampling import Floats
from modelyard.ml_core.tasks.base import Metrics
from modelyard.ml_core.training.doubts import FEW_ROWS
from modelyard.schemas import PairDifference, is_loss

LEVEL = 0.1
"""The chance, over all pairs, of a difference that is not there."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A model's id, how it is called in sentences, its metrics, and their values in all resamples."""

    model_id: str
    called: str
    metrics: Metrics
    replicated: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class _Pair:
    a: Judged
    b: Judged
    difference: float
    error: float
    """The standard error of the difference, by the resamples."""

    @property
    def strength(self) -> float:
        """The difference in standard errors, without its sign."""
        if not self.difference:
            return 0.0
        return abs(self.difference) / self.error if self.error else math.inf


def differences(models: Sequence[Judged], n: int) -> list[PairDifference]:
    """Compare each pair of models, judged by the same n rows, by every metric that both have."""
    order = {(a.model_id, b.model_id): place for place, (a, b) in enumerate(combinations(models, 2))}
    found = [one for metric in models[0].metrics for one in _by_metric(metric, models, n)]
    return sorted(found, key=lambda one: order[one.a, one.b])


def _by_metric(metric: str, models: Sequence[Judged], n: int) -> Iterator[PairDifference]:
    """Compare all pairs by one metric, as Holm does: the clearest first, each by a weaker test than the one before."""
    pairs = sorted(_pairs(metric, models), key=lambda pair: pair.strength, reverse=True)
    shown, tested = True, 0.0
    for rank, pair in enumerate(pairs):
        if shown:
            tested = NormalDist().inv_cdf(1 - LEVEL / (len(pairs) - rank) / 2)
            shown = pair.strength > tested
        width = tested * pair.error
        yield PairDifference(
            a=pair.a.model_id,
            b=pair.b.model_id,
            metric=metric,
            difference=pair.difference,
            low=pair.difference - width,
            high=pair.difference + width,
            words=_words(metric, pair, n, shown=shown),
        )


def _pairs(metric: str, models: Sequence[Judged]) -> Iterator[_Pair]:
    for a, b in combinations(models, 2):
        ours, theirs = a.metrics.get(metric), b.metrics.get(metric)
        if ours is None or theirs is None:
            continue
        replicated = a.replicated[metric] - b.replicated[metric]
        defined = replicated[np.isfinite(replicated)]
        if len(defined) > 1:
            yield _Pair(a, b, ours - theirs, float(defined.std(ddof=1)))


def _words(metric: str, pair: _Pair, n: int, *, shown: bool) -> str:
    if n < FEW_ROWS:
        return f"too few rows to tell: {n}, at least {FEW_ROWS} are due"
    if not shown:
        return "no difference shown"
    better = pair.a if (pair.difference < 0) == is_loss(metric) else pair.b
    return f"{better.called} is better"
