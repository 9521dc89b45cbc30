"""The processes of `up` and of REST's workers: they get the grace of their trainings, and no longer."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from signal import SIGINT, SIGKILL, Signals
from typing import Any

import pytest

from modelyard.cli import children
from modelyard.cli.children import Child
from modelyard.settings import Settings
from tests.waiting import PATIENCE_S, wait_until

STUBBORN = """
import pathlib, signal, sys, time
told, may_end = map(pathlib.Path, sys.argv[1:])
signal.signal(signal.SIGTERM, lambda *_: told.touch())
print("ready", flush=True)
while not may_end.exists():
    time.sleep(0.01)
"""


class Waits(SimpleQueue[Any]):
    """Events that never come; it notes how long they are waited for."""

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        self.timeouts.append(timeout)
        raise Empty


@contextmanager
def stubborn(folder: Path, events: Any) -> Iterator[Child]:
    """Start a child that ends when the file `may-end` is there, and says by the file `told` that it is to."""
    command = [sys.executable, "-c", STUBBORN, str(folder / "told"), str(folder / "may-end")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield Child(process, events)


@pytest.mark.parametrize("grace_s", [0.0, 10.0, 1234.0])
def test_a_child_is_killed_when_the_grace_of_trainings_is_over(tmp_path: Path, grace_s: float) -> None:
    events = Waits()
    with stubborn(tmp_path, events) as child:
        children.stop([child], Settings(train_grace_s=grace_s), events)
    (waited,) = events.timeouts
    assert waited is not None
    assert grace_s < waited <= grace_s + children._MARGIN_S
    assert child.process.returncode == -SIGKILL


def test_a_child_that_takes_its_time_ends_by_itself(tmp_path: Path) -> None:
    events = children.Events()
    with stubborn(tmp_path, events) as child:
        stopping = threading.Thread(target=children.stop, args=([child], Settings(train_grace_s=600), events))
        stopping.start()
        wait_until((tmp_path / "told").exists)
        (tmp_path / "may-end").touch()
        stopping.join(PATIENCE_S)
    assert child.process.returncode == 0


def test_a_child_takes_no_module_from_the_folder_that_it_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('of the folder')\n")
    monkeypatch.chdir(tmp_path)
    with children.start(Settings(), "grpc", ["--help"], children.Events()).process as process:
        assert process.wait(PATIENCE_S) == 0


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    events = children.Events()
    with stubborn(tmp_path, events) as child:
        events.put(Signals(SIGINT))
        children.stop([child], Settings(train_grace_s=600), events)
    assert child.process.returncode == -SIGKILL
