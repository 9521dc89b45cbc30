"""Moving a yard between engines and back: everything is there, and a move that is killed anywhere goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from modelyard.access.audit import deed
from modelyard.errors import DataLoss, FailedPrecondition
from modelyard.schemas import AuditQuery, KeyRequest
from modelyard.storage import Folder
from modelyard.storage.artifacts.bucket import Bucket
from modelyard.storage.memory import MOVED
from modelyard.storage.opening import Engines, open_storage
from modelyard.storage.postgres.session import Session
from modelyard.storage.protocols import Documents
from modelyard.storage.servers import Servers
from modelyard.storage.upkeep.migrating import migrate
from tests import command_line
from tests.postgres_server import PostgresServer
from tests.s3_server import S3Server
from tests.storage_drafts import LIBRARIES, add_model, new_model

STREAM = [{"n": n, "text": "é"} for n in range(3)]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A yard in a folder, in which something of everything has happened."""
    storage = open_storage(Folder(tmp_path / "old"))
    for name in ("churn", "churn", "other"):
        add_model(storage.models, new_model(name=name))
    storage.models.set_status("churn:1", "deleted")
    storage.models.delete_for_good("churn:2")
    storage.keys.create(KeyRequest(name="anna", role="reader"))
    storage.audit.keep([deed("evaluate", {"n": str(n)}) for n in range(5)])
    storage.close()
    Folder(tmp_path / "old").series(lambda: datetime(2026, 3, 1, tzinfo=UTC)).append("evaluations", STREAM)
    return tmp_path / "old"


@pytest.fixture
def servers(postgres: PostgresServer, s3: S3Server, tmp_path: Path) -> Callable[[], Servers]:
    url, bucket = postgres.new_yard(), s3.new_bucket()
    return lambda: Servers(url, tmp_path / "host", **bucket)  # type: ignore[arg-type]


def seen(engines: Engines) -> dict[str, Any]:
    """Return all that a yard tells."""
    storage = open_storage(engines, make=False)
    try:
        assert not storage.audit.verify().flaws
        documents: Documents = storage.models._documents
        collections = documents.snapshot()[0]
        collections.pop(MOVED, None)
        end = collections.get("audit", {}).pop("end", b"")
        other = storage.models.get("other")
        storage.models.load_estimator(other, LIBRARIES)
        return {
            "documents": {name: found for name, found in collections.items() if found},
            "end": end.partition(b',"file"')[0],
            "history": [storage.models.history(f"churn:{version}") for version in (1, 2)],
            "report": storage.models.read_file(other, "report.json"),
            "keys": storage.keys.list(),
            "audit": storage.audit.page(AuditQuery(limit=100)).entries,
            "series": list(engines.series().scan("evaluations")),
        }
    finally:
        storage.close()


def test_a_yard_is_the_same_after_it_was_moved_and_moved_back(
    old: Path, servers: Callable[[], Servers], tmp_path: Path
) -> None:
    before = seen(Folder(old))
    migrate(Folder(old), servers())
    assert seen(servers()) == before
    assert seen(Folder(old)) == before  # it still answers
    storage = open_storage(Folder(old))
    with pytest.raises(FailedPrecondition, match=r"was moved to postgresql://.*; nothing is changed here"):
        storage.models.set_status("churn:1", "active")
    storage.close()
    there = open_storage(servers())
    assert add_model(there.models, new_model(name="churn")).metadata.version == 3
    there.close()
    before = seen(servers())
    migrate(servers(), Folder(tmp_path / "back"))
    assert seen(Folder(tmp_path / "back")) == before
    back = open_storage(Folder(tmp_path / "back"))
    assert add_model(back.models, new_model(name="churn")).metadata.version == 4
    back.close()


def _after(before: Callable[[], None], real: Callable[..., Any]) -> Callable[..., Any]:
    def both(*given: Any) -> Any:
        before()
        return real(*given)

    return both


class Killed(BaseException):
    """What stands for the end of the process."""


def test_a_move_that_is_killed_at_any_step_goes_on(
    old: Path, servers: Callable[[], Servers], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = seen(Folder(old))
    killed = 0
    while True:
        steps = [0]

        def count(at: int = killed, steps: list[int] = steps) -> None:
            steps[0] += 1
            if steps[0] > at:
                raise Killed

        with monkeypatch.context() as patched:
            for owner, name in ((Bucket, "put"), (Session, "commit"), (Session, "begin")):
                real = getattr(owner, name)
                patched.setattr(owner, name, _after(count, real))
            try:
                migrate(Folder(old), servers())
                break
            except Killed:
                killed += 1
    assert killed > 5
    assert seen(servers()) == before


def test_what_is_not_empty_or_damaged_or_moved_elsewhere_is_refused(
    old: Path, servers: Callable[[], Servers], tmp_path: Path
) -> None:
    other = open_storage(Folder(tmp_path / "other"))
    add_model(other.models, new_model(name="a"))
    other.close()
    with pytest.raises(FailedPrecondition, match="is not empty"):
        migrate(Folder(old), Folder(tmp_path / "other"))
    model = next((old / "artifacts").glob("*/model.pkl"))
    content = model.read_bytes()
    model.write_bytes(b"damaged")
    with pytest.raises(DataLoss, match="is damaged"):
        migrate(Folder(old), servers())
    model.write_bytes(content)
    with pytest.raises(FailedPrecondition, match="was moved to postgresql://"):
        migrate(Folder(old), Folder(tmp_path / "third"))
    assert not (tmp_path / "third").exists()
    migrate(Folder(old), servers())


def test_the_command_moves_a_folder_and_shows_no_password(
    old: Path, postgres: PostgresServer, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3.new_bucket()
    monkeypatch.setenv("MODELYARD_S3_ENDPOINT", bucket["s3_endpoint"])
    monkeypatch.setenv("MODELYARD_STORAGE_DIR", str(tmp_path / "host"))
    url = postgres.new_yard().replace("modelyard@", "modelyard:secret@")
    moved = command_line.run("migrate", old, f"{url},{bucket['artifacts_url']}")
    assert moved.exit_code == 0, moved.output
    assert "Moved 2 models" in moved.output
    assert "secret" not in moved.output
    assert "is no yard" in command_line.run("migrate", old, "mysql://x").output
