"""What the programs of the AutoML libraries share: their order, and how they answer it. It runs in their environments.

The order is `order.json` with the tables `fitted.csv` (its target is `target`) and `judged.csv`; the answer is
`answer.json`.
"""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

Solve = Callable[[pd.DataFrame, pd.DataFrame, dict[str, Any]], tuple[Any, Path]]
"""Fits the first table and answers for the second: shape (n, k) by the sorted classes, and the folder of the model."""


def _cpu_seconds() -> float:
    """Return what this process and its children have used, those that have ended and those that still run."""
    ended = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            ticks += sum(map(int, fields[11:15]))
    return sum(used.ru_utime + used.ru_stime for used in ended) + ticks / os.sysconf("SC_CLK_TCK")


def main(solve: Solve) -> None:
    """Carry out the order in this folder."""
    order = json.loads(Path("order.json").read_text())
    scores, model = solve(pd.read_csv("fitted.csv"), pd.read_csv("judged.csv"), order)
    files = [model] if model.is_file() else [file for file in model.rglob("*") if file.is_file()]
    answer = {
        "scores": scores.tolist(),
        "cpu_seconds": _cpu_seconds(),
        "model_bytes": sum(file.stat().st_size for file in files),
    }
    Path("answer.json").write_text(json.dumps(answer))
