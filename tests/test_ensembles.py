"""Ensembles behind every verb that is told of single models elsewhere: kept, judged, promoted and backed up alike."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.ml_core.yard import Yard
from modelyard.schemas import (
    Decision,
    EvaluateRequest,
    ExplainRequest,
    ModelMetadata,
    OutcomesRequest,
    PredictRequest,
    RetrainRequest,
    SearchRequest,
    TrainRequest,
    UpdateRequest,
    parse,
)
from modelyard.storage.folder import Folder
from modelyard.storage.upkeep import backup
from modelyard.storage.upkeep.doctor import examine
from tests import doors

LOT = random.Random(5)
X = [{"customer": i, **{name: LOT.uniform(-3, 3) for name in "abc"}} for i in range(500)]
Y = [("no", "yes")[row["a"] + row["c"] + 1.2 * (abs(row["b"]) < 1.5) + LOT.gauss(0, 0.7) > 0.6] for row in X]
"""A line and two steps: neither a linear model nor trees are best alone."""

MEMBERS = ["logistic_regression", "lightgbm_classifier"]
LIVE = {"alias": "live", "if": "not_worse", "margin": 0.05}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("yard") / "models_storage"


@pytest.fixture(scope="module")
def yard(folder: Path) -> Iterator[Yard]:
    with doors.core(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def model(yard: Yard) -> ModelMetadata:
    asked = {"X": X, "y": Y, "name": "churn", "model_classes": MEMBERS, "trials": 2, "column_roles": {"customer": "id"}}
    costs = {"rule": "costs", "costs": {"yes": {"no": 5.0}, "no": {"yes": 1.0}}}
    more = {"calibrate": "sigmoid", "decision": costs, "promote": LIVE}
    found = yard.search(parse(SearchRequest, {**asked, **more}))
    assert found.model_class_key == "ensemble"
    return found


def test_its_search_takes_an_alias_over_and_its_retraining_passes_the_gate(yard: Yard, model: ModelMetadata) -> None:
    assert model.aliases == ["live"]
    child = yard.retrain(parse(RetrainRequest, {"model_id": model.model_id, "X": X, "y": Y, "promote": LIVE}))
    assert (child.model_class_key, child.hyperparams, child.calibrate) == ("ensemble", model.hyperparams, "sigmoid")
    assert child.promotion is not None
    assert (child.promotion.alias, child.promotion.metric) == ("live", "cost")
    left = model if child.promotion.moved else child
    assert yard.update_model(left.model_id, UpdateRequest(tags=["blend"])).tags == ["blend"]
    yard.delete(left.model_id)
    assert yard.restore(left.model_id).status == "active"
    assert yard.get_drift(left.model_id).status


def test_it_decides_by_costs_and_by_what_is_set_later(yard: Yard, model: ModelMetadata) -> None:
    report = yard.get_decision(model.model_id)
    assert report.decision.rule == "costs"
    assert report.curve
    yard.set_decision(model.model_id, Decision.model_validate({"rule": "threshold", "class": "yes", "threshold": 0.99}))
    seldom = yard.predict(PredictRequest(model_id=model.model_id, X=X)).predictions.count("yes")
    yard.set_decision(model.model_id, Decision.model_validate({"rule": "threshold", "class": "yes", "threshold": 0.01}))
    assert seldom < yard.predict(PredictRequest(model_id=model.model_id, X=X)).predictions.count("yes")


def test_its_answers_are_kept_and_judged_by_outcomes(yard: Yard, model: ModelMetadata) -> None:
    kept = yard.predict(PredictRequest(model_id=model.model_id, X=X, keep_answers=True))
    said = yard.add_outcomes(
        OutcomesRequest(model_id="churn", X=[{"id": i, "label": label} for i, label in enumerate(Y)])
    )
    assert (kept.prediction_id is not None, said.matched) == (True, len(Y))
    (week,) = [one for one in yard.get_performance("churn").weeks if one.version == model.version]
    assert week.outcomes == len(Y)
    auc = week.metrics["roc_auc"]
    assert auc is not None
    assert auc > 0.8


def test_it_is_judged_beside_a_single_model(yard: Yard, model: ModelMetadata) -> None:
    asked = {"model_class_key": "logistic_regression", "X": X, "y": Y, "name": "plain"}
    alone = yard.train(parse(TrainRequest, {**asked, "column_roles": {"customer": "id"}}))
    found = yard.evaluate(EvaluateRequest(model_ids=[model.model_id, alone.model_id], X=X, y=Y))
    better, worse = (one.metrics["log_loss"] for one in found.models)
    assert better is not None
    assert worse is not None
    assert better < worse


def test_its_report_and_explanations_name_every_column(yard: Yard, model: ModelMetadata) -> None:
    report = yard.get_report(model.model_id)
    assert report.feature_importances is not None
    assert sorted(report.feature_importances) == ["a", "b", "c"]
    assert report.learning_curve is None
    told = yard.explain(ExplainRequest(model_id=model.model_id, X=X[:3]))
    assert (told.unit, told.feature_names) == ("log_odds", ["a", "b", "c"])


def test_a_backup_brings_it_back_and_the_doctor_finds_nothing(
    yard: Yard, model: ModelMetadata, folder: Path, tmp_path: Path
) -> None:
    before = yard.predict(PredictRequest(model_id=model.model_id, X=X[:20], probabilities=True)).probabilities
    backup.create(Folder(folder), tmp_path / "yard.tar")
    backup.load(tmp_path / "yard.tar", Folder(tmp_path / "loaded"))
    assert examine(Folder(tmp_path / "loaded")).findings == []
    with doors.core(tmp_path / "loaded") as loaded:
        assert loaded.get_model(model.model_id).hyperparams == model.hyperparams
        again = loaded.predict(PredictRequest(model_id=model.model_id, X=X[:20], probabilities=True)).probabilities
    assert again == before
