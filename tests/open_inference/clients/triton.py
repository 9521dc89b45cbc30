"""Asks by tritonclient: HTTP with JSON and with binary tensors, and gRPC. Writes what it was told as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from google.protobuf.json_format import MessageToDict
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

_MISSING = {"FP64": float("nan"), "BYTES": ""}
_DTYPES = {"FP64": np.float64, "FP32": np.float32, "BYTES": object, "BOOL": np.bool_, "INT64": np.int64}


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Return every answer by the way it was asked for."""
    http = triton_http.InferenceServerClient(asked["rest"].removeprefix("http://"))
    grpc = triton_grpc.InferenceServerClient(asked["grpc"])
    ways = {
        "http json": (http, triton_http, False),
        "http binary": (http, triton_http, True),
        "grpc": (grpc, triton_grpc, None),
    }
    found: dict[str, Any] = {"descriptor": service_pb2.DESCRIPTOR.serialized_pb.hex()}
    for way, (client, module, binary) in ways.items():
        kinds = asked["datatypes"]
        inputs = [_input(module, name, kinds[name], cells, binary) for name, cells in asked["columns"].items()]
        matrix = [_input(module, "all of them", "FP32", asked["matrix"], binary)]
        found[way] = {
            "credit": _infer(client, module, "credit", inputs, binary),
            "by default": client.infer("credit", inputs).as_numpy("predict").tolist(),
            "version": _infer(client, module, "credit", inputs, binary, model_version="1"),
            "price": client.infer("price", inputs).as_numpy("predict").tolist(),
            "flags": _infer(client, module, "flags", matrix, binary),
            "counts": _infer(client, module, "counts", matrix, binary),
            "unknown": _error(client, "nobody", inputs),
            "missing": _error(client, "credit", inputs[1:]),
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model ready": [client.is_model_ready("credit"), client.is_model_ready("credit", "1")],
        }
    found["http json"]["metadata"] = [http.get_server_metadata(), http.get_model_metadata("credit")]
    metadata = [grpc.get_server_metadata(), grpc.get_model_metadata("credit")]
    found["grpc"]["metadata"] = [MessageToDict(one, preserving_proto_field_name=True) for one in metadata]
    return found


def _input(module: Any, name: str, datatype: str, cells: list[Any], binary: bool | None) -> Any:
    known = [_MISSING[datatype] if cell is None else cell for cell in cells]
    array: Any = np.array(known, dtype=_DTYPES[datatype])
    made = module.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, **({} if binary is None else {"binary_data": binary}))
    return made


def _infer(client: Any, module: Any, model: str, inputs: list[Any], binary: bool | None, **more: Any) -> dict[str, Any]:
    how = {} if binary is None else {"binary_data": binary}
    outputs = [module.InferRequestedOutput(name, **how) for name in ("predict", "probabilities")]
    answer = client.infer(model, inputs, outputs=outputs, request_id="mine", **more)
    said = answer.get_response()
    said = said if isinstance(said, dict) else MessageToDict(said, preserving_proto_field_name=True)
    labels = answer.as_numpy("predict").tolist()
    return {
        "predict": [one.decode() if isinstance(one, bytes) else one for one in labels],
        "probabilities": answer.as_numpy("probabilities").tolist(),
        "said": [said["model_name"], said["model_version"], said["id"]],
    }


def _error(client: Any, model: str, inputs: list[Any]) -> str:
    try:
        client.infer(model, inputs)
    except InferenceServerException as error:
        return f"{error.status()}: {error.message()}"
    return "none"


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1])), default=lambda one: one.decode()))
