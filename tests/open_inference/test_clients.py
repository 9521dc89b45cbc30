"""The protocol's own clients, unchanged, each in an environment of its own."""

from __future__ import annotations

import pytest

from tests.open_inference.served import ASKED, MATRIX, Answers, Served, needs_mlserver


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
    assert [told["live"], told["ready"], *told["model ready"]] == [True] * 4
    assert told["unknown"].endswith(": there is no model named 'nobody'")
    assert "column 'age' is missing" in told["missing"]
    server, model_metadata = told["metadata"] if way != "http binary" else answers("triton")["http json"]["metadata"]
    assert (server["name"], server["extensions"]) == ("modelyard", ["binary_tensor_data"])
    assert [one["name"] for one in model_metadata["inputs"]] == list(ASKED)
    assert [one["datatype"] for one in model_metadata["outputs"]] == ["BYTES", "FP64"]


@pytest.mark.parametrize("way", ["rest json", "rest binary", "grpc typed", "grpc raw"])
def test_kserves_clients_are_told_what_the_core_says(served: Served, answers: Answers, way: str) -> None:
    told = answers("kserve")[way]
    for model in ("credit", "flags", "counts"):
        expected = served.expected(model, None if model == "credit" else MATRIX)
        assert told[model] == {
            "predict": expected.predictions,
            "probabilities": expected.probabilities,
            "said": [model, "1" if way.startswith("grpc") else None, "mine"],  # REST's reads no version
        }
    assert "there is no model named 'nobody'" in told["unknown"]
    assert "column 'age' is missing" in told["missing"]
    assert told.get("ready", [True] * 3) == [True] * 3


@needs_mlserver
def test_mlservers_codecs_and_command_are_told_what_the_core_says(served: Served, answers: Answers) -> None:
    told = answers("mlserver")
    with_age = served.expected("credit", {**ASKED, "age": [30.0 if age is None else age for age in ASKED["age"]]})
    for way, expected in (("rest", served.expected("credit")), ("grpc", with_age)):
        assert told[way] == {
            "predict": expected.predictions,
            "probabilities": expected.probabilities,
            "said": ["credit", "1"],
        }
    assert told["command"] == [told["rest"]] * 2
