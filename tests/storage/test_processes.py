"""One folder, several processes: what one commits the others see, and one that dies takes nothing with it."""

from __future__ import annotations

import signal
from pathlib import Path

import orjson
import pytest

from modelyard.errors import Unavailable
from modelyard.schemas import ModelQuery
from modelyard.storage.documents.database import Database
from tests.storage_drafts import add_model, finish, new_model, open_store, start_process
from tests.waiting import PATIENCE_S

ADD = """
import sys
from pathlib import Path
from tests.storage_drafts import add_model, new_model, open_store
store = open_store(Path(sys.argv[1]), lock_timeout_s=30)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[2])):
    print(add_model(store, new_model(name="churn")).metadata.version, flush=True)
"""

WRITE_AND_READ = """
import sys
from pathlib import Path
from modelyard.storage.documents.database import Database
database = Database(Path(sys.argv[1]), compact_above_bytes=2000, lock_timeout_s=30)
me = sys.argv[2]
for number in range(int(sys.argv[3])):
    with database.transaction() as transaction:
        total = (transaction.get("sums", "total") or {"n": 0})["n"]
        transaction.put("sums", "total", {"n": total + 1})
        transaction.put("sums", me, {"n": number + 1})
    assert database.get("sums", "total")["n"] > total
    assert database.get("sums", me) == {"n": number + 1}
"""

DIE_BEFORE_COMMIT = """
import os, signal, sys
from pathlib import Path
from modelyard.storage.documents.database import Database
from tests.storage_drafts import add_model, new_model, open_store
Database.transaction = lambda self: os.kill(os.getpid(), signal.SIGKILL)
add_model(open_store(Path(sys.argv[1])), new_model(name="churn"))
"""

DIE_IN_A_WRITE = """
import os, signal, sys
from pathlib import Path
from modelyard.storage import line_file
from tests.storage_drafts import add_model, new_model, open_store
write_all = line_file.write_all
def write_some(file, content, offset):
    if not os.readlink(f"/proc/self/fd/{file}").endswith("db.jsonl"):
        return write_all(file, content, offset)
    os.pwrite(file, content[:int(sys.argv[2])], offset)
    os.kill(os.getpid(), signal.SIGKILL)
line_file.write_all = write_some
add_model(open_store(Path(sys.argv[1])), new_model(name="churn"))
"""

FILE_SIZE_LIMIT = """
import resource, sys
from pathlib import Path
from modelyard.errors import Unavailable
from tests.storage_drafts import add_model, new_model, open_store
root = Path(sys.argv[1])
store = open_store(root)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, ((root / "db.jsonl").stat().st_size + 100, hard))
for attempt in (lambda: add_model(store, new_model(name="churn", report=b"")), store.check):
    try:
        attempt()
    except Unavailable as error:
        print(error)
print(store.count_active())
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
store.check()
print(add_model(store, new_model(name="churn")).metadata.version)
"""

HOLD_THE_LOCK = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_processes_that_add_at_once_get_versions_of_their_own_and_see_each_other(storage_dir: Path) -> None:
    store = open_store(storage_dir)
    processes = [start_process(ADD, storage_dir, 12) for _ in range(2)]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    mine = [add_model(store, new_model(name="churn")).metadata.version for _ in range(6)]
    theirs = [int(line) for process in processes for line in finish(process).split()]
    assert sorted(mine + theirs) == list(range(1, 31))
    assert store.get("churn").metadata.version == 30
    assert len(store.page(ModelQuery(limit=100)).models) == 30


def test_processes_read_and_write_on_while_others_compact(tmp_path: Path) -> None:
    path = tmp_path / "db.jsonl"
    reader = Database(path)
    processes = [start_process(WRITE_AND_READ, path, name, 150) for name in ("a", "b")]
    last, files = 0, set()
    while any(process.poll() is None for process in processes):
        now = (reader.get("sums", "total") or {"n": 0})["n"]
        assert now >= last
        last = now
        files.add(path.stat().st_ino)
    for process in processes:
        finish(process)
    assert len(files) > 1
    assert [(reader.get("sums", key) or {})["n"] for key in ("total", "a", "b")] == [300, 150, 150]


def test_a_crash_between_the_files_and_the_commit_lists_nothing(storage_dir: Path) -> None:
    store = open_store(storage_dir)
    process = start_process(DIE_BEFORE_COMMIT, storage_dir)
    assert process.wait(PATIENCE_S) == -signal.SIGKILL
    process.communicate()
    assert len(list((storage_dir / "jobs").iterdir())) == 1
    assert not any((storage_dir / "artifacts").iterdir())
    for reopened in (store, open_store(storage_dir)):
        assert reopened.page(ModelQuery(status="all")).models == []
    assert add_model(store, new_model(name="churn")).metadata.version == 1


@pytest.mark.parametrize(("written", "committed"), [(60, False), (1 << 20, True)])
def test_a_crash_in_the_write_leaves_all_of_the_line_or_nothing(
    storage_dir: Path, written: int, committed: bool
) -> None:
    store = open_store(storage_dir)
    process = start_process(DIE_IN_A_WRITE, storage_dir, written)
    assert process.wait(PATIENCE_S) == -signal.SIGKILL
    process.communicate()
    for reopened in (store, open_store(storage_dir)):
        assert reopened.count_active() == committed
    assert add_model(store, new_model(name="churn")).metadata.version == 1 + committed
    lines = (storage_dir / "db.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line)["seq"] for line in lines] == list(range(2 + committed))


def test_killed_writers_lose_nothing_that_was_acknowledged(storage_dir: Path) -> None:
    store = open_store(storage_dir)
    acknowledged: list[int] = []
    for lines in (1, 4, 9):
        process = start_process(ADD, storage_dir, 1000)
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        acknowledged += [int(process.stdout.readline()) for _ in range(lines)]
        process.kill()
        rest, _ = process.communicate()
        acknowledged += [int(line) for line in rest.splitlines() if line]
    models = store.page(ModelQuery(limit=1000)).models
    versions = [model.version for model in models]
    assert set(acknowledged) <= set(versions)
    assert versions == list(range(len(versions), 0, -1))
    for model in models:
        store.read_file(store.get(model.model_id), "model.pkl")


def test_a_file_size_limit_is_unavailable_and_recovers(storage_dir: Path) -> None:
    add_model(open_store(storage_dir), new_model(name="churn"))
    refused, not_ready, active, version = finish(start_process(FILE_SIZE_LIMIT, storage_dir)).splitlines()
    assert refused.endswith("db.jsonl: File too large")
    assert not_ready.endswith("db.jsonl: File too large")
    assert (active, version) == ("1", "2")


def test_a_folder_in_use_by_another_process_is_not_written_to(storage_dir: Path) -> None:
    store = open_store(storage_dir, lock_timeout_s=0.1)
    with start_process(HOLD_THE_LOCK, storage_dir / "db.lock") as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(Unavailable, match=r"db\.lock was not free"):
            add_model(store, new_model())
        assert list((storage_dir / "artifacts").iterdir()) == []
        holder.communicate("end\n", timeout=PATIENCE_S)
        add_model(store, new_model())
