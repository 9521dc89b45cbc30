"""LitServe: an API that takes records and answers labels, on the port that is the first argument."""

import os
import sys
from typing import Any

import joblib
import litserve
import pandas as pd


class Fitted(litserve.LitAPI):
    """The fitted estimator of BENCH_MODEL."""

    def setup(self, device: str) -> None:
        """Load it."""
        self._estimator = joblib.load(os.environ["BENCH_MODEL"])

    def decode_request(self, request: dict[str, Any]) -> pd.DataFrame:
        """Read the rows."""
        return pd.DataFrame(request["X"])

    def predict(self, x: pd.DataFrame) -> Any:
        """Predict the label of each row."""
        return self._estimator.predict(x)

    def encode_response(self, output: Any) -> dict[str, list[str]]:
        """Write the labels."""
        return {"predictions": [str(label) for label in output]}


if __name__ == "__main__":
    server = litserve.LitServer(Fitted(), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
