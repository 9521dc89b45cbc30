"""Intervals of predictions: what the rows held out promise of rows to come."""

from __future__ import annotations

import numpy as np
import pytest

from modelyard.errors import DataLoss, FailedPrecondition
from modelyard.ml_core.serving.margins import Margins
from modelyard.ml_core.tasks.regression.residuals import coverage, fewest_rows, margin


@pytest.mark.parametrize(
    ("n", "share", "rank"),
    [(9, 0.9, 9), (8, 0.9, None), (99, 0.9, 90), (29, 0.1, 3), (1, 0.5, 1), (100, 0.95, 96), (18, 0.95, None)],
)
def test_a_margin_is_the_residual_of_a_rank(n: int, share: float, rank: int | None) -> None:
    assert margin(np.arange(1.0, n + 1), share) == rank


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.8, 0.9, 0.95, 0.99])
def test_as_many_rows_as_are_said_to_be_enough_are(share: float) -> None:
    fewest = fewest_rows(share)

    assert margin(np.arange(float(fewest)), share) is not None
    assert margin(np.arange(fewest - 1.0), share) is None


@pytest.mark.parametrize("n", [20, 300])
def test_nine_in_ten_new_rows_lie_within(n: int) -> None:
    """Errors of a wide tail, seen and new: no distribution is assumed."""
    errors = np.random.default_rng(1).standard_t(3, (2_000, n + 1))
    within = [abs(row[-1]) <= (margin(np.sort(np.abs(row[:-1])), 0.9) or 0) for row in errors]

    assert 0.86 <= np.mean(within) <= 0.94


def test_the_coverage_of_a_report_is_of_rows_that_the_margin_was_not_drawn_from() -> None:
    rng = np.random.default_rng(2)
    told = [coverage(rng.normal(size=300), np.zeros((300, 1))) for _ in range(40)]

    assert 0.86 <= np.mean([share for share in told if share is not None]) <= 0.94
    assert coverage(np.zeros(18), np.ones((18, 1))) == 1
    assert coverage(np.zeros(17), np.ones((17, 1))) is None


def test_residuals_that_cannot_be_read_are_told_to_who_asks_for_them_alone() -> None:
    damaged = True

    def load() -> np.ndarray:
        if damaged:
            raise DataLoss("validation.parquet is damaged")
        return np.arange(10.0)

    margins = Margins("m:1", load)
    assert margins.size_bytes == 0
    with pytest.raises(DataLoss, match="damaged"):
        margins.of(0.9)
    damaged = False
    assert margins.of(0.9) == 9
    assert margins.size_bytes == 80
    with pytest.raises(FailedPrecondition, match="at least 19 rows held out, but the validation of model m:1 had 10"):
        margins.of(0.95)
