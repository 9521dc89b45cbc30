"""The gate in a terminal: a training that takes an alias over, or says why not, and the series of an alias."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.cli.test_cli import Run, _own_environment, here, on, yards
from tests.cli.test_evaluating import plain_lines
from tests.promotions import table

__all__ = ["_own_environment", "here", "on", "yards"]

COSTS = '{"rule": "costs", "costs": {"yes": {"no": 5}, "no": {"yes": 1}}}'


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two tables of the same world, and one whose labels are drawn by lot."""
    folder = tmp_path_factory.mktemp("tables")
    for seed, blurred in ((1, 0.0), (2, 0.0), (3, 1.0)):
        X, y = table(seed, blurred=blurred)
        pl.DataFrame(X).with_columns(left=pl.Series(y)).write_csv(folder / f"{seed}.csv")
    return [folder / f"{seed}.csv" for seed in (1, 2, 3)]


def test_a_version_is_promoted_or_says_why_not(on: Run, tables: list[Path]) -> None:
    good, alike, weak = tables
    model = ("--target", "left", "--model-class", "logistic_regression", "--name", "left")
    told = on("train", weak, *model, "--promote", "live")
    assert told.exit_code == 0, told.err
    assert any("promotion live moved here: the alias was not set yet" in line for line in plain_lines(told.out))
    better = on("retrain", "left", good, "--promote", "live", "--promote-if", "better", "--promote-metric", "roc_auc")
    assert any("live moved here: better than left:1 by roc_auc (by 0." in line for line in plain_lines(better.out))
    stays = on("retrain", "left", alike, "--promote", "live", "--json").document["promotion"]
    assert not stays["moved"]
    assert stays["reason"].endswith("than left:2 by log_loss")
    options = ("--promote", "live", "--promote-if", "not_worse", "--promote-margin", "0.5")
    moved = on("retrain", "left", alike, *options, "--json").document["promotion"]
    assert (moved["moved"], moved["reason"]) == (True, "not worse than left:2 by more than 0.5 of log_loss")
    shown = on("show", "left@live")
    assert any("live moved here: not worse" in line for line in plain_lines(shown.out))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--promote-if", "always"), "--promote-if goes with --promote ALIAS alone"),
        (("--promote", "Live"), "alias 'Live' must be 1 to 64 small letters"),
        (("--promote", "live", "--promote-margin", "-1"), "field 'promote.margin' must be at least 0"),
        (("--promote", "live", "--promote-metric", "rmse"), "promote.metric 'rmse' is none of classification"),
    ],
)
def test_what_is_wrong_is_refused(here: Run, tables: list[Path], options: tuple[str, ...], words: str) -> None:
    model = ("--target", "left", "--model-class", "logistic_regression", "--name", "wrong")
    said = here("train", tables[0], *model, *options)
    assert said.exit_code == 2
    assert words in " ".join(said.err.split())


def test_the_series_of_an_alias_names_versions_and_costs(here: Run, tables: list[Path]) -> None:
    model = ("--target", "left", "--model-class", "logistic_regression", "--name", "series", "--decision", COSTS)
    for path in tables[:2]:
        assert here("train", path, *model, "--promote", "live", "--promote-if", "always").exit_code == 0
        assert here("evaluate", "series@live", tables[2], "--label", path.stem).exit_code == 0
    lines = plain_lines(here("evaluations", "series@live").out)
    assert lines[0] == "when model label rows metric value cost beside"
    assert "UTC series:2 2 1,200 accuracy 0." in lines[1]
    assert "UTC series:1 1 1,200 accuracy 0." in lines[2]
    assert here("evaluations", "series@next").exit_code == 3
    assert here("evaluations", "series@latest").out == here("evaluations", "series:2").out
