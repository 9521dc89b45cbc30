"""One yard for all tests of the protocol, and what each client is told of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client_environments import Client, ask
from tests.open_inference.served import ASKED, DATATYPES, MATRIX, Answers, Served, serving

SCRIPTS = Path(__file__).parent / "clients"


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("open_inference") / "models_storage") as found:
        yield found


@pytest.fixture(scope="package")
def answers(served: Served) -> Answers:
    """Return what a client was told, which is asked once."""
    asked = json.dumps(
        {"rest": served.rest, "grpc": served.grpc, "columns": ASKED, "datatypes": DATATYPES, "matrix": MATRIX}
    )
    told: dict[str, Any] = {}

    def answers_of(client: Client) -> dict[str, Any]:
        if client not in told:
            told[client] = ask(client, SCRIPTS / f"{client}.py", asked)
        return dict(told[client])

    return answers_of
