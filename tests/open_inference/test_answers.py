"""Both doors answer what the core says, by every way that a question may take."""

from __future__ import annotations

from typing import Any

import grpc
import httpx
import orjson
import pytest

from modelyard.grpc_server.pb import open_inference_pb2 as pb
from modelyard.open_inference import packed
from modelyard.schemas import Evaluation, TrainRequest
from tests import doors
from tests.open_inference.served import ASKED, COLUMNS, DATATYPES, MATRIX, Served
from tests.open_inference.test_errors import CONTENTS, HEADER, call, message_of, tensors
from tests.waiting import PATIENCE_S


def infer(url: str, model: str, asked: dict[str, Any]) -> Any:
    answer = httpx.post(f"{url}/v2/models/{model}/infer", json=asked, timeout=PATIENCE_S)
    assert answer.status_code == 200, answer.text
    return answer.json()


def many(rows: int) -> dict[str, list[Any]]:
    return {name: [cells[i % len(cells)] for i in range(rows)] for name, cells in ASKED.items()}


@pytest.mark.parametrize("rows", [1, 4, 64, 65, 1000])
def test_json_of_any_length_is_answered_as_the_core_does(served: Served, rows: int) -> None:
    X = many(rows)
    inputs = [{"name": name, "datatype": DATATYPES[name], "shape": [rows, 1], "data": X[name]} for name in X]
    found = infer(served.rest, "credit", {"id": "a", "parameters": {"probabilities": True}, "inputs": inputs})
    expected = served.expected("credit", X)
    predict, probabilities = found["outputs"]
    assert predict == {"name": "predict", "datatype": "BYTES", "shape": [rows], "data": expected.predictions}
    assert probabilities["shape"] == [rows, 2]
    assert probabilities["data"] == [one for row in expected.probabilities or () for one in row]
    assert probabilities["parameters"] == {"classes": '["no","yes"]'}
    assert {key: found[key] for key in ("model_name", "model_version", "id")} == {
        "model_name": "credit",
        "model_version": "1",
        "id": "a",
    }
    assert found["parameters"]["model_id"] == expected.model_id
    warnings = [one.model_dump(exclude_none=True) for one in expected.warnings]
    assert orjson.loads(found["parameters"].get("warnings", "[]")) == warnings


@pytest.mark.parametrize("rows", [1, 64, 65, 5000])
def test_binary_and_raw_cells_are_answered_as_the_core_does(served: Served, rows: int) -> None:
    X = many(rows)
    sent = [{"name": name, "datatype": DATATYPES[name], "shape": [rows], "data": X[name]} for name in X]
    message = message_of("credit", sent, id="b")
    message.outputs.add(name="probabilities")
    message.outputs.add(name="predict")
    expected = served.expected("credit", X)
    with grpc.insecure_channel(served.grpc) as channel:
        answer = call(channel, "ModelInfer", message, pb.ModelInferResponse)
    flat = [one for row in expected.probabilities or () for one in row]
    raw = [packed("FP64", flat), packed("BYTES", [str(one) for one in expected.predictions])]
    assert list(answer.raw_output_contents) == raw
    assert [(one.name, list(one.shape)) for one in answer.outputs] == [
        ("probabilities", [rows, 2]),
        ("predict", [rows]),
    ]
    assert (answer.id, answer.model_name, answer.model_version) == ("b", "credit", "1")

    cells = list(message.raw_input_contents)
    inputs = [
        {**one, "data": None, "parameters": {"binary_data_size": len(raw_one)}}
        for one, raw_one in zip(sent, cells, strict=True)
    ]
    outputs = [{"name": "probabilities", "parameters": {"binary_data": True}}, {"name": "predict"}]
    head = orjson.dumps({"inputs": inputs, "outputs": outputs})
    over_http = httpx.post(
        f"{served.rest}/v2/models/credit/infer",
        content=b"".join([head, *cells]),
        headers={HEADER: str(len(head))},
        timeout=PATIENCE_S,
    )
    assert over_http.headers["content-type"] == "application/octet-stream"
    size = int(over_http.headers[HEADER])
    probabilities, predict = orjson.loads(over_http.content[:size])["outputs"]
    assert over_http.content[size:] == raw[0]
    assert probabilities["parameters"]["binary_data_size"] == len(raw[0])
    assert predict["data"] == expected.predictions


