"""The command line's upkeep of a folder: `doctor`, `gc`, `backup`, and `history`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import Result

from modelyard.storage import ModelRecord
from tests import command_line
from tests.storage_drafts import add_model, new_model, open_store


def run(storage_dir: Path, *arguments: object) -> Result:
    return command_line.run(*arguments, "--storage", storage_dir)


def document(result: Result) -> Any:
    return orjson.loads(result.stdout)


@pytest.fixture
def record(storage_dir: Path) -> ModelRecord:
    store = open_store(storage_dir)
    record = add_model(store, new_model(name="churn"))
    store.set_status("churn", "deleted")
    add_model(store, new_model(name="kept"))
    store.close()
    return record


def test_doctor_says_that_all_is_well(storage_dir: Path, record: ModelRecord) -> None:
    result = run(storage_dir, "doctor")
    assert (result.exit_code, result.stdout) == (0, "All is well: 2 models, every checksum holds.\n")
    assert document(run(storage_dir, "doctor", "--json")) == {"sound": True, "models": 2, "findings": []}


def test_doctor_shows_what_is_damaged_and_mends_it(storage_dir: Path, record: ModelRecord) -> None:
    damaged = f"artifacts/{record.metadata.model_id}/model.pkl"
    (storage_dir / damaged).write_bytes(b"?")
    result = run(storage_dir, "doctor")
    assert result.exit_code == 6
    assert damaged in result.stdout
    assert "--repair" in result.stdout
    (finding,) = document(run(storage_dir, "doctor", "--json"))["findings"]
    assert (finding["kind"], finding["what"], finding["done"]) == ("model", damaged, None)
    result = run(storage_dir, "doctor", "--repair")
    assert result.exit_code == 0
    assert "set aside in quarantine/" in result.stdout
    assert run(storage_dir, "doctor").exit_code == 0


def test_gc_keeps_deleted_models_unless_told_how_long(
    storage_dir: Path, record: ModelRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(storage_dir, "gc").stdout == "There is nothing to remove.\n"
    monkeypatch.setenv("MODELYARD_DELETED_RETENTION_DAYS", "0")
    result = run(storage_dir, "gc", "--dry-run")
    assert "churn:1" in result.stdout
    assert "1 would be removed" in result.stdout
    assert run(storage_dir, "gc", "--retention-days", 1).stdout == "There is nothing to remove.\n"
    assert document(run(storage_dir, "gc", "--json"))["garbage"][0]["kind"] == "deleted"
    assert run(storage_dir, "show", "churn:1").exit_code == 3
    assert run(storage_dir, "show", "kept").exit_code == 0


def test_a_backup_is_created_and_loaded(storage_dir: Path, record: ModelRecord, tmp_path: Path) -> None:
    file = tmp_path / "yard.tar.gz"
    assert run(storage_dir, "backup", "create", file).stdout.startswith(f"Wrote 2 models to {file} (")
    again = run(storage_dir, "backup", "create", file)
    assert (again.exit_code, "exists" in again.stderr) == (4, True)
    loaded = document(run(tmp_path / "new", "backup", "load", file, "--json"))
    assert loaded == {"file": str(file), "models": 2, "bytes": file.stat().st_size}
    assert run(tmp_path / "new", "doctor").exit_code == 0
    refused = run(tmp_path / "new", "backup", "load", file)
    assert (refused.exit_code, "is not empty" in refused.stderr) == (4, True)


def test_history_says_what_happened(storage_dir: Path, record: ModelRecord) -> None:
    assert run(storage_dir, "delete", "churn:1", "--hard", "--yes").exit_code == 0
    found = document(run(storage_dir, "history", record.metadata.model_id, "--json"))
    assert (found["name"], found["version"]) == ("churn", 1)
    assert [event["verb"] for event in found["events"]] == ["train", "delete", "delete"]
    shown = run(storage_dir, "history", "churn:1")
    assert shown.exit_code == 0
    assert "gone" in shown.stdout
    assert run(storage_dir, "history", "nothing").exit_code == 3
