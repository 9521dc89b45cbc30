"""Folders that earlier releases wrote: they open, list, verify, predict and take on, in every later release."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from modelyard.bootstrap import build
from modelyard.errors import EnvironmentMismatch, ModelGone
from modelyard.ml_core.yard import Yard
from modelyard.models_registry import model_class
from modelyard.schemas import Evaluation, ModelQuery, PredictRequest, RetrainRequest
from modelyard.settings import Settings
from modelyard.storage import check_environment
from modelyard.storage.upkeep.doctor import examine
from tests.data.freeze import LABELS, QUICK, ROWS

DATA = Path(__file__).parents[1] / "data"
FROZEN = sorted(path.name for path in DATA.glob("frozen-*") if path.is_dir())


@pytest.fixture(params=FROZEN)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    copy: Path = shutil.copytree(DATA / request.param, tmp_path / request.param)
    return copy


@pytest.fixture
def yard(folder: Path) -> Iterator[Yard]:
    yard = build(Settings(storage_dir=folder, train_workers=1))
    yield yard
    yard.close()


def test_there_is_a_frozen_folder_of_each_format() -> None:
    assert FROZEN == ["frozen-1"]
    assert sum(path.stat().st_size for path in DATA.rglob("*")) < 200_000


def test_a_frozen_folder_lists_its_models(yard: Yard) -> None:
    models = yard.list_models(ModelQuery(status="all")).models
    assert {f"{model.name}:{model.version}": model.status for model in models} == {
        "logistic_regression:1": "active",
        "logistic_regression:2": "deleted",
        "catboost_classifier:1": "active",
    }
    for model in models:
        assert model.tags == ["frozen"]
        assert yard.get_report(model.model_id).metrics == model.metrics
        assert len(yard.get_artifact(model.model_id)) == model.artifact.bytes
    assert [event.verb for event in yard.get_history("logistic_regression:2").events] == [
        "retrain",
        "delete",
        "restore",
        "delete",
    ]
    assert yard.get_history("logistic_regression:3").events[-1].status == "gone"
    with pytest.raises(ModelGone):
        yard.restore("logistic_regression:3")


def test_a_frozen_folder_holds_every_checksum(folder: Path) -> None:
    assert examine(folder).findings == []


@pytest.mark.parametrize("key", QUICK)
def test_a_frozen_model_predicts_as_it_did_or_says_why_not(yard: Yard, folder: Path, key: str) -> None:
    said = orjson.loads((DATA / f"{folder.name}.json").read_bytes())[key]
    model = yard.get_model(key)
    asked = PredictRequest(model_id=key, X=ROWS, probabilities=True)
    try:
        check_environment("it", model.environment, model_class(key).libraries)
    except EnvironmentMismatch:
        with pytest.raises(EnvironmentMismatch, match=r"was made with .* retrain the model"):
            yard.predict(asked)
        return
    found = yard.predict(asked)
    assert found.predictions == said["predictions"]
    assert found.probabilities is not None
    for row, expected in zip(found.probabilities, said["probabilities"], strict=True):
        assert row == pytest.approx(expected, abs=1e-9)


def test_a_frozen_folder_takes_on(yard: Yard) -> None:
    order = RetrainRequest(model_id="logistic_regression", X=ROWS, y=LABELS, evaluation=Evaluation(method="none"))
    assert yard.retrain(order).version == 4
