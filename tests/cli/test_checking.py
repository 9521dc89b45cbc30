"""`check` and `edit` in the terminal."""

from __future__ import annotations

from pathlib import Path

import orjson
import polars as pl
import pytest

from modelyard.schemas import TableCheck
from modelyard.storage import ModelRecord
from tests.command_line import run
from tests.storage_drafts import add_model, new_model, open_store

ROWS = 60


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    columns = {
        "customer": [f"c{row:02}" for row in range(ROWS)],
        "age": [18 + (7 * row) % 45 for row in range(ROWS)],
        "member": [row % 3 == 0 for row in range(ROWS)],
        "bought": ["yes" if row % 4 == 0 else "no" for row in range(ROWS)],
    }
    path = tmp_path / "customers.csv"
    pl.DataFrame(columns).write_csv(path)
    return path


def test_a_check_needs_no_yard_and_makes_none(table: Path) -> None:
    shown = run("check", table, "--target", "bought")
    assert shown.exit_code == 0, shown.stderr
    assert "60 rows, 3 features; target 'bought': no (45), yes (15)" in shown.stdout
    assert "customer  categorical" in shown.stdout
    assert "18 to 62" in shown.stdout
    assert "2 values: false, true" in shown.stdout
    assert "column 'customer' looks like an identifier" in shown.stdout
    assert [path.name for path in table.parent.iterdir()] == [table.name]


def test_a_check_heeds_roles_and_says_if_nothing_was_found(table: Path) -> None:
    arguments = ("--target", "bought", "--role", "customer=id", "--exclude", "member")
    shown = run("check", table, *arguments)
    assert "Nothing to worry about was found." in shown.stdout
    assert "customer  id" in shown.stdout
    found = TableCheck.model_validate_json(run("check", table, *arguments, "--json").stdout)
    assert (found.feature_names, found.warnings) == (["age"], [])


def test_a_check_refuses_what_a_training_refuses(table: Path) -> None:
    refused = run("check", table, "--target", "bougt", "--json")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "target 'bougt' is not a column of X" in orjson.loads(refused.stderr)["detail"]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRecord:
    monkeypatch.setenv("MODELYARD_STORAGE_DIR", str(tmp_path / "yard"))
    store = open_store(tmp_path / "yard")
    record = add_model(store, new_model(name="churn"))
    store.close()
    return record


def test_tags_and_description_are_edited(model: ModelRecord) -> None:
    edited = run("edit", "churn", "--tag", "risk", "--tag", "march", "--description", "Of March.", "--json")
    document = orjson.loads(edited.stdout)
    assert (document["tags"], document["description"]) == (["risk", "march"], "Of March.")
    assert model.metadata.model_id == document["model_id"]
    shown = run("edit", "churn", "--no-tags")
    assert "updated 'churn' version 1" in shown.stdout
    assert "Of March." in shown.stdout
    assert "risk" not in shown.stdout
    assert "edit" in run("history", "churn").stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "there is nothing to change: give --tag, --no-tags or --description"),
        (("--tag", "a", "--no-tags"), "--tag and --no-tags exclude each other"),
        (("--description", "x" * 2001), "field 'description' must have at most 2000 characters"),
        (("--tag", ""), "field 'tags.0' must not be empty"),
    ],
)
def test_what_cannot_be_edited_is_refused(model: ModelRecord, options: tuple[str, ...], words: str) -> None:
    refused = run("edit", model.metadata.model_id, *options)
    assert refused.exit_code == 2
    assert words in refused.stderr
