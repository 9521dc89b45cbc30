"""Make a frozen folder: what this release wrote, which every later one must read. Run once a format, then keep it.

`python -m tests.data.freeze tests/data/frozen-2`
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import orjson

from modelyard.bootstrap import build
from modelyard.schemas import Decision, EvaluateRequest, PredictRequest, RetrainRequest, TrainRequest
from modelyard.settings import Settings

ROWS = [
    {"size": number, "kind": "abc"[number % 3], "weight": None if number % 7 == 0 else number / 4}
    for number in range(30)
]
KEYED = [{"key": f"{number:03}", "counts": 1 + number % 2, **row} for number, row in enumerate(ROWS)]
LABELS = ["large" if number > 15 else "small" for number in range(30)]
NUMBERS = [number / 2 + number % 3 for number in range(30)]
QUICK: dict[str, dict[str, int]] = {
    "logistic_regression": {},
    "catboost_classifier": {"iterations": 5, "depth": 2},
    "lightgbm_classifier": {"n_estimators": 5, "num_leaves": 3},
    "linear_regression": {},
}
COSTS = {"large": {"small": 5.0}, "small": {"large": 1.0}}


def freeze(folder: Path) -> None:
    """Train one model of each class, let each verb leave its traces, and write down what the models predict."""
    yard = build(Settings(storage_dir=folder, train_workers=1))
    try:
        for key, hyperparams in QUICK.items():
            y = NUMBERS if key == "linear_regression" else LABELS
            order = TrainRequest(model_class_key=key, X=KEYED, y=y, name=key, hyperparams=hyperparams, tags=["frozen"])
            roles = {"key": "id", "counts": "weight"}
            yard.train(order.model_copy(update={"column_roles": roles}), idempotency_key=f"frozen-{key}")
        for _ in range(2):
            yard.retrain(RetrainRequest(model_id="logistic_regression", X=KEYED, y=LABELS))
        yard.delete("logistic_regression:2")
        yard.restore("logistic_regression:2")
        yard.delete("logistic_regression:2")
        yard.delete("logistic_regression:3", hard=True)
        yard.set_decision("logistic_regression", Decision(rule="costs", costs=COSTS))
        yard.evaluate(
            EvaluateRequest(model_ids=["logistic_regression", "catboost_classifier"], X=ROWS[:20], y=LABELS[:20])
        )
        asked = {key: yard.predict(PredictRequest(model_id=key, X=ROWS, probabilities=True)) for key in QUICK}
    finally:
        yard.close()
    folder.with_suffix(".json").write_bytes(
        orjson.dumps(asked, default=lambda found: found.model_dump(), option=orjson.OPT_INDENT_2)
    )
    shutil.rmtree(folder / "jobs")
    (folder / "db.lock").unlink()


if __name__ == "__main__":
    freeze(Path(sys.argv[1]))
