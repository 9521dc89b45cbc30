"""`names`: models by their names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelyard.schemas import AliasRequest, Evaluation, TrainRequest
from tests import doors
from tests.command_line import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names") / "models_storage"
    X, y = [[i, i % 3] for i in range(40)], ["no", "yes"] * 20
    with doors.core(folder) as yard:
        for name in ("churn", "churn", "leads"):
            unjudged = Evaluation(method="none")
            request = TrainRequest(model_class_key="logistic_regression", X=X, y=y, name=name, evaluation=unjudged)
            yard.train(request)
        yard.set_alias("churn", "champion", AliasRequest(version=1))
    return folder


def test_names_are_shown_with_their_versions_and_aliases(folder: Path) -> None:
    said = run("names", "--storage", folder)
    assert said.exit_code == 0
    leads, churn = said.stdout.splitlines()[1:3]
    assert leads.split()[:2] == ["leads", "1"]
    assert churn.split()[:4] == ["churn", "2", "champion:", "1"]
    assert "(train)" in churn
    assert "2 names" in said.stdout


def test_names_are_filtered_and_told_as_json(folder: Path) -> None:
    said = json.loads(run("names", "--alias", "champion", "--json", "--storage", folder).stdout)
    assert ([one["name"] for one in said["names"]], said["total"]) == (["churn"], 1)
    found = json.loads(run("list", "--search", "CHU", "--json", "--storage", folder).stdout)
    assert [one["version"] for one in found["models"]] == [2, 1]
    assert "There are no such models." in run("names", "--search", "nothing", "--storage", folder).stdout
    first = run("names", "--limit", "1", "--storage", folder).stdout
    cursor = first.split("--cursor ")[1].strip()
    assert "churn" in run("names", "--limit", "1", "--cursor", cursor, "--storage", folder).stdout
    assert run("names", "--limit", "0", "--storage", folder).exit_code != 0
