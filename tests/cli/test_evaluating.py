"""Evaluations in a terminal: models judged by a labelled table, compared, and listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_cli import Run, _own_environment, here, on, train, yards

__all__ = ["_own_environment", "here", "on", "yards"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty rows; beyond the size of 30 they are bought, which the kind does not tell."""
    path = tmp_path_factory.mktemp("tables") / "bought.csv"
    rows = [f"{n},{'ab'[n % 2]},{'yes' if n > 30 else 'no'}" for n in range(1, 61)]
    path.write_text("\n".join(["size,kind,bought", *rows]) + "\n")
    return path


def plain_lines(out: str) -> list[str]:
    """Return lines with single blanks between the cells, and hyphens in intervals."""
    return [" ".join(line.replace("\N{EN DASH}", "-").split()) for line in out.splitlines()]


def test_models_are_judged_compared_and_listed(on: Run, table: Path) -> None:
    train(on, table, "--name", "sized", "--evaluation", "none")
    train(on, table, "--name", "blind", "--evaluation", "none", "--exclude", "size")
    none = on("evaluations", "sized")
    assert (none.exit_code, none.out) == (0, "sized:1 has not been judged by a table yet.\n")

    told = on("evaluate", "sized,blind", table, "--target", "bought", "--label", "March")
    assert told.exit_code == 0, told.err
    lines = plain_lines(told.out)
    assert lines[0] == "60 rows (March); 90 % intervals in parentheses"
    assert lines[1] == "metric sized:1 blind:1"
    assert any(line.startswith("accuracy 1.0000 (1.0000-1.0000) 0.5000 (0.") for line in lines)
    (pair,) = [line for line in lines if line.startswith("sized:1 - blind:1 accuracy +0.5000 (+0.")]
    assert pair.endswith("sized:1 is better")

    document = on("evaluate", "sized", table, "--json").document  # the target is the model's own
    assert (document["n_rows"], document["pairs"], document["label"]) == (60, [], None)
    assert document["models"][0]["metrics"]["accuracy"] == 1.0
    listed = plain_lines(on("evaluations", "sized").out)
    assert listed[0] == "when label rows metric value beside"
    assert listed[1].endswith("UTC 60 accuracy 1.0000 (1.0000-1.0000)")
    assert listed[2].endswith("UTC March 60 accuracy 1.0000 (1.0000-1.0000) blind:1")
    first = on("evaluations", "sized", "--limit", 1, "--json").document
    assert [one["label"] for one in first["evaluations"]] == [None]
    assert first["next_cursor"] in on("evaluations", "sized", "--limit", 1).out
    rest = on("evaluations", "sized", "--cursor", first["next_cursor"], "--json").document
    assert [one["label"] for one in rest["evaluations"]] == ["March"]


def test_without_a_table_the_rows_held_out_of_both_judge(on: Run, table: Path) -> None:
    for C in ("0.00001", "1"):
        train(on, table, "--name", "held", "-p", f"C={C}")
    told = on("evaluate", "held:1,held:2")
    assert told.exit_code == 0, told.err
    assert plain_lines(told.out)[0] == "12 rows held out of all; 90 % intervals in parentheses"
    assert on("evaluations", "held:1").out == "held:1 has not been judged by a table yet.\n"


def test_many_pairs_are_compared_by_the_metric_that_tells_most(here: Run, table: Path) -> None:
    for _ in range(4):
        train(here, table, "--name", "many", "--evaluation", "none")
    references = ",".join(f"many:{version}" for version in range(1, 5))
    told = here("evaluate", references, table)
    pairs = [line for line in told.out.splitlines() if " - " in line]
    assert len(pairs) == 6
    assert all("accuracy" in line and line.endswith("no difference shown") for line in pairs)


def test_what_is_wrong_is_said(here: Run, table: Path) -> None:
    train(here, table, "--name", "wrong", "--evaluation", "none")
    assert here("evaluate", "nobody", table).exit_code == 3
    refused = here("evaluate", "wrong", table, "--target", "nothing")
    assert refused.exit_code == 2
    assert "target 'nothing' is not a column of X; it has 'size', 'kind', 'bought'" in refused.err
    assert here("evaluate", "wrong,wrong:1", table).exit_code == 2
    assert here("evaluations", "nobody").exit_code == 3
