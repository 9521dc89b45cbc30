"""The counts that drift is told by: of each model, hour and process.

The counts of an hour under way are a snapshot of the process that counts, replaced every few seconds. When the hour is
over, somebody puts them into the model's own stream. Counts of one process and hour only grow, so of all that is found
of them those of the most rows hold: whatever stands twice, after a crash in between for example, counts once.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from modelyard.errors import Unavailable
from modelyard.schemas.drift import DRIFT_HOURS
from modelyard.storage.protocols import Locks, Series, Snapshots

log = logging.getLogger("modelyard.storage")

DRIFT = "drift"
KEPT_DAYS = DRIFT_HOURS // 24

_HOUR = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"(\d{1,9})-([0-9a-f]{16})")

Counts = Mapping[str, Any]
"""What was counted, as JSON can hold it. It has `rows`; what else is in it is not known here."""


class DriftCollection:
    """The counts of one yard. Hours are numbered from 1970 on. Every use raises Unavailable if the system refuses."""

    def __init__(self, series: Series, snapshots: Snapshots, locks: Locks) -> None:
        self._series = series
        self._snapshots = snapshots
        self._locks = locks

    def keep(self, hour: int, process: str, counts: Mapping[str, Counts]) -> None:
        """Keep what a process has counted in an hour so far, by model id, under a name of its own: 16 digits in hex.

        What was kept of the hour under the same name is replaced.
        """
        self._snapshots.put(f"{hour}-{process}", orjson.dumps(counts))

    def read(self, model_id: str, since: int) -> Iterator[tuple[int, Counts]]:
        """Iterate what was counted of a model from an hour on, with the hour, in any order, each count once.

        Raises DataLoss.

        Until it is known what holds, it is held as text, which takes a quarter of the memory.
        """
        found: dict[tuple[int, str], tuple[int, bytes]] = {}
        # Snapshots first: what goes to the stream meanwhile is found there.
        for name, hour, process in self._named():
            if hour >= since and (counts := self._told(name).get(model_id)) is not None:
                _take(found, (hour, process), counts)
        for entry in self._series.scan(_stream(model_id), since=_EPOCH + since * _HOUR):
            said = entry.fields
            if said["hour"] >= since:
                _take(found, (said["hour"], said["process"]), said["counts"])
        for (counted_in, _), (_, text) in found.items():
            yield counted_in, orjson.loads(text)

    def tidy(self, hour: int) -> None:
        """Put the snapshots of the hours before one into the streams, unless another process does; drop old days.

        A process that was held up may put one of them again: it then stands twice, and counts once.
        """
        with suppress(Unavailable), self._locks.held(DRIFT):
            over = [named for named in self._named() if named[1] < hour]
            self._append(over)
            for name, _, _ in over:
                self._snapshots.remove(name)
            limit = _EPOCH + hour * _HOUR - timedelta(days=KEPT_DAYS)
            for stream in self._series.streams():
                if stream.startswith(f"{DRIFT}-"):
                    self._series.drop(stream, before=limit)

    def settle(self) -> None:
        """Put all snapshots into the streams as they are now, and leave them: what is read of both counts once."""
        self._append(self._named())

    def damaged(self) -> list[str]:
        """Return the names of snapshots that cannot be read: what their processes counted in an hour is lost."""
        return [name for name, _, _ in self._named() if self._read(name) is None]

    def remove(self, name: str) -> None:
        """Remove a snapshot."""
        self._snapshots.remove(name)

    def _named(self) -> list[tuple[str, int, str]]:
        """Return the names of all snapshots, with the hour and the process that each is of."""
        found = filter(None, map(_NAME.fullmatch, self._snapshots.names()))
        return [(known[0], int(known[1]), known[2]) for known in found]

    def _append(self, named: list[tuple[str, int, str]]) -> None:
        entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for name, hour, process in named:
            for model_id, counts in self._told(name).items():
                entries[model_id].append({"hour": hour, "process": process, "counts": counts})
        for model_id, found in entries.items():
            self._series.append(_stream(model_id), found)

    def _told(self, name: str) -> dict[str, Counts]:
        """Return what a snapshot tells by model id; nothing if it is gone, or damaged."""
        told = self._read(name)
        if told is None:
            log.warning("snapshot %s is damaged: its counts are lost", name)
            return {}
        return told

    def _read(self, name: str) -> dict[str, Counts] | None:
        content = self._snapshots.get(name)
        if content is None:
            return {}
        try:
            told: dict[str, Counts] = orjson.loads(content)
            return told if all(counts["rows"] >= 0 for counts in told.values()) else None
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


def _stream(model_id: str) -> str:
    return f"{DRIFT}-{model_id}"


def _take(found: dict[tuple[int, str], tuple[int, bytes]], key: tuple[int, str], counts: Counts) -> None:
    if key not in found or counts["rows"] > found[key][0]:
        found[key] = counts["rows"], orjson.dumps(counts)
