"""Drift in a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_cli import Run, _own_environment, here, on, train, yards
from tests.cli.test_evaluating import plain_lines
from tests.waiting import wait_until

__all__ = ["_own_environment", "here", "on", "yards"]


def written(path: Path, rows: int, beyond: int) -> Path:
    lines = [f"{n % 60 + beyond},{'ab'[n % 7 % 2]},{'yes' if n % 60 > 30 else 'no'}" for n in range(rows)]
    path.write_text("\n".join(["size,kind,bought", *lines]) + "\n")
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return written(tmp_path / "bought.csv", 300, 0)


def test_drift_is_told_in_a_line_and_a_table(on: Run, table: Path, tmp_path: Path) -> None:
    train(on, table, "--name", "watched")
    few = on("drift", "watched")
    assert (few.exit_code, few.err) == (0, "")
    assert few.out.startswith("watched:1: too few rows. 0 rows in 24 hours; it takes 200 to tell\n")
    assert on("predict", "watched", written(tmp_path / "moved.csv", 400, 50), "--json").exit_code == 0
    wait_until(lambda: on("drift", "watched", "--json").document["rows"] == 400)
    lines = plain_lines(on("drift", "watched", "--hours", 1).out)
    assert lines[0].startswith(
        "watched:1: drifted. 400 rows in the last hour; not like training's: size (drifted, psi "
    )
    assert lines[-4].startswith("column status psi missing unknown out of range farthest off")
    assert lines[-3].startswith("size drifted ")
    assert lines[-2].startswith("kind ok 0.000 0.0% 0.0% 0.0% b: ")
    assert lines[-1].startswith("(predictions) drifted ")


def test_hours_are_bounded(on: Run) -> None:
    refused = on("drift", "watched", "--hours", 0)
    assert refused.exit_code == 2
    assert "hours" in refused.err
