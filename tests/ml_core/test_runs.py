"""An order as it lies in a spool, where others may have written, and the process that is ready to carry one out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from modelyard.errors import InvalidHyperparams
from modelyard.ml_core.training.orders import TrainingOrder, order_training
from modelyard.ml_core.training.runs import read_order, write_order
from modelyard.schemas import TrainRequest

X = {"a": [1.0, 2.0, None, 4.0], "id": [1, 2, 3, 4]}


@pytest.fixture
def order() -> TrainingOrder:
    roles = {"id": "id"}
    request = TrainRequest(model_class_key="catboost_classifier", X=X, y=list("abab"), column_roles=roles)
    return order_training(request, ())


def test_an_order_is_read_as_it_was_written(order: TrainingOrder, tmp_path: Path) -> None:
    write_order(tmp_path, order)
    read = read_order(tmp_path)
    assert read.digest() == order.digest()
    assert read.plan.hyperparams == order.plan.hyperparams


@pytest.mark.parametrize("name", ["train_dir", "snapshot_file", "output_borders"])
def test_hyperparams_that_nobody_may_set_are_not_taken_from_an_order(
    name: str, order: TrainingOrder, tmp_path: Path
) -> None:
    write_order(tmp_path, order)
    file = tmp_path / "order.json"
    said = orjson.loads(file.read_bytes())
    file.write_bytes(orjson.dumps(said | {"hyperparams": said["hyperparams"] | {name: "/tmp"}}))
    with pytest.raises(InvalidHyperparams, match=name):
        read_order(tmp_path)


@pytest.mark.parametrize("name", ["order.json", "table.arrow", "roles.arrow"])
def test_cells_are_not_written_through_a_link(name: str, order: TrainingOrder, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / name).symlink_to(elsewhere)
    with pytest.raises(FileExistsError):
        write_order(tmp_path, order)
    assert not elsewhere.exists()


def test_what_is_ready_for_runs_has_looked_for_plug_ins_of_the_libraries() -> None:
    code = """
import importlib.metadata
from modelyard.ml_core.training import runs
runs.warm_up()
def entry_points(**_):
    raise AssertionError("a run looks through all packages")
importlib.metadata.entry_points = entry_points
runs.rehearse()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.stderr, ended.returncode) == ("", 0)
