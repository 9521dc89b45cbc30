"""What the model classes of LightGBM promise of their own: its quick way for one row, early stopping, logs, columns."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
import threading
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss

from modelyard.errors import InvalidArgument
from modelyard.models_registry.base import FitTask, Progress
from modelyard.models_registry.hyperparams import check
from modelyard.models_registry.lightgbm import boosting
from modelyard.models_registry.lightgbm.classifier import LightGBMClassifierClass
from modelyard.models_registry.lightgbm.defaults import in_full
from modelyard.models_registry.lightgbm.predictor import LightGBMPredictor, SingleRow
from modelyard.models_registry.lightgbm.regressor import LightGBMRegressorClass
from modelyard.tables.contract import MISSING_CATEGORY
from tests.models_registry_tables import LABELS, Sample, fit, mixed, mixed_numbers, rows_of, sample_of

CLASSIFIER = LightGBMClassifierClass()
REGRESSOR = LightGBMRegressorClass()
KINDS: dict[str, Callable[[], Sample]] = {
    "two classes": mixed,
    "three classes": lambda: mixed(LABELS["three integers"]),
    "numbers": mixed_numbers,
}


def predictor_of(sample: Sample, **hyperparams: Any) -> LightGBMPredictor:
    model_class = CLASSIFIER if sample.contract.classes else REGRESSOR
    estimator = fit(model_class, sample, {"n_estimators": 20, **hyperparams}).estimator
    return LightGBMPredictor(estimator, sample.contract)


def halves(sample: Sample) -> tuple[Sample, tuple[pl.DataFrame, Any]]:
    middle = sample.frame.height // 2
    first = Sample(sample.frame.head(middle), sample.labels[:middle], sample.contract)
    return first, (sample.frame.tail(-middle), sample.labels[middle:])


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_has_the_same_bits_alone_and_among_others(kind: str) -> None:
    sample = KINDS[kind]()
    predictor = predictor_of(sample)
    asked = sample.frame.with_columns(pl.Series("colour", ["red", "never seen", MISSING_CATEGORY] * 40))
    many = predictor.many(asked)
    assert isinstance(predictor._score, SingleRow)
    assert predictor.few(rows_of(asked)) == many.tolist()
    assert [predictor.few([row])[0] for row in rows_of(asked)] == many.tolist()
    assert predictor.many(pl.concat([asked] * 100))[-len(many) :].tolist() == many.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_without_its_single_row_configuration_the_answers_are_the_same(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = KINDS[kind]()
    quick = predictor_of(sample)
    for failure in (AttributeError("no such function"), ValueError("not for this model")):

        def init(*_: Any, failure: Exception = failure) -> None:
            raise failure

        with monkeypatch.context() as patch:
            patch.setattr(SingleRow, "__init__", init)
            slow = predictor_of(sample)
        assert not isinstance(slow._score, SingleRow)
        assert slow.few(sample.rows(20)) == quick.few(sample.rows(20))


def test_a_single_row_configuration_that_answers_otherwise_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = mixed()
    expected = predictor_of(sample).few(sample.rows(5))
    original = SingleRow.__call__
    monkeypatch.setattr(SingleRow, "__call__", lambda quick, row: [score + 1e-9 for score in original(quick, row)])
    predictor = predictor_of(sample)
    assert not isinstance(predictor._score, SingleRow)
    assert predictor.few(sample.rows(5)) == expected


def test_a_row_of_another_width_is_refused_before_the_library_reads_beyond_it() -> None:
    predictor = predictor_of(mixed())
    with pytest.raises(ValueError, match="a row must have 5 cells, got 4"):
        predictor._score(array("d", [0.0] * 4))


def test_threads_that_predict_at_once_get_their_own_answers() -> None:
    sample = mixed(LABELS["three integers"], n=400)
    predictor = predictor_of(sample)
    rows, expected = sample.rows(), predictor.many(sample.frame).tolist()
    begin = threading.Barrier(4)

    def ask(first: int) -> bool:
        begin.wait()
        return all(predictor.few([rows[at]]) == [expected[at]] for at in range(first, 400, 4) for _ in range(5))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(ask, range(4)))


def test_missing_and_unknown_categories_are_two_things() -> None:
    texts = ["a", MISSING_CATEGORY, "b"] * 40
    codes = np.array([text == MISSING_CATEGORY for text in texts], dtype=np.int64)
    predictor = predictor_of(sample_of(pl.DataFrame({"text": texts}), codes, ("no", "yes")), n_estimators=100)
    (missing,), (unknown,) = (predictor.few([[text]]) for text in (MISSING_CATEGORY, "never seen"))
    assert missing[1] > 0.5 > unknown[1]


def test_missing_numbers_are_told_apart_if_training_had_some() -> None:
    numbers = [1.0, None, -1.0] * 40
    codes = np.array([number is None for number in numbers], dtype=np.int64)
    predictor = predictor_of(sample_of(pl.DataFrame({"n": numbers}), codes, ("no", "yes")), n_estimators=100)
    assert [row[1] > 0.5 for row in predictor.few([[1.0], [math.nan], [-1.0]])] == [False, True, False]


def test_the_artifact_is_the_librarys_own_and_reads_texts_of_pandas(tmp_path: Path) -> None:
    sample = mixed()
    fitted = fit(CLASSIFIER, sample, {"n_estimators": 20})
    joblib.dump(fitted.estimator, tmp_path / "model.pkl")
    sample.frame.to_pandas().to_pickle(tmp_path / "table.pkl")
    code = (
        "import joblib, pandas, sys\n"
        "table = pandas.read_pickle('table.pkl')\n"
        "table['colour'] = table['colour'].astype('category')\n"
        "table['odd, \"name\"\\n'] = table['odd, \"name\"\\n'].astype('category')\n"
        "print([*map(float.hex, joblib.load('model.pkl').predict_proba(table)[:, 1])])\n"
        "assert not any(name.startswith('modelyard') for name in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    expected = CLASSIFIER.predictor(fitted.estimator, sample.contract).many(sample.frame)[:, 1]
    assert ran.stdout.strip() == str([*map(float.hex, expected.tolist())])


def test_columns_are_called_as_they_are_as_far_as_lightgbm_takes_their_names() -> None:
    sample = mixed()
    assert fit(CLASSIFIER, sample, {"n_estimators": 1}).estimator.feature_name_[:3] == ["age", "colour", "seen_at"]
    alike = sample_of(pl.DataFrame({"a b": [0.0, 1.0] * 20, "a,b": [1.0, 0.0] * 20}), np.arange(40) % 2, (0, 1))
    assert fit(CLASSIFIER, alike, {"n_estimators": 1}).estimator.feature_name_ == ["Column_0", "Column_1"]


def test_a_fit_is_the_same_whatever_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = mixed(LABELS["three integers"], n=600)
    one = fit(CLASSIFIER, sample, {"n_estimators": 20}).estimator
    monkeypatch.setattr(boosting, "ROWS_FOR_THREADS", 0)
    several = fit(CLASSIFIER, sample, {"n_estimators": 20}).estimator
    assert (one.n_jobs, several.n_jobs) == (1, -1)
    first, second = (CLASSIFIER.predictor(each, sample.contract).many(sample.frame) for each in (one, several))
    assert (first == second).all()


def test_another_seed_gives_another_fit() -> None:
    sample = mixed()
    first, second = (predictor_of(sample, random_state=seed).many(sample.frame) for seed in (0, 1))
    assert (first != second).any()


def test_curves_are_of_fitted_and_held_out_rows() -> None:
    sample, validation = halves(mixed())
    steps: list[Progress] = []
    fitted = fit(CLASSIFIER, sample, {"n_estimators": 12}, validation=validation, on_progress=steps.append)
    curve = fitted.learning_curve
    assert curve is not None
    assert curve.metric == "log_loss"
    assert curve.validation is not None
    assert len(curve.train) == len(curve.validation) == 12
    assert [step.metric for step in steps] == curve.validation
    assert fitted.iterations is None
    alone = fit(CLASSIFIER, sample, {"n_estimators": 12})
    assert alone.learning_curve is not None
    assert alone.learning_curve.validation is None
    first, second = (CLASSIFIER.predictor(one.estimator, sample.contract).many(sample.frame) for one in (fitted, alone))
    assert (first == second).all()


@pytest.mark.parametrize("classes", ["two texts", "integers beyond float"])
def test_early_stopping_keeps_the_best_trees_and_the_final_fit_takes_as_many(classes: str) -> None:
    sample, validation = halves(mixed(LABELS[classes], n=200))
    given = {"n_estimators": 300, "learning_rate": 0.2, "early_stopping_rounds": 5}
    found = fit(CLASSIFIER, sample, given, validation=validation)
    curve = found.learning_curve
    assert curve is not None
    assert curve.validation is not None
    assert found.iterations == int(np.argmin(curve.validation)) + 1 < 300
    assert len(curve.validation) == found.iterations + 5
    steps: list[Progress] = []
    final = fit(CLASSIFIER, sample, given, iterations=found.iterations, on_progress=steps.append)
    assert final.iterations is None
    assert len(steps) == steps[-1].total == found.iterations
    first, second = (CLASSIFIER.predictor(one.estimator, sample.contract).many(sample.frame) for one in (found, final))
    assert (first == second).all()


def test_what_the_listener_raises_ends_the_fit_after_that_tree() -> None:
    steps: list[Progress] = []

    def stop(progress: Progress) -> None:
        steps.append(progress)
        if progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(CLASSIFIER, mixed(), {"n_estimators": 1_000_000}, on_progress=stop)
    assert [step.step for step in steps] == [1, 2, 3]


def test_what_lightgbm_says_goes_to_the_log(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        fit(CLASSIFIER, mixed(), {"n_estimators": 4, "verbose": 2})
        spoken = [record.getMessage() for record in caplog.records]
        assert [line[:3] for line in spoken if "log" in line] == ["[2]", "[4]"]
        assert any(line.startswith("[LightGBM] [Info]") for line in spoken)
        assert {record.name for record in caplog.records} == {"modelyard.models_registry.lightgbm.library"}
        caplog.clear()
        fit(CLASSIFIER, mixed(), {"n_estimators": 4})
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_a_table_in_which_nothing_differs_gets_the_shares_of_the_classes() -> None:
    sample = sample_of(pl.DataFrame({"n": [3.0] * 20}), np.arange(20) % 4 // 3, (0, 1))
    fitted = fit(CLASSIFIER, sample)
    predictor = CLASSIFIER.predictor(fitted.estimator, sample.contract)
    assert predictor.few([[3.0], [4.0]]) == pytest.approx(np.array([[0.75, 0.25]] * 2))
    assert CLASSIFIER.feature_importances(fitted.estimator, sample.contract, sample.frame) == {"n": 0.0}


@pytest.mark.parametrize("seed", range(3))
def test_of_a_rare_class_the_defaults_say_more_than_its_share(seed: int) -> None:
    draws = np.random.default_rng(seed)
    X = draws.normal(size=(6000, 8))
    y = (draws.random(6000) < 1 / (1 + np.exp(5.3 - X[:, 0] - 0.7 * X[:, 1]))).astype(int)  # about 1 %
    frame = pl.DataFrame(X, schema=[f"x{at}" for at in range(8)])
    sample = sample_of(frame.head(4000), y[:4000], (0, 1))
    scores = CLASSIFIER.predictor(fit(CLASSIFIER, sample).estimator, sample.contract).many(frame.tail(2000))
    share = y[:4000].mean()
    assert log_loss(y[4000:], scores) < log_loss(y[4000:], np.full(2000, share))


def test_rows_tell_as_much_as_their_classes_are_equally_frequent() -> None:
    assert CLASSIFIER.rows_that_tell(["a", "b"] * 50) == pytest.approx(100)
    assert CLASSIFIER.rows_that_tell([0, 1, 2] * 10) == pytest.approx(30)
    assert CLASSIFIER.rows_that_tell([True] + [False] * 99) == pytest.approx(4 * 0.01 * 0.99 * 100)
    assert CLASSIFIER.rows_that_tell(["a"] * 5) == 5
    assert REGRESSOR.rows_that_tell([1.0, 1.0, 2.0]) == 3


def test_lightgbm_errors_are_told_as_such() -> None:
    sample = mixed()
    unchecked = {**check(CLASSIFIER.hyperparams, {}), "num_leaves": 1}
    with pytest.raises(InvalidArgument, match=r"LightGBM could not fit: .*num_leaves"):
        CLASSIFIER.fit(FitTask(sample.frame, sample.labels, sample.contract, unchecked))


def test_without_openmp_it_says_what_to_install(tmp_path: Path) -> None:
    package = tmp_path / "lightgbm"
    package.mkdir()
    missing = "libgomp.so.1: cannot open shared object file: No such file or directory"
    (package / "__init__.py").write_text(f"raise OSError({missing!r})")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from modelyard.errors import FailedPrecondition\n"
        "from modelyard.models_registry import BUILT_IN, preload\n"
        "preload()\n"
        "try: BUILT_IN['lightgbm_regressor'].library_class()\n"
        "except FailedPrecondition as error: print(error.detail)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == (
        f"LightGBM cannot be loaded here ({missing}): install the system's OpenMP library, which Debian and Ubuntu "
        "call libgomp1"
    )


def test_importances_are_shares_of_what_the_splits_gained() -> None:
    sample = mixed()
    estimator = fit(CLASSIFIER, sample).estimator
    found = CLASSIFIER.feature_importances(estimator, sample.contract, sample.frame)
    assert found is not None
    assert sum(found.values()) == pytest.approx(100)
    gains = lightgbm.Booster(model_str=estimator.booster_.model_to_string()).feature_importance("gain")
    assert [*found.values()] == pytest.approx(100 * gains / gains.sum())


@pytest.mark.parametrize("kind", KINDS)
def test_weights_count_as_if_rows_stood_there_so_often(kind: str) -> None:
    """On a column of two values, because where other columns are cut depends on how many rows there are."""
    mixed_up = KINDS[kind]()
    numbers = pl.DataFrame({"n": (mixed_up.frame["age"].fill_null(40) > 42).cast(pl.Float64)})
    classes = mixed_up.contract.classes
    codes = np.array([classes.index(label) for label in mixed_up.labels]) if classes else mixed_up.labels
    sample, validation = halves(sample_of(numbers, codes, classes))
    weights = np.where(np.arange(len(sample.labels)) % 3 == 0, 3.0, 1.0)
    often = np.repeat(np.arange(len(weights)), weights.astype(int))
    repeated = Sample(sample.frame[often], sample.labels[often], sample.contract)
    model_class = CLASSIFIER if classes else REGRESSOR
    given = {"n_estimators": 10, "subsample": 1.0}  # drawn at random, others would be drawn
    held_out = np.linspace(0.5, 2.0, len(validation[1]))
    first = fit(model_class, sample, given, validation=validation, weights=weights, validation_weights=held_out)
    second = fit(model_class, repeated, given, validation=validation)
    answers = [model_class.predictor(one.estimator, sample.contract).many(sample.frame) for one in (first, second)]
    assert answers[0] == pytest.approx(answers[1], rel=1e-5)
    curves = [one.learning_curve for one in (first, second)]
    assert curves[0] is not None
    assert curves[1] is not None
    assert curves[0].train == pytest.approx(curves[1].train, rel=1e-5)
    assert curves[0].validation != pytest.approx(curves[1].validation, rel=1e-5)


@pytest.mark.parametrize(("rows", "leaves"), [(40, 5), (500, 6), (24_000, 19), (10_000_000, 63)])
def test_what_is_null_is_chosen_by_the_number_of_rows(rows: int, leaves: int) -> None:
    defaults = check(CLASSIFIER.hyperparams, {})
    chosen = in_full(defaults, rows)
    assert chosen["num_leaves"] == leaves
    assert 0 < chosen["learning_rate"] <= 0.3
    assert (
        chosen["learning_rate"] > in_full(check(CLASSIFIER.hyperparams, {"n_estimators": 3000}), rows)["learning_rate"]
    )
    given = check(CLASSIFIER.hyperparams, {"learning_rate": 0.7, "num_leaves": 2})
    assert in_full(given, rows) == given
    others = {name: value for name, value in defaults.items() if name not in ("learning_rate", "num_leaves")}
    assert {name: chosen[name] for name in others} == others
