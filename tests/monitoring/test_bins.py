"""Bins: the deciles of training, ties apart; the most frequent categories; all ways of counting agree."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from modelyard.monitoring.bins import MOST_CATEGORIES, Apart, CategoryBins, Cells, Numbers, NumericBins
from modelyard.tables import MISSING_CATEGORY

NAN = float("nan")


def numbers(*cells: float) -> Numbers:
    return np.array(cells, dtype=np.float64)


def test_the_bins_of_numbers_are_their_deciles() -> None:
    cells = np.random.default_rng(0).permutation(1000).astype(float)
    bins = NumericBins.of(cells)
    assert list(bins.edges) == [0, 99, 199, 299, 399, 499, 599, 699, 799, 899, 999]
    assert bins.count(cells).tolist() == [99, *[100] * 8, 101, 0, 0, 0]
    assert bins.tied == (False, False)


@pytest.mark.parametrize(
    ("cells", "edges", "counts"),
    [
        ([7.0], (7, 7), [1]),
        ([0, 0, 1], (0, 1, 1), [2, 1]),
        ([0, 1, 2], (0, 1, 2, 2), [1, 1, 1]),
        ([0.0] * 50 + list(range(1, 51)), (0, 1, 10, 20, 30, 40, 50), [50, 9, 10, 10, 10, 11]),
        (list(range(1, 51)) + [99.0] * 50, (1, 10, 20, 30, 40, 50, 99, 99), [9, 10, 10, 10, 10, 1, 50]),
        ([*range(10), *[50.0] * 80, *range(91, 101)], (0, 9, 50, 91, 100), [9, 1, 80, 10]),
    ],
)
def test_ties_have_bins_of_their_own(cells: list[float], edges: tuple[float, ...], counts: list[int]) -> None:
    bins = NumericBins.of(numbers(*cells))
    assert bins.edges == edges
    assert bins.count(numbers(*cells)).tolist() == [*counts, 0, 0, 0]


def test_missing_numbers_and_those_out_of_range_are_counted_apart() -> None:
    bins = NumericBins.of(numbers(*range(100), NAN))
    counts = bins.count(numbers(NAN, -1, -2, 0, 5, 99, 100, NAN))
    assert bins.apart(counts) == Apart(missing=2, out_of_range=3)
    assert counts.sum() == 8
    assert bins.compared(counts).tolist() == [4, *[0] * 8, 2, 2]


def test_what_is_beyond_a_tied_end_is_compared_apart() -> None:
    bins = NumericBins.of(numbers(*[0.0] * 50, *[1.0] * 50))
    counts = bins.count(numbers(0, 0, 1, -5, 7, 7, 0.5))
    assert dict(zip(bins.labels(str), bins.compared(counts).tolist(), strict=True)) == {
        "below 0.0": 1,
        "0.0 to 1.0": 3,
        "1.0 to 1.0": 1,
        "above 1.0": 2,
        "missing": 0,
    }


@pytest.mark.parametrize("seed", range(20))
def test_numbers_are_counted_as_a_histogram_counts_them(seed: int) -> None:
    draw = np.random.default_rng(seed)
    cells = draw.choice([draw.normal(size=200), draw.integers(0, 12, 200).astype(float), draw.exponential(size=200)])
    bins, others = NumericBins.of(cells), draw.normal(3, 5, 500)
    inside = others[(others >= bins.edges[0]) & (others <= bins.edges[-1])]
    assert len(bins.labels(str)) == len(bins.compared(bins.count(others)))
    assert bins.count(others)[:-3].tolist() == np.histogram(inside, bins.edges)[0].tolist()


def test_the_most_frequent_categories_have_bins() -> None:
    known = [MISSING_CATEGORY, *(f"c{n:02}" for n in range(40))]
    bins = CategoryBins.of(known, [500, *range(40)])
    assert bins.categories == tuple(f"c{n:02}" for n in range(39, 39 - MOST_CATEGORIES, -1))


@pytest.mark.parametrize("kind", ["list", "texts", "codes"])
def test_categories_are_counted_alike_in_every_form(kind: str) -> None:
    known = sorted([MISSING_CATEGORY, "a", "b", "rare"])
    bins = CategoryBins.among(("b", "a"), known)
    cells: Cells = ["a", "b", "b", "rare", MISSING_CATEGORY, MISSING_CATEGORY, "b"]
    if kind != "list":
        texts = pl.Series(cells, dtype=pl.String)
        cells = texts if kind == "texts" else texts.cast(pl.Enum(known)).to_physical().to_numpy()
    counts = bins.count(cells)
    assert counts.tolist() == [3, 1, 1, 0, 2]
    assert bins.apart(counts) == Apart(missing=2)


def test_unknown_categories_are_told_apart_and_compared_among_the_others() -> None:
    bins = CategoryBins.among(("b", "a"), ["a", "b"])
    counts = bins.count(["a", "new", "newer", "b"])
    bins.tell_unknown(counts, 2)
    assert bins.apart(counts) == Apart(unknown=2)
    assert bins.compared(counts).tolist() == [1, 1, 2, 0]
    assert bins.labels(str.upper) == ["B", "A", "others", "missing"]
