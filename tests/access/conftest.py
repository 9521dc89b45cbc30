"""One yard for the tests of limited keys, and its servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import doors
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
