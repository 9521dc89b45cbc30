"""Decisions in a terminal: set by options, shown, obeyed, and told in a model's history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_cli import Run, _own_environment, here, run, yards

__all__ = ["_own_environment", "here", "yards"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "churn.csv"
    rows = [f"{i * 37 % 101},{'abc'[i % 3]},{'yes' if i * 37 % 101 + i * 53 % 40 > 95 else 'no'}" for i in range(300)]
    path.write_text("\n".join(["months,plan,churn", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def name(yards: dict[str, tuple[str, ...]], table: Path) -> str:
    model = ("--model-class", "logistic_regression", "--target", "churn", "--name", "churn")
    assert run("train", table, *model, *yards["folder"]).exit_code == 0
    return "churn"


WAYS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "threshold": (
        ("--rule", "threshold", "--class", "yes", "--threshold", "0.31"),
        {"rule": "threshold", "class": "yes", "threshold": 0.31},
    ),
    "metric": (("--metric", "f1"), {"rule": "threshold", "metric": "f1"}),
    "precision": (("--min-precision", "0.8"), {"rule": "threshold", "min_precision": 0.8}),
    "cost": (
        ("--cost", "yes:no=10", "--cost", "no:yes=1", "--cost", "no:no=-0.5"),
        {"rule": "costs", "costs": {"yes": {"no": 10.0}, "no": {"yes": 1.0, "no": -0.5}}},
    ),
    "share": (("--share", "0.05"), {"rule": "capacity", "share": 0.05}),
    "most_probable": (("--rule", "most_probable"), {"rule": "most_probable"}),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_options_make_the_decision(here: Run, name: str, table: Path, way: str) -> None:
    options, due = WAYS[way]
    said = here("decision", "set", name, *options, "--json")
    assert said.exit_code == 0, said.err
    assert due.items() <= said.document["decision"].items()
    assert here("decision", "show", name, "--json").document["decision"] == said.document["decision"]
    assert here("predict", name, table, "--json").document["decision"] == said.document["decision"]


def test_a_decision_is_set_and_shown_with_what_it_does(here: Run, name: str, tmp_path: Path) -> None:
    costs = tmp_path / "costs.json"
    costs.write_text(json.dumps({"yes": {"no": 10}, "no": {"yes": 1}}))
    said = here("decision", "set", name, "--costs", costs)
    assert f"'{name}' version 1 answers 'yes' from a probability of 0.09091 on" in said.out
    assert "On 60 rows held out it costs" in said.out
    shown = here("decision", "show", name).out
    assert "Thresholds of 'yes'" in shown
    assert "cost a row" in shown
    assert "Thresholds of 'no'" in here("decision", "show", name, "--class", "no").out
    assert "decision: 'yes' from a probability of 0.09091 on" in here("history", name).out
    assert "'yes' from a probability of 0.09091 on" in here("show", name).out


def test_a_decision_of_retrainings_and_predictions_is_json(here: Run, table: Path, name: str) -> None:
    decision = '{"rule": "threshold", "threshold": 0.0}'
    assert set(here("predict", name, table, "--decision", decision, "--json").document["predictions"]) == {"yes"}
    said = here("predict", name, table, "--decision", decision, "--output", "x.csv").out
    assert "The decision answers 'yes' from a probability of 0 on." in said
    child = here("retrain", name, table, "--decision", decision, "--json").document
    assert child["decision"] == {"rule": "threshold", "class": "yes", "threshold": 0.0}
    assert here("delete", child["model_id"], "--hard", "--yes").exit_code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--cost", "yes=10"), "--cost must be written true:predicted=cost, as in yes:no=10, got 'yes=10'"),
        (("--cost", "yes:no=much"), "--cost must be written true:predicted=cost, as in yes:no=10, got 'yes:no=much'"),
        (("--cost", "yes:no=1", "--costs", "costs.json"), "--costs and --cost both give costs; choose one"),
        (("--costs", "nowhere.json"), "--costs 'nowhere.json' cannot be read: No such file or directory"),
        (("--share", "1.5"), "field 'share' must be at most 1"),
        ((), "field 'rule' is required"),
        (("--rule", "costs", "--share", "0.1"), "field 'share' does not go with rule 'costs'"),
        (("--class", "maybe", "--threshold", "0.5"), "class 'maybe' is none of the model's classes: 'no', 'yes'"),
    ],
)
def test_wrong_options_are_refused_in_words(here: Run, name: str, options: tuple[str, ...], words: str) -> None:
    said = here("decision", "set", name, *options)
    assert said.exit_code == 2
    assert words in " ".join(said.err.split())
