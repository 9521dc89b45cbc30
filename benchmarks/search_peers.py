"""Other AutoML libraries on the same tables: each in an environment of its own, run as a program of `peer_apps/`.

If one cannot be installed or fails, the table says so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.peers import APPS, CACHE

_MARGIN_S = 600
"""How much longer than its time a peer may take before it is given up."""


@dataclass(frozen=True, slots=True)
class Library:
    """A peer: what pip installs for it. Its program is `peer_apps/automl_NAME.py`."""

    name: str
    requirements: tuple[str, ...]

    @property
    def home(self) -> Path:
        """Its environment."""
        return CACHE / f"automl-{self.name}"


LIBRARIES = (
    Library("flaml", ("flaml[automl]==2.7.0", "pandas")),
    Library("autogluon", ("autogluon.tabular[lightgbm,catboost,xgboost]==1.6.3",)),
    Library("h2o", ("h2o==3.46.0.12", "pandas")),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a run has found: its answers for the rows held out, shape (n, k), in the order of the sorted classes."""

    scores: np.ndarray
    cpu_seconds: float
    model_bytes: int


def install(library: Library) -> None:
    """Install a peer if it is not there yet. Raises CalledProcessError with what pip said."""
    stamp = library.home / ".installed"
    if stamp.exists():
        return
    shutil.rmtree(library.home, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", library.home], check=True)
    pip = [str(library.home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *library.requirements], check=True, capture_output=True, text=True)
    stamp.touch()


def run(library: Library, fitted: pl.DataFrame, judged: pl.DataFrame, *, task: str, seconds: float, seed: int) -> Found:
    """Have a peer fit one table, whose target is the column `target`, and answer for another.

    Raises CalledProcessError or TimeoutExpired.
    """
    folder = library.home / "work"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    fitted.write_csv(folder / "fitted.csv")
    judged.drop("target").write_csv(folder / "judged.csv")
    said = {"task": task, "seconds": seconds, "seed": seed}
    (folder / "order.json").write_text(json.dumps(said))
    command = [str(library.home / "bin" / "python"), str(APPS / f"automl_{library.name}.py")]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=seconds + _MARGIN_S)
    answer = json.loads((folder / "answer.json").read_text())
    return Found(np.array(answer["scores"]), answer["cpu_seconds"], answer["model_bytes"])
