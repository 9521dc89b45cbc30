"""The audit: an entry for each change, none for what did not happen, none changed or removed unseen."""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import orjson
import pytest

from modelyard.access.audit import Deed
from modelyard.access.signing import SigningKeys
from modelyard.access.verification import NOT_SIGNED, Verified
from modelyard.errors import DataLoss, InvalidRequest, Unavailable
from modelyard.schemas import AuditEntry, AuditQuery
from modelyard.storage.collections.audit import AuditCollection
from modelyard.storage.folder import Folder
from modelyard.storage.line_file import LineFile
from modelyard.storage.opening import Engines
from modelyard.storage.protocols import Documents
from modelyard.storage.series import ledger, stream_file
from tests import disk_recorder, simulated_disk
from tests.engines import Engine
from tests.simulated_disk import Disk

START = datetime(2026, 3, 1, 20, tzinfo=UTC)
ALL = AuditQuery(limit=1000)
JSON = object()

Clock = Callable[[], datetime]
Opened = tuple[Documents, AuditCollection]


KEYS = SigningKeys.from_secrets([b"x" * 32]).of("audit")
OTHER_KEYS = SigningKeys.from_secrets([b"y" * 32]).of("audit")


def clock(step: timedelta = timedelta(hours=1)) -> Clock:
    moments = iter(range(1, 10**9))
    return lambda: START + next(moments) * step


def open_audit(
    where: Path | Engine, ticks: Clock | None = None, *, days: int = 0, signer: SigningKeys | None = None
) -> Opened:
    """Open an audit on engines, or on a folder, whose files a test looks into."""
    engines, documents = where.engines() if isinstance(where, Engine) else _folder(where)
    return documents, AuditCollection(documents, engines.ledger(), days=days, signer=signer, clock=ticks or clock())


def _folder(root: Path) -> tuple[Engines, Documents]:
    folder = Folder(root)
    return folder, folder.documents(make=True)


def change(opened: Opened, what: str) -> None:
    """Change something, and say so in the audit."""
    database, audit = opened
    with database.transaction() as transaction:
        transaction.put("others", what, {"what": what})
        audit.note(transaction, "change", {"what": what})


def seen(audit: AuditCollection, query: AuditQuery = ALL) -> list[str]:
    return [entry.what.get("what", entry.verb) for entry in audit.page(query).entries]


def ledger_files(root: Path) -> list[Path]:
    return sorted((root / "series" / "audit").glob("*.jsonl"))


def verified(root: Path, signer: SigningKeys | None = None) -> Verified:
    database, audit = open_audit(root, signer=signer)
    try:
        return audit.verify()
    finally:
        database.close()


# What a change leaves.


def test_an_entry_says_who_did_what_when_and_in_which_transaction(engine: Engine) -> None:
    opened = open_audit(engine)
    change(opened, "a")
    (entry,) = opened[1].page(ALL).entries
    assert (entry.number, entry.at, entry.verb, entry.what) == (1, START + timedelta(hours=1), "change", {"what": "a"})
    assert entry.key.startswith("local:")
    assert entry.transaction == opened[0].snapshot()[1]
    assert (entry.code, entry.count, entry.previous) == ("OK", 1, "")


def test_what_fails_leaves_no_entry(engine: Engine) -> None:
    opened = open_audit(engine)
    change(opened, "a")
    with pytest.raises(InvalidRequest), opened[0].transaction() as transaction:  # noqa: PT012
        opened[1].note(transaction, "change", {"what": "b"})
        transaction.put("others", "b", {"no": JSON})
    with opened[0].transaction() as transaction:
        opened[1].note(transaction, "change", {"what": "nothing was put"})
    assert seen(opened[1]) == ["a"]
    assert not opened[1].verify().flaws


def test_an_entry_whose_commit_failed_did_not_happen_and_its_number_is_given_out_again(tmp_path: Path) -> None:
    opened = open_audit(tmp_path)
    change(opened, "a")
    failing = mock.patch("modelyard.storage.documents.log_writer.LogWriter.append", side_effect=OSError(28, "full"))
    with failing, pytest.raises(Unavailable):
        change(opened, "b")
    assert b'"b"' in ledger_files(tmp_path)[0].read_bytes()
    assert seen(opened[1]) == ["a"]
    assert not opened[1].verify().flaws
    change(opened, "c")
    assert seen(opened[1]) == ["c", "a"]
    assert b'"b"' not in ledger_files(tmp_path)[0].read_bytes()
    assert [entry.number for entry in opened[1].page(ALL).entries] == [2, 1]


