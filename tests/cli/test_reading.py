"""How a table is read, said on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_cli import Run, _own_environment, on, small, yards

__all__ = ["_own_environment", "on", "small", "yards"]

ROWS = [f"{row}~{'Köln' if row % 2 else 'Åbo'}~id{row}~{'yes' if row > 14 else 'no'}\n" for row in range(30)]
TRAIN = ("-m", "logistic_regression", "--evaluation", "none", "--json")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.txt"
    path.write_bytes(("made today\n" + "".join(ROWS)).encode("latin-1"))
    return path


def test_a_table_is_read_as_the_options_say(on: Run, table: Path) -> None:
    said = ("--encoding", "latin-1", "--delimiter", "~", "--skip-rows", 1, "--names", 'age, "city", id, bought')
    made = on("train", table, "-t", "bought", "-n", "read", *TRAIN, *said, "--exclude", "id")
    assert made.exit_code == 0, made.err
    reading = made.document["reading"]
    assert (reading["encoding"], reading["delimiter"], reading["skip_rows"]) == ("latin-1", "~", 1)
    assert (reading["header"], reading["names"]) == (False, ["age", "city", "id", "bought"])
    assert (reading["exclude"], made.document["feature_names"]) == (["id"], ["age", "city"])
    again = on("retrain", "read", table, "--json")
    assert again.document["reading"] == reading
    assert on("predict", "read", table, "--json").document["predictions"][::29] == ["no", "yes"]
    table.write_text("age,city\n1,Köln\n29,Åbo\n")
    told = ("--header", "--delimiter", ",", "--skip-rows", 0)
    assert on("predict", "read", table, "--json", *told).document["predictions"] == ["no", "yes"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--encoding", "klingon"), "encoding must be one that Python knows"),
        (("--delimiter", "ab"), "delimiter must be one ASCII character"),
        (("--skip-rows", -1), "field 'skip_rows' must be at least 0, got -1"),
        (("--names", 'a,"b'), "--names must be names with commas between"),
        (("--names", "a,b", "--header"), "names are those of a table without a header"),
        (("--exclude", "gone"), "exclude: column 'gone' is not in X"),
    ],
)
def test_options_that_cannot_be_are_refused_in_words(
    on: Run, small: Path, options: tuple[object, ...], words: str
) -> None:
    refused = on("train", small, "-t", "bought", *TRAIN, *options)
    assert refused.exit_code == 2
    assert words in refused.err
