"""Tables for the gate: the same world every time, with as much of the truth in it as a test wants."""

from __future__ import annotations

import random
from typing import Any

from modelyard.schemas import RetrainRequest, TrainRequest

N = 1200


def table(seed: int, *, blurred: float = 0.0, n: int = N) -> tuple[list[dict[str, Any]], list[str]]:
    """Return n customers and whether they left. A share of the labels is `blurred`: drawn by lot."""
    lot = random.Random(seed)
    X: list[dict[str, Any]] = [
        {
            "age": lot.uniform(18, 80),
            "job": lot.choice(["clerk", "smith", None, "cook"]),
            "member": lot.random() > 0.5,
            "since": f"2024-0{lot.randint(1, 9)}-11",
        }
        for _ in range(n)
    ]
    y = ["yes" if row["age"] + lot.gauss(0, 10) > 45 else "no" for row in X]
    return X, [lot.choice(["yes", "no"]) if lot.random() < blurred else label for label in y]


def train(name: str, seed: int, *, blurred: float = 0.0, n: int = N, **asked: Any) -> TrainRequest:
    """Return an order of a new version of `name` on a table of that seed."""
    X, y = table(seed, blurred=blurred, n=n)
    fields: dict[str, Any] = {"model_class_key": "logistic_regression", "X": X, "y": y, "name": name, **asked}
    return TrainRequest.model_validate(fields)


def retrain(reference: str, seed: int, *, blurred: float = 0.0, n: int = N, **asked: Any) -> RetrainRequest:
    """Return an order of the version after `reference` on a table of that seed."""
    X, y = table(seed, blurred=blurred, n=n)
    return RetrainRequest.model_validate({"model_id": reference, "X": X, "y": y, **asked})


def live(**fields: Any) -> dict[str, Any]:
    """Return what takes over the alias `live`."""
    return {"alias": "live", **fields}
