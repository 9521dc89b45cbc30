"""What the serving benchmarks ask about: models trained here, and the bodies of the questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
import polars as pl

from benchmarks.tables_made import make_table
from modelyard.bootstrap import build
from modelyard.models_registry import model_class
from modelyard.schemas import TrainRequest
from modelyard.settings import Settings

MODELS = {"LR": "logistic_regression", "CatBoost": "catboost_classifier"}
"""Those that peers have, too."""

CLASSES = MODELS | {
    "LightGBM": "lightgbm_classifier",
    "linear regression": "linear_regression",
    "CatBoost regressor": "catboost_regressor",
    "LightGBM regressor": "lightgbm_regressor",
}
"""A model of each class. The regressions predict 0 and 1 for the labels."""

_BOOSTED = {"catboost": {"iterations": 200, "depth": 6}, "lightgbm": {"n_estimators": 200, "num_leaves": 15}}
JSON_FORMS = ("records", "rows", "columns")


@dataclass(frozen=True, slots=True)
class Body:
    """A body in a file, and the path and headers it goes with."""

    file: Path
    path: str = "/predict"
    content_type: str = "application/json"
    accept: str = "application/json"


def train(folder: Path, models: Mapping[str, str] = MODELS) -> dict[str, Path]:
    """Train the models in a yard under `folder` and return their artifacts by short name."""
    X, labels = make_table()
    artifacts = {}
    with build(Settings(storage_dir=folder / "yard")) as yard:
        for name, key in models.items():
            y = labels if model_class(key).task == "classification" else (labels == "yes").cast(pl.Float64)
            hyperparams = _BOOSTED.get(key.split("_")[0], {})
            request = TrainRequest(model_class_key=key, name=slug(name), X=X, y=y, hyperparams=hyperparams)
            model = yard.train(request)
            artifacts[name] = folder / "yard" / "artifacts" / model.model_id / model.artifact.file
    return artifacts


def slug(name: str) -> str:
    """Return a model's name in the yard."""
    return name.replace(" ", "-")


def asked(rows: int) -> pl.DataFrame:
    """Return rows that the models were not trained on."""
    return make_table(max(rows, 10_000), seed=3)[0].head(rows)


def body(folder: Path, model: str, rows: int, form: str = "records") -> Body:
    """Write the question for so many rows in a form: one of JSON's, `arrow` (a stream), or `inference`.

    The latter is JSON of the Open Inference Protocol.
    """
    frame = asked(rows)
    file = folder / f"{slug(model)}-{rows}-{form}"
    if form == "arrow":
        frame.write_ipc_stream(file)
        arrow = "application/vnd.apache.arrow.stream"
        return Body(file, f"/predict/file?model_id={slug(model)}", arrow, arrow)
    if form == "inference":
        inputs = [{**tensor(column), "data": column.to_list()} for column in frame]
        file.write_bytes(orjson.dumps({"inputs": inputs}))
        return Body(file, f"/v2/models/{slug(model)}/infer")
    forms = {
        "records": frame.to_dicts,
        "rows": lambda: [list(row) for row in frame.iter_rows()],
        "columns": lambda: frame.to_dict(as_series=False),
    }
    file.write_bytes(orjson.dumps({"model_id": slug(model), "X": forms[form]()}))
    return Body(file)


def tensor(column: pl.Series) -> dict[str, object]:
    """Return a column as an input of the Open Inference Protocol, without its cells."""
    datatype = "FP64" if column.dtype == pl.Float64 else "BYTES"
    return {"name": column.name, "datatype": datatype, "shape": [len(column)]}
