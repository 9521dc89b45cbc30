"""The first administrator's key comes from a file: taken up at each start, and once revoked never again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from modelyard.access.guard import Guard
from modelyard.access.keys import StoredKey, new_key
from modelyard.bootstrap import build
from modelyard.errors import AlreadyExists, FailedPrecondition, InvalidRequest, Unauthenticated
from modelyard.ml_core.yard import Yard
from modelyard.schemas import KeyRequest
from modelyard.settings import Settings
from modelyard.storage import KeyCollection
from tests import doors
from tests.access.callers import make_key, misspelt, secret_of, written
from tests.waiting import PATIENCE_S, wait_until


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "admin.key"


def started(folder: Path, file: Path) -> Yard:
    """Start as a server does."""
    yard = build(Settings(storage_dir=folder, auth="keys"))
    try:
        yard.take_admin_key(file)
    except BaseException:
        yard.close()
        raise
    return yard


def is_valid(guard: Guard, key: str) -> bool:
    try:
        return guard.identify(f"Bearer {key}").name == "bootstrap"
    except Unauthenticated:
        return False


def test_the_key_in_the_file_is_an_administrators(storage_dir: Path, file: Path) -> None:
    key = new_key()
    for content in (key, f"{key}\n", f"  {key}\r\n"):
        file.write_text(content, newline="")
        with started(storage_dir, file) as yard:
            who = yard.guard.identify(f"Bearer {key}")
            assert (who.name, who.role, who.models) == ("bootstrap", "admin", ())
            (known,) = yard.list_keys().keys
            assert (known.name, known.role, known.expires_at) == ("bootstrap", "admin", None)


def test_another_key_in_the_file_takes_the_place_of_the_one_before(storage_dir: Path, file: Path) -> None:
    keys = [new_key() for _ in range(3)]
    with started(storage_dir, holding(file, keys[0])) as first, started(storage_dir, holding(file, keys[1])) as second:
        for yard in (first, second):  # two servers of one folder
            assert [is_valid(yard.guard, key) for key in keys] == [False, True, False]


def holding(file: Path, key: str) -> Path:
    file.write_text(key)
    return file


def test_a_revoked_key_of_the_file_stays_revoked_whatever_came_after_it(storage_dir: Path, file: Path) -> None:
    keys = [new_key() for _ in range(3)]
    for key in keys:
        with started(storage_dir, holding(file, key)) as yard:
            assert is_valid(yard.guard, key)
            yard.revoke_key("bootstrap")
            assert not is_valid(yard.guard, key)
    for key in keys:
        with pytest.raises(FailedPrecondition, match=r"the key in .*admin\.key was revoked; write another one there"):
            started(storage_dir, holding(file, key))
    last = new_key()
    with started(storage_dir, holding(file, last)) as yard:
        assert [is_valid(yard.guard, key) for key in [*keys, last]] == [False, False, False, True]


def test_a_use_that_is_being_kept_when_the_yard_is_closed_is_kept(
    storage_dir: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noting, go_on, note_use = threading.Event(), threading.Event(), KeyCollection.note_use

    def note(keys: KeyCollection, key: StoredKey) -> None:
        noting.set()
        go_on.wait()
        note_use(keys, key)

    monkeypatch.setattr(KeyCollection, "note_use", note)
    key = new_key()
    yard = started(storage_dir, holding(file, key))
    store_closed = threading.Event()
    monkeypatch.setattr(yard._store, "close", store_closed.set)
    assert is_valid(yard.guard, key)
    noting.wait()
    closing = threading.Thread(target=yard.close)
    closing.start()
    assert not store_closed.wait(0.5)  # it never is, as long as this waits
    go_on.set()
    closing.join()
    assert store_closed.is_set()
    with doors.core(storage_dir) as again:
        assert again.list_keys().keys[0].last_used_on is not None


@pytest.mark.parametrize("is_revoked", [False, True])
def test_a_key_that_was_made_under_a_name_is_not_taken_from_a_file(
    storage_dir: Path, file: Path, is_revoked: bool
) -> None:
    """It would be an administrator's, whatever it was made for."""
    with doors.core(storage_dir) as yard:
        key = make_key(yard, "small", "reader")
        if is_revoked:
            yard.revoke_key("small")
    with pytest.raises(FailedPrecondition, match=r"was made as 'small'; .*`modelyard keys generate`"):
        started(storage_dir, holding(file, key))


def test_the_key_of_the_file_is_rotated_there_and_its_name_is_nobody_elses(storage_dir: Path, file: Path) -> None:
    with started(storage_dir, holding(file, new_key())) as yard:
        with pytest.raises(FailedPrecondition, match="comes from the file in MODELYARD_ADMIN_KEY_FILE"):
            yard.rotate_key("bootstrap")
        with pytest.raises(ValueError, match="is the name of the key in MODELYARD_ADMIN_KEY_FILE"):
            KeyRequest(name="bootstrap", role="admin")


