"""The messages of a stream of requests: the first says what is asked for, the others hold pieces of the table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from modelyard.errors import InvalidArgument, InvalidRequest


async def header_of(received: AsyncIterator[Any], kinds: tuple[str, ...]) -> Any:
    """Return the request that a stream begins with."""
    due = " or ".join(kinds)
    message = await anext(received, None)
    if message is None:
        raise InvalidRequest(f"the stream is empty; its first message must be {due}, the others chunks of the table")
    kind = message.WhichOneof("part")
    if kind not in kinds:
        raise InvalidRequest(f"the first message must be {due}, got {kind or 'nothing'}")
    header = getattr(message, kind)
    if header.HasField("X") or (kind != "predict" and header.y):
        raise InvalidRequest("the first message must not hold X or y; they come in the chunks after it")
    return header


def chunk_of(message: Any) -> Any:
    """Return the piece of the table that a later message of a stream holds. Raises InvalidRequest."""
    if message.WhichOneof("part") != "chunk":
        raise InvalidRequest(f"after the first message only chunks may come, got {message.WhichOneof('part')}")
    return message.chunk


@contextmanager
def counted_from(first_row: int) -> Iterator[None]:
    """Name wrong cells by their rows in the whole stream."""
    try:
        yield
    except InvalidArgument as error:
        if not first_row:
            raise
        note = f" (its row 0 is row {first_row} of the stream)"
        wrong = [replace(one, loc=_moved(one.loc, first_row), message=one.message + note) for one in error.errors]
        raise type(error)(error.detail + note, errors=wrong) from None


def _moved(loc: tuple[str | int, ...], first_row: int) -> tuple[str | int, ...]:
    if len(loc) > 1 and loc[0] == "X" and isinstance(loc[1], int):
        return ("X", loc[1] + first_row, *loc[2:])
    return loc
