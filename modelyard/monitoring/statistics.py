"""Statistics of two samples of counts: whether they differ beyond chance, and by how much.

Both samples are drawn, the one of training too. So expected counts are those of both together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

_LEAST_EXPECTED = 5.0
"""Cells of a table of counts should expect so many for its statistic to be near chi-squared (Cochran 1954)."""


def merged(a: Counts, b: Counts) -> tuple[Counts, Counts]:
    """Put cells together that expect too few in the smaller sample, so that all that are left expect enough.

    A cell is expected to have the mean of its two shares: by the counts of both together, a class that a large sample
    lacks would be too rare to be missed. What is left may be one cell, which tells nothing.
    """
    n, m = int(a.sum()), int(b.sum())
    if n == 0 or m == 0:
        return a, b
    expected = (a / n + b / m) / 2 * min(n, m)
    order = np.argsort(expected, kind="stable")
    enough = int(np.searchsorted(np.cumsum(expected[order]), _LEAST_EXPECTED)) + 1  # so many together are enough
    small = max(enough, int(np.searchsorted(expected[order], _LEAST_EXPECTED)))
    together, rest = order[:small], order[small:]
    return np.append(a[rest], a[together].sum()), np.append(b[rest], b[together].sum())


def g_test(a: Counts, b: Counts) -> float:
    """Return the p-value of the likelihood-ratio test that two samples come from one distribution; 1 for one cell.

    Each has k counts, none of the sums is 0. The statistic is G = 2 Σ observed · ln(observed / expected), which is near
    chi-squared with k - 1 degrees of freedom (Wilks 1938).
    """
    from scipy.special import gammaincc

    if len(a) < 2:
        return 1.0
    observed = np.array([a, b], dtype=np.float64)
    expected = observed.sum(axis=0) * observed.sum(axis=1, keepdims=True) / observed.sum()
    there = observed > 0
    g = 2.0 * float((observed[there] * np.log(observed[there] / expected[there])).sum())
    return float(gammaincc((len(a) - 1) / 2, max(0.0, g) / 2))


def psi(a: Counts, b: Counts) -> float:
    """Return the population stability index of two samples: Σ (q - p) · ln(q / p), less what chance alone makes of it.

    Shares count half a row more in each cell, so that empty ones can be compared. Chance makes (k - 1) (1/n + 1/m) on
    average of k cells, n and m rows (Yurdakul 2018). It is 0 if a sample is empty.
    """
    n, m, k = int(a.sum()), int(b.sum()), len(a)
    if n == 0 or m == 0:
        return 0.0
    p, q = (a + 0.5) / (n + 0.5 * k), (b + 0.5) / (m + 0.5 * k)
    return max(0.0, float(((q - p) * np.log(q / p)).sum()) - (k - 1) * (1 / n + 1 / m))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number, so that one level holds for all of them together (Holm 1979)."""
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted
