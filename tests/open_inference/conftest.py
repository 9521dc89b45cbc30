"""One yard for all tests of the protocol."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.open_inference.served import Served, serving


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("open_inference") / "models_storage") as found:
        yield found
