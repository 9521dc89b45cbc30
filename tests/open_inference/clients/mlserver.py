"""Asks by MLServer's codecs over HTTP and gRPC, and by its `infer` command. Writes what it was told as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

sys.path.remove(str(Path(__file__).parent))  # where this file would be taken for the package

import grpc
import pandas as pd
from mlserver import types
from mlserver.codecs import NumpyCodec, PandasCodec, StringCodec
from mlserver.grpc import converters, dataplane_pb2, dataplane_pb2_grpc
from mlserver.rest import openapi


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Return every answer by the way it was asked for."""
    frame = pd.DataFrame(asked["columns"]).astype({"age": "float64"})
    frame = frame.fillna({"job": "", "since": ""})  # the codec takes no column of texts and nulls
    request = _encoded(frame)
    document = Path(openapi.__file__).parent / "dataplane.json"
    return {
        "descriptor": dataplane_pb2.DESCRIPTOR.serialized_pb.hex(),
        "openapi": json.loads(document.read_text()),
        "rest": _told(_by_rest(asked["rest"], request)),
        "grpc": _told(_by_grpc(asked["grpc"], _encoded(frame.fillna({"age": 30.0}), use_bytes=True))),  # takes no null
        "command": [_told(one) for one in _by_command(asked["rest"], request)],
    }


def _encoded(frame: pd.DataFrame, *, use_bytes: bool = False) -> types.InferenceRequest:
    request = PandasCodec.encode_request(frame, use_bytes=use_bytes)
    request.outputs = [types.RequestOutput(name="predict"), types.RequestOutput(name="probabilities")]
    return request


def _by_rest(url: str, request: types.InferenceRequest) -> types.InferenceResponse:
    body = request.model_dump_json().encode()
    made = urllib.request.Request(f"{url}/v2/models/credit/infer", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(made) as answer:
        return types.InferenceResponse.model_validate_json(answer.read())


def _by_grpc(target: str, request: types.InferenceRequest) -> types.InferenceResponse:
    with grpc.insecure_channel(target) as channel:
        stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel)
        message = converters.ModelInferRequestConverter.from_types(request, model_name="credit", model_version="")
        return converters.ModelInferResponseConverter.to_types(stub.ModelInfer(message))


def _by_command(url: str, request: types.InferenceRequest) -> list[types.InferenceResponse]:
    with tempfile.TemporaryDirectory() as folder:
        asked, told = Path(folder) / "asked", Path(folder) / "told"
        asked.write_text(f"{request.model_dump_json(exclude_none=True)}\n" * 2)
        command: list[str | Path] = [
            Path(sys.executable).with_name("mlserver"),
            "infer",
            "--url",
            url.removeprefix("http://"),
        ]
        command += ["--model-name", "credit", "--input-data-path", asked, "--output-data-path", told]
        subprocess.run(command, check=True, capture_output=True)
        return [types.InferenceResponse.model_validate_json(line) for line in told.read_text().splitlines()]


def _told(answer: types.InferenceResponse) -> dict[str, Any]:
    predict, probabilities = answer.outputs
    return {
        "predict": StringCodec.decode_output(predict),
        "probabilities": NumpyCodec.decode_output(probabilities).tolist(),
        "said": [answer.model_name, answer.model_version],
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