def test_a_change_that_the_audit_cannot_take_does_not_happen(tmp_path: Path) -> None:
    opened = open_audit(tmp_path)
    change(opened, "a")
    with mock.patch.object(LineFile, "append", side_effect=OSError(28, "full")):  # noqa: SIM117
        with pytest.raises(Unavailable, match="series/audit: full"):
            change(opened, "b")
    assert opened[0].get("others", "b") is None
    change(opened, "b")
    assert seen(opened[1]) == ["b", "a"]


def test_processes_write_one_chain_in_turn(engine: Engine) -> None:
    ticks = clock(timedelta(minutes=1))
    several = [open_audit(engine, ticks) for _ in range(3)]
    for n in range(9):
        change(several[n % 3], str(n))
    for opened in several:
        assert seen(opened[1]) == [str(n) for n in reversed(range(9))]
        assert not opened[1].verify().flaws


def test_a_clock_that_goes_back_keeps_the_order(engine: Engine) -> None:
    moments = iter([START, START - timedelta(days=2), START + timedelta(days=1), START])
    opened = open_audit(engine, lambda: next(moments))
    for what in "abcd":
        change(opened, what)
    assert seen(opened[1]) == ["d", "c", "b", "a"]
    assert not opened[1].verify().flaws


# Pages.


def paged(audit: AuditCollection, query: AuditQuery) -> Iterator[list[AuditEntry]]:
    while True:
        page = audit.page(query)
        yield page.entries
        if page.next_cursor is None:
            return
        query = query.model_copy(update={"cursor": page.next_cursor})


@pytest.mark.parametrize("limit", [1, 2, 7, 30])
def test_pages_hold_every_entry_once_though_others_are_added(engine: Engine, limit: int) -> None:
    opened = open_audit(engine)
    for n in range(20):
        change(opened, str(n))
    opened[1].keep([Deed("refused", {"what": f"r{n}"}) for n in range(5)])
    found = []
    for entries in paged(opened[1], AuditQuery(limit=limit)):
        found += [entry.what["what"] for entry in entries]
        change(opened, "later")
    assert found == [f"r{n}" for n in reversed(range(5))] + [str(n) for n in reversed(range(20))]


def test_a_page_is_of_a_key_a_verb_and_since_a_moment(engine: Engine) -> None:
    opened = open_audit(engine)
    deeds = [Deed(verb, key=key) for key in ("anna", "ben") for verb in ("train", "delete")]
    for done in deeds:
        opened[1].keep([done])
    found = opened[1].page(AuditQuery(key="ben", verb="delete")).entries
    assert [(entry.key, entry.verb) for entry in found] == [("ben", "delete")]
    since = AuditQuery(since=START + timedelta(hours=3))
    assert [entry.number for entry in opened[1].page(since).entries] == [4, 3]
    assert opened[1].page(AuditQuery(since=START + timedelta(days=9))).entries == []


def test_a_page_looks_at_a_bounded_number_of_entries(engine: Engine) -> None:
    opened = open_audit(engine)
    for verb in ("rare", *["usual"] * 25):
        opened[1].keep([Deed(verb)])
    with mock.patch("modelyard.storage.collections.audit._MOST_LOOKED_AT", 10):
        pages = list(paged(opened[1], AuditQuery(verb="rare")))
    assert [len(entries) for entries in pages] == [0, 0, 1]


@pytest.mark.parametrize("cursor", ["x", "", "äöü", "MSAyMDI2"])
def test_a_cursor_that_is_none_is_refused(engine: Engine, cursor: str) -> None:
    opened = open_audit(engine)
    change(opened, "a")
    with pytest.raises(InvalidRequest, match="cursor"):
        opened[1].page(AuditQuery(cursor=cursor))


@pytest.mark.parametrize("at", [b"9 2026-03-01-0000000000000001.jsonl 9999", b"9 2030-13-77-0000000000000001.jsonl 9"])
def test_a_cursor_of_another_audit_leads_to_no_other_file(tmp_path: Path, at: bytes) -> None:
    opened = open_audit(tmp_path)
    change(opened, "a")
    cursor = base64.urlsafe_b64encode(at).decode().rstrip("=")
    assert seen(opened[1], AuditQuery(cursor=cursor)) == ["a"]


def test_a_cursor_into_a_line_leads_to_the_one_before(tmp_path: Path) -> None:
    opened = open_audit(tmp_path)
    change(opened, "a")
    change(opened, "b")
    end = ledger_files(tmp_path)[0].stat().st_size - 99
    cursor = base64.urlsafe_b64encode(b"9 2026-03-01-0000000000000001.jsonl %d" % end).decode().rstrip("=")
    assert seen(opened[1], AuditQuery(cursor=cursor)) == ["a"]


def test_an_audit_without_entries_has_an_empty_page(engine: Engine) -> None:
    opened = open_audit(engine)
    assert opened[1].page(ALL).entries == []
    assert opened[1].verify().entries == 0
    assert not opened[1].verify().flaws


# Verification.


