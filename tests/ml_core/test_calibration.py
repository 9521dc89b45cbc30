"""Calibration: scikit-learn's own curves, the same bits for one row and for many, and better probabilities."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression

from modelyard.ml_core.deciding.calibration import CalibratedPredictor, Calibration
from modelyard.ml_core.training.calibrating import inner_parts
from modelyard.ml_core.training.orders import order_training
from modelyard.ml_core.training.plan import Trained
from modelyard.ml_core.training.trainings import run_training
from modelyard.models_registry.base import Predictor
from modelyard.schemas import Evaluation, TrainRequest

Floats = npt.NDArray[np.float64]


class Odds(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator whose decision values are its one column."""

    def fit(self, X: Any, y: Any) -> Odds:
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X: Any) -> Any:
        return X[:, 0]

    def predict(self, X: Any) -> Any:
        return (X[:, 0] > 0).astype(int)


def overconfident(n: int, k: int, seed: int = 0) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return true codes of n rows and probabilities whose log-odds are three times too large."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(size=(n, k))
    right = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    truth = (right.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    wrong = np.exp(3 * odds)
    return truth, wrong / wrong.sum(axis=1, keepdims=True)


def test_a_sigmoid_is_scikit_learns() -> None:
    truth, scores = overconfident(800, 2)
    odds = np.log(scores[:, 1] / scores[:, 0])[:, None]
    theirs = CalibratedClassifierCV(FrozenEstimator(Odds().fit(odds, truth)), method="sigmoid").fit(odds, truth)
    ours = Calibration.fit("sigmoid", truth, scores).apply(scores)
    assert ours[:, 1] == pytest.approx(theirs.predict_proba(odds)[:, 1], abs=2e-4)


def test_isotonic_curves_are_scikit_learns_but_never_certain() -> None:
    truth, scores = overconfident(800, 2)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(scores[:, 1], truth).predict(scores[:, 1])
    ours = Calibration.fit("isotonic", truth, scores).apply(scores)[:, 1]
    assert ours == pytest.approx(np.clip(theirs, 1 / 802, 1 - 1 / 802))


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("k", [2, 4])
def test_calibrated_probabilities_are_better_on_rows_never_seen(method: Any, k: int) -> None:
    calibration = Calibration.fit(method, *overconfident(1500, k))
    truth, scores = overconfident(20_000, k, seed=1)
    made = calibration.apply(scores)
    assert made.sum(axis=1) == pytest.approx(np.ones(len(made)))

    def losses(shares: Floats) -> tuple[float, float]:
        own = shares[np.arange(len(truth)), truth]
        brier = np.square(shares - np.eye(k)[truth]).sum(axis=1).mean()
        return float(-np.log(np.clip(own, 1e-15, 1)).mean()), float(brier)

    assert losses(made)[0] < 0.9 * losses(scores)[0]
    assert losses(made)[1] < losses(scores)[1]


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("k", [2, 3])
def test_a_row_has_the_same_bits_alone_among_others_and_from_the_disk(method: Any, k: int) -> None:
    calibration = Calibration.fit(method, *overconfident(500, k))
    _, scores = overconfident(3001, k, seed=2)
    scores[:3] = np.eye(k)[[0, 1, 0]]  # certain ones

    class Raw:
        size_bytes = 0
        few = staticmethod(lambda rows: rows)
        many = staticmethod(lambda frame: frame.to_numpy())

    predictor = CalibratedPredictor(cast("Predictor", Raw()), Calibration.from_bytes(calibration.to_bytes()))
    many = predictor.many(pl.DataFrame(scores, schema=[str(code) for code in range(k)], orient="row"))
    assert np.isfinite(many).all()
    assert many.tolist() == calibration.apply(scores).tolist()
    assert many.tolist() == predictor.few(scores.tolist())
    assert [predictor.few([row])[0] for row in scores[:200].tolist()] == many[:200].tolist()
    assert predictor.few([]) == []


def test_weights_count_as_rows() -> None:
    truth, scores = overconfident(200, 2)
    weights = np.random.default_rng(0).integers(1, 4, 200).astype(np.float64)
    rows = np.repeat(np.arange(200), weights.astype(int))
    for method in ("sigmoid", "isotonic"):
        weighted = Calibration.fit(cast("Any", method), truth, scores, weights).apply(scores)
        repeated = Calibration.fit(cast("Any", method), truth[rows], scores[rows]).apply(scores)
        assert weighted[:, 1] == pytest.approx(repeated[:, 1], abs=0.01)


def test_probabilities_that_tell_nothing_are_not_turned_round() -> None:
    truth, scores = overconfident(300, 2)
    made = Calibration.fit("sigmoid", 1 - truth, scores).apply(scores)
    assert made[:, 1] == pytest.approx(np.full(300, (1 - truth).mean()), abs=0.01)


def trained(calibrate: Any, **fields: Any) -> Trained:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3))
    y = ["yes" if found else "no" for found in rng.random(500) < 1 / (1 + np.exp(-x[:, 0] - 0.5 * x[:, 1]))]
    request = TrainRequest(
        model_class_key="catboost_classifier",
        X=x.tolist(),
        y=y,
        hyperparams={"iterations": 150, "learning_rate": 0.5, "depth": 6},
        calibrate=calibrate,
        **fields,
    )
    return run_training(order_training(request, ()).plan)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_an_overconfident_models_validation_improves(method: str) -> None:
    before, after = trained(None), trained(method)
    for metric in ("validation_log_loss", "validation_brier"):
        first, second = before.metrics[metric], after.metrics[metric]
        assert first is not None
        assert second is not None
        assert second < 0.9 * first
    assert after.calibration is not None
    assert after.validation is not None
    assert before.validation is not None
    assert after.validation.rows.tolist() == before.validation.rows.tolist()
    assert not np.allclose(after.validation.scores, before.validation.scores)
    assert after.report.calibration_curve is not None


def test_the_rows_held_out_have_no_part_in_their_own_calibration() -> None:
    """Its rows are those that were fitted: dealt into folds, each scored by a fit of the others."""
    request = TrainRequest(model_class_key="logistic_regression", X=[[float(i)] for i in range(50)], y=[0, 1] * 25)
    table = order_training(request, ()).plan.table
    rows = np.arange(0, 50, 2)
    parts = inner_parts(table, np.concatenate([rows, [1, 3, 5, 7]]), seed=0)
    assert len(parts) == 5
    out = np.concatenate([part.validation for part in parts])
    assert sorted(out.tolist()) == sorted([*rows.tolist(), 1, 3, 5, 7])
    for part in parts:
        assert not set(part.train.tolist()) & set(part.validation.tolist())
        assert len(np.unique(table.codes[part.train])) == 2


def test_a_progress_reaches_its_end_with_calibration() -> None:
    seen: list[tuple[int | None, int | None]] = []
    request = TrainRequest(
        model_class_key="catboost_classifier",
        X=[[float(i)] for i in range(60)],
        y=[0, 1] * 30,
        hyperparams={"iterations": 5},
        calibrate="sigmoid",
        evaluation=Evaluation(method="none"),
    )
    run_training(order_training(request, ()).plan, lambda now: seen.append((now.step, now.total)))
    assert {total for _, total in seen} == {30}
    assert seen[-1] == (30, 30)
