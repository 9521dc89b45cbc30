"""Folders that earlier releases wrote: they open, list, verify, predict and take on, in every later release."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from modelyard.access.signing import SigningKeys
from modelyard.bootstrap import build
from modelyard.errors import EnvironmentMismatch, ModelGone, Unsigned
from modelyard.ml_core.yard import Yard
from modelyard.models_registry import model_class
from modelyard.schemas import Evaluation, ModelQuery, PredictRequest, RetrainRequest
from modelyard.settings import Settings
from modelyard.storage import check_environment
from modelyard.storage.folder import Folder
from modelyard.storage.upkeep.doctor import examine
from modelyard.storage.upkeep.signing import Signing
from tests.data.freeze import KEYED, LABELS, ROWS

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
    assert FROZEN == ["frozen-1", "frozen-2"]
    assert sum(path.stat().st_size for path in DATA.rglob("*")) < 300_000


def keys_of(folder: str) -> list[str]:
    """Return the model classes of which a frozen folder has a model; each is its name, too."""
    return list(orjson.loads((DATA / f"{folder}.json").read_bytes()))


def test_a_frozen_folder_lists_its_models(yard: Yard, folder: Path) -> None:
    models = yard.list_models(ModelQuery(status="all")).models
    expected = {f"{key}:1": "active" for key in keys_of(folder.name)} | {"logistic_regression:2": "deleted"}
    assert {f"{model.name}:{model.version}": model.status for model in models} == expected
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
    assert examine(Folder(folder)).findings == []


@pytest.mark.parametrize(("frozen", "key"), [(folder, key) for folder in FROZEN for key in keys_of(folder)])
def test_a_frozen_model_predicts_as_it_did_or_says_why_not(frozen: str, key: str, tmp_path: Path) -> None:
    said = orjson.loads((DATA / f"{frozen}.json").read_bytes())[key]
    with build(Settings(storage_dir=shutil.copytree(DATA / frozen, tmp_path / frozen), train_workers=1)) as yard:
        check_predictions(yard, key, said)


def check_predictions(yard: Yard, key: str, said: dict[str, Any]) -> None:
    model = yard.get_model(key)
    asked = PredictRequest(model_id=key, X=ROWS, probabilities=True)
    try:
        check_environment("it", model.environment, model_class(key).libraries)
    except EnvironmentMismatch:
        with pytest.raises(EnvironmentMismatch, match=r"was made with .* retrain the model"):
            yard.predict(asked)
        return
    found = yard.predict(asked)
    if found.classes is None:
        assert found.predictions == pytest.approx(said["predictions"], abs=1e-9)
    else:
        assert found.predictions == said["predictions"]
    if said.get("decision") is not None:  # of a release that has decisions
        assert found.decision is not None
        assert found.decision.model_dump() == said["decision"]
    for row, expected in zip(found.probabilities or (), said["probabilities"] or (), strict=True):
        assert row == pytest.approx(expected, abs=1e-9)


def test_a_frozen_folder_is_refused_with_a_key_until_it_is_signed(folder: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k" * 44)
    said = orjson.loads((DATA / f"{folder.name}.json").read_bytes())
    with build(Settings(storage_dir=folder, signing_key_file=key)) as yard:
        assert len(yard.list_models().models) == len(said)
        for name in said:
            with pytest.raises(Unsigned):
                yard.predict(PredictRequest(model_id=name, X=ROWS))
        with closing(Signing(Folder(folder), SigningKeys.from_secrets([key.read_bytes()]))) as signing:
            for shown in signing.to_sign(None):
                signing.sign(shown.record)
        for name in said:
            check_predictions(yard, name, said[name])
    with build(Settings(storage_dir=folder)) as yard:  # another release may have the folder without the key
        check_predictions(yard, "logistic_regression", said["logistic_regression"])


def test_a_frozen_folder_takes_on(yard: Yard) -> None:
    order = RetrainRequest(model_id="logistic_regression", X=KEYED, y=LABELS, evaluation=Evaluation(method="none"))
    assert yard.retrain(order).version == 4
