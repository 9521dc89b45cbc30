"""`explain` in a terminal, in a pipe and into files."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests import doors
from tests.cli.test_cli import Run, _own_environment, here, run

__all__ = ["_own_environment", "here"]

LOGISTIC = ("--model-class", "logistic_regression", "--target", "left")


@pytest.fixture(scope="module")
def yards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, ...]]:
    """The options that lead to a folder."""
    folder = tmp_path_factory.mktemp("yards") / "local"
    with doors.core(folder):
        return {"folder": ("--storage", str(folder))}


@pytest.fixture(scope="module")
def staff(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "staff.csv"
    rows = [f"{n},{'ab'[n % 2]},{n % 5},{'yes' if n > 15 else 'no'}" for n in range(1, 31)]
    path.write_text("\n".join(["years,team,desk,left", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def asked(staff: Path) -> Path:
    """The first rows alone: a table that was trained on would be named in a warning."""
    path = staff.with_name("asked.csv")
    path.write_text("\n".join(staff.read_text().splitlines()[:26]) + "\n")
    return path


@pytest.fixture(scope="module")
def model(yards: dict[str, tuple[str, ...]], staff: Path) -> str:
    model_id: str = run("train", staff, *LOGISTIC, "--json", *yards["folder"]).document["model_id"]
    return model_id


def test_every_output_of_explanations_says_the_same(here: Run, asked: Path, tmp_path: Path, model: str) -> None:
    document = here("explain", model, asked, "--json").document
    assert (document["unit"], document["outputs"]) == ("log_odds", ["yes"])
    assert document["feature_names"] == ["years", "team", "desk"]
    assert len(document["contributions"]) == len(document["predictions"]) == 25
    assert [warning["code"] for warning in document["warnings"]] == ["extra_columns"]

    piped = here("explain", model, asked)
    assert piped.out == here("explain", model, asked, "--output", "-").out
    assert "Warning: " in piped.err
    for name in ("out.csv", "out.json", "out.parquet"):
        assert here("explain", model, asked, "--output", tmp_path / name).exit_code == 0
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert frame.columns == ["prediction", "base", "years", "team", "desk"]
    assert [list(row) for row in frame.select("years", "team", "desk").rows()] == [
        shares for (shares,) in document["contributions"]
    ]
    assert (tmp_path / "out.csv").read_text() == piped.out
    assert json.loads((tmp_path / "out.json").read_text()) == document
    said = here("explain", model, asked, "--output", tmp_path / "out.csv", "--json").document
    assert (said["rows"], said["output"]) == (25, str(tmp_path / "out.csv"))


def test_a_person_is_told_what_moved_a_row_most(
    here: Run, asked: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.cli.explaining.screen.is_terminal", lambda: True)
    said = here("explain", model, asked, "--top", 2).out
    assert "moved most by" in said
    first = next(line for line in said.splitlines() if line.split()[:2] == ["0", "no"])
    assert first.split()[3] == "years"
    assert float(first.split()[4].rstrip(",")) < 0
    assert "and 15 more rows; --output FILE writes all" in said
    assert f"25 rows by model {model}; base, log-odds: yes " in said


def test_one_row_is_told_in_the_singular(
    here: Run, asked: Path, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.cli.explaining.screen.is_terminal", lambda: True)
    one = tmp_path / "one.csv"
    one.write_text("".join(asked.read_text().splitlines(keepends=True)[:2]))
    for command in ("explain", "predict"):
        assert f"\n1 row by model {model}" in here(command, model, one).out


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (["nix", "{asked}"], 3, "'nix'"),
        (["nix", "{asked}", "--top", "0"], 2, "top"),
        (["nix", "{asked}", "--output", "out.xls"], 2, "must end in .csv, .json, .parquet"),
    ],
)
def test_a_wrong_command_is_refused_in_words(
    here: Run, asked: Path, arguments: list[str], exit_code: int, words: str
) -> None:
    answer = here("explain", *(argument.format(asked=asked) for argument in arguments))
    assert (answer.exit_code, words in answer.err) == (exit_code, True), answer.err
