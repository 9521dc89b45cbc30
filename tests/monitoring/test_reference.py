"""What a model keeps of its training to tell drift by, and what happens if it is damaged or was never kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest

from modelyard.bootstrap import build
from modelyard.errors import DataLoss
from modelyard.ml_core.yard import Yard
from modelyard.monitoring.bins import NumericBins
from modelyard.monitoring.watch import Reference
from modelyard.schemas import PredictRequest, TrainRequest
from modelyard.settings import Settings
from modelyard.storage.folder import Folder
from modelyard.storage.upkeep import backup, doctor
from modelyard.storage.upkeep.repair import repair
from modelyard.tables import Contract, ReadingOptions, TrainingTable, read_training
from tests import doors

N = 400
DRAW = np.random.default_rng(0)
X: dict[str, list[Any]] = {
    "size": [None, *DRAW.normal(size=N - 1).tolist()],
    "kind": ["abc"[n // 7 % 3] for n in range(N)],
    "many": [f"id{n}" for n in range(N)],
    "serial": list(range(N)),
    "falling": [-2.5 * n for n in range(N)],
    "sorted": [float(n // 100) for n in range(N)],
    "when": [f"2024-01-{1 + n % 28:02}T10:00:00" for n in range(N)],
}
Y = ["yes" if (size or 0) > 0 else "no" for size in X["size"]]


def table(X: Any = X) -> TrainingTable:
    options = ReadingOptions(())
    return read_training(X, Y, target=None, feature_types={"when": "datetime"}, feature_names=None, options=options)


def test_a_reference_is_written_and_read_alike() -> None:
    made = table()
    reference = Reference.of(made, np.arange(50.0))
    read = Reference.from_bytes(reference.to_bytes(), made.contract)
    assert read.columns.keys() == X.keys()
    known = [*reference.columns.values(), reference.answers]
    for before, after in zip(known, [*read.columns.values(), read.answers], strict=True):
        assert before is not None
        assert after is not None
        assert before.counts.tolist() == after.counts.tolist()
        assert before.rises == after.rises
        assert before.bins.labels(str) == after.bins.labels(str)
    assert Reference.from_bytes(Reference.of(made, None).to_bytes(), made.contract).answers is None


def test_it_holds_counts_and_no_row() -> None:
    said = orjson.loads(Reference.of(table(), None).to_bytes())
    assert said["columns"]["kind"].keys() == {"categories", "counts", "rises"}
    assert sum(said["columns"]["size"]["counts"]) == N
    assert said["columns"]["size"]["counts"][-1] == 1  # missing
    assert len(said["columns"]["many"]["categories"]) == 30
    assert said["columns"]["many"]["counts"][:30] == [0] * 30  # each stands in one row, which chose it


def test_categories_are_counted_by_the_rows_that_did_not_choose_them() -> None:
    known = Reference.of(table(), None).columns["kind"]
    assert known.counts.sum() == N // 2
    assert known.counts[:3].tolist() == pytest.approx([N / 6] * 3, abs=3)


@pytest.mark.parametrize(
    ("column", "rises"), [("size", False), ("serial", True), ("falling", True), ("sorted", False), ("kind", False)]
)
def test_numbers_that_rise_or_fall_with_the_row_are_known(column: str, rises: bool) -> None:
    assert Reference.of(table(), None).columns[column].rises is rises


def test_a_date_is_counted_by_its_days() -> None:
    bins = Reference.of(table(), None).columns["when"].bins
    assert isinstance(bins, NumericBins)
    assert (bins.edges[0], bins.edges[-1]) == (0, 27)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"columns": {}, "answers": null}', b'{"columns": {"a": {}}}'])
def test_another_form_is_data_loss(content: bytes) -> None:
    with pytest.raises(DataLoss, match="drift"):
        Reference.from_bytes(content, Contract({"a": "numeric"}, {}, (), ()))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    with doors.core(tmp_path / "yard") as yard:
        yard.train(TrainRequest(model_class_key="logistic_regression", X=pl.DataFrame(X), y=Y, name="watched"))
    return tmp_path / "yard"


def answers(yard: Yard) -> int:
    return len(yard.predict(PredictRequest(model_id="watched", X=X)).predictions)


def test_a_damaged_one_is_found_and_a_repair_leaves_it_out(root: Path, tmp_path: Path) -> None:
    backup.create(Folder(root), tmp_path / "yard.tar")
    [path] = root.glob("artifacts/*/drift.json")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    with doors.core(root) as yard:
        assert answers(yard) == N
        with pytest.raises(DataLoss, match=r"drift\.json is damaged"):
            yard.get_drift("watched")
        assert "drift.json" in (yard.health().storage or "")
    assert [finding.kind for finding in doctor.examine(Folder(root)).findings] == ["drift"]
    assert repair(Folder(root)).is_sound
    with doors.core(root) as yard:
        assert answers(yard) == N
        found = yard.get_drift("watched")
        assert (found.status, found.columns, found.predictions) == ("no_reference", {}, None)
        assert found.message.startswith("an earlier release trained it, or a repair left its counts out; retrain it")
    assert doctor.examine(Folder(root)).findings == []
    backup.load(tmp_path / "yard.tar", Folder(tmp_path / "copy"))
    [loaded] = (tmp_path / "copy").glob("artifacts/*/drift.json")
    assert loaded.read_bytes() == content


def test_a_model_of_an_earlier_release_answers_and_says_that_it_kept_none(tmp_path: Path) -> None:
    frozen = Path(__file__).parents[1] / "data" / "frozen-2"
    settings = Settings(storage_dir=shutil.copytree(frozen, tmp_path / "yard"))
    with build(settings) as yard:
        for model in yard.list_models().models:
            assert yard.get_drift(model.model_id).status == "no_reference"
