"""The peers: each installed in an environment of its own, serving the very same fitted estimators.

If one cannot be installed or started here, the comparison says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from tests.doors import free_port

CACHE = Path(__file__).parent / ".cache" / "peers"
APPS = Path(__file__).parent / "peer_apps"
_SAME = ("scikit-learn", "catboost", "joblib", "polars", "numpy")
"""What an estimator's pickle depends on: the peers get our versions."""


@dataclass(frozen=True, slots=True)
class Peer:
    """How a peer is installed, prepared, started and asked. `command(bin, folder, port)` is run in `folder`."""

    name: str
    requirement: str
    path: str
    command: Callable[[Path, Path, int], list[str]]
    question: Callable[[pl.DataFrame], dict[str, Any]]
    labels: Callable[[Any], list[str]]
    prepare: Callable[[Path, Path, dict[str, str]], None] = lambda *_: None

    @property
    def home(self) -> Path:
        """Its environment."""
        return CACHE / self.requirement.replace("==", "-")


def install(peer: Peer) -> None:
    """Install a peer if it is not there yet. Raises CalledProcessError with what pip said."""
    stamp = peer.home / ".installed"
    if stamp.exists():
        return
    shutil.rmtree(peer.home, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", peer.home], check=True)
    same = [f"{name}=={version(name)}" for name in _SAME]
    pip = [str(peer.home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, peer.requirement, "pandas", *same], check=True, capture_output=True, text=True)
    stamp.touch()


def environment(peer: Peer, artifact: Path) -> dict[str, str]:
    """Return the environment variables a peer runs with."""
    path = f"{peer.home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    quiet = {"BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
    return {"BENCH_MODEL": str(artifact), "PYTHONPATH": str(APPS), "PATH": path, **quiet}


def _mlserver_folder(folder: Path, _bin: Path, _environment: dict[str, str]) -> None:
    model = {"name": "fitted", "implementation": "mlserver_model.Fitted"}
    (folder / "model-settings.json").write_text(json.dumps(model))


def _mlserver(home: Path, folder: Path, port: int) -> list[str]:
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (folder / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "parallel_workers": 0, **ports}))
    return [str(home / "mlserver"), "start", str(folder)]


def _v2(frame: pl.DataFrame) -> dict[str, Any]:
    inputs = [
        {
            "name": column.name,
            "shape": [frame.height, 1],
            "datatype": "FP64" if column.dtype == pl.Float64 else "BYTES",
            "data": column.fill_null(float("nan")).to_list() if column.dtype == pl.Float64 else column.to_list(),
            "parameters": {"content_type": "np" if column.dtype == pl.Float64 else "str"},
        }
        for column in frame
    ]
    return {"parameters": {"content_type": "pd"}, "inputs": inputs}


def _mlflow_folder(folder: Path, home: Path, variables: dict[str, str]) -> None:
    command = [home / "python", APPS / "mlflow_model.py", folder / "model"]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **variables})


def _mlflow(home: Path, folder: Path, port: int) -> list[str]:
    command = [str(home / "mlflow"), "models", "serve", "--model-uri", str(folder / "model"), "--port", str(port)]
    return [*command, "--env-manager", "local", "--workers", "1"]


def _records(frame: pl.DataFrame) -> dict[str, Any]:
    return {"X": frame.to_dicts()}


def _split(frame: pl.DataFrame) -> dict[str, Any]:
    return {"dataframe_split": {"columns": frame.columns, "data": [list(row) for row in frame.iter_rows()]}}


PEERS = (
    Peer(
        "MLServer",
        "mlserver==1.7.1",
        "/v2/models/fitted/infer",
        _mlserver,
        _v2,
        lambda answer: answer["outputs"][0]["data"],
        _mlserver_folder,
    ),
    Peer(
        "MLflow",
        "mlflow==3.17.2",
        "/invocations",
        _mlflow,
        _split,
        lambda answer: _flat(answer["predictions"]),
        _mlflow_folder,
    ),
    Peer(
        "BentoML",
        "bentoml==1.4.39",
        "/predict",
        lambda home, _, port: [str(home / "bentoml"), "serve", "bentoml_service:Fitted", "--port", str(port)],
        _records,
        lambda answer: _flat(answer),  # noqa: PLW0108 - it stands below
    ),
    Peer(
        "LitServe",
        "litserve==0.2.19",
        "/predict",
        lambda home, _, port: [str(home / "python"), str(APPS / "litserve_app.py"), str(port)],
        _records,
        lambda answer: _flat(answer["predictions"]),
    ),
)


def question(peer: Peer, frame: pl.DataFrame, file: Path) -> Path:
    """Write a peer's question for a frame; NaN is null, as all of them take it."""
    file.write_bytes(orjson.dumps(peer.question(frame)))
    return file


def _flat(labels: list[Any]) -> list[str]:
    return [str(label[0] if isinstance(label, list) else label) for label in labels]
