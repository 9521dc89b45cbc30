"""A gRPC server that speaks TLS tells programs of its own machine its health without, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.errors import ModelyardError
from modelyard.grpc_server.client import GrpcClient
from modelyard.grpc_server.probe import local_target, problem_of
from tests import doors
from tests.certificates import Authority, Made
from tests.waiting import PATIENCE_S


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def made(ca: Authority) -> Made:
    return ca.make()


@pytest.fixture(params=["core", "aio"])
def port(request: pytest.FixtureRequest, tmp_path: Path, made: Made, ca: Authority) -> Iterator[int]:
    """The port of a server that wants certificates of its callers."""
    with doors.grpc_thread(tmp_path / "yard", grpc_transport=request.param, **made.settings(ca)) as target:
        yield int(target.split(":")[1])


def test_health_is_told_without_a_certificate_and_nothing_else_is(port: int) -> None:
    assert problem_of(local_target(port), PATIENCE_S) == ""
    assert problem_of(f"127.0.0.1:{port}", PATIENCE_S).startswith("no answer")
    with GrpcClient(local_target(port)) as yard, pytest.raises(ModelyardError, match="there is no method"):
        yard.list_models()


def test_it_ends_with_the_server(tmp_path: Path, made: Made) -> None:
    with doors.grpc_thread(tmp_path / "yard", **made.settings()) as target:
        port = int(target.split(":")[1])
        assert problem_of(local_target(port), PATIENCE_S) == ""
    assert problem_of(local_target(port), PATIENCE_S).startswith("no answer")


def test_a_server_without_tls_has_none(tmp_path: Path) -> None:
    with doors.grpc_thread(tmp_path / "yard") as target:
        assert problem_of(target, PATIENCE_S) == ""
        assert problem_of(local_target(int(target.split(":")[1])), PATIENCE_S).startswith("no answer")
