"""Moving a yard between engines and back: everything is there, and a move that is killed anywhere goes on."""

from __future__ import annotations

import os
import shutil
import tarfile
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from modelyard.access.audit import deed
from modelyard.access.signing import SigningKeys
from modelyard.errors import DataLoss, FailedPrecondition, NoYard
from modelyard.schemas import AliasRequest, AuditQuery, KeyRequest
from modelyard.storage import Folder
from modelyard.storage.artifacts.bucket import Bucket
from modelyard.storage.collections.answers import KeptAnswers, KeptOutcomes
from modelyard.storage.memory import MOVED
from modelyard.storage.opening import Engines, open_storage
from modelyard.storage.postgres.documents import PostgresDocuments
from modelyard.storage.postgres.ledger import PostgresLedger
from modelyard.storage.postgres.series import PostgresSeries
from modelyard.storage.postgres.session import Session
from modelyard.storage.servers import Servers
from modelyard.storage.upkeep import backup
from modelyard.storage.upkeep.archive import packed, unpacked
from modelyard.storage.upkeep.doctor import examine
from modelyard.storage.upkeep.garbage import collect
from modelyard.storage.upkeep.migrating import migrate
from modelyard.storage.upkeep.repair import repair
from modelyard.storage.upkeep.signing import Signing
from tests import disk_recorder
from tests.postgres_server import PostgresServer
from tests.s3_server import S3Server
from tests.simulated_disk import write_to
from tests.storage_drafts import LIBRARIES, add_model, new_model

DATA = Path(__file__).parents[2] / "data"
KEYS = SigningKeys.from_secrets([b"k" * 44])


def fill(root: Path, **options: Any) -> Path:
    """Let something of everything happen in a folder."""
    storage = open_storage(Folder(root), keep_answers_days=30, tracked=True, **options)
    model = [add_model(storage.models, new_model(name=name)) for name in ("churn", "churn", "other")][-1].metadata
    storage.models.set_status("churn:1", "deleted")
    storage.models.delete_for_good("churn:2")
    storage.keys.create(KeyRequest(name="anna", role="reader"))
    for alias in ("live", "next", "live"):
        storage.aliases.move("other", alias, AliasRequest(version=1))
    storage.aliases.delete("other", "next")
    storage.aliases.set_default("live")
    storage.answers.set_keeps("other", keep=True)
    for n in range(3):
        storage.answers.keep(model.model_id, KeptAnswers(f"p{n}", 0, [[0.1, 0.9]], [1], ["é"]))
    outcome = KeptOutcomes(datetime(2026, 3, 1, tzinfo=UTC), ["p1"], [0], [1.0])
    storage.answers.add_outcomes("other", 1, [(model.model_id, outcome)])
    storage.drift.keep(500_000, "0" * 16, {model.model_id: {"rows": 3, "bins": [1, 2]}})
    storage.audit.keep([deed("evaluate", {"n": str(n)}) for n in range(5)])
    storage.close()
    for day in (1, 1, 2):
        at = datetime(2026, 3, day, tzinfo=UTC)
        Folder(root).series(lambda at=at: at).append("evaluations", [{"n": 1}, {"n": 2}])  # type: ignore[misc]
    return root


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return fill(tmp_path / "old")


@pytest.fixture
def servers(postgres: PostgresServer, s3: S3Server, tmp_path: Path) -> Callable[[], Servers]:
    url, bucket = postgres.new_yard(), s3.new_bucket()
    return lambda: Servers(url, tmp_path / "host", **bucket)  # type: ignore[arg-type]


def seen(engines: Engines, signing: SigningKeys | None = None) -> dict[str, Any]:
    """Return all that a yard tells, after every file of every model was found right, and the audit without a flaw."""
    assert examine(engines, signing=signing).findings == []
    storage = open_storage(engines, make=False, signing=signing)
    try:
        assert not storage.audit.verify().flaws
        collections, seq = storage.models._documents.snapshot()
        collections.pop(MOVED, None)
        end = collections.get("audit", {}).pop("end", b"")
        storage.models.load_estimator(storage.models.get("other"), LIBRARIES)
        models = [storage.models.get(model_id) for model_id in collections["models"]]
        entries = storage.audit.page(AuditQuery(limit=1000)).entries
        assert seq >= max(entry.transaction for entry in entries)
        series = engines.series()
        return {
            "documents": {name: list(found.items()) for name, found in collections.items() if found},
            "end": end.partition(b',"file"')[0],
            "history": [storage.models.history(f"churn:{version}") for version in (1, 2)],
            "files": [storage.models.read_file(record, name) for record in models for name in record.files],
            "keys": storage.keys.list(),
            "default": storage.aliases.default(),
            "audit": entries,
            "series": {stream: list(series.scan(stream)) for stream in series.streams() if stream != "audit"},
        }
    finally:
        storage.close()


