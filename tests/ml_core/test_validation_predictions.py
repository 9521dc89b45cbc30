"""What a model keeps of its evaluation, row by row, and what the yard says of the table that it was trained on."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelyard.bootstrap import build
from modelyard.errors import DataLoss, FailedPrecondition
from modelyard.ml_core.tasks import TASKS
from modelyard.ml_core.validation_predictions import ValidationPredictions, load_validation
from modelyard.ml_core.yard import Yard
from modelyard.schemas import Evaluation, ModelMetadata, PredictRequest, RetrainRequest, TrainRequest
from modelyard.settings import Settings
from modelyard.storage.folder import Folder
from modelyard.storage.upkeep import backup, doctor
from modelyard.storage.upkeep.repair import repair
from modelyard.tables import Contract, contract_from_json

N = 90
X: dict[str, list[Any]] = {
    "size": [number % 13 / 3 for number in range(N)],
    "kind": ["abc"[number % 3] for number in range(N)],
}
LABELS = ["large" if number % 13 > 5 else "small" for number in range(N)]
NUMBERS = [number % 13 * 2.5 + (number % 3) for number in range(N)]


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with build(Settings(storage_dir=tmp_path_factory.mktemp("yard"), train_workers=1)) as yard:
        yield yard


def train(yard: Yard, y: Any = LABELS, **asked: Any) -> ModelMetadata:
    key = "logistic_regression" if isinstance(y[0], str) else "linear_regression"
    return yard.train(TrainRequest.model_validate({"model_class_key": key, "X": X, "y": y, **asked}))


def kept(yard: Yard, model: ModelMetadata) -> tuple[ValidationPredictions, Contract]:
    record = yard._store.get(model.model_id)
    contract = contract_from_json(yard._store.read_file(record, "contract.json"))
    return load_validation(yard._store, record, contract), contract


@pytest.mark.parametrize("classes", [(False, True), (3, 5, 8), ("no", "yes"), ("\x00a", "a", "ä")])
def test_labels_of_any_type_come_back_as_they_were(classes: tuple[Any, ...]) -> None:
    contract = Contract({"a": "numeric"}, {}, classes, ())
    rows, truth = np.array([7, 2, 5, 4]), np.array([0, 1, len(classes) - 1, 1])
    scores = np.random.default_rng(0).dirichlet(np.ones(len(classes)), 4)
    weights, groups = np.array([0.5, 0, 2, 1]), np.array([3, 3, 0, 1])
    written = ValidationPredictions.of(rows, truth, scores, weights, groups)
    read = ValidationPredictions.from_bytes(written.to_bytes(contract), contract)
    order = [1, 3, 2, 0]
    assert read.rows.tolist() == rows[order].tolist()
    assert read.truth.tolist() == truth[order].tolist()
    assert read.scores.tolist() == scores[order].tolist()
    assert read.weights is not None
    assert read.groups is not None
    assert (read.weights.tolist(), read.groups.tolist()) == ([0, 1, 2, 0.5], [3, 1, 0, 3])


def test_the_file_names_rows_labels_and_probabilities_and_holds_no_cell(yard: Yard) -> None:
    model = train(yard)
    record = yard._store.get(model.model_id)
    frame = pl.read_parquet(io.BytesIO(yard._store.read_file(record, "validation.parquet")))
    assert frame.columns == ["row", "label", "probabilities"]
    assert frame["label"].to_list() == [LABELS[row] for row in frame["row"]]
    assert np.allclose(frame["probabilities"].to_numpy().sum(axis=1), 1)


@pytest.mark.parametrize("y", [LABELS, NUMBERS], ids=["labels", "numbers"])
@pytest.mark.parametrize("evaluation", [Evaluation(), Evaluation(method="cv", folds=3)], ids=["holdout", "cv"])
def test_the_metrics_can_be_had_from_what_is_kept(yard: Yard, y: list[Any], evaluation: Evaluation) -> None:
    model = train(yard, y, evaluation=evaluation)
    found, contract = kept(yard, model)
    whole = evaluation.method == "cv"
    assert len(set(found.rows)) == len(found.rows) == (N if whole else 18)
    truth = [contract.classes[code] for code in found.truth] if contract.classes else found.truth.tolist()
    assert truth == [y[row] for row in found.rows]
    if not whole:
        measured = TASKS[model.task].metrics_of(found.truth, found.scores)
        assert measured == pytest.approx({name: model.metrics[f"validation_{name}"] for name in measured})


def test_a_model_without_a_validation_says_why_it_keeps_none(yard: Yard) -> None:
    model = train(yard, name="unjudged", evaluation=Evaluation(method="none"))
    with pytest.raises(FailedPrecondition, match="unjudged:1 has no validation predictions, because its training made"):
        kept(yard, model)


def test_a_model_of_an_earlier_release_says_so(tmp_path: Path) -> None:
    frozen = Path(__file__).parents[1] / "data" / "frozen-1"
    settings = Settings(storage_dir=shutil.copytree(frozen, tmp_path / "yard"), train_workers=1)
    refused = pytest.raises(FailedPrecondition, match=r"because an earlier release trained it, .* retrain it with")
    with build(settings) as yard, refused:
        kept(yard, yard.get_model("logistic_regression"))


def test_it_is_in_the_checksums_and_in_the_backup(tmp_path: Path) -> None:
    root = tmp_path / "yard"
    with build(Settings(storage_dir=root, train_workers=1)) as yard:
        model = train(yard)
        backup.create(Folder(root), tmp_path / "yard.tar")
        path = root / "artifacts" / model.model_id / "validation.parquet"
        content = path.read_bytes()
        with tarfile.open(tmp_path / "yard.tar") as archive:
            member = archive.extractfile(f"artifacts/{model.model_id}/validation.parquet")
            assert member is not None
            assert member.read() == content
        path.write_bytes(content[:-1] + b"x")
        assert any(
            "validation.parquet" in finding.problem + finding.what for finding in doctor.examine(Folder(root)).findings
        )
        with pytest.raises(DataLoss, match=r"validation\.parquet is damaged"):
            kept(yard, model)
        assert repair(Folder(root)).is_sound
        with pytest.raises(FailedPrecondition, match="or a repair left them out"):
            kept(yard, model)
        assert len(yard.predict(PredictRequest(model_id=model.model_id, X=X)).predictions) == N
        assert next(root.glob("quarantine/*/artifacts/*/validation.parquet")).read_bytes() == path.read_bytes()
        assert doctor.examine(Folder(root)).findings == []


@pytest.mark.parametrize("y", [LABELS, NUMBERS], ids=["labels", "numbers"])
@pytest.mark.parametrize("n", [40, N], ids=["few rows", "many rows"])
def test_predicting_the_training_table_says_so(yard: Yard, y: list[Any], n: int) -> None:
    table = {name: column[:n] for name, column in X.items()}
    moments = [f"2024-01-{1 + number % 28:02}" for number in range(n)]
    table["when"], table["size"] = moments, [None, *table["size"][1:]]
    model = train(yard, y[:n], X=table)
    records = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    forms: list[Any] = [table, records, pl.DataFrame(table).select("kind", "when", "size")]
    for form in forms:
        found = yard.predict(PredictRequest(model_id=model.model_id, X=form))
        assert [(warning.code, warning.count) for warning in found.warnings] == [("training_table", n)]
    other = {**table, "size": [None, None, *table["size"][2:]]}
    assert yard.predict(PredictRequest(model_id=model.model_id, X=other)).warnings == []
    assert yard.predict(PredictRequest(model_id=model.model_id, X=records[:-1])).warnings == []


def test_a_retraining_keeps_its_own(yard: Yard) -> None:
    parent = train(yard, name="again")
    fewer = {name: column[:50] for name, column in X.items()}
    child = yard.retrain(RetrainRequest(model_id="again", X=fewer, y=LABELS[:50]))
    assert len(kept(yard, parent)[0].rows) == 18
    assert len(kept(yard, child)[0].rows) == 10


@pytest.mark.parametrize("n", [2, N], ids=["few rows", "many rows"])
def test_an_interval_that_cannot_be_had_is_refused_before_the_table_is_read(yard: Yard, n: int) -> None:
    model = train(yard, NUMBERS, evaluation=Evaluation(method="none"))
    wrong = {"size": ["large"] * n, "kind": ["a"] * n}
    with pytest.raises(FailedPrecondition, match="no validation predictions"):
        yard.predict(PredictRequest(model_id=model.model_id, X=wrong, interval=0.9))
