"""`search` on a folder: what it shows, and what becomes of an ensemble that it has made."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.command_line import run
from tests.test_contract_search import MIXED, SUMS


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    rows = [f"{row['a']},{row['b']},{total}" for row, total in zip(MIXED, SUMS, strict=True)]
    Path("mixed.csv").write_text("\n".join(["a,b,total", *rows]))
    return "mixed.csv"


def test_a_search_shows_its_leaderboard_and_its_ensemble_is_retrained(table: str) -> None:
    asked = ("--target", "total", "--evaluation", "none", "--trials", "2", "--name", "mixed")
    classes = ("-m", "linear_regression", "-m", "lightgbm_regressor")
    shown = run("search", table, *asked, *classes, "--storage", "yard")
    assert shown.exit_code == 0, shown.stderr
    assert "found by" in shown.stdout
    assert "a search of 2 trials" in shown.stdout
    assert "the model" in shown.stdout
    told = run("show", "mixed", "--report", "--storage", "yard").stdout
    assert "Leaderboard" in told
    changed = ("-p", "lightgbm_regressor.n_estimators=20", "-p", "linear_regression=2")
    again = run("retrain", "mixed", table, *changed, "--storage", "yard", "--json")
    assert again.exit_code == 0, again.stderr
    model = orjson.loads(again.stdout)
    assert model["model_class_key"] == "ensemble"
    assert model["hyperparams"]["lightgbm_regressor.n_estimators"] == 20
    assert model["hyperparams"]["linear_regression"] == 2


def test_a_search_that_cannot_be_is_refused_in_words(table: str) -> None:
    refused = run("search", table, "--target", "total", "--metric", "roc_auc", "--storage", "yard")
    assert refused.exit_code == 2
    assert "metric of regression must be one of 'rmse', 'mae'" in " ".join(refused.stderr.split())
