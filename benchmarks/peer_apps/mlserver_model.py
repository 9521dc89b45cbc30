"""MLServer: a runtime that reads its pandas codec's frame and answers labels."""

import os

import joblib
from mlserver import MLModel
from mlserver.codecs import PandasCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Fitted(MLModel):
    """The fitted estimator of BENCH_MODEL."""

    async def load(self) -> bool:
        """Load it."""
        self._estimator = joblib.load(os.environ["BENCH_MODEL"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Predict the label of each row."""
        labels = self._estimator.predict(self.decode_request(payload, default_codec=PandasCodec))
        output = StringCodec.encode_output("predictions", [str(label) for label in labels])
        return InferenceResponse(model_name=self.name, outputs=[output])