GOOD, OTHER = written("0" * 8, "a" * 43), written("1" * 8, "b" * 43)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"secret",
        misspelt(GOOD).encode(),
        f"{GOOD}\n{OTHER}".encode(),
        f"MODELYARD_KEY={GOOD}".encode(),
        b"\xff\xfe" + GOOD.encode("utf-16-le"),
        bytes(range(256)),
        GOOD.encode() * 5000,
        "ключ".encode(),
    ],
)
def test_a_file_that_holds_no_key_is_refused_and_not_shown(storage_dir: Path, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(InvalidRequest) as found:
        started(storage_dir, file)
    assert str(found.value) == (
        f"MODELYARD_ADMIN_KEY_FILE: {file} must hold one key, as `modelyard keys generate` prints one"
    )


@pytest.mark.parametrize(("what", "why"), [("missing", "No such file"), ("folder", "Is a directory")])
def test_a_file_that_cannot_be_read_is_told_with_the_reason(storage_dir: Path, file: Path, what: str, why: str) -> None:
    if what == "folder":
        file.mkdir()
    with pytest.raises(InvalidRequest, match=rf"MODELYARD_ADMIN_KEY_FILE: cannot read .*admin\.key: {why}"):
        started(storage_dir, file)


def test_a_file_without_an_end_is_not_read_to_it(storage_dir: Path) -> None:
    with pytest.raises(InvalidRequest, match="must hold one key"):
        started(storage_dir, Path("/dev/zero"))


def test_a_yard_where_nobody_has_a_key_says_how_to_make_the_first(
    storage_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with build(Settings(storage_dir=storage_dir, auth="keys")) as yard:
        yard.take_admin_key(None)
        assert "modelyard keys create NAME --role admin" in caplog.text
        caplog.clear()
        yard.create_key(KeyRequest(name="first", role="admin"))
        yard.take_admin_key(None)
        assert not caplog.records
        with pytest.raises(AlreadyExists, match="there is a key named 'first'; rotate it, or revoke it first"):
            yard.create_key(KeyRequest(name="first", role="admin"))


def test_a_new_key_under_an_old_name_has_never_been_used(storage_dir: Path) -> None:
    with build(Settings(storage_dir=storage_dir, auth="keys")) as yard:
        used = make_key(yard, "one", "reader")
        assert yard.guard.identify(f"Bearer {used}").name == "one"
        wait_until(lambda: yard.list_keys().keys[0].last_used_on)
        yard.revoke_key("one")
        make_key(yard, "one", "reader")
        assert yard.list_keys().keys[0].last_used_on is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "yard.example.com", "0"])
def test_a_server_that_others_can_reach_wants_to_know_who_may_call(host: str) -> None:
    with pytest.raises(FailedPrecondition) as found:
        Settings(host=host).check_exposure()
    assert str(found.value) == (
        f"a server on {host} can be reached from other machines, and it was not said who may call: set "
        "MODELYARD_AUTH=keys and make the first key by `modelyard keys create NAME --role admin`, or set "
        "MODELYARD_AUTH=none if whoever reaches the port may do everything"
    )
    for auth in ("none", "keys"):
        Settings(host=host, auth=auth).check_exposure()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_a_server_of_this_machine_asks_nobody_unless_it_is_told_to(host: str) -> None:
    Settings(host=host).check_exposure()
    assert not Settings(host=host).asks_for_keys
    assert Settings(host=host, auth="keys").asks_for_keys


@pytest.mark.parametrize("command", ["rest", "grpc", "dashboard", "up"])
def test_every_command_that_serves_refuses_before_it_listens(command: str, tmp_path: Path) -> None:
    from tests.cli.test_cli import run

    ports = [f"--{door}-port=0" for door in ("rest", "grpc", "dashboard")] if command == "up" else ["--port=0"]
    storage = [] if command == "dashboard" else [f"--storage={tmp_path / 'yard'}"]
    answer = run(command, "--host=0.0.0.0", *ports, *storage)
    assert answer.exit_code == 4
    assert "MODELYARD_AUTH=keys" in answer.err.replace("\n", " ")
    assert not (tmp_path / "yard").exists()


def test_a_server_with_a_file_that_holds_no_key_ends_with_the_reason_and_without_the_content(
    storage_dir: Path, file: Path
) -> None:
    wrong = misspelt(new_key())
    environment = {
        **os.environ,
        "MODELYARD_AUTH": "keys",
        "MODELYARD_ADMIN_KEY_FILE": str(holding(file, wrong)),
        "MODELYARD_STORAGE_DIR": str(storage_dir),
    }
    command = [sys.executable, "-m", "modelyard", "grpc", "--port", "0"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 2
    assert "must hold one key" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert secret_of(wrong) not in ended.stderr + ended.stdout
