"""How lines of the log are written. They hold facts, never cells of a table and never tokens."""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Literal, Protocol

import orjson


def emit(logger: logging.Logger, level: int, message: str, facts: dict[str, Any]) -> None:
    """Log a message with its facts. A server makes no record of it first, because it logs one line a request.

    On an event loop the lines of one turn are written at its end, in one go. `facts` must not change any more.
    """
    if not logger.isEnabledFor(level):
        return
    if _to_stderr is None:
        logger.log(level, message, extra={"facts": facts})
        return
    name, created = logging.getLevelName(level), time.time()
    loop = asyncio._get_running_loop()  # None in another thread, for which get_running_loop raises and takes longer
    if loop is None:
        if _unwritten:
            write_out()
        sys.stderr.write(_to_stderr(message, facts, created=created, level=name, logger=logger.name) + "\n")
        return
    _unwritten.append(partial(_to_stderr, message, facts, created=created, level=name, logger=logger.name))
    if len(_unwritten) == 1:
        loop.call_soon(write_out)


def write_out() -> None:
    """Write the lines that were emitted and are not written yet."""
    lines = []
    with suppress(IndexError):  # also if another thread writes them
        while True:
            lines.append(_rendered(_unwritten.popleft()))
    if lines:
        sys.stderr.write("\n".join(lines) + "\n")


def _rendered(line: Callable[[], str]) -> str:
    try:
        return line()
    except Exception as error:  # noqa: BLE001 - the other lines of the turn are written all the same
        assert _to_stderr is not None
        facts = {"reason": ascii(error)}
        return _to_stderr("a line cannot be written", facts, created=time.time(), level="ERROR", logger=__name__)


class Style(Protocol):
    """How a line of the log is written."""

    def __call__(
        self, message: str, facts: dict[str, Any], *, created: float, level: str, logger: str, traceback: str = ""
    ) -> str: ...


def text_line(
    message: str, facts: dict[str, Any], *, created: float, level: str, logger: str, traceback: str = ""
) -> str:
    """Return `time level logger: message key=value …`, with any traceback below."""
    second, fraction = divmod(created, 1)
    known = "".join([f" {key}={value}" for key, value in facts.items()])
    line = f"{_to_the_second(int(second))}.{int(fraction * 1e6):06d}Z {level} {logger}: {message}{known}"
    return f"{line}\n{traceback}" if traceback else line


def json_line(
    message: str, facts: dict[str, Any], *, created: float, level: str, logger: str, traceback: str = ""
) -> str:
    """Return one JSON object a line."""
    time = datetime.fromtimestamp(created, UTC)
    fields = {"time": time, "level": level, "logger": logger, "message": message, **facts}
    if traceback:
        fields["traceback"] = traceback
    return orjson.dumps(fields, default=str).decode()


@lru_cache(maxsize=2)
def _to_the_second(second: int) -> str:
    """Write a time without its fraction: many lines share it."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class LineFormatter(logging.Formatter):
    """The standard library's records in one of the styles above."""

    def __init__(self, style: Style, identity: Callable[[], dict[str, Any]] = dict) -> None:
        super().__init__()
        self.style = style
        self.identity = identity

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line (and its traceback)."""
        write_out()  # what came before stands before
        traceback = self.formatException(record.exc_info) if record.exc_info else ""
        return self.style(
            record.getMessage(),
            dict(getattr(record, "facts", None) or self.identity()),
            created=record.created,
            level=record.levelname,
            logger=record.name,
            traceback=traceback,
        )


class Tally:
    """Lines that may come by the thousands: some of a kind are written, the others counted and told once a minute."""

    def __init__(self, minute_s: float = 60.0) -> None:
        self._minute_s = minute_s
        self._kinds: dict[tuple[logging.Logger, str], _Kind] = {}
        self._lock = threading.Lock()

    def lets(self, logger: logging.Logger, kind: str, *, most: int, **facts: Any) -> bool:
        """Count one more line of a kind; whether it is among the first `most` of a minute, and to be written.

        If it is not, a line that says the kind, the count and the `facts` of the last one comes within a minute. There
        must not be many kinds.
        """
        now = time.monotonic()
        with self._lock:
            found = self._kinds.get((logger, kind))
            if found is None or (not found.left_out and now - found.began > self._minute_s):
                found = self._kinds[logger, kind] = _Kind(now)
            found.written += 1
            if found.written <= most:
                return True
            found.left_out += 1
            found.facts = facts
            if found.left_out == 1:
                timer = threading.Timer(self._minute_s, self._tell, (logger, kind))
                timer.daemon = True
                timer.start()
        return False

    def _tell(self, logger: logging.Logger, kind: str) -> None:
        with self._lock:
            found = self._kinds.pop((logger, kind))
        emit(logger, logging.WARNING, kind, {"count": found.left_out, **found.facts})


@dataclass(slots=True)
class _Kind:
    began: float
    written: int = 0
    left_out: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


_to_stderr: Style | None = None
_unwritten: deque[Callable[[], str]] = deque()


def configure(
    level: str,
    style: Literal["text", "json"],
    identity: Callable[[], dict[str, Any]] = dict,
    hide: Callable[[str], str] = str,
) -> None:
    """Send this process's log to standard error in one style. Servers call it once, libraries never.

    `identity` returns the facts by which a line without facts of its own is known, such as the id of its request.
    `hide` takes out of a line, and of the traceback below it, what nobody may read there.
    """
    global _to_stderr  # noqa: PLW0603 - the log belongs to the process
    write = json_line if style == "json" else text_line

    def written(message: str, facts: dict[str, Any], **about: Any) -> str:
        return hide(write(message, facts, **about))

    _to_stderr = written
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(_to_stderr, identity))
    atexit.register(write_out)
    logging.basicConfig(level=level, handlers=[handler], force=True)