def test_a_yard_is_the_same_after_it_was_moved_and_moved_back(servers: Callable[[], Servers], tmp_path: Path) -> None:
    shutil.copytree(DATA / "frozen-2", tmp_path / "old")  # with jobs that have ended, trained models, decisions
    old = fill(tmp_path / "old", signing=KEYS)
    with closing(Signing(Folder(old), KEYS)) as signing:
        for shown in signing.to_sign(None):
            signing.sign(shown.record)
    Folder(old).drift().settle()
    before = seen(Folder(old), KEYS)
    assert {"jobs", "tombstones", "aliases", "keys", "names", "events", "yard"} <= set(before["documents"])
    assert [stream.partition("-")[0] for stream in before["series"]] == ["answers", "drift", "evaluations", "outcomes"]
    migrate(Folder(old), servers())
    assert told_of(servers(), KEYS) == told(before)
    assert told_of(Folder(old), KEYS) == told(before)  # it still answers
    storage = open_storage(Folder(old))
    with pytest.raises(FailedPrecondition, match=r"was moved to postgresql://.*; nothing is changed here"):
        storage.models.set_status("churn:1", "active")
    storage.close()
    there = open_storage(servers(), signing=KEYS)
    assert add_model(there.models, new_model(name="churn")).metadata.version == 3
    there.close()
    before = seen(servers(), KEYS)
    migrate(servers(), Folder(tmp_path / "back"))
    assert told_of(Folder(tmp_path / "back"), KEYS) == told(before)
    there = open_storage(servers())
    with pytest.raises(FailedPrecondition, match=r"was moved to .*back; nothing is changed here"):
        there.models.set_status("churn:1", "active")
    there.close()
    back = open_storage(Folder(tmp_path / "back"), signing=KEYS)
    assert add_model(back.models, new_model(name="churn")).metadata.version == 4
    back.close()


def told(seen: dict[str, Any]) -> dict[str, Any]:
    """Leave out how often the same counts stand in a stream: of counts of one process and hour one holds."""
    series = dict(seen["series"])
    for stream, found in seen["series"].items():
        if stream.startswith("drift-"):
            series[stream] = list({str(entry.fields): entry.fields for entry in found}.values())
    return {**seen, "series": series}


def told_of(engines: Engines, signing: SigningKeys | None = None) -> dict[str, Any]:
    return told(seen(engines, signing))


@pytest.mark.parametrize("frozen", ["frozen-1", "frozen-2"])
def test_a_folder_of_each_format_is_moved(frozen: str, servers: Callable[[], Servers], tmp_path: Path) -> None:
    shutil.copytree(DATA / frozen, tmp_path / "old")
    examined = examine(Folder(tmp_path / "old"))
    migrate(Folder(tmp_path / "old"), servers())
    migrate(servers(), Folder(tmp_path / "back"))
    assert (examine(Folder(tmp_path / "back")).models, examined.findings) == (examined.models, [])


class Killed(BaseException):
    """What stands for the end of the process."""


def killed_at_every_step(act: Callable[[], object], points: Sequence[tuple[Any, str]]) -> int:
    """Call it again and again, killed before its first step, then before its second …, until it ends; count the kills.

    A step is a call, in the test's own thread, of one of the `points`: an owner and the name of what it has.
    """
    kills = 0
    while True:
        steps = [0]

        def before(real: Callable[..., Any], steps: list[int] = steps, at: int = kills) -> Callable[..., Any]:
            def counted(*given: Any, **named: Any) -> Any:
                if threading.current_thread() is threading.main_thread():
                    steps[0] += 1
                    if steps[0] > at:
                        raise Killed
                return real(*given, **named)

            return counted

        with pytest.MonkeyPatch.context() as patched:
            for owner, name in points:
                patched.setattr(owner, name, before(getattr(owner, name)))
            try:
                act()
            except Killed:
                kills += 1
            else:
                return kills


ON_SERVERS = [
    (Bucket, "put"),
    (Bucket, "remove"),
    (PostgresSeries, "take"),
    (PostgresLedger, "take"),
    (Session, "begin"),
    (Session, "commit"),
    (PostgresDocuments, "wait_for_replicas"),  # right after a COMMIT
]
ON_DISK = [(os, name) for name in ("rename", "replace", "mkdir")]
"""Few of its steps, because `test_a_crash_at_any_moment_of_a_copy_leaves_no_yard_or_all_of_it` takes all."""


