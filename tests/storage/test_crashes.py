"""A crash at every moment: the folder opens, holds what was answered and nothing half-made, and takes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from modelyard.errors import DataLoss
from modelyard.schemas import AuditQuery, ModelQuery
from modelyard.storage import ModelStore, write_model_files
from modelyard.storage.documents.log_format import decode_header, encode_header
from modelyard.storage.folder import Folder
from modelyard.storage.upkeep import backup
from modelyard.storage.upkeep.garbage import collect
from modelyard.storage.upkeep.repair import repair
from tests import disk_recorder, simulated_disk
from tests.disk_recorder import WithoutFsync
from tests.simulated_disk import Disk, write_to
from tests.storage_drafts import add_model, audit_of, database_of, ids, new_model, open_store, root_of

Seen = tuple[Any, ...]
Step = Callable[[ModelStore], object]


ALL_ENTRIES = AuditQuery(limit=1000)


def look(store: ModelStore) -> Seen:
    """Return all that can be seen of a store, after every file of every model was found right."""
    models = store.page(ModelQuery(limit=1000, status="all")).models
    for model in models:
        record = store.get(model.model_id)
        for file in record.files:
            store.read_file(record, file)
    seen = [model.model_id for model in models] + ids(database_of(store), "tombstones")
    happened = {model_id: [event.verb for event in store.history(model_id).events] for model_id in sorted(seen)}
    audit = audit_of(store)
    assert not audit.verify().flaws
    entries = [(entry.number, entry.verb, entry.what, entry.transaction) for entry in audit.page(ALL_ENTRIES).entries]
    others = {key: database_of(store).get("others", key) for key in sorted(ids(database_of(store), "others"))}
    return [(model.model_id, model.name, model.version, model.status) for model in models], happened, others, entries


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is done to a folder that `before` has made; each step is one answer."""

    before: tuple[Step, ...]
    steps: tuple[Step, ...]


def add(name: str | None = "churn") -> Step:
    return lambda store: add_model(store, new_model(name=name))


def publish(store: ModelStore) -> object:
    """Store a model as a run does: its files stand elsewhere in the folder, others share the transaction."""
    draft = new_model(name="run")
    folder = root_of(store) / "jobs" / "result"
    folder.parent.mkdir(exist_ok=True)
    files = write_model_files(folder, draft.estimator, draft.report, draft.contract)
    return store.publish(
        draft.description,
        folder,
        files,
        name=draft.name,
        also=lambda transaction, _: transaction.put("others", "job", {"n": 1}),
    )


def put_much(store: ModelStore) -> object:
    with database_of(store).transaction() as transaction:
        transaction.put("others", "much", {"text": "x" * 3000, "n": next(_numbers)})
    return None


_numbers = count()


def compact(store: ModelStore) -> object:
    database_of(store).compact()
    return None


def to_format_1(store: ModelStore) -> object:
    path = root_of(store) / "db.jsonl"
    header, _, lines = path.read_bytes().partition(b"\n")
    path.write_bytes(encode_header(replace(decode_header(header, "db.jsonl"), format=1)) + lines)
    return None


SCENARIOS = {
    "open": Scenario((), (lambda store: store.count_active(),)),
    "add": Scenario((add(),), (add(), add())),
    "publish": Scenario((), (publish, add("run"))),
    "edit": Scenario((add(),), (lambda store: store.update("churn:1", ["risk"], "Of March."), add())),
    "delete": Scenario((add(),), (lambda store: store.set_status("churn:1", "deleted"), add())),
    "restore": Scenario(
        (add(), lambda store: store.set_status("churn:1", "deleted")),
        (lambda store: store.set_status("churn:1", "active"), add()),
    ),
    "delete for good": Scenario(
        (add(), add()), (lambda store: store.delete_for_good("churn:2"), lambda store: store.delete_for_good("churn"))
    ),
    "compact": Scenario(
        (add(), add(), lambda store: store.delete_for_good("churn:1"), put_much, put_much), (compact, add(), compact)
    ),
    "gc": Scenario(
        (add(), add(), lambda store: store.set_status("churn:1", "deleted")),
        (lambda store: collect(Folder(root_of(store)), retention_days=0), add()),
    ),
    "out of format 1": Scenario((add(), to_format_1), (add(), lambda store: store.set_status("churn:1", "deleted"))),
    "compact by itself": Scenario((add(), put_much), (put_much, put_much, add())),
}


def record(scenario: Scenario, root: Path) -> tuple[Disk, list[Seen]]:
    """Run a scenario; return what was done on the disk, and what was to be seen after each answer."""
    before = open_store(root) if scenario.before else None
    for step in scenario.before:
        step(before)  # type: ignore[arg-type]
    if before is None:
        root.mkdir()
    else:
        before.close()
    with disk_recorder.recording(root) as disk:
        store = open_store(root)
        seen = [look(store)]
        for step in scenario.steps:
            step(store)
            disk.acknowledge()
            seen.append(look(store))
    store.close()
    return disk, seen


