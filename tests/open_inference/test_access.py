"""Keys hold at the protocol's routes and methods as at all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from modelyard.grpc_server.pb import open_inference_pb2 as pb
from modelyard.schemas import Evaluation, KeyRequest, TrainRequest
from tests import doors
from tests.open_inference.served import NUMBERS
from tests.open_inference.test_errors import MATRIX_INPUT, call, message_of
from tests.waiting import PATIENCE_S

Key = str | None


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Key]]:
    folder = tmp_path_factory.mktemp("keys") / "models_storage"
    with doors.core(folder) as core:
        for name in ("flags", "others"):
            y = [i % 2 == 0 for i in range(80)]
            evaluation = Evaluation(method="none")
            core.train(
                TrainRequest(model_class_key="logistic_regression", name=name, X=NUMBERS, y=y, evaluation=evaluation)
            )
        made = {
            "nobody": None,
            "reader": core.create_key(KeyRequest(name="reader", role="reader")).key,
            "predictor": core.create_key(KeyRequest(name="predictor", role="predictor", models=["flags"])).key,
        }
    return folder, made


def headers(key: Key) -> dict[str, str]:
    return {} if key is None else {"authorization": f"Bearer {key}"}


EXPECTED = {
    "nobody": {"live": 200, "flags": 401, "infer flags": 401, "infer others": 401},
    "reader": {"live": 200, "flags": 200, "infer flags": 403, "infer others": 403},
    "predictor": {"live": 200, "flags": 200, "infer flags": 200, "infer others": 403},
}
CODES = {
    200: None,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
}


def test_keys_are_asked_for_over_rest(yard: tuple[Path, dict[str, Key]]) -> None:
    folder, keys = yard
    with doors.rest_thread(folder, auth="keys") as url, httpx.Client(base_url=f"{url}/v2", timeout=PATIENCE_S) as http:
        asked = {"inputs": [MATRIX_INPUT]}
        for name, key in keys.items():
            found = {
                "live": http.get("/health/live", headers=headers(key)),
                "flags": http.get("/models/flags", headers=headers(key)),
                **{
                    f"infer {model}": http.post(f"/models/{model}/infer", json=asked, headers=headers(key))
                    for model in ("flags", "others")
                },
            }
            assert {what: answer.status_code for what, answer in found.items()} == EXPECTED[name]
            assert all(list(answer.json()) == ["error"] for answer in found.values() if answer.status_code > 400)
        assert http.get("", headers=headers(keys["nobody"])).status_code == 401
        assert http.get("", headers=headers(keys["reader"])).json()["version"]


def test_keys_are_asked_for_over_grpc(yard: tuple[Path, dict[str, Key]]) -> None:
    folder, keys = yard
    with doors.grpc_thread(folder, auth="keys") as target, grpc.insecure_channel(target) as channel:

        def code(method: str, message: Any, answer: Any, key: Key) -> Any:
            try:
                call(channel, method, message, answer, metadata=tuple(headers(key).items()))
            except grpc.RpcError as error:
                said: Any = error
                return said.code()
            return None

        for name, key in keys.items():
            found = {
                "live": code("ServerLive", pb.ServerLiveRequest(), pb.ServerLiveResponse, key),
                "flags": code("ModelMetadata", pb.ModelMetadataRequest(name="flags"), pb.ModelMetadataResponse, key),
                **{
                    f"infer {model}": code("ModelInfer", message_of(model, [MATRIX_INPUT]), pb.ModelInferResponse, key)
                    for model in ("flags", "others")
                },
            }
            assert found == {what: CODES[status] for what, status in EXPECTED[name].items()}
