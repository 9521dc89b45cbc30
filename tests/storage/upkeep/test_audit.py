"""The upkeep of the audit: doctor names what is wrong with it, a repair writes that down, backups hold it."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.errors import DataLoss
from modelyard.schemas import AuditEntry, AuditQuery
from modelyard.storage.folder import Folder
from modelyard.storage.upkeep import backup
from modelyard.storage.upkeep.doctor import examine
from modelyard.storage.upkeep.garbage import collect
from modelyard.storage.upkeep.repair import repair
from tests.storage_drafts import add_model, audit_of, new_model, open_store


@pytest.fixture
def filled(storage_dir: Path) -> Path:
    """A yard with six entries."""
    store = open_store(storage_dir)
    add_model(store, new_model(name="churn"))
    for _ in range(2):
        store.set_status("churn:1", "deleted")
        store.set_status("churn:1", "active")
    add_model(store, new_model(name="churn"))
    store.close()
    return storage_dir


def ledger_file(root: Path) -> Path:
    return min((root / "series" / "audit").glob("*.jsonl"))


def entries(root: Path) -> list[AuditEntry]:
    """Return the entries, the first one first."""
    store = open_store(root)
    found = audit_of(store).page(AuditQuery(limit=1000)).entries
    assert not audit_of(store).verify().flaws
    store.close()
    return found[::-1]


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_a_sound_audit_is_no_finding(filled: Path) -> None:
    assert examine(Folder(filled)).findings == []
    assert [entry.verb for entry in entries(filled)] == ["publish", *["delete", "restore"] * 2, "publish"]


def test_an_entry_that_is_missing_is_named_and_a_repair_writes_that_down(filled: Path) -> None:
    path = ledger_file(filled)
    path.write_bytes(b"".join(line for n, line in enumerate(lines(path)) if n != 2))
    found = examine(Folder(filled))
    assert not found.is_sound
    assert {finding.kind for finding in found.findings} == {"series", "audit"}
    repaired = repair(Folder(filled))
    assert repaired.is_sound
    assert examine(Folder(filled)).findings == []
    noted = entries(filled)[-1]
    assert (noted.verb, noted.what["entries"]) == ("repair", "3")
    assert noted.key.startswith("local:")


def test_a_damaged_line_is_set_aside_and_the_audit_says_what_it_lacks(filled: Path) -> None:
    path = ledger_file(filled)
    path.write_bytes(path.read_bytes().replace(b'"restore"', b'"destroy"', 1))
    assert repair(Folder(filled)).is_sound
    assert [entry.number for entry in entries(filled)] == [1, 2, 4, 5, 6, 7]
    assert b"destroy" in next(filled.glob(f"quarantine/*/series/audit/{path.name}")).read_bytes()


def test_a_damaged_database_is_written_anew_without_a_loss_of_entries(filled: Path) -> None:
    database = filled / "db.jsonl"
    content = lines(database)
    database.write_bytes(b"".join(content[:-2]) + b"damaged\n")
    before = ledger_file(filled).read_bytes()
    assert repair(Folder(filled)).is_sound
    found = entries(filled)
    assert before in b"".join(path.read_bytes() for path in sorted((filled / "series" / "audit").iterdir()))
    assert [entry.number for entry in found] == list(range(1, len(found) + 1))
    assert len({entry.transaction for entry in found}) == len(found)
    assert found[-1].verb == "repair"


def test_a_database_that_lost_its_end_is_found_by_the_audit(filled: Path) -> None:
    database = filled / "db.jsonl"
    database.write_bytes(b"".join(lines(database)[:3]))
    found = [finding for finding in examine(Folder(filled)).findings if finding.kind == "audit"]
    assert [finding.problem for finding in found] == ["the database does not know of it: it has lost transactions"]
    assert repair(Folder(filled)).is_sound
    noted = [entry for entry in entries(filled) if "are lost" in entry.what.get("problem", "")]
    assert len(noted) == 1
    assert [entry.number for entry in entries(filled)][:6] == [1, 2, 3, 4, 5, 6]


def test_a_lost_database_is_begun_anew_and_the_audit_goes_on(filled: Path) -> None:
    (filled / "db.jsonl").unlink()
    assert repair(Folder(filled)).is_sound
    found = entries(filled)
    assert [entry.verb for entry in found][:6] == ["publish", *["delete", "restore"] * 2, "publish"]
    assert [entry.verb for entry in found][6:] == ["repair"] * 3


def test_gc_says_what_it_deletes_for_good(filled: Path) -> None:
    store = open_store(filled)
    store.set_status("churn:1", "deleted")
    store.close()
    collect(Folder(filled), retention_days=0)
    last = entries(filled)[-1]
    assert (last.verb, last.what["model"]) == ("gc", "churn:1")


def test_a_backup_that_is_loaded_holds_the_audit_and_goes_on_with_it(filled: Path, tmp_path: Path) -> None:
    before = entries(filled)
    backup.create(Folder(filled), tmp_path / "yard.tar.gz")
    store = open_store(filled)
    store.set_status("churn:1", "deleted")  # after the backup
    store.close()
    backup.load(tmp_path / "yard.tar.gz", Folder(tmp_path / "new"))
    assert entries(tmp_path / "new") == before
    store = open_store(tmp_path / "new")
    store.set_status("churn:2", "deleted")
    store.close()
    assert [entry.verb for entry in entries(tmp_path / "new")] == [*(entry.verb for entry in before), "delete"]


def test_an_audit_without_its_end_is_not_backed_up(filled: Path, tmp_path: Path) -> None:
    path = ledger_file(filled)
    path.write_bytes(b"".join(lines(path)[:-1]))
    with pytest.raises(DataLoss, match="the audit cannot be copied: it ends before entry 6"):
        backup.create(Folder(filled), tmp_path / "yard.tar")
