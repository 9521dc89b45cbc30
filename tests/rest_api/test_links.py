"""Where REST is found: below a path of a proxy's, on every address, and its documentation without the internet."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from modelyard.errors import InvalidRequest
from modelyard.rest_api.client import RestClient
from modelyard.schemas import ModelQuery
from modelyard.settings import read_settings
from tests import doors
from tests.rest_api.test_rest_api import X, Y
from tests.waiting import PATIENCE_S

ORDER = {"model_class_key": "logistic_regression", "X": X, "y": Y, "name": "kept"}


@pytest.fixture(scope="module", params=["", "/yard", "/tools/yard"])
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a server with a model called `kept`, and the path below which it is published."""
    path: str = request.param
    with doors.rest_thread(tmp_path_factory.mktemp("links") / "models_storage", root_path=path) as url:
        assert httpx.post(url + "/train", json=ORDER, timeout=PATIENCE_S).status_code == 201
        yield url, path


def test_a_path_is_read_whether_or_not_a_proxy_takes_it_off(published: tuple[str, str]) -> None:
    url, path = published
    for base in {url, url + path}:
        assert httpx.get(f"{base}/models/kept").json()["name"] == "kept"
        assert httpx.post(f"{base}/predict", json={"model_id": "kept", "X": X}).status_code == 200
        assert httpx.get(f"{base}/nothing").json()["detail"] == "there is no GET /nothing"
        with RestClient(base) as client:
            assert [model.name for model in client.list_models(ModelQuery()).models] == ["kept"]
    if path:
        assert httpx.get(f"{url}{path}2/models").status_code == 404


def test_links_are_below_the_path(published: tuple[str, str]) -> None:
    url, path = published
    ordered = httpx.post(f"{url}/train?wait=false", json=ORDER)
    assert ordered.headers["location"] == f"{path}/jobs/{ordered.json()['job_id']}"
    assert httpx.get(url + ordered.headers["location"]).status_code == 200
    document = httpx.get(f"{url}/openapi.json").json()
    assert document.get("servers") == ([{"url": path}] if path else None)


def test_the_root_leads_to_documentation_that_needs_no_other_server(published: tuple[str, str]) -> None:
    url, path = published
    for root in {f"{url}/", f"{url}{path}", f"{url}{path}/"}:
        assert httpx.get(root).headers["location"] == f"{path}/docs"
    page = httpx.get(f"{url}{path}/docs")
    linked = re.findall(r"""(?:href|src)="([^"]*)"|url: '([^']*)'""", page.text)
    links = {one or other for one, other in linked}
    assert links == {"docs/favicon.png", "docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "openapi.json"}
    assert "//" not in re.sub(r"<!--.*?-->|//.*", "", page.text)
    for link in links:
        found = httpx.get(urljoin(str(page.url), link))
        assert found.status_code == 200
        assert len(found.content) > 1000
    assert httpx.get(f"{url}/docs/other.js").json()["code"] == "NOT_FOUND"
    assert httpx.get(f"{url}/redoc").status_code == 404


@pytest.mark.parametrize("path", ["yard", "/yard?x", "//yard", "/a b", "https://host/yard", "/ü"])
def test_what_is_no_root_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequest, match="a root path must be like /yard"):
        read_settings(root_path=path)


def test_a_slash_at_the_end_of_a_root_path_is_nothing() -> None:
    assert (read_settings(root_path="/yard/").root_path, read_settings(root_path="/").root_path) == ("/yard", "")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
@pytest.mark.parametrize("command", [["rest"], ["rest", "--workers", "2"], ["grpc"]], ids=" ".join)
def test_a_server_on_all_addresses_is_found_by_either_family(command: list[str], tmp_path: Path) -> None:
    port = doors.free_port()
    whole = [sys.executable, "-m", "modelyard", *command, "--host", "::", "--port", str(port)]
    with doors.serving(whole, tmp_path / "models_storage", MODELYARD_AUTH="none"):
        doors.wait_until_listening("127.0.0.1", port)
        doors.wait_until_listening("::1", port)
