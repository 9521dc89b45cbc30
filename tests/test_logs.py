"""The log: what is emitted on an event loop goes out at the end of the turn, in order, and none of it is lost."""

from __future__ import annotations

import asyncio
import io
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import orjson
import pytest

from modelyard import logs
from tests.waiting import wait_until

log = logging.getLogger("modelyard.tested")


class Written(io.StringIO):
    """Standard error that remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return super().write(text)


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    written = Written()
    monkeypatch.setattr(logs, "sys", SimpleNamespace(stderr=written))  # pytest sets its own between set-up and test
    monkeypatch.setattr(logs, "_to_stderr", logs.text_line)
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.LineFormatter(logs.text_line))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield written
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


def said(stderr: Written) -> list[str]:
    return [line.split(": ", 1)[1] for line in stderr.getvalue().splitlines()]


def test_the_lines_of_one_turn_are_written_in_one_go(stderr: Written) -> None:
    async def emit() -> None:
        for number in range(3):
            logs.emit(log, logging.INFO, "line", {"number": number})
        assert stderr.writes == []
        await asyncio.sleep(0)
        assert len(stderr.writes) == 1
        logs.emit(log, logging.INFO, "next", {})
        await asyncio.sleep(0)

    asyncio.run(emit())
    assert said(stderr) == ["line number=0", "line number=1", "line number=2", "next"]


def test_another_record_of_the_turn_comes_after_the_lines_before_it(stderr: Written) -> None:
    async def emit() -> None:
        logs.emit(log, logging.INFO, "first", {})
        log.error("second")
        logs.emit(log, logging.INFO, "third", {})

    asyncio.run(emit())
    logs.write_out()
    assert said(stderr) == ["first", "second", "third"]


def test_a_line_that_cannot_be_written_takes_no_others_along(stderr: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_to_stderr", logs.json_line)

    async def emit() -> None:
        for message in ("first", "\ud800", "third"):
            logs.emit(log, logging.INFO, message, {})

    asyncio.run(emit())
    lines = stderr.getvalue().splitlines()
    assert [orjson.loads(line)["message"] for line in lines] == ["first", "a line cannot be written", "third"]


def test_a_line_without_an_event_loop_is_written_at_once(stderr: Written) -> None:
    logs.emit(log, logging.INFO, "here", {})
    assert said(stderr) == ["here"]
    thread = threading.Thread(target=logs.emit, args=(log, logging.INFO, "there", {}))
    thread.start()
    thread.join()
    assert said(stderr) == ["here", "there"]


def test_a_line_below_the_level_is_not_written(stderr: Written) -> None:
    logs.emit(log, logging.DEBUG, "unheard", {})
    assert stderr.writes == []


def test_of_what_comes_by_the_thousands_some_lines_are_written_and_the_others_counted(stderr: Written) -> None:
    tally = logs.Tally(minute_s=0.05)
    lets = [tally.lets(log, "refused", most=3, last=i) for i in range(1000)]
    assert lets == [True] * 3 + [False] * 997
    assert not tally.lets(log, "dropped", most=0)
    wait_until(lambda: len(stderr.getvalue().splitlines()) == 2)
    assert sorted(line.split("modelyard.tested: ")[1] for line in stderr.getvalue().splitlines()) == [
        "dropped count=1",
        "refused count=997 last=999",
    ]
    assert tally.lets(log, "refused", most=1)  # another minute


def test_what_comes_now_and_then_is_written(stderr: Written) -> None:
    tally = logs.Tally(minute_s=0.0)
    assert all(tally.lets(log, "refused", most=1) for _ in range(10))


def test_the_lines_of_a_process_that_ends_are_written() -> None:
    program = (
        "import asyncio, logging\nfrom modelyard import logs\nlogs.configure('INFO', 'json')\n"
        "async def run():\n    logs.emit(logging.getLogger('x'), 20, 'last words', {})\n    raise SystemExit(0)\n"
        "asyncio.run(run())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert '"message":"last words"' in done.stderr
