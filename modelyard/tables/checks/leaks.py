"""Columns that alone tell the target: they often hold what is known only after it (a leak).

Each column is cut into bins (categories, or ranges with about as many rows), one half of a sample of the rows says what
each bin means, and the other half judges it, and the other way round. That is a decision tree of one column, a hundred
times as quick as one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.schemas import ModelWarning
from modelyard.tables.contract import TrainingTable

FEWEST_ROWS = 100
"""In fewer rows a good column is too easily taken for a perfect one."""

FEWEST_OF_CLASS = 10
SAMPLED_ROWS = 10_000
SEED = 0

ALMOST_SURELY = 0.99
"""From this AUC (two classes), accuracy (more) or R² of ranks (regression) on, a column alone tells the target."""

MOST_BINS = 200
ROWS_A_BIN = 10

MOST_COUNTED = 4_000_000
"""The product of bins and classes beyond which counting them would take too long."""

Floats: TypeAlias = npt.NDArray[np.float64]
Codes: TypeAlias = npt.NDArray[np.int64]


def check_leaks(table: TrainingTable, passed_over: Collection[str | None] = ()) -> Iterator[ModelWarning]:
    """Warn of columns that alone tell the target; `passed_over` are columns not to be judged."""
    rows, n_classes = table.frame.height, len(table.contract.classes)
    if rows < FEWEST_ROWS or (n_classes == 2 and np.bincount(table.codes, minlength=2).min() < FEWEST_OF_CLASS):
        return
    chosen = np.random.default_rng(SEED).permutation(rows)[:SAMPLED_ROWS]
    frame, truth = table.frame[chosen], table.codes[chosen]
    targets = truth if n_classes else _ranks(truth)
    for series in frame:
        if series.name in passed_over:
            continue
        bins = _bins(series)
        score = None if bins is None else _score(bins, targets, n_classes)
        if score is not None and score >= ALMOST_SURELY:
            yield _warning(series.name, score, n_classes)


def _score(bins: Codes, targets: npt.NDArray[Any], n_classes: int) -> float | None:
    """Return how well the bins tell the targets, None if that cannot be said."""
    if n_classes == 0:
        return _r2_of_ranks(bins, targets)
    return _auc(bins, targets) if n_classes == 2 else _accuracy(bins, targets)


def _bins(series: pl.Series) -> Codes | None:
    """Return the bin of each row, numbered from 0; None if there is only one, or hardly any holds several rows."""
    most = min(MOST_BINS, len(series) // ROWS_A_BIN)
    if isinstance(series.dtype, pl.Enum):
        codes = _numbered(series.to_physical().to_numpy())
        return codes if 1 < codes.max() + 1 <= len(series) // 2 else None
    values = series.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy()
    present = np.sort(values[~np.isnan(values)])
    if not len(present):
        return None
    edges = np.unique(present)
    if len(edges) > most:
        edges = np.unique(present[np.linspace(0, len(present) - 1, most + 1).astype(np.int64)[1:-1]])
    codes = _numbered(np.searchsorted(edges, values))  # missing ones lie behind all edges, in a bin of their own
    return codes if codes.max() else None


def _numbered(codes: npt.NDArray[Any]) -> Codes:
    """Return the codes numbered anew, from 0, without those that do not occur."""
    numbered: Codes = (np.cumsum(np.bincount(codes) > 0) - 1)[codes]
    return numbered


def _ranks(values: npt.NDArray[Any]) -> Floats:
    return pl.Series(values).rank("average").to_numpy()


def _halves(n: int) -> Iterator[tuple[slice, slice]]:
    """Return the rows that say what a bin means and those that judge it, twice; the rows are in no order."""
    middle = n // 2
    first, second = slice(0, middle), slice(middle, n)
    yield first, second
    yield second, first


def _auc(bins: Codes, codes: Codes) -> float | None:
    """Return the AUC of the second class by the shares that its bins have, the mean of both halves."""
    found = []
    n_bins = int(bins.max()) + 1
    for fitted, judged in _halves(len(codes)):
        ones = np.bincount(bins[fitted], codes[fitted], n_bins)
        share = (ones + codes[fitted].mean()) / (np.bincount(bins[fitted], minlength=n_bins) + 1)
        order = np.argsort(share, kind="stable")
        of_one = np.bincount(bins[judged], codes[judged], n_bins)[order]
        of_zero = np.bincount(bins[judged], 1 - codes[judged], n_bins)[order]
        if not of_one.any() or not of_zero.any():
            return None
        below = np.cumsum(of_zero) - of_zero / 2
        found.append(float((of_one * below).sum() / (of_one.sum() * of_zero.sum())))
    return float(np.mean(found))


def _accuracy(bins: Codes, codes: Codes) -> float | None:
    """Return the share of rows whose class is the most frequent one of their bin.

    None for too many classes, and unless that is wrong ten times less often than the class most frequent of all.
    """
    right = 0
    n_bins, n_classes = int(bins.max()) + 1, int(codes.max()) + 1
    if n_bins * n_classes > MOST_COUNTED:
        return None
    for fitted, judged in _halves(len(codes)):
        counts = np.bincount(bins[fitted] * n_classes + codes[fitted], minlength=n_bins * n_classes)
        right += int((counts.reshape(n_bins, n_classes).argmax(1)[bins[judged]] == codes[judged]).sum())
    wrong, wrong_at_best = len(codes) - right, len(codes) - int(np.bincount(codes).max())
    return right / len(codes) if 10 * wrong <= wrong_at_best else None


def _r2_of_ranks(bins: Codes, ranks: Floats) -> float | None:
    """Return how much of the variance of the ranks their bins' means explain."""
    unexplained, n_bins = 0.0, int(bins.max()) + 1
    for fitted, judged in _halves(len(ranks)):
        mean = ranks[fitted].mean()
        sums = np.bincount(bins[fitted], ranks[fitted], n_bins)
        counts = np.bincount(bins[fitted], minlength=n_bins)
        means = np.divide(sums, counts, out=np.full(n_bins, mean), where=counts > 0)
        unexplained += float(((ranks[judged] - means[bins[judged]]) ** 2).sum())
    total = float(((ranks - ranks.mean()) ** 2).sum())
    return 1 - unexplained / total if total else None


def _warning(name: str, score: float, n_classes: int) -> ModelWarning:
    measure = {0: "R² of ranks", 2: "AUC"}.get(n_classes, "accuracy")
    message = (
        f"column {name!r} alone tells the target almost without error ({measure} {score:.3f}): perhaps it is made from "
        "the target, or known only after it (a leak); then the model looks perfect and fails on new rows. Exclude it "
        "unless it is known, as it is here, at the time of predicting"
    )
    return ModelWarning(code="leak", message=message, column=name)
