"""AutoGluon: fits an order and answers it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from autogluon.tabular import TabularPredictor
from automl import main


def solve(fitted: pd.DataFrame, judged: pd.DataFrame, order: dict[str, Any]) -> tuple[Any, Path]:
    """Fit its preset for good quality by log loss or rmse for the seconds there are."""
    is_numbers = order["task"] == "regression"
    metric = "root_mean_squared_error" if is_numbers else "log_loss"
    found = TabularPredictor("target", eval_metric=metric, path="model", verbosity=0)
    found.fit(fitted, time_limit=order["seconds"], presets="good_quality", dynamic_stacking=False, num_cpus=2)
    if is_numbers:
        return found.predict(judged).to_numpy().reshape(-1, 1), Path("model")
    return found.predict_proba(judged)[sorted(found.class_labels)].to_numpy(), Path("model")


main(solve)