@pytest.mark.parametrize("power_cut", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_at_any_moment_keeps_what_was_answered(name: str, power_cut: bool, memory_path: Path) -> None:
    assert check_every_state(SCENARIOS[name], memory_path, power_cut=power_cut) > 5


def test_a_repair_cut_short_is_finished_by_the_next(memory_path: Path) -> None:
    root = memory_path / "recorded"
    store = open_store(root)
    records = [add_model(store, new_model(name="churn", estimator=n)) for n in range(5)]
    store.close()
    files = [root / "artifacts" / record.metadata.model_id for record in records]
    (files[0] / "model.pkl").write_bytes(b"damaged")
    (files[1] / "report.json").unlink()
    (files[2] / "model.json").write_bytes(b"damaged")
    lines = (root / "db.jsonl").read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"logistic", b"logostic")
    (root / "db.jsonl").write_bytes(b"".join(lines[:-1]))
    with disk_recorder.recording(root) as disk:
        assert repair(Folder(root)).is_sound
    expected = [(record.metadata.model_id, status) for record, status in zip(records, STATUS_AFTER_REPAIR, strict=True)]
    for power_cut in (False, True):
        for _, what, survived in disk.states(power_cut=power_cut):
            folder = memory_path / "crashed"
            write_to(folder, survived)
            with mock.patch("os.fsync", disk_recorder.no_fsync):
                assert repair(Folder(folder)).is_sound, what
                store = open_store(folder)
                found = {found[0]: found[3] for found in look(store)[0]}
                store.close()
            assert [(model_id, found.get(model_id)) for model_id, _ in expected] == expected, what
            assert any(path.read_bytes() == b"damaged" for path in folder.rglob("quarantine/**/model.pkl")), what
            shutil.rmtree(folder)


def test_a_backup_that_was_loaded_is_on_the_disk(memory_path: Path) -> None:
    store = open_store(memory_path / "yard")
    for step in (add(), add(), lambda store: store.delete_for_good("churn:1")):
        step(store)
    backup.create(Folder(root_of(store)), memory_path / "yard.tar")
    root = memory_path / "recorded"
    root.mkdir()
    with disk_recorder.recording(root) as disk:
        backup.load(memory_path / "yard.tar", Folder(root))
        disk.acknowledge()
    expected = look(store)
    for moment, what, survived in disk.states(power_cut=True):
        if disk.acknowledged(moment):
            write_to(memory_path / "crashed", survived)
            check_it_goes_on(memory_path / "crashed", [expected], what)
            shutil.rmtree(memory_path / "crashed")


STATUS_AFTER_REPAIR = (None, "active", None, "active", "deleted")
"""The first one's artifact is damaged; the third one's line and its own description both are; the last has no line."""


def test_the_scenario_of_a_compaction_by_itself_has_one(memory_path: Path) -> None:
    with mock.patch("modelyard.storage.documents.database.COMPACT_ABOVE_BYTES", 4096):
        disk, _ = record(SCENARIOS["compact by itself"], memory_path / "recorded")
    assert any(isinstance(done, simulated_disk.Rename) and done.to_name == "db.jsonl" for done in disk.operations)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("line_file", "add"),
        ("line_file", "delete"),
        ("documents.compaction", "compact"),
        ("files", "add"),
    ],
)
def test_a_file_that_is_not_fsynced_would_be_noticed(module: str, name: str, memory_path: Path) -> None:
    with mock.patch(f"modelyard.storage.{module}.os", WithoutFsync()), pytest.raises((AssertionError, DataLoss)):
        check_every_state(SCENARIOS[name], memory_path, power_cut=True)


@pytest.mark.parametrize(
    ("module", "name"),
    [("artifacts.folder", "add"), ("artifacts.folder", "publish"), ("documents.compaction", "compact")],
)
def test_a_folder_that_is_not_fsynced_would_be_noticed(module: str, name: str, memory_path: Path) -> None:
    with mock.patch(f"modelyard.storage.{module}.sync_folder"), pytest.raises((AssertionError, DataLoss)):
        check_every_state(SCENARIOS[name], memory_path, power_cut=True)


def check_every_state(scenario: Scenario, path: Path, *, power_cut: bool) -> int:
    with mock.patch("modelyard.storage.documents.database.COMPACT_ABOVE_BYTES", 4096):
        disk, seen = record(scenario, path / "recorded")
    number = 0
    for number, (moment, what, survived) in enumerate(disk.states(power_cut=power_cut), 1):
        folder = path / str(number)
        write_to(folder, survived)
        answered = disk.acknowledged(moment)
        check_it_goes_on(folder, seen[answered : answered + 2], what)
        shutil.rmtree(folder)
    return number


def check_it_goes_on(folder: Path, expected: list[Seen], what: str) -> None:
    """Hold a folder after a crash to the promise: one of the `expected` sights, now and after more has been done."""
    with mock.patch("os.fsync", disk_recorder.no_fsync):
        store = open_store(folder)
        found = look(store)
        assert found in expected, what
        added = add_model(store, new_model(name="churn")).metadata
        store.close()
        after = open_store(folder)
        assert look(after)[0] == [(added.model_id, "churn", added.version, "active"), *found[0]], what
        assert after.history(added.model_id).version == added.version
        assert look(after)[3][1:] == found[3], what
        after.close()
