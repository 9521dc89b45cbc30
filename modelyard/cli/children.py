"""Processes that a command starts and stops together, and replaces if they are killed: each is a command of ours.

A child has a group of its own: a terminal's Ctrl-C comes to the parent alone, which stops each child once. A child's
standard input is never written to; it closes when the parent is gone, and the child ends.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from signal import SIGINT, SIGTERM, Signals, signal
from typing import TYPE_CHECKING, TypeVar

from modelyard.cli import screen

if TYPE_CHECKING:
    from modelyard.settings import Settings

Part = TypeVar("Part")

_MARGIN_S = 5.0
"""What a server may take beyond its leave and its trainings' grace: to answer those who wait for them, and to close."""

_PAUSE_S = 1.0
"""Children that are killed as soon as they start are not replaced more often than this."""


@dataclass(slots=True, eq=False)
class Child:
    """A child process, which puts itself among the events when it has ended."""

    process: subprocess.Popen[bytes]
    events: Events
    began: float = field(default_factory=time.monotonic)
    watcher: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()

    def _watch(self) -> None:
        self.process.wait()
        self.events.put(self)


Events = SimpleQueue[Child | Signals]
"""What happens to a command that has children: one of them has ended, or the command is told to stop."""


@contextmanager
def signals_into(events: Events) -> Iterator[None]:
    """Within the block, SIGINT and SIGTERM are events and nothing else."""
    # SimpleQueue.put may be called from a signal handler; Queue's may not.
    before = {number: signal(number, lambda given, _frame: events.put(Signals(given))) for number in (SIGINT, SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal(number, handler)


def start(
    settings: Settings,
    command: str,
    arguments: Iterable[str],
    events: Events,
    *,
    files: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
) -> Child:
    """Start a command of ours on the settings' host and folder, with `files` open."""
    whole = [sys.executable, "-P", "-m", "modelyard", command, "--owned", *arguments, "--host", settings.host]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*whole, "--storage", str(settings.storage_dir)],
        stdin=subprocess.PIPE,
        process_group=0,
        pass_fds=files,
        env=environment,
    )
    return Child(process, events)


def keep_running(
    running: dict[Child, Part], start: Callable[[Part], Child], events: Events, name: Callable[[Part], str]
) -> int:
    """Replace children that are killed; return the exit code once the whole ends.

    A signal ends it, and a child that gives up by itself, because the folder cannot be used for example.
    """
    while isinstance(event := events.get(), Child):
        part = running.pop(event)
        code = event.process.returncode
        screen.console(stderr=True).print(screen.text(f"{name(part)} ended with exit code {code}", "red"))
        if code > 0:
            return code
        time.sleep(max(0.0, _PAUSE_S - (time.monotonic() - event.began)))
        running[start(part)] = part
    return 0


def stop(children: Sequence[Child], settings: Settings, events: Events) -> None:
    """End all children: kindly, and by force at a second signal or when their time and a margin are over."""
    for child in children:
        child.process.terminate()
    waiting = {child for child in children if child.watcher.is_alive()}
    deadline = time.monotonic() + settings.drain_s + settings.train_grace_s + _MARGIN_S
    while waiting:
        try:
            event = events.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            break
        if isinstance(event, Signals):
            break
        waiting.discard(event)
    for child in children:
        child.process.kill()
        child.watcher.join()
        if child.process.stdin:
            child.process.stdin.close()