def is_whole(engines: Engines) -> bool:
    """Whether there is a yard in which something is; a half of one is refused."""
    try:
        storage = open_storage(engines, make=False)
    except (NoYard, FailedPrecondition):
        return False
    with closing(storage):
        return storage.models.count_active() > 0


def test_a_move_to_servers_that_is_killed_at_any_step_goes_on(old: Path, servers: Callable[[], Servers]) -> None:
    Folder(old).drift().settle()
    before = told_of(Folder(old))

    def act() -> None:
        if not is_whole(servers()):
            migrate(Folder(old), servers())

    assert killed_at_every_step(act, ON_SERVERS) > 8
    assert told_of(servers()) == told_of(Folder(old)) == before


def test_a_move_from_servers_that_is_killed_at_any_step_goes_on(
    old: Path, servers: Callable[[], Servers], tmp_path: Path
) -> None:
    migrate(Folder(old), servers())
    before = told_of(servers())

    def act() -> None:
        if not is_whole(Folder(tmp_path / "back")):
            migrate(servers(), Folder(tmp_path / "back"))

    assert killed_at_every_step(act, ON_DISK) > 4
    assert told_of(Folder(tmp_path / "back")) == before


def test_a_move_to_an_archive_that_is_killed_at_any_step_goes_on(old: Path, tmp_path: Path) -> None:
    Folder(old).drift().settle()
    before, file = told_of(Folder(old)), tmp_path / "yard.tar.gz"

    def act() -> None:
        if not file.exists():
            with packed(file) as new:
                migrate(Folder(old), new)

    points = [(os, "replace"), (os, "rename"), (tarfile.TarFile, "addfile")]
    assert killed_at_every_step(act, points) > 10
    assert told_of(Folder(old)) == before
    with unpacked(file) as archive:
        migrate(archive, Folder(tmp_path / "new"))
    assert told_of(Folder(tmp_path / "new")) == before


@pytest.mark.parametrize("power_cut", [False, True], ids=["killed", "power cut"])
def test_a_crash_at_any_moment_of_a_copy_leaves_no_yard_or_all_of_it(memory_path: Path, *, power_cut: bool) -> None:
    old, root = fill(memory_path / "old"), memory_path / "new"
    Folder(old).drift().settle()
    before = told_of(Folder(old))
    root.mkdir()
    backup.create(Folder(old), memory_path / "yard.tar")
    with disk_recorder.recording(root) as disk:
        backup.load(memory_path / "yard.tar", Folder(root))
    checked = 0
    for checked, (_, what, survived) in enumerate(disk.states(power_cut=power_cut), 1):
        if checked % 7:
            continue
        write_to(memory_path / "crashed", survived)
        with mock.patch("os.fsync", disk_recorder.no_fsync):
            if not is_whole(Folder(memory_path / "crashed")):
                backup.load(memory_path / "yard.tar", Folder(memory_path / "crashed"))
            assert told_of(Folder(memory_path / "crashed")) == before, what
        shutil.rmtree(memory_path / "crashed")
    assert checked > 100


def test_what_is_not_empty_or_damaged_or_moved_elsewhere_is_refused(
    old: Path, servers: Callable[[], Servers], tmp_path: Path
) -> None:
    other = open_storage(Folder(tmp_path / "other"))
    add_model(other.models, new_model(name="a"))
    other.close()
    with pytest.raises(FailedPrecondition, match="is not empty"):
        migrate(Folder(old), Folder(tmp_path / "other"))
    open_storage(Folder(old)).keys.create(KeyRequest(name="berta", role="reader"))  # it was not frozen for that
    model = next((old / "artifacts").glob("*/model.pkl"))
    content = model.read_bytes()
    model.write_bytes(b"damaged")
    with pytest.raises(DataLoss, match="is damaged"):
        migrate(Folder(old), servers())
    for use in (open_storage, examine, repair, collect):
        with pytest.raises(FailedPrecondition, match="no whole yard yet"):
            use(servers())
    with pytest.raises(FailedPrecondition, match=r"is not empty: a copy of .*old was begun there, and not ended"):
        migrate(Folder(tmp_path / "other"), servers())
    model.write_bytes(content)
    with pytest.raises(FailedPrecondition, match="was moved to postgresql://"):
        migrate(Folder(old), Folder(tmp_path / "third"))
    assert not (tmp_path / "third").exists()
    migrate(Folder(old), servers())
