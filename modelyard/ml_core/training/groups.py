"""Groups of rows dealt out to parts whole, so that each part has its share of the rows and of every class.

scikit-learn's StratifiedGroupKFold knows parts of one size alone, and takes thirty times as long.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from modelyard.ml_core.tasks.base import Groups, Rows

_MOST_COUNTS = 20_000_000
"""Beyond so many counts (groups times classes) only the rows are kept in proportion."""


def deal_groups(groups: Groups, classes: Rows | None, shares: Sequence[float], seed: int) -> Rows:
    """Return the number of the part that each of n rows belongs to, shape (n,); rows of a group share a part.

    `shares` add up to 1, and there are at least as many groups as shares: no part is empty. `classes` are the rows'
    classes, None if there are none. Large groups are dealt first, those of one size in an order that `seed` decides;
    each goes where it leaves the sum of (count / total)² / share, over all parts, classes and rows, the smallest. That
    sum has its minimum where every part has its share of everything.
    """
    counts = _counts(groups, classes)
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order, -1], kind="stable")]
    scale = 1 / np.outer(shares, np.square(counts.sum(axis=0)))
    filled = np.zeros_like(scale)
    empty = list(range(len(shares)))
    parts = np.empty(len(counts), dtype=np.int64)
    for dealt, group in enumerate(order.tolist()):
        mine = counts[group]
        costs = ((2 * filled + mine) * mine * scale).sum(axis=1)
        part = int(costs.argmin()) if len(order) - dealt > len(empty) else empty[0]
        if part in empty:
            empty.remove(part)
        filled[part] += mine
        parts[group] = part
    return parts[groups]


def _counts(groups: Groups, classes: Rows | None) -> npt.NDArray[np.float64]:
    """Return how many rows each group has of each class that occurs, and in the last column of all."""
    rows = np.bincount(groups).astype(np.float64)[:, None]
    if classes is None:
        return rows
    present, places = np.unique(classes, return_inverse=True)
    if len(rows) * len(present) > _MOST_COUNTS:
        return rows
    counts = np.bincount(groups * len(present) + places, minlength=len(rows) * len(present))
    return np.hstack([counts.reshape(len(rows), -1), rows])
