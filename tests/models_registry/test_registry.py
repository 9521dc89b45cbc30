"""The same named checks for every model class, the built-in ones and a plug-in's; then the registry itself."""

from __future__ import annotations

import importlib
import io
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import joblib
import jsonschema_rs
import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose

from modelyard import models_registry
from modelyard.errors import InvalidHyperparams, ModelClassNotFound
from modelyard.ml_core.tasks import TASKS
from modelyard.models_registry import describe, model_class, model_classes
from modelyard.models_registry.base import FitTask, ModelClass, Progress
from modelyard.models_registry.hyperparams import check
from modelyard.storage import current_environment
from tests.models_registry_tables import (
    LABELS,
    Sample,
    fit,
    library_predictor,
    mixed,
    rows_of,
    sample_for,
    sample_named,
    targets_of,
)
from tests.wrong_hyperparams import examples_of_wrong_values

PLUG_INS = Path(__file__).parents[1] / "plugin_package"
KEYS = (
    "logistic_regression",
    "catboost_classifier",
    "lightgbm_classifier",
    "linear_regression",
    "catboost_regressor",
    "lightgbm_regressor",
    "gaussian_naive_bayes",
)
QUICK: dict[str, dict[str, Any]] = {
    "catboost_classifier": {"iterations": 20},
    "catboost_regressor": {"iterations": 20},
    "lightgbm_classifier": {"n_estimators": 20, "learning_rate": 0.2},
    "lightgbm_regressor": {"n_estimators": 20, "learning_rate": 0.2},
}
FRAMEWORKS = {"catboost": "CatBoost", "lightgbm": "LightGBM", "scikit-learn": "ScikitLearn"}
ON_EACH_TARGET = pytest.mark.parametrize(
    ("chosen", "target"), [(key, target) for key in KEYS for target in targets_of(key)], indirect=["chosen"]
)


@pytest.fixture(autouse=True)
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the plug-in's package where `importlib.metadata` finds it, as an installer would."""
    monkeypatch.syspath_prepend(str(PLUG_INS))
    models_registry._plug_ins.cache_clear()
    yield
    models_registry._plug_ins.cache_clear()


@pytest.fixture(params=KEYS)
def chosen(request: pytest.FixtureRequest) -> ModelClass:
    return model_class(request.param)


def quick_fit(chosen: ModelClass, sample: Sample, **task: Any) -> Any:
    return fit(chosen, sample, QUICK.get(chosen.key), **task)


@ON_EACH_TARGET
def test_fits_a_mixed_table_with_missing_cells_and_any_target(chosen: ModelClass, target: str) -> None:
    sample = sample_named(target)
    fitted = quick_fit(chosen, sample)
    scores = chosen.predictor(fitted.estimator, sample.contract).many(sample.frame)
    classes = sample.contract.classes
    assert scores.shape == (sample.frame.height, len(classes) or 1)
    if classes:
        assert_allclose(scores.sum(axis=1), 1)
        guessed = np.array(classes, dtype=object)[scores.argmax(axis=1)]
        assert (guessed == sample.labels).mean() > 0.6
    else:
        left_over = (scores[:, 0] - sample.labels) / sample.labels.std()
        assert np.mean(left_over**2) < 0.5


def closeness(expected: Any) -> float:
    """Return how far a quick predictor may be off: probabilities and numbers alike, by their size."""
    return 1e-12 * float(np.abs(expected).max(initial=1e-300))


@ON_EACH_TARGET
def test_predictor_agrees_with_the_estimator(chosen: ModelClass, target: str) -> None:
    sample = sample_named(target)
    estimator = quick_fit(chosen, sample).estimator
    predictor, slow = chosen.predictor(estimator, sample.contract), library_predictor(estimator, sample.contract)
    expected = slow.many(sample.frame)
    assert_allclose(predictor.many(sample.frame), expected, rtol=0, atol=closeness(expected))
    assert_allclose(predictor.few(sample.rows()), expected, rtol=0, atol=closeness(expected))
    assert_allclose(slow.few(sample.rows()), expected, rtol=0, atol=closeness(expected))
    assert predictor.few([]) == slow.few([]) == []
    assert predictor.many(sample.frame.head(0)).shape == expected[:0].shape


def test_survives_being_stored(chosen: ModelClass) -> None:
    sample = sample_for(chosen)
    estimator = quick_fit(chosen, sample).estimator
    stored = io.BytesIO()
    joblib.dump(estimator, stored)
    again = joblib.load(io.BytesIO(stored.getvalue()))
    before, after = (chosen.predictor(one, sample.contract).many(sample.frame) for one in (estimator, again))
    assert (before == after).all()
    assert type(estimator).__module__.split(".")[0] in ("sklearn", "catboost", "lightgbm")


