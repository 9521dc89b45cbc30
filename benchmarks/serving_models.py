"""What the serving benchmarks ask about: two models trained here, and the bodies of the questions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson
import polars as pl

from benchmarks.tables_made import make_table
from modelyard.bootstrap import build
from modelyard.schemas import TrainRequest
from modelyard.settings import Settings

MODELS = {"LR": "logistic_regression", "CatBoost": "catboost_classifier"}
_HYPERPARAMS = {"LR": {}, "CatBoost": {"iterations": 200, "depth": 6}}
JSON_FORMS = ("records", "rows", "columns")


@dataclass(frozen=True, slots=True)
class Body:
    """A body in a file, and the path and headers it goes with."""

    file: Path
    path: str = "/predict"
    content_type: str = "application/json"
    accept: str = "application/json"


def train(folder: Path) -> dict[str, Path]:
    """Train the models in a yard under `folder` and return their artifacts by short name."""
    X, y = make_table()
    artifacts = {}
    with build(Settings(storage_dir=folder / "yard")) as yard:
        for name, key in MODELS.items():
            request = TrainRequest(model_class_key=key, name=name, X=X, y=y, hyperparams=_HYPERPARAMS[name])
            model = yard.train(request)
            artifacts[name] = folder / "yard" / "artifacts" / model.model_id / model.artifact.file
    return artifacts


def asked(rows: int) -> pl.DataFrame:
    """Return rows that the models were not trained on."""
    return make_table(max(rows, 10_000), seed=3)[0].head(rows)


def body(folder: Path, model: str, rows: int, form: str = "records") -> Body:
    """Write the question for so many rows in a form: one of JSON's, or `arrow` (a stream)."""
    frame = asked(rows)
    file = folder / f"{model}-{rows}-{form}"
    if form == "arrow":
        frame.write_ipc_stream(file)
        arrow = "application/vnd.apache.arrow.stream"
        return Body(file, f"/predict/file?model_id={model}", arrow, arrow)
    forms = {
        "records": frame.to_dicts,
        "rows": lambda: [list(row) for row in frame.iter_rows()],
        "columns": lambda: frame.to_dict(as_series=False),
    }
    file.write_bytes(orjson.dumps({"model_id": model, "X": forms[form]()}))
    return Body(file)
