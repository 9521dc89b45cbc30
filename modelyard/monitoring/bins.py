"""Bins of one column: numbers by the deciles of training, categories by their frequency there.

Counts of a column are an array of whole numbers: one a bin, then what is kept apart. Arrays of one column add up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.tables import MISSING_CATEGORY

MOST_CATEGORIES = 30
"""So many of the most frequent categories have bins of their own."""

_DECILES = np.arange(11) / 10

Counts: TypeAlias = npt.NDArray[np.int64]
Numbers: TypeAlias = npt.NDArray[np.float64]
Codes: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
Cells: TypeAlias = Numbers | Codes | Sequence[str] | pl.Series
"""The cells of one column, shape (n,): numbers with NaN for a missing one, or categories in estimators' form.

Categories may be codes, too: their places in the contract.
"""


@dataclass(frozen=True, slots=True)
class Apart:
    """The cells of a column that are missing, of a category that training never saw, and beyond training's ends."""

    missing: int = 0
    unknown: int = 0
    out_of_range: int = 0


@dataclass(frozen=True, slots=True)
class NumericBins:
    """Bins between at least two edges, each from its lower edge on; the last one has its upper edge, too.

    The last two edges may be equal: the greatest number has a bin of its own then. `tied` says whether the least and
    the greatest number stood in a tenth of the rows or more. Counts are those of the k bins, then of what is below,
    above and missing.
    """

    edges: tuple[float, ...]
    tied: tuple[bool, bool] = (True, True)

    @classmethod
    def of(cls, numbers: Numbers) -> NumericBins:
        """Make bins of the deciles of numbers, of which one at least is not missing.

        A number that more than one decile falls on gets a bin of its own, so ties make fewer bins and hide no others.
        """
        present = numbers[~np.isnan(numbers)]
        found, often = np.unique(np.quantile(present, _DECILES, method="inverted_cdf"), return_counts=True)
        behind = [present[present > tied].min() for tied in found[often > 1] if tied < found[-1]]
        edges = np.unique(np.concatenate([found, behind])).tolist()
        tied = bool(often[0] > 1), bool(often[-1] > 1)
        return cls((*edges, edges[-1]) if tied[1] else tuple(edges), tied)

    def count(self, cells: Cells) -> Counts:
        """Count cells by bin."""
        assert isinstance(cells, np.ndarray)
        low, *inner, high = self.edges
        below, above = np.count_nonzero(cells < low), np.count_nonzero(cells > high)
        missing = np.count_nonzero(np.isnan(cells))
        # To compare with each edge takes a fraction of what a search for each number takes.
        reached = [len(cells) - missing - below, *(np.count_nonzero(cells >= edge) for edge in inner), above]
        return np.array([*(-np.diff(reached)), below, above, missing], dtype=np.int64)

    def compared(self, counts: Counts) -> Counts:
        """Return counts as they are compared with training's: what is out of range is in the outer bins.

        There is always some beyond the ends of a sample, and by definition none in the sample. Beyond an end that is
        tied it has a cell of its own: such an end is the distribution's.
        """
        *bins, below, above, missing = counts.tolist()
        first, last = self.tied
        bins[0] += 0 if first else below
        bins[-1] += 0 if last else above
        return np.array([*([below] if first else []), *bins, *([above] if last else []), missing], dtype=np.int64)

    def apart(self, counts: Counts) -> Apart:
        """Return what of counts is apart."""
        below, above, missing = counts[-3:].tolist()
        return Apart(missing=missing, out_of_range=below + above)

    def labels(self, write: Callable[[float], str]) -> list[str]:
        """Name what `compared` returns; `write` writes a number."""
        first, last = self.tied
        edges = list(map(write, self.edges if first else self.edges[1:]))
        edges = edges if last else edges[:-1]
        return [
            f"below {edges[0]}",
            *(f"{low} to {high}" for low, high in pairwise(edges)),
            f"{'above' if last else 'from'} {edges[-1]}",
            "missing",
        ]


@dataclass(frozen=True, slots=True)
class CategoryBins:
    """Bins of the most frequent categories, and one of all others.

    Counts are those of the categories, then of others, unknown and missing ones. `count` does not know which are
    unknown: `tell_unknown` does. `places` are the bins of all categories of training, as they stand in the contract.
    """

    categories: tuple[str, ...]
    places: npt.NDArray[np.int8]

    @classmethod
    def of(cls, known: Sequence[str], counts: Sequence[int]) -> CategoryBins:
        """Make bins of the categories of training, which have these counts."""
        often = sorted(range(len(known)), key=lambda place: -counts[place])
        frequent = [known[place] for place in often if counts[place] and known[place] != MISSING_CATEGORY]
        return cls.among(tuple(frequent[:MOST_CATEGORIES]), known)

    @classmethod
    def among(cls, categories: tuple[str, ...], known: Sequence[str]) -> CategoryBins:
        """Make bins of these categories among those of training."""
        find = _finder(categories)
        return cls(categories, np.array([find(category) for category in known], dtype=np.int8))

    def count(self, cells: Cells) -> Counts:
        """Count cells by bin; unknown ones are among the others."""
        size = len(self.categories) + 3
        if isinstance(cells, np.ndarray):
            found = np.bincount(cells, minlength=len(self.places))
            return np.bincount(self.places, weights=found, minlength=size).astype(np.int64)
        often = cells.value_counts().iter_rows() if isinstance(cells, pl.Series) else Counter(cells).items()
        find, counts = _finder(self.categories), np.zeros(size, dtype=np.int64)
        for category, count in often:
            counts[find(category)] += count
        return counts

    def tell_unknown(self, counts: Counts, unknown: int) -> None:
        """Say how many cells of counts are unknown."""
        counts[-3] -= unknown
        counts[-2] += unknown

    def compared(self, counts: Counts) -> Counts:
        """Return counts as they are compared with training's: unknown categories are among the others.

        Training has none by definition, and a column of many categories always brings new ones.
        """
        *bins, others, unknown, missing = counts.tolist()
        return np.array([*bins, others + unknown, missing], dtype=np.int64)

    def apart(self, counts: Counts) -> Apart:
        """Return what of counts is apart."""
        unknown, missing = counts[-2:].tolist()
        return Apart(missing=missing, unknown=unknown)

    def labels(self, write: Callable[[str], str]) -> list[str]:
        """Name what `compared` returns; `write` writes a category."""
        return [*map(write, self.categories), "others", "missing"]


def _finder(categories: Sequence[str]) -> Callable[[str], int]:
    """Return what finds the bin of a category."""
    places = {category: place for place, category in enumerate(categories)}
    places[MISSING_CATEGORY] = len(categories) + 2
    others = len(categories)
    return lambda category: places.get(category, others)


Bins: TypeAlias = NumericBins | CategoryBins