def test_importances_are_named_by_column_and_not_negative(chosen: ModelClass) -> None:
    for target in targets_of(chosen.key):
        sample = sample_named(target)
        importances = chosen.feature_importances(quick_fit(chosen, sample).estimator, sample.contract, sample.frame)
        if importances is not None:
            assert tuple(importances) == sample.contract.feature_names
            assert all(value >= 0 for value in importances.values())
            assert max(importances, key=lambda name: importances[name]) not in ("tiny", 'odd, "name"\n')


def test_is_the_same_again_with_the_same_seed(chosen: ModelClass) -> None:
    sample = mixed(LABELS["three integers"]) if chosen.task == "classification" else sample_for(chosen)
    first, second = (
        chosen.predictor(quick_fit(chosen, sample).estimator, sample.contract).many(sample.frame) for _ in range(2)
    )
    assert (first == second).all()


def test_columns_of_one_type_only(chosen: ModelClass) -> None:
    whole = sample_for(chosen)
    for kind in ("numeric", "categorical"):
        types = whole.contract.feature_types
        sample = pick(whole, [name for name in types if types[name] == kind])
        estimator = quick_fit(chosen, sample).estimator
        predictor = chosen.predictor(estimator, sample.contract)
        assert_allclose(predictor.few(sample.rows(5)), predictor.many(sample.frame.head(5)), rtol=0, atol=1e-12)
        assert set(chosen.feature_importances(estimator, sample.contract, sample.frame) or sample.frame.columns) == set(
            sample.frame.columns
        )


def pick(sample: Sample, names: list[str]) -> Sample:
    contract = type(sample.contract)(
        {name: sample.contract.feature_types[name] for name in names},
        {name: column for name, column in sample.contract.categorical.items() if name in names},
        sample.contract.classes,
        sample.contract.missing_markers,
    )
    return Sample(sample.frame.select(names), sample.labels, contract)


def test_an_unknown_category_is_legal(chosen: ModelClass) -> None:
    sample = sample_for(chosen)
    predictor = chosen.predictor(quick_fit(chosen, sample).estimator, sample.contract)
    frame = sample.frame.head(3).with_columns(colour=pl.lit("never seen"))
    assert_allclose(predictor.few(rows_of(frame)), predictor.many(frame), rtol=0, atol=1e-12)


def _speaking(chosen: ModelClass) -> dict[str, Any]:
    """Return quick hyperparams with which an algorithm tells of its fit, if it can."""
    can = any(one.name == "verbose" for one in chosen.hyperparams)
    return QUICK.get(chosen.key, {}) | ({"verbose": 1} if can else {})


