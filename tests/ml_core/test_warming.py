"""Warm servers: no prediction imports a library, and each new model is loaded before anybody asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard import models_registry
from modelyard.grpc_server.client import GrpcClient
from modelyard.ml_core.serving.loaded import LoadedModels
from modelyard.ml_core.serving.warming import Warming
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.client import RestClient
from modelyard.schemas import PredictRequest, TrainRequest
from tests import doors
from tests.processes import children
from tests.waiting import PATIENCE_S, wait_until

X: dict[str, list[Any]] = {"age": [float(i) for i in range(30)], "job": ["ab"[i % 2] for i in range(30)]}
Y = ["high" if age > 14 else "low" for age in X["age"]]
ROOT = Path(__file__).parents[2]


def order(name: str, key: str = "logistic_regression") -> TrainRequest:
    hyperparams = {"iterations": 5} if key.startswith("catboost") else {}
    y = X["age"] if models_registry.model_class(key).task == "regression" else Y
    none = {"method": "none"}
    return TrainRequest(model_class_key=key, X=X, y=y, name=name, hyperparams=hyperparams, evaluation=none)


def asked(name: str, rows: int = 1) -> PredictRequest:
    return PredictRequest(model_id=name, X={column: cells[:rows] for column, cells in X.items()})


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with doors.core(tmp_path / "yard") as made:
        yield made


def is_loaded(yard: Yard, name: str) -> bool:
    return yard.loaded.get_loaded(name) is not None


def test_a_new_model_is_loaded_before_it_is_asked_for_whoever_trained_it(yard: Yard, tmp_path: Path) -> None:
    yard.warm_up()
    yard.train(order("own"))
    wait_until(lambda: is_loaded(yard, "own"))
    with doors.core(tmp_path / "yard") as other:
        for name in ("first", "second"):
            other.train(order(name))
    wait_until(lambda: is_loaded(yard, "first") and is_loaded(yard, "second"))


def test_what_was_there_and_moves_up_is_not_new(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.ml_core.serving.warming._LOOK_BACK", 2)
    ids = [yard.train(order("one")).model_id for _ in range(3)]
    warming = Warming(yard._store, yard.jobs, yard._aliases, LoadedModels(yard._store, 2**20))
    assert [model.model_id for model in warming._published()] == ids[:0:-1]
    yard.delete(ids[-1])
    assert warming._published() == []
    newest = yard.train(order("two")).model_id
    assert [model.model_id for model in warming._published()] == [newest]


def test_a_model_larger_than_the_bound_is_left_to_whoever_asks(yard: Yard) -> None:
    model = yard.train(order("large"))
    loaded = LoadedModels(yard._store, model.artifact.bytes - 1)
    loaded.load_ahead(model)
    assert loaded.get_loaded("large") is None


def test_what_cannot_be_loaded_does_not_end_the_warming(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = yard.train(order("bad"))

    def fail(*_: object) -> None:
        raise LookupError("a third party's")

    with monkeypatch.context() as patched:
        patched.setattr("modelyard.ml_core.serving.loaded.load", fail)
        yard.loaded.load_ahead(model)
    assert f"model {model.model_id} cannot be warmed up" in caplog.text
    yard.loaded.load_ahead(model)
    assert is_loaded(yard, "bad")


def test_a_folder_that_fails_for_a_while_does_not_end_the_warming(
    yard: Yard, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = tmp_path / "yard" / "db.jsonl"
    database.rename(tmp_path / "away")
    yard.warm_up()
    wait_until(lambda: "new models are not loaded ahead now" in caplog.text)
    (tmp_path / "away").rename(database)
    yard.train(order("later"))
    wait_until(lambda: is_loaded(yard, "later"))


@pytest.mark.parametrize("drained", [False, True])
def test_a_server_that_stops_imports_nothing_more(yard: Yard, monkeypatch: pytest.MonkeyPatch, drained: bool) -> None:
    stops: list[bool] = []
    asked = threading.Event()

    def preload(is_stopped: Callable[[], bool]) -> None:
        stops.append(is_stopped())
        asked.set()

    monkeypatch.setattr(models_registry, "preload", preload)
    if drained:
        yard.drain()
    yard.warm_up()
    assert asked.wait(PATIENCE_S)
    assert stops == [drained]


def test_closing_ends_the_thread(tmp_path: Path) -> None:
    with doors.core(tmp_path / "yard") as yard:
        yard.warm_up()
        assert any(thread.name == "warming" for thread in threading.enumerate())
    assert not any(thread.name == "warming" for thread in threading.enumerate())


def test_what_the_model_classes_declare_is_all_that_predictions_import(tmp_path: Path) -> None:
    with doors.core(tmp_path / "yard") as yard:
        for key in models_registry.BUILT_IN:
            yard.train(order(key, key))
    code = """
