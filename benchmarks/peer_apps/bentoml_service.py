"""BentoML: a service that takes records and answers labels."""

import os
from typing import Any

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1)
class Fitted:
    """The fitted estimator of BENCH_MODEL."""

    def __init__(self) -> None:
        self._estimator = joblib.load(os.environ["BENCH_MODEL"])

    @bentoml.api
    def predict(self, X: list[dict[str, Any]]) -> list[str]:
        """Predict the label of each row."""
        return [str(label) for label in self._estimator.predict(pd.DataFrame(X))]
