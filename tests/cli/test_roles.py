"""Column roles on the command line: `--role COLUMN=ROLE`, and predictions that begin with the ids."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.cli.test_cli import Run, _own_environment, on, yards

__all__ = ["_own_environment", "on", "yards"]

ROLES = {"key": "id", "day": "time", "shop": "group", "w": "weight"}
TRAIN = ("-t", "bought", "-m", "logistic_regression", "-n", "roles")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [f"{row:03d},{row},2024-01-{1 + row // 2:02d},s{row % 9},{1 + row % 3},{'yes' if row % 7 > 3 else 'no'}"
            for row in range(60)]  # fmt: skip
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["key,size,day,shop,w,bought", *rows]) + "\n")
    return path


def test_roles_are_said_shown_and_inherited_and_ids_come_first(on: Run, table: Path, tmp_path: Path) -> None:
    said = [word for column, role in ROLES.items() for word in ("--role", f"{column}={role}")]
    made = on("train", table, *TRAIN, *said, "--json")
    assert made.exit_code == 0, made.err
    assert (made.document["column_roles"], made.document["feature_names"]) == (ROLES, ["size"])
    shown = on("show", "roles", "--report").out
    assert "key: id, day: time, shop: group, w: weight" in shown
    again = on("retrain", "roles", table, "--role", "shop=ignore", "--evaluation", "time", "--fraction", 0.5, "--json")
    assert again.document["column_roles"] == {**ROLES, "shop": "ignore"}
    assert again.document["evaluation"]["method"] == "time"
    assert "the latest 50% of the rows held out" in on("show", "roles").out
    ids = [f"{row:03d}" for row in range(60)]
    assert on("predict", "roles", table, "--json").document["ids"] == ids
    assert on("predict", "roles", table).out.splitlines()[:2] == ["key,prediction", "000,no"]
    assert on("predict", "roles", table, "-o", tmp_path / "out.parquet").exit_code == 0
    written = pl.read_parquet(tmp_path / "out.parquet")
    assert (written.columns, written["key"].to_list()) == (["key", "prediction"], ids)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--role", "key"), "--role must be written name=value, got 'key'"),
        (("--role", "key=id", "--role", "key=time"), "--role gives 'key' twice: 'id' and 'time'"),
        (("--role", "key=name"), "column_roles: column 'key' must be 'feature', 'ignore', 'id', 'time', 'group' or"),
        (("--evaluation", "time"), "evaluation method 'time' needs a column with the role 'time'"),
        (("--evaluation", "cv", "--fraction", 0.2), "--fraction goes with --evaluation holdout or time alone, got cv"),
    ],
)
def test_roles_that_cannot_be_are_refused_in_words(
    on: Run, table: Path, options: tuple[object, ...], words: str
) -> None:
    refused = on("train", table, *TRAIN, *options)
    assert refused.exit_code == 2
    assert words in refused.err
