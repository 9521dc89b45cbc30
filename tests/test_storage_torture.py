"""Many processes on one folder, killed at random: nothing answered is lost, nothing half-made is seen.

For a few seconds by default, for as long as MODELYARD_TEST_TORTURE_S says otherwise.
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
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Semaphore, Thread
from typing import Self

from modelyard.errors import Unavailable
from modelyard.rest_api.client import RestClient
from modelyard.schemas import ModelMetadata, ModelQuery, TrainRequest
from modelyard.storage import ModelStore
from modelyard.storage.doctor import examine
from tests import doors

SECONDS = float(os.environ.get("MODELYARD_TEST_TORTURE_S", "3"))
ROOT = Path(__file__).parent.parent

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
        assert self._has_begun.wait(60), self._errors.read_text()
        self._process.kill()
        assert self._process.wait(60) == -signal.SIGKILL, self._errors.read_text()  # it had not failed by itself
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
    ModelStore(storage_dir).close()
    writers, readers = Crew("writer", storage_dir, 3, seeds), Crew("reader", storage_dir, 1, seeds)
    try:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
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
    assert len(ledger.numbers) > 10
    ledger.check(ModelStore(storage_dir))
    # A writer that is killed between the files and the commit leaves a whole folder that no line names.
    assert {finding.kind for finding in examine(storage_dir).findings} <= {"orphan", "leftover"}


class Server:
    """A REST server that can be killed and started again at the same address."""

    def __init__(self, folder: Path, number: int) -> None:
        self._port = doors.free_port()
        self._log = folder.with_name(f"server-{number}.log")
        self._folder = folder
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "modelyard", "rest", "--port", str(self._port), "--storage", str(self._folder)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def kill(self) -> None:
        self._process.kill()
        assert self._process.wait(30) == -signal.SIGKILL

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(30)


TABLE = [[number, "ab"[number % 2]] for number in range(12)]
LABELS = ["yes" if number > 5 else "no" for number in range(12)]


def test_servers_killed_at_random_lose_no_model(storage_dir: Path) -> None:
    chance, ended = random.Random(3), Event()
    answers = [Semaphore(0), Semaphore(0)]
    with Server(storage_dir, 0) as one, Server(storage_dir, 1) as other, ThreadPoolExecutor(2) as pool:
        servers = (one, other)
        for server in servers:
            doors.wait_until_healthy(server.url, 90)
        callers = [
            pool.submit(train_and_delete, server.url, ended, number, answers[number])
            for number, server in enumerate(servers)
        ]
        try:
            deadline = time.monotonic() + SECONDS
            for killed in itertools.cycle((0, 1)):
                assert answers[killed].acquire(timeout=100)
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
    ledger.check(ModelStore(storage_dir))


def train_and_delete(url: str, ended: Event, seed: int, answers: Semaphore) -> list[str]:
    """Train and delete by a server that may be gone at any moment; return what was begun and what was answered."""
    chance, said, mine = random.Random(seed), list[str](), list[str]()
    order = TrainRequest(model_class_key="logistic_regression", X=TABLE, y=LABELS, name=f"model-{seed}")
    with RestClient(url) as client:
        while not ended.is_set():
            verb = "add" if not mine or chance.random() < 0.6 else chance.choice(["delete", "gone"])
            model_id = mine.pop() if verb != "add" else "-"
            said.append(f"begin {verb} {model_id}")
            try:
                if verb == "add":
                    model = client.train(order)
                    mine.append(model.model_id)
                    said.append(f"done add {model.model_id} {model.name}:{model.version}")
                else:
                    client.delete(model_id, hard=verb == "gone")
                    said.append(f"done {verb} {model_id}")
            except Unavailable:
                ended.wait(0.05)
            else:
                answers.release()
    return said
