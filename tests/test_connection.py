"""One way to every yard: `modelyard.connect`, what it shows to a server, and what comes back with an error."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

import modelyard
from modelyard.errors import InvalidRequest, ModelNotFound, ModelyardError, NoYard
from modelyard.grpc_server.client import GrpcClient
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.client import RestClient
from modelyard.verbs import Verbs
from tests import doors
from tests.waiting import wait_until

KEY = "my_0123abcd_secret"
JOB = "0190163d-8694-739b-aea5-966c26f8ad90"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The URL of a server of each kind."""
    folder = tmp_path_factory.mktemp("served")
    with doors.rest_thread(folder / "rest") as rest, doors.grpc_thread(folder / "grpc") as target:
        yield {"rest": rest, "grpc": f"grpc://{target}"}


@pytest.mark.parametrize(("door", "kind"), [("rest", RestClient), ("grpc", GrpcClient)])
def test_a_url_leads_to_its_server(servers: dict[str, str], door: str, kind: type[Verbs]) -> None:
    with modelyard.connect(servers[door]) as yard:
        assert type(yard) is kind
        assert yard.health().status == "ok"


def test_a_path_leads_to_the_core_on_that_folder(tmp_path: Path) -> None:
    with doors.core(tmp_path / "yard") as made:
        made.train(modelyard.TrainRequest(model_class_key="logistic_regression", X=[[1], [2]], y=["a", "b"], name="m"))
    for path in (tmp_path / "yard", str(tmp_path / "yard")):
        with modelyard.connect(path) as yard:
            assert type(yard) is Yard
            assert yard.get_model("m").classes == ["a", "b"]


def test_a_folder_that_is_no_yard_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent", "localhost:8000"):
        with pytest.raises(NoYard, match="there is no yard at") as caught:
            modelyard.connect(path)
        assert "--storage" not in caught.value.detail
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "://", "HTTP//://x", "file:///tmp"])
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"must begin with http://, https://, grpc:// or grpcs://"):
        modelyard.connect(url)


def test_the_face_for_users_is_quick_to_import_and_whole() -> None:
    told = (
        "import sys, modelyard; known = {m.partition('.')[0] for m in sys.modules}; "
        "assert not known & {'pydantic', 'httpx', 'polars', 'grpc'}, known; "
        "assert all(getattr(modelyard, name) for name in modelyard.__all__); "
        "modelyard.connect('http://127.0.0.1:9').close(); known = {m.partition('.')[0] for m in sys.modules}; "
        "assert not known & {'polars', 'numpy', 'fastapi', 'grpc'}, known"
    )
    subprocess.run([sys.executable, "-c", told], check=True, env={**os.environ, "PYTHONPATH": ""})
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        modelyard.conect  # noqa: B018


@pytest.mark.parametrize("door", ["rest", "grpc"])
def test_an_error_keeps_the_id_that_the_servers_log_has(
    servers: dict[str, str], door: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", f"modelyard.{door}")
    with modelyard.connect(servers[door]) as yard, pytest.raises(ModelNotFound) as caught:
        yard.get_model("nobody")
    request_id = caught.value.request_id
    assert request_id
    assert request_id not in str(caught.value)
    # The line follows the answer.
    wait_until(lambda: any(getattr(one, "facts", {}).get("request_id") == request_id for one in caplog.records))
    assert ModelyardError("not from a server").request_id is None


@contextmanager
def rest_double(seen: list[str | None]) -> Iterator[str]:
    class Double(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["authorization"])
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Double) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@contextmanager
def grpc_double(seen: list[str | None]) -> Iterator[str]:
    class Double(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, call: Any) -> None:
            seen.append(dict(call.invocation_metadata).get("authorization"))

    server = grpc.server(ThreadPoolExecutor(1), handlers=[Double()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"grpc://127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.mark.parametrize("double", [rest_double, grpc_double])
@pytest.mark.parametrize(("key", "shown"), [(KEY, f"Bearer {KEY}"), (None, None)])
def test_a_key_is_shown_with_every_call(double: Any, key: str | None, shown: str | None) -> None:
    seen: list[str | None] = []
    with double(seen) as url, modelyard.connect(url, key) as yard:
        for call in (
            yard.health,
            yard.list_models,
            lambda: list(yard.watch_job("0190163d-8694-739b-aea5-966c26f8ad90")),
        ):
            with pytest.raises(ModelyardError):
                call()
    assert seen == [shown] * 3


@pytest.mark.parametrize("key", ["", "two words", "ключ", "line\r\nX-Other: 1", "\ud800"])
def test_a_key_that_no_header_carries_is_refused_and_never_told(key: str) -> None:
    for url in ("http://127.0.0.1:9", "grpc://127.0.0.1:9"):
        with pytest.raises(InvalidRequest) as caught:
            modelyard.connect(url, key)
        assert caught.value.detail == "a key must be visible ASCII characters, without blanks"
