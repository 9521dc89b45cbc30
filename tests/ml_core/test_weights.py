"""Weights of rows: a row of weight 3 counts as if it stood there three times, one of weight 0 as if it did not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from modelyard.ml_core.tasks import TASKS
from modelyard.tables.contract import Contract

N = 400


def _contract(k: int) -> Contract:
    return Contract({"x": "numeric"}, {}, tuple(range(k)), ())


@pytest.mark.parametrize(("task", "k"), [("classification", 2), ("classification", 3), ("regression", 1)])
def test_whole_weights_are_repeated_rows(task: str, k: int) -> None:
    random = np.random.default_rng(k)
    weights = random.integers(0, 4, N).astype(np.float64)
    truth: npt.NDArray[Any]
    if task == "classification":
        truth, scores = random.integers(0, k, N), random.dirichlet(np.ones(k), N)
    else:
        truth = random.normal(5, 1, N)
        scores = truth[:, None] + random.normal(size=(N, 1))
    again = np.repeat(np.arange(N), weights.astype(int))
    judge = TASKS[task]
    weighed = judge.metrics_of(truth, scores, weights)
    repeated = judge.metrics_of(truth[again], scores[again])
    median = "median_absolute_error"
    assert weighed.pop(median, 0) == pytest.approx(
        repeated.pop(median, 0), rel=0.05
    )  # of an even number of rows a mean
    assert weighed == pytest.approx(repeated)
    assert weighed != judge.metrics_of(truth, scores)
    assert judge.training_metrics(truth, scores, weights) == pytest.approx(
        judge.training_metrics(truth[again], scores[again])
    )


@pytest.mark.parametrize("k", [2, 3])
def test_a_weighted_report_is_that_of_repeated_rows(k: int) -> None:
    random = np.random.default_rng(k)
    truth, scores = random.integers(0, k, N), random.dirichlet(np.ones(k), N)
    weights = random.integers(0, 4, N).astype(np.float64)
    again = np.repeat(np.arange(N), weights.astype(int))
    judge, contract = TASKS["classification"], _contract(k)
    weighed = judge.judged(truth, scores, contract, weights)
    repeated = judge.judged(truth[again], scores[again], contract)
    assert weighed["confusion_matrix"].matrix == repeated["confusion_matrix"].matrix
    assert weighed["confusion_matrix"].matrix != judge.judged(truth, scores, contract)["confusion_matrix"].matrix
    for mine, theirs in zip(weighed["per_class"], repeated["per_class"], strict=True):
        assert mine == pytest.approx(theirs)
    for name in ("roc_curves", "precision_recall_curves"):
        for label, curve in weighed[name].items():
            assert np.trapezoid(curve.y, curve.x) == pytest.approx(
                np.trapezoid(repeated[name][label].y, repeated[name][label].x), abs=1e-3
            )
    for label, curve in weighed["calibration_curve"].items():
        assert curve.x == pytest.approx(repeated["calibration_curve"][label].x, abs=0.01)
        assert curve.y == pytest.approx(repeated["calibration_curve"][label].y, abs=0.05)


def test_calibration_without_weights_is_scikit_learns() -> None:
    from sklearn.calibration import calibration_curve

    random = np.random.default_rng(0)
    truth, scores = random.integers(0, 2, N), np.round(random.random(N), 2)
    drawn = TASKS["classification"].judged(truth, np.stack([1 - scores, scores], 1), _contract(2))["calibration_curve"]
    share, mean = calibration_curve(truth, scores, n_bins=10, strategy="quantile")
    assert (drawn["1"].x, drawn["1"].y) == (mean.tolist(), share.tolist())
