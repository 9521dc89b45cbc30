"""What is wrong is refused by both doors in the same words, in the protocol's form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest

from modelyard.grpc_server.pb import open_inference_pb2 as pb
from modelyard.open_inference import packed
from tests.open_inference.served import ASKED, DATATYPES, MATRIX, Served
from tests.waiting import PATIENCE_S

CONTENTS = {"FP64": "fp64_contents", "BOOL": "bool_contents", "INT64": "int64_contents", "BYTES": "bytes_contents"}
HEADER = "Inference-Header-Content-Length"


@pytest.fixture(scope="module")
def http(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.rest, timeout=PATIENCE_S) as client:
        yield client


@pytest.fixture(scope="module")
def channel(served: Served) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(served.grpc) as opened:
        yield opened


def call(channel: Any, method: str, message: Any, answer: Any, **options: Any) -> Any:
    path = f"/inference.GRPCInferenceService/{method}"
    return channel.unary_unary(path, lambda one: one.SerializeToString(), answer.FromString)(message, **options)


def tensors(rows: int = 4) -> list[dict[str, Any]]:
    """Return the inputs of a request that is answered."""
    return [
        {"name": name, "datatype": DATATYPES[name], "shape": [rows], "data": cells[:rows]}
        for name, cells in ASKED.items()
    ]


def message_of(model: str, inputs: list[dict[str, Any]], **more: Any) -> pb.ModelInferRequest:
    """Return the same request with raw contents."""
    message = pb.ModelInferRequest(model_name=model, **more)
    for one in inputs:
        message.inputs.add(name=one["name"], datatype=one["datatype"], shape=one["shape"])
        missing = {"FP64": float("nan"), "BYTES": ""}
        cells = [missing[one["datatype"]] if cell is None else cell for cell in one["data"]]
        message.raw_input_contents.append(packed(one["datatype"], cells))
    return message


MATRIX_INPUT = {"name": "all", "datatype": "FP64", "shape": [2, 3], "data": [cell for row in MATRIX for cell in row]}
REFUSED = {
    "no inputs": ("credit", [], "inputs must hold at least one tensor"),
    "missing tensor": (
        "credit",
        tensors()[1:],
        "column 'age' is missing; X has the columns 'job', 'member', 'code', 'since'",
    ),
    "duplicate name": ("credit", [*tensors(), tensors()[0]], "tensor 'age' is given twice; names must differ"),
    "lengths": (
        "credit",
        [*tensors()[:1], *tensors(3)[1:]],
        "tensor 'job' has 3 rows, tensor 'age' has 4",
    ),
    "three dimensions": (
        "credit",
        [{**tensors()[0], "shape": [4, 1, 1]}, *tensors()[1:]],
        "tensor 'age' must have a shape of [n] or [n, k], got [4, 1, 1]",
    ),
    "negative dimension": (
        "credit",
        [{**tensors()[0], "shape": [-1]}, *tensors()[1:]],
        "tensor 'age' must have a shape of [n] or [n, k], got [-1]",
    ),
    "a column too wide": (
        "credit",
        [{**tensors()[0], "shape": [2, 2]}, *tensors(2)[1:]],
        "tensor 'age' is one of several and must be one column, [n] or [n, 1], got [2, 2]",
    ),
    "no rows": ("credit", [{**one, "shape": [0], "data": []} for one in tensors()], "the table has no rows"),
    "text for a number": (
        "credit",
        [{"name": "age", "datatype": "BYTES", "shape": [4], "data": ["old", "1", "2", "3"]}, *tensors()[1:]],
        "column 'age', row 0: must be a number, got 'old'",
    ),
    "an infinite number": (
        "credit",
        [{"name": "age", "datatype": "BYTES", "shape": [4], "data": ["inf", "1", "2", "3"]}, *tensors()[1:]],
        "column 'age', row 0",
    ),
    "a matrix for mixed columns": (
        "credit",
        [MATRIX_INPUT],
        "tensor 'all' is a table of numbers, but column 'job' of the model is categorical; give one tensor a column",
    ),
    "a matrix too narrow": (
        "flags",
        [{**MATRIX_INPUT, "shape": [3, 2]}],
        "tensor 'all' has 2 columns, the model has 3: n0, n1, n2",
    ),
    "unknown model": ("nobody", tensors(), "there is no model named 'nobody'"),
    "no reference": ("no such name", tensors(), "'no such name' is not a reference to a model"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_both_doors_refuse_in_the_same_words(http: httpx.Client, channel: Any, case: str) -> None:
    model, inputs, words = REFUSED[case]
    answer = http.post(f"/v2/models/{model}/infer", json={"inputs": inputs})
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    assert words in answer.json()["error"]
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, "ModelInfer", message_of(model, inputs), pb.ModelInferResponse)
    said: Any = caught.value
    assert said.details() == answer.json()["error"]
    unknown = case == "unknown model"
    assert answer.status_code == (404 if unknown else 400)
    assert said.code() is (grpc.StatusCode.NOT_FOUND if unknown else grpc.StatusCode.INVALID_ARGUMENT)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"datatype": "COMPLEX"}, "tensor 'age' has datatype 'COMPLEX'; it must be one of BOOL, INT8, INT16"),
        (
            {"datatype": "INT8", "data": [1, 2, 3, 128]},
            "tensor 'age', row 3: a cell of INT8 must be an integer of 8 bits, got 128",
        ),
        ({"datatype": "UINT64", "data": [1, 2, 3, -1]}, "must be an integer of 64 bits without a sign, got -1"),
        ({"data": [1, 2, "x", 4]}, "tensor 'age', row 2: a cell of FP64 must be a number, got 'x'"),
        ({"data": [1, True, 3, 4]}, "tensor 'age', row 1: a cell of FP64 must be a number, got true"),
        ({"data": [1, 2, 3]}, "tensor 'age' has 3 cells; its shape [4] is of 4"),
        ({"data": [[1, 2], 3, 4]}, "tensor 'age' has lists and cells side by side in its data"),
        ({"data": "1234"}, "tensor 'age' must have a list as its data, got a text"),
        ({"data": None}, "tensor 'age' has no data"),
        ({"shape": ["4"]}, "field 'inputs[0].shape[0]' must be an integer, got text"),
        ({"name": 7}, "field 'inputs[0].name' must be text, got an integer"),
        ({"parameters": {"binary_data_size": 8}}, "tensor 'age' has no data"),
    ],
)
def test_json_that_is_wrong_is_refused(http: httpx.Client, change: dict[str, Any], words: str) -> None:
    first = {**tensors()[0], **change}
    if "binary_data_size" in str(change):
        del first["data"]
    answer = http.post("/v2/models/credit/infer", json={"inputs": [first, *tensors()[1:]]})
    assert answer.status_code == 400
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is empty; it must be JSON"),
        (b"[]", "the body must be a JSON object with the field 'inputs'"),
        (b"{}", "field 'inputs' is required"),
        (b'{"inputs": [{"name": "a"}]}', "field 'inputs[0].datatype' is required"),
        (b'{"inputs": [', "the body is not valid JSON"),
        (b'{"inputs": [NaN', "the body is not valid JSON"),
        (b'{"inputs": [{"name": "\xff"}]}', "the body is not valid JSON"),
        (
            b'{"inputs": [], "outputs": [{"name": "more"}]}',
            "output 'more' is unknown; outputs are predict and",
        ),
        (b'{"inputs": [], "outputs": [{"name": "predict"}, {"name": "predict"}]}', "an output must be asked for once"),
        (
            b'{"inputs": [], "parameters": {"probabilities": 1}}',
            "'probabilities' must be true or false, got 1",
        ),
        (b'{"inputs": [], "id": 3}', "field 'id' must be text or null, got an integer"),
    ],
)
def test_a_body_that_is_no_request_is_refused(http: httpx.Client, body: bytes, words: str) -> None:
    answer = http.post("/v2/models/credit/infer", content=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def binary(more: bytes = b"") -> tuple[bytes, int]:
    """Return a body of binary tensors, with something behind the cells of the first; and the size of its JSON."""
    first, *others = message_of("credit", tensors()).raw_input_contents
    cells = [first + more, *others]
    inputs = [
        {**one, "data": None, "parameters": {"binary_data_size": len(raw)}}
        for one, raw in zip(tensors(), cells, strict=True)
    ]
    head = json.dumps({"inputs": inputs}).encode()
    return b"".join([head, *cells]), len(head)


def test_binary_parts_that_do_not_fit_are_refused(http: httpx.Client) -> None:
    def error(body: bytes, header: str) -> str:
        answer = http.post("/v2/models/credit/infer", content=body, headers={HEADER: header})
        assert answer.status_code == 400
        said: str = answer.json()["error"]
        return said

    body, size = binary()
    assert http.post("/v2/models/credit/infer", content=body, headers={HEADER: str(size)}).status_code == 200
    for cut in range(1, len(body) - size):
        assert "bytes that are left of the body" in error(body[:-cut], str(size))
    assert "goes on for 3 bytes after its last tensor" in error(body + b"abc", str(size))
    longer, size = binary(b"x")
    assert "tensor 'age' has 33 bytes; 4 cells of FP64 are 32" in error(longer, str(size))
    for wrong in ("-1", "x", str(len(body) + 1), "9" * 30, "1e3"):
        assert f"header {HEADER} must be at most the body's" in error(body, wrong)


def test_raw_and_typed_contents_that_do_not_fit_are_refused(channel: Any) -> None:
    def error(message: pb.ModelInferRequest) -> str:
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, "ModelInfer", message, pb.ModelInferResponse)
        said: Any = caught.value
        assert said.code() is grpc.StatusCode.INVALID_ARGUMENT
        details: str = said.details()
        return details

    for rows in (1, 4):
        message = message_of("credit", tensors(rows))
        del message.raw_input_contents[-1]
        assert "raw_input_contents must be one for each of 5 inputs, got 4" in error(message)
        message = message_of("credit", tensors(rows))
        message.raw_input_contents[0] = message.raw_input_contents[0][:-1]
        assert f"tensor 'age' has {8 * rows - 1} bytes; {rows} cells of FP64 are {8 * rows}" in error(message)
        message = message_of("credit", tensors(rows))
        message.raw_input_contents[1] = message.raw_input_contents[1][:-1]
        assert "bytes, which end within element" in error(message)
        message = message_of("credit", tensors(rows))
        message.raw_input_contents[1] = packed("BYTES", ["x"] * (rows + 1))
        assert f"tensor 'job' has {rows + 1} elements; its shape [{rows}] is of {rows}" in error(message)
        message = message_of("credit", tensors(rows))
        message.raw_input_contents[1] = b"\x01\0\0\0\xff" * rows
        assert "tensor 'job', row 0: a cell of BYTES must be text in UTF-8" in error(message)
        message = message_of("credit", tensors(rows))
        message.inputs[0].contents.fp64_contents.append(1.0)
        assert "tensor 'age' has cells both in contents and in raw_input_contents" in error(message)
        message = message_of("credit", tensors(rows))
        message.inputs[1].name = "age"
        assert "tensor 'age' is given twice" in error(message)
    message = pb.ModelInferRequest(model_name="credit")
    message.inputs.add(name="age", datatype="FP64", shape=[1]).contents.int64_contents.append(1)
    assert "tensor 'age': cells of FP64 must be in fp64_contents, got int64_contents" in error(message)
    message.inputs[0].datatype = "FP16"
    assert "tensor 'age': cells of FP16 must be in raw_input_contents, got int64_contents" in error(message)


def test_numbers_have_no_probabilities(http: httpx.Client) -> None:
    asked = {"inputs": tensors(), "outputs": [{"name": "probabilities"}]}
    answer = http.post("/v2/models/price/infer", json=asked)
    assert (answer.status_code, answer.json()["error"].split(";")[0]) == (
        400,
        "output 'probabilities' is of classifications alone",
    )


def test_what_the_framework_and_the_gate_refuse_has_the_protocols_form_too(http: httpx.Client) -> None:
    for answer, status in (
        (http.get("/v2/nothing"), 404),
        (http.put("/v2/models/credit/infer"), 405),
        (http.post("/v2/models/credit/infer", headers={"Origin": "http://elsewhere"}), 403),
        (http.post("/v2/models/credit/infer", content=b"x", headers={"Content-Encoding": "br"}), 415),
        (http.post("/v2/models/credit/infer", content=b"x", headers={"Content-Type": "text/csv"}), 415),
        (http.post("/v2/models/credit/infer", json={"inputs": tensors()}, headers={"Accept": "text/html"}), 406),
        (http.get("/v2/models/nobody"), 404),
        (http.get("/v2/models/nobody/ready"), 404),
        (http.get("/v2/models/credit/versions/2/ready"), 404),
        (http.get("/v2/models/credit/versions/x"), 400),
    ):
        assert (answer.status_code, list(answer.json())) == (status, ["error"])
        assert answer.headers["x-request-id"]
    assert http.get("/v3").headers["content-type"] == "application/problem+json"