import sys
from pathlib import Path
import modelyard.grpc_server.server, modelyard.rest_api.server
from modelyard import models_registry
from modelyard.bootstrap import build
from modelyard.settings import Settings
from tests.ml_core.test_warming import asked
yard = build(Settings(storage_dir=Path(sys.argv[1])))
yard.list_models()
heavy = {"sklearn", "scipy", "pandas", "catboost", "lightgbm"}
assert not heavy & set(sys.modules), "opening a folder imports nothing heavy"
models_registry.preload()
before = set(sys.modules)
for key in models_registry.BUILT_IN:
    for rows in (1, 30):
        yard.predict(asked(key, rows))
yard.close()
print(sorted(set(sys.modules) - before))
"""
    command = [sys.executable, "-c", code, str(tmp_path / "yard")]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.stdout, found.stderr, found.returncode) == ("[]\n", "", 0)


def test_what_cannot_be_imported_is_logged_and_hides_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    imported: list[str] = []

    def import_module(name: str) -> None:
        imported.append(name)
        if name == "sklearn.compose":
            raise OSError("a library is broken")

    monkeypatch.setattr("importlib.import_module", import_module)
    models_registry.preload()
    assert imported[0] == "sklearn.compose"
    assert imported[-2:] == ["catboost", "modelyard.models_registry.lightgbm.library"]
    assert "sklearn.compose cannot be imported" in caplog.text
    imported.clear()
    models_registry.preload(lambda: len(imported) == 2)
    assert len(imported) == 2


def test_servers_of_a_folder_are_warm_and_load_what_another_has_trained(tmp_path: Path) -> None:
    folder = tmp_path / "yard"
    by_rest, by_grpc = folder.with_suffix(".log"), tmp_path / "grpc.log"
    with (
        doors.rest_server(folder, MODELYARD_LOG_LEVEL="DEBUG") as url,
        doors.grpc_server(tmp_path / "grpc", MODELYARD_LOG_LEVEL="DEBUG", MODELYARD_STORAGE_DIR=str(folder)) as target,
        RestClient(url) as rest,
        GrpcClient(target) as grpc,
    ):
        for log in (by_rest, by_grpc):
            wait_until(lambda: "warm after" in log.read_text())  # noqa: B023
        for key, trains in (("logistic_regression", rest), ("catboost_classifier", grpc)):
            loaded = f"model {trains.train(order(key, key)).model_id} is loaded"
            for log in (by_rest, by_grpc):
                wait_until(lambda: loaded in log.read_text())  # noqa: B023
            libraries = {pid: mapped(pid) for pid in children(os.getpid(), "-m modelyard")}
            assert len(libraries) == 2
            for asks in (rest, grpc):
                assert asks.predict(asked(key)).predictions == ["low"]
            assert {pid: mapped(pid) for pid in libraries} == libraries
    for log in (by_rest, by_grpc):
        assert "Traceback" not in log.read_text()


def mapped(pid: int) -> set[str]:
    """Return the files of Python's packages that a process has loaded."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {line.split(maxsplit=5)[5] for line in lines if "site-packages" in line}
