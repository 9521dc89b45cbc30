"""REST on the wire: what a program in any language sees, against a real server."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import polars as pl
import pytest

from modelyard import errors
from modelyard.rest_api import problems
from tests import doors
from tests.waiting import PATIENCE_S, wait_until

X = [[i, "ab"[i % 2]] for i in range(30)]
Y = ["high" if i > 14 else "low" for i in range(30)]
CSV = "age,kind,outcome\n" + "".join(f"{i},{kind},{y}\n" for (i, kind), y in zip(X, Y, strict=True))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("rest") / "models_storage"
    with doors.rest_thread(folder, max_body_mb=1, allowed_origins="https://app.example") as url:
        yield url


@pytest.fixture
def http(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, timeout=PATIENCE_S) as client:
        yield client


@pytest.fixture
def name(http: httpx.Client) -> str:
    name = f"model-{uuid4().hex[:8]}"
    answer = http.post("/train", json={"model_class_key": "logistic_regression", "X": X, "y": Y, "name": name})
    assert answer.status_code == 201, answer.text
    return name


def refusal(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Return a problem document after checking that it is one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem.keys() == {"type", "title", "status", "detail", "code", "request_id", "errors"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["title"]
    assert problem["detail"]
    return problem


def test_every_error_has_a_status_and_survives_the_wire() -> None:
    for kind in list(errors.tree()):
        error = kind("what, which value", errors=[errors.FieldError(("X", 3, "age"), "wrong", "old")])
        problem = json.loads(problems.to_problem(error, "id"))
        assert problem["status"] == problems.status_of(error)
        back = problems.from_problem(problem)
        assert type(back) is (errors.Internal if kind is errors.ModelyardError else kind)
        assert (back.detail, back.errors, back.code) == (error.detail, error.errors, error.code)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.InvalidArgument, 400),
        (errors.Unauthenticated, 401),
        (errors.PermissionDenied, 403),
        (errors.NotFound, 404),
        (errors.AlreadyExists, 409),
        (errors.Aborted, 409),
        (errors.FailedPrecondition, 409),
        (errors.PayloadTooLarge, 413),
        (errors.TooManyRequests, 429),
        (errors.Cancelled, 409),
        (errors.DeadlineExceeded, 504),
        (errors.Unavailable, 503),
        (errors.DataLoss, 500),
        (errors.Internal, 500),
    ],
)
def test_code_words_have_their_status(kind: type[errors.ModelyardError], status: int) -> None:
    assert problems.status_of(kind("x")) == status


def test_train_answers_201_with_the_model_and_a_message(http: httpx.Client) -> None:
    body = {"modelclasskey": "LogisticRegression", "X": X, "y": Y, "featuretypes": {"f0": "categorical"}}
    answer = http.post("/train", json=body)
    assert answer.status_code == 201
    model = answer.json()
    assert model["model_class_key"] == "logistic_regression"
    assert model["feature_types"] == {"f0": "categorical", "f1": "categorical"}
    assert model["message"]
    assert model["tracking"] == {"status": "off", "task_id": None, "url": None, "reason": None}
    assert model["created_at"].endswith("Z")
    assert answer.headers["x-request-id"]


def test_predictions_carry_the_servers_timing(http: httpx.Client, name: str) -> None:
    answer = http.post("/predict", json={"modelid": name, "X": X[:3], "probabilities": True})
    assert answer.status_code == 200
    always = {
        "model_id",
        "predictions",
        "classes",
        "probabilities",
        "intervals",
        "ids",
        "id_column",
        "warnings",
        "decision",
        "prediction_id",
    }
    assert answer.json().keys() == always
    laps = [lap.split(";")[0] for lap in answer.headers["server-timing"].split(", ")]
    assert laps == ["parse", "predict", "encode"]
    assert http.post("/predict", json={"model_id": name, "X": X[:3]}).json()["probabilities"] is None


def test_a_request_id_of_the_caller_is_kept(http: httpx.Client) -> None:
    assert http.get("/health", headers={"X-Request-Id": "order-66"}).headers["x-request-id"] == "order-66"
    assert http.get("/health", headers={"X-Request-Id": "no spaces"}).headers["x-request-id"] != "no spaces"


def test_health_live_and_ready(http: httpx.Client) -> None:
    health = http.get("/health").json()
    assert health.keys() == {"status", "version", "storage", "models", "uptime_s", "tracking"}
    assert health["status"] == "ok"
    assert http.get("/health/live").status_code == 200
    assert http.get("/health/ready").status_code == 200


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/models", "/openapi.json"])
def test_head_is_get_without_the_body(http: httpx.Client, path: str) -> None:
    got, head = http.get(path), http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert int(head.headers["content-length"]) > 2
    assert http.head("/nothing").status_code == 404
    assert http.head("/train").status_code == 405
    assert http.head("/jobs/any/events").status_code == 405


def test_arrow_is_read_as_the_body_itself(http: httpx.Client, name: str) -> None:
    frame = pl.DataFrame({"f0": [44.0, None], "f1": ["a", "new"], "id": [1, 2]})
    stream, file = io.BytesIO(), io.BytesIO()
    frame.write_ipc_stream(stream)
    frame.write_ipc(file)
    by_form = http.post(
        "/predict/file", data={"model_id": name, "probabilities": "true"}, files={"file": stream.getvalue()}
    )
    assert by_form.status_code == 200, by_form.text
    query = {"model_id": name, "probabilities": "true"}
    for kind, body in (("stream", stream.getvalue()), ("file", file.getvalue())):
        content_type = {"Content-Type": f"application/vnd.apache.arrow.{kind}"}
        answer = http.post("/predict/file", params=query, content=body, headers=content_type)
        assert answer.json() == by_form.json()
        assert answer.headers["x-warnings"] == by_form.headers["x-warnings"]
        for wrong, params, detail in (
            (b"", query, "X is empty; it must be Arrow"),
            (b"age,job", query, "X is neither an Arrow IPC stream nor an Arrow file"),
            (body[:60], query, "X is not readable Arrow: "),
            (body, {}, "field 'model_id' is required"),
            (body, {**query, "X": "1"}, "field 'X' does not go with an upload: the table is the file"),
            (body, {**query, "depth": "1"}, "field 'depth' is unknown"),
            (body, {**query, "probabilities": "maybe"}, "field 'probabilities' must be true or false"),
        ):
            refused = http.post("/predict/file", params=params, content=wrong, headers=content_type)
            assert refused.status_code == 400
            assert refused.json()["detail"].startswith(detail)


def test_warnings_are_a_header_of_ascii_json_beside_a_file(http: httpx.Client) -> None:
    columns = {f"größe {i}": ["klein", "groß"] * 15 for i in range(60)}
    body = {"model_class_key": "logistic_regression", "X": columns, "y": Y, "evaluation": {"method": "none"}}
    model = http.post("/train", json=body).json()["model_id"]

    def warnings(table: dict[str, Any]) -> Any:
        file = {"file": ("x.json", json.dumps(table).encode())}
        answer = http.post("/predict/file", data={"model_id": model}, files=file, headers={"Accept": "text/csv"})
        assert answer.status_code == 200, answer.text
        return json.loads(answer.headers["x-warnings"])

    one = {name: column[:1] for name, column in columns.items()} | {"größe 7": ["riesig"]}
    assert warnings(one) == http.post("/predict", json={"model_id": model, "X": one}).json()["warnings"]
    assert "'größe 7'" in warnings(one)[0]["message"]
    *told, last = warnings({name: ["riesig"] for name in columns})
    assert last["code"] == "more_warnings"
    assert len(told) + last["count"] == 60


def test_a_csv_upload_trains_and_predicts_in_every_format(http: httpx.Client) -> None:
    fields = {
        "model_class_key": "catboost_classifier",
        "target": "outcome",
        "name": f"csv-{uuid4().hex[:8]}",
        "hyperparams": '{"iterations": 10}',
        "tags": '["upload"]',
        "monotone": '{"age": 1}',
    }
    answer = http.post("/train/file", data=fields, files={"file": ("t.csv", CSV)})
    assert answer.status_code == 201, answer.text
    model = answer.json()
    assert (model["target"], model["tags"], model["hyperparams"]["iterations"]) == ("outcome", ["upload"], 10)
    assert model["monotone"] == {"age": 1}

    def predict(accept: str) -> httpx.Response:
        form = {"model_id": model["name"], "probabilities": "true"}
        return http.post("/predict/file", data=form, files={"file": ("t.csv", CSV)}, headers={"Accept": accept})

    as_json = predict("application/json")
    assert as_json.headers["content-type"] == "application/json"
    expected = pl.DataFrame(
        {
            "prediction": as_json.json()["predictions"],
            **{
                f"probability_{c}": [row[i] for row in as_json.json()["probabilities"]]
                for i, c in enumerate(("high", "low"))
            },
        }
    )
    readers: dict[str, Callable[[io.BytesIO], pl.DataFrame]] = {
        "text/csv": pl.read_csv,
        "application/vnd.apache.parquet": pl.read_parquet,
        "application/vnd.apache.arrow.stream": pl.read_ipc_stream,
        "application/vnd.apache.arrow.file": pl.read_ipc,
    }
    for accept, read in readers.items():
        answer = predict(accept)
        assert answer.headers["content-type"].startswith(accept)
        assert answer.headers["x-model-id"] == model["model_id"]
        assert read(io.BytesIO(answer.content)).equals(expected)
    refusal(predict("image/png"), 406, "INVALID_ARGUMENT")

    again = http.post("/retrain/file", data={"model_id": model["name"]}, files={"file": ("t.csv", CSV)})
    assert (again.status_code, again.json()["version"], again.json()["parent_id"]) == (201, 2, model["model_id"])


def test_an_artifact_comes_with_its_digest(http: httpx.Client, name: str) -> None:
    answer = http.get(f"/models/{name}/artifact")
    digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert http.get(f"/models/{name}").json()["artifact"]["bytes"] == len(answer.content)


def test_soft_delete_restore_and_hard_delete(http: httpx.Client, name: str) -> None:
    model_id = http.get(f"/models/{name}").json()["model_id"]
    deleted = http.delete(f"/models/{name}")
    assert (deleted.status_code, deleted.json()["status"]) == (200, "deleted")
    refusal(http.post("/predict", json={"model_id": model_id, "X": X[:1]}), 404, "NOT_FOUND")
    assert http.post(f"/models/{model_id}/restore").json()["status"] == "active"
    gone = http.delete(f"/models/{model_id}", params={"hard": True})
    assert (gone.status_code, gone.content) == (204, b"")
    refusal(http.get(f"/models/{model_id}"), 404, "NOT_FOUND")
    refusal(http.post(f"/models/{model_id}/restore"), 409, "FAILED_PRECONDITION")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"{", "JSON"),
        (b"[]", "object"),
        (b'{"model_class_key": "logistic_regression"}', "'X' is required"),
        (b'{"model_class_key": "logistic_regression", "X": [[NaN]], "y": [1]}', "JSON"),
        (b'{"model_class_key": "logistic_regression", "X": [[1e999],[1]], "y": [1, 2]}', ""),
        (b'{"model_class_key": "logistic_regression", "X": 3, "y": [1]}', "rows"),
        (b'{"model_class_key": "logistic_regression", "X": [[1],[2]], "y": [1, 2], "hyper": {}}', "'hyper' is unknown"),
        (b'{"model_class_key": "logistic_regression", "X": [[1],[2]], "y": [1, 2], "name": "a/b"}', "'a/b'"),
        (
            b'{"model_class_key": "logistic_regression", "X": [[1],[2]], "y": [1, 2], "name": "%s"}' % (b"n" * 300),
            "100",
        ),
        (b'\xff\xfe{"a": 1}', "JSON"),
        (b"[" * 100_000, "JSON"),
    ],
)
def test_a_broken_body_is_a_400_in_words(http: httpx.Client, body: bytes, words: str) -> None:
    problem = refusal(http.post("/train", content=body), 400, "INVALID_ARGUMENT")
    assert words in problem["detail"]


def test_a_body_of_which_every_field_may_be_left_out_may_be_left_out(http: httpx.Client) -> None:
    made = http.post("/keys", json={"name": "bodiless", "role": "reader"}).json()
    rotated = http.post("/keys/bodiless/rotate")
    assert rotated.status_code == 200, rotated.text
    assert rotated.json()["key"] != made["key"]
    paths = http.get("/openapi.json").json()["paths"]
    assert paths["/keys/{name}/rotate"]["post"]["requestBody"]["required"] is False
    assert paths["/keys"]["post"]["requestBody"]["required"] is True


def test_an_unknown_model_class_is_not_found_and_the_nearest_is_named(http: httpx.Client) -> None:
    answer = http.post("/train", json={"model_class_key": "catbost_classifier", "X": X, "y": Y})
    assert "catboost_classifier" in refusal(answer, 404, "NOT_FOUND")["detail"]


def test_wrong_cells_are_named_by_row_and_column(http: httpx.Client, name: str) -> None:
    problem = refusal(
        http.post("/predict", json={"model_id": name, "X": [[1, "a"], ["x", "a"]]}), 400, "INVALID_ARGUMENT"
    )
    assert problem["errors"][0]["loc"] == ["X", 1, "f0"]
    assert problem["errors"][0]["value"] == "x"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", ""),
        (b"a,b\n1,2\n3\n", "row"),
        (b"a,b\n1,2\n", "'outcome'"),
        (b"a,a,outcome\n1,2,3\n", "'a'"),
    ],
    ids=["empty", "a picture", "ragged", "no target", "twice the same name"],
)
def test_a_file_that_is_no_table_is_refused(http: httpx.Client, content: bytes, words: str) -> None:
    fields = {"model_class_key": "logistic_regression", "target": "outcome"}
    answer = http.post("/train/file", data=fields, files={"file": ("table.csv", content)})
    problem = refusal(answer, 400, "INVALID_ARGUMENT")
    assert words in problem["detail"]
    assert "/tmp" not in answer.text


def test_an_upload_without_its_file_or_form_is_refused(http: httpx.Client) -> None:
    refusal(http.post("/train/file", json={}), 415, "INVALID_ARGUMENT")
    refusal(http.post("/train/file", files={"table": b"a"}), 400, "INVALID_ARGUMENT")
    wrong_json = http.post("/train/file", data={"hyperparams": "{"}, files={"file": CSV})
    assert "hyperparams" in refusal(wrong_json, 400, "INVALID_ARGUMENT")["detail"]


def test_the_name_of_a_form_may_have_capitals(http: httpx.Client, name: str) -> None:
    parts = f'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n{CSV}\r\n--b--\r\n'
    answer = http.post(
        "/predict/file",
        params={"model_id": name},
        content=parts,
        headers={"Content-Type": "Multipart/Form-Data; boundary=b"},
    )
    assert answer.status_code != 415, answer.text


def test_a_body_over_the_limit_is_refused_before_it_is_sent(http: httpx.Client) -> None:
    answer = http.post("/train", content=b"x" * (2**20 + 1))
    assert "1 MB" in refusal(answer, 413, "RESOURCE_EXHAUSTED")["detail"]


@pytest.mark.parametrize("path", ["/train", "/train/file"])
def test_a_body_that_grows_over_the_limit_is_refused_while_it_arrives(server: str, path: str) -> None:
    address = urlsplit(server)
    with socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        kind = b"application/json" if path == "/train" else b"multipart/form-data; boundary=b"
        connection.sendall(head.encode() + b"Content-Type: " + kind + b"\r\n\r\n")
        chunk = (
            b"10000\r\n"
            + b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'.ljust(65536, b"x")
            + b"\r\n"
        )
        plain = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        connection.sendall(chunk)
        answer = b""
        try:
            for _ in range(64):
                connection.sendall(plain)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413")


def test_browsers_from_elsewhere_are_refused(http: httpx.Client, server: str) -> None:
    refusal(http.get("/models", headers={"Origin": "https://evil.example"}), 403, "PERMISSION_DENIED")
    refusal(http.get("/models", headers={"Origin": "null"}), 403, "PERMISSION_DENIED")
    refusal(http.get("/models", headers={"Host": "evil.example"}), 403, "PERMISSION_DENIED")
    assert http.get("/models", headers={"Origin": server}).status_code == 200
    allowed = http.get("/models", headers={"Origin": "https://app.example"})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    for host in ("localhost", "127.0.0.1:1", "[::1]:8000"):
        assert http.get("/models", headers={"Host": host}).status_code == 200


def test_a_server_is_called_by_the_names_that_it_was_given(tmp_path: Path) -> None:
    with doors.rest_thread(tmp_path / "models_storage", allowed_hosts="Yard.example.com, *.lan") as url:
        for host in ("yard.example.com", "YARD.example.com:443", "a.lan:8000", "localhost", "127.0.0.1", "[::1]:80"):
            assert httpx.get(url + "/models", headers={"Host": host}).status_code == 200, host
        for host in ("evil.example", "yard.example.com.evil.example", "evil-yard.example.com", "lan", "[yard]", ":80"):
            refused = httpx.get(url + "/models", headers={"Host": host})
            assert (refused.status_code, "MODELYARD_ALLOWED_HOSTS" in refused.text) == (403, True), host


def test_unknown_paths_and_methods_are_problems_too(http: httpx.Client) -> None:
    refusal(http.get("/nothing"), 404, "NOT_FOUND")
    for path in ("//health", "//health/live", "/x//y"):
        raw = http.build_request("GET", "/")
        raw.extensions["target"] = path.encode()  # httpx itself takes `//health` for a host
        assert refusal(http.send(raw), 404, "NOT_FOUND")["detail"] == f"there is no GET {path}"
    answer = http.put("/models")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_wrong_query_names_the_field_and_the_value(http: httpx.Client, name: str) -> None:
    problem = refusal(http.get("/models?limit=1001"), 400, "INVALID_ARGUMENT")
    assert problem["detail"] == "field 'limit' must be at most 1000, got '1001'"
    assert problem["errors"][0]["loc"] == ["limit"]
    refusal(http.delete(f"/models/{name}?hardd=true"), 400, "INVALID_ARGUMENT")
    assert http.get(f"/models/{name}").json()["status"] == "active"
    refusal(http.post("/train?waiit=false", json={}), 400, "INVALID_ARGUMENT")


def test_an_upload_is_named_in_errors_as_its_sender_named_it(http: httpx.Client) -> None:
    for name, shown in {"../people 2.csv": "people 2.csv", "C:\\x\\a.csv": "a.csv", "..": "upload"}.items():
        fields = {"model_class_key": "logistic_regression", "target": "y"}
        answer = http.post("/train/file", data=fields, files={"file": (name, b"\x89PNG\r\n\x1a\n")})
        assert f"file '{shown}'" in refusal(answer, 400, "INVALID_ARGUMENT")["detail"]


def test_a_path_with_a_slash_at_its_end_is_a_problem_too(http: httpx.Client) -> None:
    refusal(http.get("/models/"), 404, "NOT_FOUND")


def test_a_warning_has_only_what_applies(http: httpx.Client) -> None:
    body = {"model_class_key": "logistic_regression", "X": X, "y": Y, "hyperparams": {"max_iter": 1}}
    model = http.post("/train", json=body).json()
    assert "not_converged" in {warning["code"] for warning in model["warnings"]}
    assert all(value is not None for warning in model["warnings"] for value in warning.values())


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "status=gone", "cursor=%00", "unknown=1"])
def test_a_wrong_query_is_a_400(http: httpx.Client, query: str) -> None:
    refusal(http.get(f"/models?{query}"), 400, "INVALID_ARGUMENT")


def test_an_idempotency_key_of_nothing_is_refused(http: httpx.Client) -> None:
    body = {"model_class_key": "logistic_regression", "X": X, "y": Y}
    refusal(http.post("/train", json=body, headers={"Idempotency-Key": ""}), 400, "INVALID_ARGUMENT")


def test_openapi_has_a_working_example_for_each_body(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    for path in ("/train", "/retrain", "/predict"):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        answer = http.post(path, json=body["example"])
        assert answer.is_success, answer.text
    assert "422" not in json.dumps(document)


def _hang_up(url: str, path: str) -> None:
    """Promise a body and leave before it is sent."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{{".encode())


