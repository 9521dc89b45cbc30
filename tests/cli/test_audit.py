"""The command line's audit: who did what, and whether anybody has changed that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import Result

from modelyard.schemas import KeyRequest
from tests import command_line, doors
from tests.storage_drafts import add_model, new_model, open_store


def run(*arguments: object) -> Result:
    return command_line.run("audit", *arguments)


def document(result: Result) -> Any:
    return orjson.loads(result.stdout)


@pytest.fixture
def filled(storage_dir: Path) -> Path:
    """A yard in which version 3 was deleted."""
    store = open_store(storage_dir)
    for _ in range(3):
        add_model(store, new_model(name="churn"))
    store.set_status("churn:3", "deleted")
    store.set_status("churn:2", "deleted")
    store.close()
    return storage_dir


def ledger_file(root: Path) -> Path:
    (path,) = (root / "series" / "audit").glob("*.jsonl")
    return path


def test_who_deleted_version_3_is_found(filled: Path) -> None:
    found = run("--verb", "delete", "--storage", filled)
    assert found.exit_code == 0
    lines = [line for line in found.stdout.splitlines() if "churn:3" in line]
    assert len(lines) == 1
    assert "local:" in lines[0]
    assert "churn:1" not in found.stdout


def test_entries_are_listed_page_by_page_and_since_a_day(filled: Path) -> None:
    first = document(run("--limit", 2, "--json", "--storage", filled))
    assert [entry["what"]["model"] for entry in first["entries"]] == ["churn:2", "churn:3"]
    rest = document(run("--cursor", first["next_cursor"], "--json", "--storage", filled))
    assert [entry["number"] for entry in rest["entries"]] == [3, 2, 1]
    assert run("--since", "2099-01-01", "--storage", filled).stdout == "No entries.\n"
    assert run("--key", "nobody", "--storage", filled).stdout == "No entries.\n"


def test_a_list_is_as_long_as_it_was_wanted_though_pages_are_short(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.storage.collections.audit._MOST_LOOKED_AT", 1)
    found = document(run("--verb", "publish", "--limit", 2, "--json", "--storage", filled))
    assert [entry["number"] for entry in found["entries"]] == [3, 2]


def test_a_moment_that_is_none_is_refused(filled: Path) -> None:
    refused = run("--since", "yesterday", "--storage", filled)
    assert refused.exit_code == 2
    assert "since" in refused.stderr


def test_a_server_is_asked(filled: Path) -> None:
    with doors.rest_thread(filled) as url:
        assert "churn:3" in run("--verb", "delete", "--url", url).stdout


def test_a_whole_audit_verifies_with_exit_code_0(filled: Path) -> None:
    found = run("verify", "--storage", filled)
    assert found.exit_code == 0
    assert "5 entries, from 1 to 5" in found.stdout
    assert "without a key" in found.stdout
    assert document(run("verify", "--json", "--storage", filled))["sound"] is True


def test_an_entry_that_was_changed_is_named_with_exit_code_1(filled: Path) -> None:
    path = ledger_file(filled)
    path.write_bytes(path.read_bytes().replace(b"churn:3", b"churn:1", 1))
    found = run("verify", "--storage", filled)
    assert found.exit_code == 1
    assert found.stdout.startswith("audit entries 3-5:")
    assert document(run("verify", "--json", "--storage", filled))["flaws"][0]["first"] == 3


def test_entries_cannot_be_signed_without_a_key(filled: Path) -> None:
    refused = run("sign", "--storage", filled)
    assert refused.exit_code == 4
    assert "MODELYARD_SIGNING_KEY_FILE" in refused.stderr


def test_a_folder_that_is_no_yard_has_no_audit(tmp_path: Path) -> None:
    for command in ([], ["verify"], ["sign"]):
        assert run(*command, "--storage", tmp_path / "none").exit_code == 2
    assert not (tmp_path / "none").exists()


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "signing.key"
    path.write_text("k" * 40)
    monkeypatch.setenv("MODELYARD_SIGNING_KEY_FILE", str(path))
    return path


def test_entries_from_before_the_key_are_signed_for_by_a_person(filled: Path, key_file: Path) -> None:
    found = run("verify", "--storage", filled)
    assert found.exit_code == 1
    assert found.stdout.startswith("audit entries 1-5: not signed")
    assert run("sign", "--storage", filled).exit_code == 0
    assert document(run("verify", "--json", "--storage", filled)) | {"hash": ""} == {
        "sound": True,
        "entries": 6,
        "first": 1,
        "last": 6,
        "hash": "",
        "signed": 1,
        "flaws": [],
        "noted": [],
    }


def test_what_a_yard_with_a_key_writes_is_signed(storage_dir: Path, key_file: Path) -> None:
    with doors.core(storage_dir) as core:
        core.create_key(KeyRequest(name="crm", role="reader"))
    found = run("verify", "--storage", storage_dir)
    assert found.exit_code == 0
    assert "every signature holds" in found.stdout
    key_file.write_text("o" * 40)
    assert run("verify", "--storage", storage_dir).stdout.startswith("audit entry 1: not signed by a key")


def test_a_model_that_is_signed_later_is_an_entry(filled: Path, key_file: Path) -> None:
    signed = command_line.run("sign", "churn:1", "--yes", "--storage", filled)
    assert signed.exit_code == 0
    (entry,) = document(run("--verb", "sign", "--json", "--storage", filled))["entries"]
    assert entry["what"]["model"] == "churn:1"