@pytest.mark.parametrize("rows", [1, 4, 200])
def test_typed_contents_are_answered_with_typed_contents(served: Served, rows: int) -> None:
    X = {name: [ASKED[name][3]] * rows for name in ASKED}
    message = pb.ModelInferRequest(model_name=served.expected("credit").model_id)
    for name, cells in X.items():
        typed = [cell.encode() if isinstance(cell, str) else cell for cell in cells]
        made = message.inputs.add(name=name, datatype=DATATYPES[name], shape=[rows])
        getattr(made.contents, CONTENTS[DATATYPES[name]]).extend(typed)
    message.parameters["probabilities"].bool_param = True
    with grpc.insecure_channel(served.grpc) as channel:
        predict, probabilities = call(channel, "ModelInfer", message, pb.ModelInferResponse).outputs
    expected = served.expected("credit", X)
    assert [one.decode() for one in predict.contents.bytes_contents] == expected.predictions
    assert list(probabilities.contents.fp64_contents) == [one for row in expected.probabilities or () for one in row]
    assert probabilities.parameters["classes"].string_param == '["no","yes"]'


@pytest.mark.parametrize("rows", [2, 400])
@pytest.mark.parametrize(("model", "datatype"), [("flags", "BOOL"), ("counts", "INT64")])
def test_one_tensor_holds_all_columns_of_numbers(served: Served, model: str, datatype: str, rows: int) -> None:
    X = [MATRIX[i % 2] for i in range(rows)]
    expected = served.expected(model, X)
    nested = {"name": "anything", "datatype": "FP64", "shape": [rows, 3], "data": X}
    flat = {**nested, "data": [cell for row in X for cell in row]}
    for tensor in (nested, flat):
        (predict,) = infer(served.rest, model, {"inputs": [tensor]})["outputs"]
        assert (predict["datatype"], predict["data"]) == (datatype, expected.predictions)
    with grpc.insecure_channel(served.grpc) as channel:
        answer = call(channel, "ModelInfer", message_of(model, [flat]), pb.ModelInferResponse)
    assert answer.raw_output_contents[0] == packed(datatype, expected.predictions)


def test_every_datatype_of_numbers_means_the_same_number(served: Served) -> None:
    expected = served.expected("flags", [[3.0, 2.0, 1.0]] * 3)
    for datatype in ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "FP32", "FP64"):
        inputs = [
            {"name": name, "datatype": datatype, "shape": [3], "data": [cell] * 3}
            for name, cell in (("n0", 3), ("n1", 2), ("n2", 1))
        ]
        assert infer(served.rest, "flags", {"inputs": inputs})["outputs"][0]["data"] == expected.predictions
        with grpc.insecure_channel(served.grpc) as channel:
            answer = call(channel, "ModelInfer", message_of("flags", inputs), pb.ModelInferResponse)
        assert answer.raw_output_contents[0] == packed("BOOL", expected.predictions)


def test_a_model_is_asked_by_name_version_or_id(served: Served) -> None:
    expected = served.expected("credit")
    for path in ("credit", "credit:1", "credit/versions/1", expected.model_id):
        found = infer(served.rest, path, {"inputs": tensors()})
        assert found["outputs"][0]["data"] == expected.predictions
        assert found["model_name"] == path.split("/")[0]


def test_a_deleted_model_is_not_ready_and_not_asked(served: Served) -> None:
    y = ["a" if i % 2 else "b" for i in range(80)]
    evaluation = Evaluation(method="none")
    served.yard.train(
        TrainRequest(model_class_key="logistic_regression", name="passing", X=COLUMNS, y=y, evaluation=evaluation)
    )
    served.yard.delete("passing")
    for answer in (
        httpx.get(f"{served.rest}/v2/models/passing/ready", timeout=PATIENCE_S),
        httpx.get(f"{served.rest}/v2/models/passing", timeout=PATIENCE_S),
        httpx.post(f"{served.rest}/v2/models/passing/infer", json={"inputs": tensors()}, timeout=PATIENCE_S),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"].startswith("all versions of 'passing' are deleted")


def test_with_and_without_the_quick_ways_the_answers_are_the_same_bytes(served: Served) -> None:
    questions = [
        {"inputs": tensors(1)},
        {"inputs": tensors(1), "id": "x", "outputs": [{"name": "probabilities"}]},
        {"inputs": [{**one, "shape": [1, 1]} for one in tensors(1)], "parameters": {"binary_data_output": True}},
        {"inputs": tensors(4)},
        {"inputs": tensors(1)[1:]},
    ]
    with doors.rest_thread(served.folder, rest_express=False) as plain:
        for model in ("credit", "nobody", "credit/versions/1"):
            for question in questions:
                told = []
                for url in (served.rest, plain):
                    with httpx.Client(timeout=PATIENCE_S) as client:  # the second request finds its head known
                        found = [client.post(f"{url}/v2/models/{model}/infer", json=question) for _ in range(3)]
                    told.append([(one.status_code, one.content, one.headers.get(HEADER)) for one in found])
                assert told[0] == told[1]
                assert told[0] == [told[0][0]] * 3
