"""The yards of these tests and their servers: one for limited keys, and one that every caller walks through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from modelyard.schemas import ROLES
from tests import doors
from tests.access.callers import Caller, Served, invalid_keys, make_key, many_guesses, role_callers, two_yards
from tests.access.foreign import Foreign, live
from tests.waiting import PATIENCE_S


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("limited") / "yard"


@pytest.fixture(scope="package")
def foreign(folder: Path) -> Foreign:
    with doors.core(folder) as yard:
        return live(yard)


@pytest.fixture(scope="package")
def url(folder: Path, foreign: Foreign) -> Iterator[str]:
    with doors.rest_thread(folder, auth="keys") as found:
        yield found


@pytest.fixture(scope="package")
def target(folder: Path, foreign: Foreign) -> Iterator[str]:
    with doors.grpc_thread(folder, auth="keys") as found:
        yield found


@pytest.fixture(scope="package")
def http(url: str, foreign: Foreign) -> Iterator[httpx.Client]:
    """The client of the limited key."""
    headers = {"authorization": f"Bearer {foreign.limited}", "x-request-id": "the-same"}
    with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S) as client:
        yield client


NAMES = [
    *ROLES,
    "limited admin",
    "nobody",
    "misspelt",
    "known id, another secret",
    "unknown",
    "of another yard",
    "revoked",
    "rotated",
    "expired",
    "no key",
    "cut off",
    "too long",
]


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("walk")
    with two_yards(folder) as (yard, other):
        limited = Caller("limited admin", make_key(yard, "limited", "admin", "mine*"), "admin")
        callers = [*role_callers(yard), *invalid_keys(yard, other), Caller("nobody", None, None), limited]
    with (
        many_guesses(),
        doors.rest_thread(folder / "one", auth="keys") as url,
        doors.grpc_thread(folder / "one", auth="keys") as target,
    ):
        yield Served(url, target, {caller.name: caller for caller in callers})


@pytest.fixture(params=NAMES)
def caller(request: pytest.FixtureRequest, served: Served) -> Caller:
    return served.callers[request.param]
