"""What the programs of the AutoML libraries share: their order, and how they answer it. It runs in their environments.

The order is `order.json` with the tables `fitted.csv` (its target is `target`) and `judged.csv`; the answer is
`answer.json`.
"""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

Solve = Callable[[pd.DataFrame, pd.DataFrame, dict[str, Any]], tuple[Any, Path]]
"""Fits the first table and answers for the second: shape (n, k) by the sorted classes, and the folder of the model."""


def main(solve: Solve) -> None:
    """Carry out the order in this folder."""
    order = json.loads(Path("order.json").read_text())
    scores, model = solve(pd.read_csv("fitted.csv"), pd.read_csv("judged.csv"), order)
    files = [model] if model.is_file() else [file for file in model.rglob("*") if file.is_file()]
    answer = {
        "scores": scores.tolist(),
        "cpu_seconds": sum(
            used.ru_utime + used.ru_stime
            for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        ),
        "model_bytes": sum(file.stat().st_size for file in files),
    }
    Path("answer.json").write_text(json.dumps(answer))
