"""Watching what is predicted for: counted in bulk by a thread, at most a second later and off the callers' way.

A caller pays for an append alone. What waits to be counted is bounded: if counting falls behind, rows are left out of
the counts, and the log tells how many. No cell is kept once it is counted.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from modelyard.monitoring.watch import Cells, Watch, cells_of_frame, cells_of_rows, missing_in
from modelyard.schemas import Predictions
from modelyard.tables import FewRows, Table

log = logging.getLogger(__name__)

EVERY_S = 1.0
"""How long an answer waits to be counted at most, unless counting falls behind."""

_MANY_CELLS = 500_000
"""If so many cells wait, they are counted at once."""

_MOST_CELLS = 4_000_000
"""So many cells wait at most, some 100 MB as plain rows; a single table may have more."""

Given: TypeAlias = tuple[Watch, FewRows | Table, Predictions]
"""What was answered: by which model, for which checked rows, and what."""


@dataclass(slots=True)
class Totals:
    """What one model has been asked in this process so far: rows, cells with unknown categories, missing cells."""

    name: str
    version: int
    rows: int = 0
    unknown_categories: int = 0
    missing_cells: int = 0


class Watching:
    """The watch of one process. Its thread begins with the first answer and ends with `close`."""

    def __init__(self) -> None:
        self._waiting: deque[Given] = deque()
        self._cells = 0
        self._lost = 0
        self._awake = False
        self._counting = threading.Lock()
        self._totals: dict[str, Totals] = {}
        self._news = threading.Event()
        self._now = threading.Event()
        self._closed = False
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def take(self, given: Given) -> None:
        """Take an answer that was given, to be counted soon. Any thread may call it.

        No lock is taken, which would cost as much as all the rest. So the number of cells that wait is about right.
        """
        self._cells += given[0].width * len(given[2].predictions)
        if self._cells > _MANY_CELLS:
            self._now.set()
            if self._cells > _MOST_CELLS and self._waiting:
                self._lost += len(given[2].predictions)
                return
        self._waiting.append(given)
        if not self._awake:
            self._wake()

    def totals(self) -> list[Totals]:
        """Return what each model was asked so far, up to this moment."""
        self.count()
        with self._counting:
            return list(self._totals.values())

    def count(self) -> None:
        """Count what waits, in the calling thread."""
        with self._counting:
            self._awake = False  # what is taken from here on wakes the thread again
            lost, self._lost, self._cells = self._lost, 0, 0
            if lost:
                log.warning("%d rows were left out of what is watched, because counting fell behind", lost)
            waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
            for watch, rows, tables in _by_model(waiting):
                self._count(watch, rows, tables)

    def close(self) -> None:
        """Count what waits, and end the thread."""
        self._closed = True
        self._now.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join()
        self.count()

    def _count(self, watch: Watch, few: list[FewRows], tables: list[Table]) -> None:
        totals = self._totals.setdefault(watch.model_id, Totals(watch.name, watch.version))
        rows = list(chain.from_iterable(one.rows for one in few))
        totals.rows += len(rows) + sum(table.frame.height for table in tables)
        unknown = _unknown([*few, *tables])
        for column in watch.columns:
            pieces: list[Cells] = [cells_of_rows(column, rows)] if rows else []
            pieces += (cells_of_frame(column, table.frame) for table in tables)
            missing = sum(map(missing_in, pieces))
            totals.missing_cells += missing
            totals.unknown_categories += unknown.get(column.name, 0) - (missing if column.warns_of_missing else 0)

    def _wake(self) -> None:
        self._awake = True
        with self._starting:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="watching", daemon=True)
                self._thread.start()
        self._news.set()

    def _work(self) -> None:
        while not self._closed:
            self._news.wait()
            self._now.wait(EVERY_S)
            self._news.clear()
            self._now.clear()
            try:
                self.count()
            except Exception:  # whatever is wrong with the rows of one second, those of the next are counted
                log.exception("what was predicted for cannot be counted")


def _by_model(waiting: Iterable[Given]) -> Iterator[tuple[Watch, list[FewRows], list[Table]]]:
    """Yield what was answered by each model: few rows, and tables."""
    found: dict[str, tuple[Watch, list[FewRows], list[Table]]] = {}
    for watch, checked, _ in waiting:
        _, few, tables = found.setdefault(watch.model_id, (watch, [], []))
        if isinstance(checked, FewRows):
            few.append(checked)
        else:
            tables.append(checked)
    yield from found.values()


def _unknown(answered: Iterable[FewRows | Table]) -> dict[str, int]:
    """Count the cells with unknown categories by column, as the warnings of the answers tell them."""
    counts: dict[str, int] = {}
    for warning in chain.from_iterable(checked.warnings for checked in answered):
        if warning.code == "unknown_categories" and warning.column is not None:
            counts[warning.column] = counts.get(warning.column, 0) + (warning.count or 0)
    return counts