def test_writes_no_files_and_prints_nothing(
    chosen: ModelClass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sample = sample_for(chosen)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator = fit(chosen, sample, _speaking(chosen)).estimator
        chosen.predictor(estimator, sample.contract).few(sample.rows(2))
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert caught == []


def test_prints_nothing_in_any_thread(chosen: ModelClass, capfd: pytest.CaptureFixture[str]) -> None:
    sample = sample_for(chosen)
    for _ in range(2):  # whoever imports a library first, one of these threads does not
        thread = Thread(target=fit, args=(chosen, sample, _speaking(chosen)))
        thread.start()
        thread.join()
    assert capfd.readouterr() == ("", "")


def test_progress_ends_at_its_total(chosen: ModelClass) -> None:
    steps: list[Progress] = []
    quick_fit(chosen, sample_for(chosen), on_progress=steps.append)
    if steps:
        assert steps[-1].step == steps[-1].total
        assert [step.step for step in steps] == sorted(step.step for step in steps)
    else:
        assert chosen.key == "gaussian_naive_bayes"


def test_what_the_listener_raises_ends_the_fit(chosen: ModelClass) -> None:
    class StopNowError(Exception):
        pass

    def stop(progress: Progress) -> None:
        raise StopNowError

    if chosen.key == "gaussian_naive_bayes":
        quick_fit(chosen, mixed(), on_progress=stop)  # it tells no progress, which is allowed
    else:
        with pytest.raises(StopNowError):
            quick_fit(chosen, sample_for(chosen), on_progress=stop)


def test_wrong_hyperparams_are_refused_by_name(chosen: ModelClass) -> None:
    for hyperparam in chosen.hyperparams:
        for value in examples_of_wrong_values(hyperparam):
            with pytest.raises(InvalidHyperparams, match=f"hyperparam '{hyperparam.name}' must be") as caught:
                check(chosen.hyperparams, {hyperparam.name: value})
            assert [error.loc for error in caught.value.errors] == [("hyperparams", hyperparam.name)]


def test_schema_is_valid_and_so_are_its_defaults(chosen: ModelClass) -> None:
    schema = json.loads(json.dumps(describe(chosen).hyperparams, allow_nan=False))
    jsonschema_rs.meta.validate(schema)
    validator = jsonschema_rs.Draft202012Validator(schema)
    defaults = {name: one["default"] for name, one in schema["properties"].items()}
    validator.validate(defaults)
    assert defaults == check(chosen.hyperparams, {})
    assert chosen.rules(defaults, 2) == []
    for hyperparam in chosen.hyperparams:
        for value in examples_of_wrong_values(hyperparam):
            if not (isinstance(value, float) and not np.isfinite(value)):  # not JSON
                assert not validator.is_valid({hyperparam.name: value}), (hyperparam.name, value)


def test_says_what_it_is(chosen: ModelClass) -> None:
    info = describe(chosen)
    assert (info.key, info.task) == (chosen.key, chosen.task)
    module, name = info.import_path.rsplit(".", 1)
    assert isinstance(getattr(__import__(module, fromlist=[name]), name), type)
    assert all(one["title"] and one["description"].endswith(".") for one in info.hyperparams["properties"].values())


def test_what_it_declares_for_others_can_be_used(chosen: ModelClass) -> None:
    assert chosen.task in TASKS
    for module in chosen.preloads:
        assert importlib.import_module(module).__name__ == module
    if chosen.rehearsal is not None:
        fit(chosen, sample_for(chosen), chosen.rehearsal)
    framework = models_registry.framework_of(current_environment(chosen.libraries))
    assert framework == FRAMEWORKS[chosen.libraries[0]]


def test_model_classes_are_the_built_in_ones_and_the_plug_ins() -> None:
    assert tuple(model_classes()) == KEYS
    assert all(key == one.key for key, one in model_classes().items())


@pytest.mark.parametrize(
    "key", ["catboost_classifier", "catboostclassifier", "CatBoost-Classifier", "CATBOOST_CLASSIFIER"]
)
def test_keys_match_without_case_underscore_and_hyphen(key: str) -> None:
    assert model_class(key).key == "catboost_classifier"


def test_an_unknown_key_names_the_nearest_and_all() -> None:
    with pytest.raises(ModelClassNotFound) as caught:
        model_class("logistic_regresion")
    assert caught.value.detail == (
        "there is no model class 'logistic_regresion'; did you mean 'logistic_regression' or "
        "'linear_regression' or 'lightgbm_regressor'? "
        "known are: 'logistic_regression', 'catboost_classifier', 'lightgbm_classifier', 'linear_regression', "
        "'catboost_regressor', 'lightgbm_regressor', 'gaussian_naive_bayes'"
    )
    with pytest.raises(ModelClassNotFound, match="known are: 'logistic_regression'"):
        model_class("x" * 10_000)


BROKEN = """
from modelyard.models_registry.base import ModelClass
from modelyard.models_registry.linear.logistic_regression import LogisticRegressionClass
from modelyard.models_registry.hyperparams import Hyperparam

class Thief(LogisticRegressionClass):
    key = "Logistic-Regression"

class Abstract(ModelClass):
    key = "abstract"

def wrong_declaration():
    return Hyperparam("depth", ("int",), "six", "Its default is no integer.")

class WrongDeclaration(LogisticRegressionClass):
    key = "wrong"
    def __init__(self):
        wrong_declaration()

nothing = 42
"""


def test_a_broken_plug_in_is_logged_and_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken_plugs.py").write_text(BROKEN)
    (tmp_path / "broken_import.py").write_text("raise RuntimeError('no graphics card')")
    names = ["broken_plugs:Thief", "broken_plugs:Abstract", "broken_plugs:WrongDeclaration", "broken_plugs:nothing"]
    names += ["broken_plugs:absent", "broken_import:Any", "no_such_module:Any"]
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: broken\nVersion: 1.0\n")
    lines = [f"plug{i} = {name}" for i, name in enumerate(names)]
    (info / "entry_points.txt").write_text("\n".join(["[modelyard.model_classes]", *lines]))
    monkeypatch.syspath_prepend(str(tmp_path))
    models_registry._plug_ins.cache_clear()
    with caplog.at_level(logging.ERROR):
        assert tuple(model_classes()) == KEYS
        model_classes()
    skipped = [record.getMessage().split()[1] for record in caplog.records]
    assert sorted(skipped) == sorted(names)


def test_importing_the_registry_imports_no_learning_library() -> None:
    code = (
        "import sys; from modelyard.models_registry import BUILT_IN, describe\n"
        "for one in BUILT_IN.values(): describe(one)\n"
        "print([name for name in ('sklearn', 'catboost', 'lightgbm', 'scipy', 'pandas') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout == "[]\n"


def test_a_fit_task_needs_no_listener_and_no_validation() -> None:
    sample = mixed()
    logistic = model_class("logistic_regression")
    task = FitTask(sample.frame, sample.labels, sample.contract, check(logistic.hyperparams, {}))
    assert logistic.fit(task).learning_curve is None
