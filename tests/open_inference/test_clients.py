"""The protocol's own clients, unchanged, each in an environment of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client_environments import Client, ask
from tests.open_inference.served import ASKED, DATATYPES, MATRIX, Served

SCRIPTS = Path(__file__).parent / "clients"
Answers = Callable[[Client], dict[str, Any]]


@pytest.fixture(scope="module")
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


@pytest.mark.parametrize("way", ["http json", "http binary", "grpc"])
def test_tritonclient_is_told_what_the_core_says(served: Served, answers: Answers, way: str) -> None:
    told = answers("triton")[way]
    for asked in ("credit", "version", "flags", "counts"):
        model = "credit" if asked == "version" else asked
        expected = served.expected(model, None if model == "credit" else MATRIX)
        assert told[asked] == {
            "predict": expected.predictions,
            "probabilities": expected.probabilities,
            "said": [model, "1", "mine"],
        }
    assert told["by default"] == served.expected("credit").predictions
    assert told["price"] == served.expected("price").predictions
    assert told["live"] and told["ready"] and told["model ready"] == [True, True]
    assert told["unknown"].endswith(": there is no model named 'nobody'")
    assert "column 'age' is missing" in told["missing"]
    server, model_metadata = told["metadata"] if way != "http binary" else answers("triton")["http json"]["metadata"]
    assert (server["name"], server["extensions"]) == ("modelyard", ["binary_tensor_data"])
    assert [one["name"] for one in model_metadata["inputs"]] == list(ASKED)
    assert [one["datatype"] for one in model_metadata["outputs"]] == ["BYTES", "FP64"]
