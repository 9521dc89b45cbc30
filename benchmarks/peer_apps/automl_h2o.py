"""H2O AutoML: fits an order and answers it. Its Java server ends with this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h2o
import pandas as pd
from automl import main
from h2o.automl import H2OAutoML


def solve(fitted: pd.DataFrame, judged: pd.DataFrame, order: dict[str, Any]) -> tuple[Any, Path]:
    """Fit for the seconds there are, judged by log loss or rmse."""
    is_numbers = order["task"] == "regression"
    h2o.init(nthreads=2, max_mem_size="4G")
    frame, asked = h2o.H2OFrame(fitted), h2o.H2OFrame(judged)
    if not is_numbers:
        frame["target"] = frame["target"].asfactor()
    found = H2OAutoML(
        max_runtime_secs=int(order["seconds"]), seed=order["seed"] + 1, sort_metric="RMSE" if is_numbers else "logloss"
    )
    found.train(y="target", training_frame=frame)
    answers = found.leader.predict(asked).as_data_frame()
    model = Path(h2o.save_model(found.leader, path="model", force=True))
    return (answers[["predict"]] if is_numbers else answers.drop(columns="predict")).to_numpy(), model


main(solve)
