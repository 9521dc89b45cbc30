"""Make a frozen folder: what this release wrote, which every later one must read. Run once a format, then keep it.

`python -m tests.data.freeze tests/data/frozen-1`
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import orjson

from modelyard.bootstrap import build
from modelyard.schemas import PredictRequest, RetrainRequest, TrainRequest
from modelyard.settings import Settings

ROWS = [
    {"size": number, "kind": "abc"[number % 3], "weight": None if number % 7 == 0 else number / 4}
    for number in range(30)
]
LABELS = ["large" if number > 15 else "small" for number in range(30)]
QUICK: dict[str, dict[str, int]] = {"logistic_regression": {}, "catboost_classifier": {"iterations": 5, "depth": 2}}


def freeze(folder: Path) -> None:
    """Train one model of each class, let each verb leave its traces, and write down what the models predict."""
    yard = build(Settings(storage_dir=folder, train_workers=1))
    try:
        for key, hyperparams in QUICK.items():
            yard.train(
                TrainRequest(model_class_key=key, X=ROWS, y=LABELS, name=key, hyperparams=hyperparams, tags=["frozen"]),
                idempotency_key=f"frozen-{key}",
            )
        for _ in range(2):
            yard.retrain(RetrainRequest(model_id="logistic_regression", X=ROWS, y=LABELS))
        yard.delete("logistic_regression:2")
        yard.restore("logistic_regression:2")
        yard.delete("logistic_regression:2")
        yard.delete("logistic_regression:3", hard=True)
        asked = {key: yard.predict(PredictRequest(model_id=key, X=ROWS, probabilities=True)) for key in QUICK}
    finally:
        yard.close()
    folder.with_suffix(".json").write_bytes(orjson.dumps(asked, option=orjson.OPT_INDENT_2))
    shutil.rmtree(folder / "jobs")
    (folder / "db.lock").unlink()


if __name__ == "__main__":
    freeze(Path(sys.argv[1]))
