"""Asks by KServe's clients: REST with JSON and with binary tensors, and gRPC. Writes what it was told as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.remove(str(Path(__file__).parent))  # where this file would be taken for the package

import httpx
import numpy as np
from grpc import RpcError
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.grpc import grpc_predict_v2_pb2
from kserve.protocol.infer_type import RequestedOutput

_MISSING = {"FP64": float("nan"), "BYTES": ""}
_DTYPES = {"FP64": np.float64, "FP32": np.float32, "BYTES": object, "BOOL": np.bool_, "INT64": np.int64}


async def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Return every answer by the way it was asked for."""
    rest = InferenceRESTClient(RESTConfig(protocol="v2"))
    grpc = InferenceGRPCClient(asked["grpc"])
    found: dict[str, Any] = {"descriptor": grpc_predict_v2_pb2.DESCRIPTOR.serialized_pb.hex()}
    for way in ("rest json", "rest binary", "grpc typed", "grpc raw"):
        binary = way in ("rest binary", "grpc raw")
        client = grpc.infer if way.startswith("grpc") else partial(_by_rest, rest, asked["rest"])
        inputs = [_input(name, asked["datatypes"][name], cells, binary) for name, cells in asked["columns"].items()]
        matrix = [_input("all of them", "FP32", asked["matrix"], binary)]
        found[way] = {
            "credit": await _infer(client, "credit", inputs),
            "flags": await _infer(client, "flags", matrix),
            "counts": await _infer(client, "counts", matrix),
            "unknown": await _error(client, "nobody", inputs),
            "missing": await _error(client, "credit", inputs[1:]),
        }
    found["rest json"]["ready"] = [
        await rest.is_server_live(asked["rest"]),
        await rest.is_server_ready(asked["rest"]),
        await rest.is_model_ready(asked["rest"], "credit"),
    ]
    found["grpc typed"]["ready"] = [
        await grpc.is_server_live(),
        await grpc.is_server_ready(),
        await grpc.is_model_ready("credit"),
    ]
    await rest.close()
    await grpc.close()
    return found


async def _by_rest(rest: InferenceRESTClient, url: str, request: InferRequest) -> Any:
    return await rest.infer(url, request, request.model_name)


async def _infer(client: Callable[[InferRequest], Any], model: str, inputs: list[InferInput]) -> dict[str, Any]:
    outputs = [RequestedOutput("predict"), RequestedOutput("probabilities")]
    answer = await client(InferRequest(model, inputs, request_id="mine", request_outputs=outputs))
    predict, probabilities = answer.outputs
    labels = predict.as_numpy().tolist()
    return {
        "predict": [one.decode() if isinstance(one, bytes) else one for one in labels],
        "probabilities": probabilities.as_numpy().tolist(),
        "said": [answer.model_name, answer.model_version, answer.id],
    }


async def _error(client: Callable[[InferRequest], Any], model: str, inputs: list[InferInput]) -> str:
    try:
        await _infer(client, model, inputs)
    except (httpx.HTTPStatusError, RuntimeError, RpcError) as error:
        return str(error)
    return "none"


def _input(name: str, datatype: str, cells: list[Any], binary: bool) -> InferInput:
    known = [_MISSING[datatype] if cell is None else cell for cell in cells]
    array: Any = np.array(known, dtype=_DTYPES[datatype])
    made = InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