def filled(root: Path, signer: SigningKeys | None = None) -> Path:
    """Make an audit of ten entries in several files."""
    opened = open_audit(root, signer=signer)
    for n in range(10):
        change(opened, f"w{n}")
    opened[0].close()
    return root


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("signer", [None, KEYS], ids=["hashed", "signed"])
def test_a_whole_audit_verifies(tmp_path: Path, signer: SigningKeys | None) -> None:
    found = verified(filled(tmp_path, signer), signer)
    assert (found.entries, found.signed, found.flaws) == (10, 10 if signer else 0, [])


def test_any_byte_that_is_flipped_is_seen(tmp_path: Path) -> None:
    filled(tmp_path)
    for path in ledger_files(tmp_path):
        content = path.read_bytes()
        for place in range(0, len(content), 7):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            assert verified(tmp_path).flaws or place == len(content) - 1, place  # the last newline may be missing
        path.write_bytes(content)
    assert not verified(tmp_path).flaws


def forge(root: Path, number: int, **changed: object) -> None:
    """Change an entry, with a new hash and new checksums all the way: what only a signature can tell."""
    link = None
    for path in ledger_files(root):
        lines = list(stream_file.read_lines(path))
        for line in lines:
            for entry in line.entries:
                if entry["number"] == number:
                    entry.update(changed)
                if entry["number"] >= number and "hash" not in changed:
                    if link is not None:
                        entry["previous"] = link
                    body = {name: value for name, value in entry.items() if name != "hash"}
                    entry["hash"] = link = hashlib.sha256(orjson.dumps(body)).hexdigest()
        path.write_bytes(
            b"".join(stream_file.encode_line(path, n, line.at, line.entries) + b"\n" for n, line in enumerate(lines, 1))
        )


def test_an_entry_that_is_changed_is_named(tmp_path: Path) -> None:
    filled(tmp_path)
    forge(tmp_path, 4, key="somebody", hash="0" * 64)
    first = verified(tmp_path).flaws[0]
    assert str(first) == "audit entry 4: changed"


def test_a_forged_chain_is_seen_by_who_has_the_key(tmp_path: Path) -> None:
    filled(tmp_path, KEYS)
    forge(tmp_path, 4, key="somebody")
    first = verified(tmp_path, KEYS).flaws[0]
    assert (first.first, first.problem) == (4, NOT_SIGNED)
    assert verified(tmp_path).flaws[0].problem == "signed, and no key is there to check it"
    assert str(verified(tmp_path, OTHER_KEYS).flaws[0]) == f"audit entries 1-10: {NOT_SIGNED}"


@pytest.mark.parametrize(
    ("gone", "problem"),
    [
        (0, "audit entries 1-3: missing at the beginning"),
        (1, "missing"),
        (-1, "missing at the end"),
    ],
)
def test_entries_that_are_removed_are_named(tmp_path: Path, gone: int, problem: str) -> None:
    path = ledger_files(filled(tmp_path))[gone]
    path.unlink()
    (flaw,) = verified(tmp_path).flaws
    assert problem in str(flaw)


def test_a_line_that_is_cut_out_is_named(tmp_path: Path) -> None:
    path = ledger_files(filled(tmp_path))[0]
    lines = lines_of(path)
    path.write_bytes(b"".join([lines[0], lines[2]]))
    first = verified(tmp_path).flaws[0]
    assert first.first == 2
    assert "line 2" in first.problem


def test_an_end_that_is_cut_off_stays_seen_after_further_entries(tmp_path: Path) -> None:
    path = ledger_files(filled(tmp_path))[-1]
    path.write_bytes(b"".join(lines_of(path)[:-1]))
    opened = open_audit(tmp_path, lambda: START + timedelta(hours=10))
    change(opened, "later")
    (flaw,) = opened[1].verify().flaws
    assert str(flaw) == "audit entry 10: missing"
    assert seen(opened[1])[0] == "later"


def test_a_database_that_was_taken_back_is_seen_and_its_entries_are_kept(tmp_path: Path) -> None:
    ticks = clock(timedelta(minutes=1))
    opened = open_audit(tmp_path, ticks)
    change(opened, "a")
    before = (tmp_path / "db.jsonl").read_bytes()
    for what in "bcd":
        change(opened, what)
    opened[0].close()
    (tmp_path / "db.jsonl").write_bytes(before)
    (flaw,) = verified(tmp_path).flaws
    assert "it has lost transactions" in flaw.problem
    opened = open_audit(tmp_path, ticks)
    change(opened, "e")
    assert opened[1].verify().flaws
    kept = b"".join(path.read_bytes() for path in (tmp_path / "series" / "audit").iterdir())
    assert all(b'"%b"' % what.encode() in kept for what in "abcde")


