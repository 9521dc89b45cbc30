"""The log: one line a request, with what the verb found out about it. Never cells of a table, never tokens."""

from __future__ import annotations

import logging
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, Protocol

import orjson

_facts: ContextVar[dict[str, Any] | None] = ContextVar("modelyard_request_facts", default=None)


class request:  # noqa: N801 - used as a function is, and entered in a third of the time that a generator takes
    """Collect the facts of one request within a `with` block, its id first; the door that opened it logs them."""

    __slots__ = ("_collected", "_token")

    def __init__(self, request_id: str) -> None:
        self._collected: dict[str, Any] = {"request_id": request_id}

    def __enter__(self) -> dict[str, Any]:
        self._token = _facts.set(self._collected)
        return self._collected

    def __exit__(self, *_: object) -> None:
        _facts.reset(self._token)


def note(**facts: Any) -> None:
    """Add facts (ids, names, sizes, durations) to the request under way; outside of one, do nothing."""
    known = _facts.get()
    if known is not None:
        known.update(facts)


def emit(logger: logging.Logger, level: int, message: str, facts: dict[str, Any]) -> None:
    """Log a message with its facts; in a server without a record made of it first, for there is one a request."""
    if not logger.isEnabledFor(level):
        return
    if _to_stderr is None:
        logger.log(level, message, extra={"facts": facts})
    else:
        name = logging.getLevelName(level)
        sys.stderr.write(_to_stderr(message, facts, created=time.time(), level=name, logger=logger.name) + "\n")


def current_request_id() -> str | None:
    """Return the id of the request under way."""
    facts = _facts.get()
    return None if facts is None else facts["request_id"]


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

    def __init__(self, style: Style) -> None:
        super().__init__()
        self.style = style

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line (and its traceback)."""
        traceback = self.formatException(record.exc_info) if record.exc_info else ""
        return self.style(
            record.getMessage(),
            _facts_of(record),
            created=record.created,
            level=record.levelname,
            logger=record.name,
            traceback=traceback,
        )


def _facts_of(record: logging.LogRecord) -> dict[str, Any]:
    facts = getattr(record, "facts", None)
    if facts is None:
        request_id = current_request_id()
        return {} if request_id is None else {"request_id": request_id}
    return dict(facts)


_to_stderr: Style | None = None


def configure(level: str, style: Literal["text", "json"]) -> None:
    """Send this process's log to standard error in one style. Servers call it once, libraries never."""
    global _to_stderr  # noqa: PLW0603 - the log belongs to the process
    _to_stderr = json_line if style == "json" else text_line
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(_to_stderr))
    logging.basicConfig(level=level, handlers=[handler], force=True)
