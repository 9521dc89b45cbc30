"""The snippets of a name's page do what they say: each is run as it is shown."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format

from modelyard.dashboard.registry import snippets
from modelyard.dashboard.registry.snippets import Call
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.rest_api.client import RestClient
from modelyard.schemas import AliasRequest, KeyRequest, PredictRequest, TrainRequest
from tests import doors

ROWS: list[dict[str, Any]] = [
    {
        "age": 20 + i % 40,
        'it\'s "paid"': 10.5 * (i % 7),
        "Город": ["Москва", "$HOME `x`", None][i % 3],
        "when": f"2024-01-{1 + i % 28:02}T10:00:00",
        "never": None if i else 1.0,
    }
    for i in range(60)
]
LABELS = ["yes" if row["age"] > 40 else "no" for row in ROWS]


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Call, str]]:
    """A call as the page makes it, and the key that it needs."""
    folder = tmp_path_factory.mktemp("snippets") / "models_storage"
    with doors.core(folder) as core:
        key = core.create_key(KeyRequest(name="me", role="admin")).key
        core.train(TrainRequest(model_class_key="logistic_regression", X=ROWS, y=LABELS, name="people"))
        core.set_alias("people", "live", AliasRequest(version=1))
        model, report = core.get_model("people"), core.get_report("people")
    with ExitStack() as stack:
        rest_url = stack.enter_context(doors.rest_thread(folder, auth="keys"))
        grpc_target = stack.enter_context(doors.grpc_thread(folder, auth="keys"))
        row = snippets.typical_row(model, report.columns)
        assert list(row) == list(ROWS[0])
        assert row["Город"] in ("Москва", "$HOME `x`")
        yield Call("people@live", rest_url, grpc_target, row, probabilities=True, key=True), key


def run(script: list[str], key: str, **given: str) -> str:
    environment = {**os.environ, **given, "MODELYARD_KEY": key}
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def expected(call: Call, key: str) -> tuple[list[Any], Any]:
    with RestClient(call.rest_url, key=key) as client:
        asked = PredictRequest(model_id=call.reference, X=[dict(call.row)], probabilities=True)
        found = client.predict(asked)
    return found.predictions, found.probabilities


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_asks_the_model(call: tuple[Call, str]) -> None:
    said = json.loads(run(["sh", "-c", snippets.curl(call[0])], call[1]))
    assert (said["predictions"], said["probabilities"]) == expected(*call)


def test_python_asks_the_model(call: tuple[Call, str]) -> None:
    predictions, probabilities = expected(*call)
    assert run([sys.executable, "-c", snippets.python(call[0])], call[1]).strip() == f"{predictions} {probabilities}"


def test_the_command_line_asks_the_model(call: tuple[Call, str]) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said = run(["sh", "-c", snippets.command_line(call[0])], call[1], PATH=path)
    assert str(expected(*call)[0][0]) in said


def test_grpcurl_sends_what_the_server_takes(call: tuple[Call, str], tmp_path: Path) -> None:
    """A double of grpcurl takes the arguments as the shell gives them, and asks as it would."""
    double = tmp_path / "grpcurl"
    double.write_text('#!/bin/sh\nprintf "%s\\0" "$@"\n')
    double.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    arguments = run(["sh", "-c", snippets.grpcurl(call[0])], call[1], PATH=path).split("\0")[:-1]
    assert ("-plaintext" in arguments, arguments[-1]) == (True, "modelyard.v1.ModelService/Predict")
    message = json_format.Parse(arguments[arguments.index("-d") + 1], pb.PredictRequest())
    header, shown = arguments[arguments.index("-H") + 1].split(": ")
    with grpc.insecure_channel(arguments[-2]) as channel:
        ask = channel.unary_unary(
            "/" + arguments[-1],
            request_serializer=pb.PredictRequest.SerializeToString,
            response_deserializer=pb.PredictResponse.FromString,
        )
        found = ask(message, metadata=[(header, shown)])
    predictions, probabilities = expected(*call)
    assert [value.string_value for value in found.predictions] == predictions
    assert list(found.probabilities[0].values) == pytest.approx(probabilities[0])


def test_a_yard_that_asks_for_no_key_is_shown_none(call: tuple[Call, str]) -> None:
    without = replace(call[0], key=False, probabilities=False)
    for write in (snippets.curl, snippets.python, snippets.grpcurl, snippets.command_line):
        assert "uthorization" not in write(without)
        assert "MODELYARD_KEY" not in write(without)
        assert "probabilities" not in write(without)