def test_entries_before_the_key_count_once_somebody_has_signed_for_them(tmp_path: Path) -> None:
    filled(tmp_path)
    database, audit = open_audit(tmp_path, lambda: START + timedelta(days=3), signer=KEYS)
    change((database, audit), "signed")
    (flaw,) = audit.verify().flaws
    assert (flaw.first, flaw.last) == (1, 10)
    audit.accept_unsigned()
    assert audit.verify().flaws == []
    assert audit.verify().signed == 2
    database.close()
    forge(tmp_path, 3, key="somebody")
    assert verified(tmp_path, KEYS).flaws


def test_a_key_that_is_gone_leaves_entries_that_somebody_has_to_sign_for(tmp_path: Path) -> None:
    filled(tmp_path, KEYS)
    database, audit = open_audit(tmp_path, lambda: START + timedelta(days=3), signer=OTHER_KEYS)
    audit.accept_unsigned()
    assert audit.verify().flaws == []
    database.close()
    both = SigningKeys.from_secrets([b"y" * 32, b"x" * 32]).of("audit")
    assert (verified(tmp_path, both).flaws, verified(tmp_path, both).signed) == ([], 11)


# Pruning.


def test_old_entries_are_pruned_and_the_rest_verifies(engine: Engine) -> None:
    opened = open_audit(engine, clock(timedelta(hours=6)), days=2)
    for n in range(40):
        change(opened, str(n))
        assert not opened[1].verify().flaws
    assert opened[1].verify().first > 20
    assert opened[1].page(AuditQuery(verb="prune_audit")).entries


def test_more_than_was_pruned_may_not_be_missing(tmp_path: Path) -> None:
    opened = open_audit(tmp_path, clock(timedelta(hours=6)), days=2)
    for n in range(20):
        change(opened, str(n))
    assert not opened[1].verify().flaws
    for path in ledger_files(tmp_path)[:2]:
        path.unlink()
    assert "missing at the beginning" in opened[1].verify().flaws[0].problem


def test_without_a_bound_nothing_is_pruned(tmp_path: Path) -> None:
    opened = open_audit(tmp_path, clock(timedelta(days=100)))
    for n in range(10):
        change(opened, str(n))
    assert len(opened[1].page(ALL).entries) == 10


# Crashes.


def record(root: Path) -> tuple[Disk, list[list[str]]]:
    """Change things over days with pruning; return what was done on the disk, and what was seen after each answer."""
    root.mkdir()
    ticks = clock(timedelta(hours=7))
    with disk_recorder.recording(root) as disk:
        opened = [open_audit(root, ticks, days=1) for _ in range(2)]
        sights = [seen(opened[0][1])]
        for n in range(8):
            change(opened[n % 2], str(n))
            disk.acknowledge()
            sights.append(seen(opened[0][1]))
    return disk, sights


def check_every_state(path: Path, *, power_cut: bool) -> int:
    with mock.patch.object(ledger, "MAX_FILE_BYTES", 900):
        disk, sights = record(path / "recorded")
    number = 0
    for moment, what, survived in disk.states(power_cut=power_cut):
        number += 1
        folder = path / "crashed"
        simulated_disk.write_to(folder, survived)
        answered = disk.acknowledged(moment)
        with mock.patch("os.fsync", disk_recorder.no_fsync):
            opened = open_audit(folder, lambda: START + timedelta(days=4))
            found = seen(opened[1])
            assert found in sights[answered : answered + 2], what
            assert not opened[1].verify().flaws, what
            change(opened, "new")
            assert "new" in seen(opened[1])[:2], what
            assert not opened[1].verify().flaws, what
            opened[0].close()
        shutil.rmtree(folder)
    return number


@pytest.mark.parametrize("power_cut", [False, True], ids=["killed", "power cut"])
def test_a_crash_at_any_moment_leaves_the_entries_of_what_was_committed(memory_path: Path, *, power_cut: bool) -> None:
    assert check_every_state(memory_path, power_cut=power_cut) > 50


class Unsynced(LineFile):
    """A file of the ledger that is not brought down to the disk."""

    def append(self, line: bytes, offset: int, *, loose: bool = False) -> None:
        with mock.patch("os.fsync", disk_recorder.no_fsync):
            super().append(line, offset, loose=loose)


@pytest.mark.parametrize("left_out", [{"LineFile": Unsynced}, {"sync_folder": lambda _: None}], ids=["file", "folder"])
def test_an_fsync_that_is_left_out_would_be_noticed(memory_path: Path, left_out: dict[str, object]) -> None:
    with ExitStack() as stack:
        for name, ours in left_out.items():
            stack.enter_context(mock.patch.object(ledger, name, ours))
        stack.enter_context(pytest.raises((AssertionError, DataLoss)))
        check_every_state(memory_path, power_cut=True)
