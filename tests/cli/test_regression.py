"""Regression in a terminal: trained, shown, listed and asked by commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.test_cli import Run, _own_environment, here, yards

__all__ = ["_own_environment", "here", "yards"]


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "prices.csv"
    rows = [f"{n},{'ab'[n % 2]},{100 + 2.5 * n}" for n in range(1, 31)]
    path.write_text("\n".join(["size,kind,price", *rows]) + "\n")
    return path


def test_a_regression_is_trained_shown_listed_and_asked(here: Run, prices: Path, tmp_path: Path) -> None:
    model = ("--model-class", "linear_regression", "--target", "price", "--name", "prices")
    trained = here("train", prices, *model, "--task", "regression")
    assert trained.exit_code == 0, trained.err
    assert "with validation rmse" in trained.out
    assert "price: a number" in trained.out
    assert "median absolute error" in trained.out
    shown = here("show", "prices", "--report").out
    assert "Residuals (true number minus prediction)" in shown
    assert "Confusion matrix" not in shown
    listed = here("list", "--name", "prices").out
    assert "score" in listed
    assert "rmse " in listed
    out = tmp_path / "said.csv"
    assert here("predict", "prices", prices, "--output", out).exit_code == 0
    header, first, *_ = out.read_text().splitlines()
    assert header == "prediction"
    assert 90 < float(first) < 120
    said = here("predict", "prices", prices, "--output", out).out
    assert "30 rows by model" in said
    assert "mean 13" in said
    assert here("predict", "prices", prices, "--interval", "0.5", "--output", out).exit_code == 0
    assert out.read_text().splitlines()[0] == "prediction,low,high"
    refused = here("predict", "prices", prices, "--interval", "0.9")
    assert refused.exit_code == 4
    assert "an interval of 0.9 needs at least 9 rows held out" in refused.err
    document = here("predict", "prices", prices, "--json").document
    assert (document["classes"], document["probabilities"]) == (None, None)


def test_a_task_that_is_not_the_model_classs_is_refused(here: Run, prices: Path) -> None:
    model = ("--model-class", "linear_regression", "--target", "price", "--task", "classification")
    answer = here("train", prices, *model)
    assert answer.exit_code == 2
    assert "take model class 'logistic_regression' or 'catboost_classifier' or 'lightgbm_classifier'" in answer.err


def test_model_classes_are_listed_with_their_task(here: Run) -> None:
    lines = here("model-classes").out.splitlines()
    tasks = {line.split()[0]: line.split()[1] for line in lines if "_" in line.split()[0]}
    assert tasks["linear_regression"] == tasks["catboost_regressor"] == "regression"
    assert tasks["logistic_regression"] == tasks["catboost_classifier"] == "classification"
    assert "Linear regression (linear_regression, regression)" in here("model-classes", "linear_regression").out


def test_monotone_columns_are_taken_shown_and_refused(here: Run, prices: Path) -> None:
    model = ("--model-class", "lightgbm_regressor", "-p", "n_estimators=5", "--target", "price", "--name", "rising")
    trained = here("train", prices, *model, "--monotone", "size=+1")
    assert trained.exit_code == 0, trained.err
    assert re.search(r"monotone +rises with size", trained.out)
    again = here("retrain", "rising", prices, "--monotone", "size=-1", "--json")
    assert again.document["monotone"] == {"size": -1}
    for wrong, said in (("size=up", "got {'size': 'up'}"), ("kind=1", "column 'kind' must be numeric, and is")):
        refused = here("train", prices, *model, "--monotone", wrong)
        assert refused.exit_code == 2
        assert said in " ".join(refused.err.split())
