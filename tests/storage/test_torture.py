"""Many processes on one folder, killed at random: nothing answered is lost, nothing half-made is seen.

For a second by default, else for as long as MODELYARD_TEST_TORTURE_S says.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Semaphore, Thread
from typing import Self

from modelyard.errors import DeadlineExceeded, Unavailable
from modelyard.grpc_server.client import GrpcClient
from modelyard.rest_api.client import RestClient
from modelyard.schemas import ModelMetadata, ModelQuery, TrainRequest
from modelyard.storage import ModelStore
from modelyard.storage.folder import Folder
from modelyard.storage.upkeep.doctor import examine
from tests import doors
from tests.storage_drafts import open_store
from tests.waiting import PATIENCE_S, wait_until

SECONDS = float(os.environ.get("MODELYARD_TEST_TORTURE_S", "1"))
ROOT = Path(__file__).parents[2]

AFTER = {"add": "active", "restore": "active", "delete": "deleted", "gone": "gone"}
"""The status that a verb leaves a model in."""


@dataclass(slots=True)
class Ledger:
    """What writers said: the status that each model must have, what was under way, and the numbers given out."""

    must_be: dict[str, str] = field(default_factory=dict)
    may_be: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)

    def take(self, lines: list[str]) -> None:
        """Enter what one writer said until it died, its last line perhaps cut short."""
        for line in lines:
            match line.split():
                case ["done", verb, model_id, *number]:
                    self.must_be[model_id] = AFTER[verb]
                    self.may_be.pop(model_id, None)
                    if number:
                        self.numbers[model_id] = number[0]
                case ["begin", verb, model_id] if verb != "add":
                    self.may_be[model_id] = AFTER[verb]
                case _:
                    pass

    def check(self, store: ModelStore) -> None:
        """Hold a folder to what its writers were answered."""
        models = {model.model_id: model for model in _everything(store)}
        for model_id, status in self.must_be.items():
            found = models[model_id].status if model_id in models else store.history(model_id).events[-1].status
            assert found in {status, self.may_be.get(model_id, status)}, model_id
        for model_id, number in self.numbers.items():
            history = store.history(model_id)
            assert f"{history.name}:{history.version}" == number
        assert len(set(self.numbers.values())) == len(self.numbers)


def _everything(store: ModelStore) -> Iterator[ModelMetadata]:
    cursor: str | None = None
    while True:
        page = store.page(ModelQuery(status="all", limit=1000, cursor=cursor))
        yield from page.models
        if (cursor := page.next_cursor) is None:
            return


def start(role: str, folder: Path, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.storage_torture", role, str(folder), str(seed)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Crew:
    """Processes of one role, each with a thread that takes in what it says."""

    def __init__(self, role: str, folder: Path, size: int, seeds: Iterator[int]) -> None:
        self._role, self._folder, self._seeds = role, folder, seeds
        self._members = [Member(role, folder, next(seeds)) for _ in range(size)]

    def kill_one(self, chance: random.Random) -> list[str]:
        """Kill one of them, start another in its place, and return what it had said."""
        member = chance.choice(self._members)
        said = member.kill()
        self._members.remove(member)
        self._members.append(Member(self._role, self._folder, next(self._seeds)))
        return said

    def kill_all(self) -> list[list[str]]:
        return [member.kill() for member in self._members]


class Member:
    """A process of a role, which says line by line what it does."""

    def __init__(self, role: str, folder: Path, seed: int) -> None:
        command = [sys.executable, "-m", "tests.storage_torture", role, str(folder), str(seed)]
        self._errors = folder.with_name(f"{role}-{seed}.log")
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)
        self._said: list[str] = []
        self._has_begun = Event()
        self._listener = Thread(target=self._listen)
        self._listener.start()

    def kill(self) -> list[str]:
        """Kill it, though not before it has begun to say something."""
        assert self._has_begun.wait(PATIENCE_S), self._errors.read_text()
        self._process.kill()
        code = self._process.wait(PATIENCE_S)
        assert code == -signal.SIGKILL, self._errors.read_text()  # it had not failed by itself
        self._listener.join()
        return self._said

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._said.append(line)
                self._has_begun.set()
        self._has_begun.set()


def test_writers_and_readers_killed_at_random_agree(storage_dir: Path) -> None:
    chance, seeds, ledger, looks = random.Random(7), itertools.count(1), Ledger(), 0
    open_store(storage_dir).close()
    writers, readers = Crew("writer", storage_dir, 3, seeds), Crew("reader", storage_dir, 1, seeds)
    try:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline or len(ledger.numbers) <= 10:
            time.sleep(chance.uniform(0.1, 0.6))
            if chance.random() < 0.9:
                ledger.take(writers.kill_one(chance))
            else:
                looks += len(readers.kill_one(chance))
    finally:
        said, seen = writers.kill_all(), readers.kill_all()
    for lines in said:
        ledger.take(lines)
    assert looks + sum(map(len, seen)) > 0
    ledger.check(open_store(storage_dir))
    # A writer that is killed between the files and the commit leaves a whole folder that no line names.
    assert {finding.kind for finding in examine(Folder(storage_dir)).findings} <= {"orphan", "leftover"}


def _answers(client: RestClient | GrpcClient) -> bool:
    try:
        client.health()
    except (Unavailable, DeadlineExceeded):
        return False
    return True


class Server:
    """A server of a door, which can be killed and started again at the same address."""

    def __init__(self, folder: Path, number: int, door: str) -> None:
        self._port = doors.free_port()
        self._log = folder.with_name(f"server-{number}.log")
        self._folder = folder
        self._door = door
        self.start()

    def client(self) -> RestClient | GrpcClient:
        """Open a client of the server."""
        address = f"127.0.0.1:{self._port}"
        return RestClient(f"http://{address}") if self._door == "rest" else GrpcClient(address)

    def wait_until_healthy(self) -> None:
        """Wait for the first answer."""
        with self.client() as client:
            wait_until(lambda: _answers(client))

    def start(self) -> None:
        settings = ["--port", str(self._port), "--storage", str(self._folder)]
        command = [sys.executable, "-m", "modelyard", self._door, *settings]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def kill(self) -> None:
        self._process.kill()
        assert self._process.wait(PATIENCE_S) == -signal.SIGKILL

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_S)


TABLE = [[number, "ab"[number % 2]] for number in range(12)]
LABELS = ["yes" if number > 5 else "no" for number in range(12)]
ORDER = TrainRequest(model_class_key="logistic_regression", X=TABLE, y=LABELS, name="contested")


def test_servers_killed_at_random_lose_no_model(storage_dir: Path) -> None:
    chance, ended = random.Random(3), Event()
    with ExitStack() as stack:
        servers = [
            stack.enter_context(Server(storage_dir, number, door))
            for number, door in enumerate(("rest", "rest", "grpc"))
        ]
        answers = [Semaphore(0) for _ in servers]
        pool = stack.enter_context(ThreadPoolExecutor(len(servers) + 1))
        for server in servers:
            server.wait_until_healthy()
        with servers[0].client() as client:
            at_the_terminal = client.train(ORDER).model_id
        callers = [
            pool.submit(train_and_delete, server, ended, number, answers[number])
            for number, server in enumerate(servers)
        ]
        callers.append(pool.submit(delete_and_restore_by_commands, storage_dir, at_the_terminal, ended))
        try:
            deadline = time.monotonic() + SECONDS
            for killed in itertools.cycle(range(len(servers))):
                assert answers[killed].acquire(timeout=PATIENCE_S)
                time.sleep(chance.uniform(0.0, 0.3))  # so that it dies at any point of what comes next
                servers[killed].kill()
                servers[killed].start()
                if time.monotonic() > deadline:
                    break
        finally:
            ended.set()
    ledger = Ledger()
    for caller in callers:
        ledger.take(caller.result())
    assert ledger.numbers
    assert at_the_terminal in ledger.must_be | ledger.may_be
    ledger.check(open_store(storage_dir))


def delete_and_restore_by_commands(folder: Path, model_id: str, ended: Event) -> list[str]:
    """Delete and restore one model by the command line, again where it was killed; return what was said."""
    chance, said, verbs = random.Random(5), list[str](), itertools.cycle(("delete", "restore"))
    verb = next(verbs)
    while not ended.is_set():
        said.append(f"begin {verb} {model_id}")
        if _completes([verb, model_id, "--storage", str(folder)], chance):
            said.append(f"done {verb} {model_id}")
            verb = next(verbs)
    return said


def _completes(arguments: list[str], chance: random.Random) -> bool:
    """Run a command, kill it now and then, and tell whether it said that it was done."""
    command = [sys.executable, "-m", "modelyard", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        code = process.wait(chance.uniform(0.3, 1.5) if chance.random() < 0.5 else PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait(PATIENCE_S)
    assert code in {0, -signal.SIGKILL}
    return code == 0


def train_and_delete(server: Server, ended: Event, seed: int, answers: Semaphore) -> list[str]:
    """Train and delete by a server that may be gone at any moment; return what was begun and what was answered."""
    chance, said, mine = random.Random(seed), list[str](), list[str]()
    with server.client() as client:
        while not ended.is_set():
            verb = "add" if not mine or chance.random() < 0.6 else chance.choice(["delete", "gone"])
            model_id = mine.pop() if verb != "add" else "-"
            said.append(f"begin {verb} {model_id}")
            try:
                if verb == "add":
                    model = client.train(ORDER)
                    mine.append(model.model_id)
                    said.append(f"done add {model.model_id} {model.name}:{model.version}")
                else:
                    client.delete(model_id, hard=verb == "gone")
                    said.append(f"done {verb} {model_id}")
            except (Unavailable, DeadlineExceeded):
                ended.wait(0.05)
            else:
                answers.release()
    return said
