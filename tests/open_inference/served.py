"""A yard behind both doors at once, with models of every kind of label, and questions to them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from modelyard.ml_core.yard import Yard
from modelyard.schemas import Evaluation, Predictions, PredictRequest, TrainRequest
from tests import doors
from tests.client_environments import Client

needs_mlserver = pytest.mark.skipif(sys.version_info >= (3, 13), reason="MLServer has no release for this Python")
Answers: TypeAlias = Callable[[Client], dict[str, Any]]
"""Returns what a client was told."""

COLUMNS: dict[str, list[Any]] = {
    "age": [float(18 + i % 40) for i in range(80)],
    "job": [["clerk", "smith", "ümlaut"][i % 3] for i in range(80)],
    "member": [i % 4 == 0 for i in range(80)],
    "code": [i % 5 for i in range(80)],
    "since": [f"2024-01-{1 + i % 28:02d}" for i in range(80)],
}
NUMBERS: dict[str, list[Any]] = {f"n{j}": [float((i * (j + 3)) % 17) for i in range(80)] for j in range(3)}
HIGH = [i % 40 > 20 for i in range(80)]

ASKED: dict[str, list[Any]] = {
    "age": [20.0, None, 57.0, 40.5],
    "job": ["clerk", "ümlaut", None, "never seen"],
    "member": [True, False, True, False],
    "code": [0, 4, 3, 9],
    "since": ["2024-01-03", "2025-07-01T10:00:00", None, "2023-12-31"],
}
DATATYPES = {"age": "FP64", "job": "BYTES", "member": "BOOL", "code": "INT64", "since": "BYTES"}
MATRIX = [[1.0, 2.0, 3.0], [16.0, 15.5, 0.0]]


@dataclass(frozen=True, slots=True)
class Served:
    """The folder, its core, and the addresses of the doors."""

    folder: Path
    yard: Yard
    rest: str
    grpc: str

    def expected(self, model: str, X: Any = None) -> Predictions:
        """Return what the core predicts for ASKED, or for X, with probabilities."""
        asked = PredictRequest(model_id=model, X=ASKED if X is None else X, probabilities=True)
        return self.yard.predict(asked)


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Served]:
    """Serve `credit` (texts) and `price` (numbers) of mixed columns, `flags` (booleans) and `counts` (integers)."""
    with doors.core(folder) as yard:
        for name, y in (
            ("credit", ["yes" if one else "no" for one in HIGH]),
            ("price", [one * 2.5 for one in COLUMNS["age"]]),
        ):
            _train(yard, name, COLUMNS, y, feature_types={"code": "categorical", "since": "datetime"})
        _train(yard, "flags", NUMBERS, HIGH)
        _train(yard, "counts", NUMBERS, [i % 3 for i in range(80)])
        with doors.rest_thread(folder, **settings) as rest, doors.grpc_thread(folder, **settings) as grpc:
            yield Served(folder, yard, rest, grpc)


def _train(yard: Yard, name: str, X: Any, y: list[Any], **more: Any) -> None:
    key = "linear_regression" if name == "price" else "logistic_regression"
    request = TrainRequest(model_class_key=key, name=name, X=X, y=y, evaluation=Evaluation(method="none"), **more)
    yard.train(request)
