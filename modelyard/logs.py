"""The log: one line a request, with what the verb found out about it. Never cells of a table, never tokens."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import orjson

_facts: ContextVar[dict[str, Any] | None] = ContextVar("modelyard_request_facts", default=None)


@contextmanager
def request(request_id: str) -> Iterator[dict[str, Any]]:
    """Collect the facts of one request, its id first; the door that opened it logs them at its end."""
    facts: dict[str, Any] = {"request_id": request_id}
    token = _facts.set(facts)
    try:
        yield facts
    finally:
        _facts.reset(token)


def note(**facts: Any) -> None:
    """Add facts (ids, names, sizes, durations) to the request under way; outside of one, do nothing."""
    known = _facts.get()
    if known is not None:
        known.update(facts)


def emit(logger: logging.Logger, level: int, message: str, facts: dict[str, Any]) -> None:
    """Log a message with its facts, without looking for the place in the code that says so."""
    if logger.isEnabledFor(level):
        logger.handle(logger.makeRecord(logger.name, level, "", 0, message, (), None, extra={"facts": facts}))


def current_request_id() -> str | None:
    """Return the id of the request under way."""
    facts = _facts.get()
    return None if facts is None else facts["request_id"]


class TextFormatter(logging.Formatter):
    """`time level logger: message key=value …`, with any traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line (and its traceback)."""
        facts = "".join([f" {key}={value}" for key, value in _facts_of(record).items()])
        second, fraction = divmod(record.created, 1)
        time = f"{_written(int(second))}.{int(fraction * 1e6):06d}Z"
        line = f"{time} {record.levelname} {record.name}: {record.getMessage()}{facts}"
        return line + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a JSON object."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_facts_of(record),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(fields, default=str).decode()


@lru_cache(maxsize=2)
def _written(second: int) -> str:
    """Write a time without its fraction: many lines a second share it."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _facts_of(record: logging.LogRecord) -> dict[str, Any]:
    facts = getattr(record, "facts", None)
    if facts is None:
        request_id = current_request_id()
        return {} if request_id is None else {"request_id": request_id}
    return dict(facts)


def configure(level: str, style: Literal["text", "json"]) -> None:
    """Send this process's log to standard error in one style. Servers call it once, libraries never."""
    # What no line shows need not be found out at each.
    for name in ("logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks"):
        setattr(logging, name, False)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
