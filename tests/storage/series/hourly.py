"""What tests of series share: a clock that goes on by an hour an entry, and entries that are numbered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from modelyard.storage.protocols import Series

START = datetime(2026, 3, 1, 20, tzinfo=UTC)


class Clock:
    """Goes on by an hour with each look."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(hours=1)
        return self.now


def numbers(series: Series, stream: str = "outcomes", **bounds: datetime) -> list[int]:
    return [entry.fields["n"] for entry in series.scan(stream, **bounds)]
