"""The resamples themselves: which rows are drawn in each round, and what the values of all rounds say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

import numpy as np

from modelyard.ml_core.resampling.measures import Floats, Indices, Measure, ratio

SHARE = 0.9
"""How often an interval is to hold the truth."""

MOST_ROUNDS = 500
"""The ends of an interval are then known to 6 % of half its width."""

FEWEST_ROUNDS = 40
"""The ends are then known to 20 % of half its width, which of so many rows is next to nothing."""

_WORK = 2_000_000
"""Cells of weights, one a round and row, that a bootstrap takes if it has not to take more: some 60 ms."""

_BLOCK = 1 << 16
"""Cells of weights in memory at once: half a megabyte, which stays in the processor's caches."""


def usual_rounds(n: int, rankings: int = 1) -> int:
    """Return how many resamples of n rows are taken: the more rows and rankings, the fewer; on every machine alike."""
    return min(MOST_ROUNDS, max(FEWEST_ROUNDS, _WORK // max(n * rankings, 1)))


def bootstrap(
    n: int, seed: int, *, rounds: int | None = None, groups: Indices | None = None, weights: Floats | None = None
) -> Iterator[Floats]:
    """Yield the weights of all rounds in blocks of shape (r, n), each small enough for a cache.

    `rounds` is `usual_rounds(n)` if left out. `groups`, shape (n,), has a number for the group of each row: then
    whole groups are drawn, as many as there are. `weights`, shape (n,), are the rows' own. Equal arguments give equal
    weights, so that two models are compared on the same resamples.
    """
    rng = np.random.default_rng(seed)
    drawn = n
    if groups is not None:
        numbers, groups = np.unique(groups, return_inverse=True)
        drawn = len(numbers)
    left = usual_rounds(n) if rounds is None else rounds
    while left > 0:
        r = min(left, max(1, _BLOCK // n))
        left -= r
        draws = rng.integers(drawn, size=(r, drawn))
        draws += drawn * np.arange(r)[:, None]
        block = np.bincount(draws.ravel(), minlength=r * drawn).reshape(r, drawn).astype(np.float64)
        if groups is not None:
            block = np.take(block, groups, axis=1)
        yield block if weights is None else block * weights


def replicates(measure: Measure, blocks: Iterable[Floats]) -> dict[str, Floats]:
    """Measure all resamples: for each metric its values, shape (rounds,)."""
    measured = [measure(block) for block in blocks]
    return {name: np.concatenate([values[name] for values in measured]) for name in measured[0]}


def interval(values: Floats, share: float = SHARE) -> tuple[float, float] | None:
    """Return between which values the middle `share` of the resamples lies (percentiles); None if none is defined."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    # At (rounds + 1)p the expected share is p, however few the rounds.
    low, high = np.quantile(finite, [(1 - share) / 2, (1 + share) / 2], method="weibull")
    return float(low), float(high)


def intervals(metrics: Mapping[str, float | None], measure: Measure, blocks: Iterable[Floats]) -> dict[str, float]:
    """Return under `…_low` and `…_high` the interval of each metric that `measure` knows and that has a value."""
    return intervals_of(metrics, replicates(measure, blocks))


def intervals_of(metrics: Mapping[str, float | None], replicated: Mapping[str, Floats]) -> dict[str, float]:
    """Return the same by the values of all resamples."""
    found: dict[str, float] = {}
    for name, values in replicated.items():
        value, ends = metrics.get(name), interval(values)
        if value is not None and ends is not None:  # of very few rows, percentiles can miss the metric itself
            found |= {f"{name}_low": min(ends[0], value), f"{name}_high": max(ends[1], value)}
    return found


def mean_of_folds(measures: Sequence[Measure], sizes: Sequence[int]) -> Measure:
    """Return what measures the mean over folds, whose rows stand one fold after the other, `sizes` of each.

    A fold counts as much as its rows weigh, and not at all if its metric is not defined.
    """
    ends = list(accumulate(sizes, initial=0))

    def measure(weights: Floats) -> dict[str, Floats]:
        shares = [weights[:, start:end] for start, end in pairwise(ends)]
        measured = [measure_fold(share) for measure_fold, share in zip(measures, shares, strict=True)]
        masses = np.array([share.sum(axis=1) for share in shares])
        means = {}
        for name in measured[0]:
            values = np.array([of_fold[name] for of_fold in measured])
            known = np.isfinite(values)
            means[name] = ratio((np.where(known, values, 0) * masses).sum(axis=0), (known * masses).sum(axis=0))
        return means

    return measure