def test_the_log_tells_of_requests_but_not_of_their_data(tmp_path: Path) -> None:
    folder = tmp_path / "models_storage"
    with doors.rest_server(folder, MODELYARD_LOG_FORMAT="json") as url:
        body = {"model_class_key": "logistic_regression", "X": [[i, "secret-cell"] for i in range(30)], "y": Y}
        trained = httpx.post(url + "/train", json=body, headers={"X-Request-Id": "the-one"}, timeout=PATIENCE_S).json()
        httpx.post(
            url + "/predict", json={"model_id": trained["model_id"], "X": [["secret-cell", 1]]}, timeout=PATIENCE_S
        )
        httpx.get(url + "/models/a%0aforged", timeout=PATIENCE_S)
        for path in ("/train", "/predict"):
            _hang_up(url, path)
        log = folder.with_suffix(".log")
        wait_until(lambda: log.read_text().count('"status":499') == 2)
    text = log.read_text()
    assert "secret-cell" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert not any(line["message"].startswith("forged") for line in lines)
    assert not any("Traceback" in line.get("traceback", "") for line in lines)
    (line,) = [line for line in lines if line.get("request_id") == "the-one" and "status" in line]
    assert (line["message"], line["status"], line["model_id"]) == ("POST /train", 201, trained["model_id"])
    assert (line["model_class"], line["rows"]) == ("logistic_regression", 30)
    assert line["bytes_in"] > 0
    assert line["ms"] > 0
    left = [(line["message"], line["bytes_out"]) for line in lines if line.get("status") == 499]
    assert sorted(left) == [("POST /predict", 0), ("POST /train", 0)]
