"""Watching what is predicted for: counted in bulk by a thread, at most a second later and off the callers' way.

A caller pays for an append alone. What waits to be counted is bounded: if counting falls behind, rows are left out of
the counts, and the log tells how many. No cell is kept once it is counted.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TypeAlias

from modelyard.errors import ModelyardError
from modelyard.monitoring.counts import ModelCounts, count_answers, count_cells, key_of
from modelyard.monitoring.watch import Watch
from modelyard.schemas import Prediction, ResolvedDecision
from modelyard.storage import DriftCollection
from modelyard.tables import FewRows, Table

log = logging.getLogger(__name__)

EVERY_S = 1.0
"""How long an answer waits to be counted at most, unless counting falls behind."""

KEEP_EVERY_S = 5.0
"""How long counts wait to be kept at most. So whoever reads them misses less than ten seconds."""

HOUR_S = 3600

SETTLED_S = 120
"""When an hour has been over for so long, all processes have kept its last counts."""

_MOST_HOURS = 24
"""The counts of so many hours wait at most to be kept, if the storage cannot be written."""

_MANY_CELLS = 30_000
"""If so many cells wait, they are counted at once.

What waits keeps requests from using the same memory again, which the processor has at hand: 500,000 cost each of 20,000
rows a second another 2 µs of CPU.
"""

_MOST_CELLS = 4_000_000
"""So many cells wait at most, some 100 MB as plain rows; a single table may have more."""

CountRows: TypeAlias = Callable[[str, int, int, int, int], None]
"""Counts what a name and version was asked since last time: rows, cells with unknown categories, missing cells."""

Given: TypeAlias = tuple[Watch, FewRows | Table, list[Prediction], ResolvedDecision | None, bool]
"""What was answered: by which model, for which checked rows, what, by which decision, whether the request brought that.

Such answers are not counted: callers may bring any number of decisions, and the model's own is what drift is told by.
"""


class Watching:
    """The watch of one process. Its thread begins with the first answer and ends with `close`.

    `kept` keeps the counts for all processes to read; `count_rows` counts rows for the metrics, whether or not there
    is `kept`. `clock` tells the seconds since 1970.
    """

    def __init__(
        self,
        kept: DriftCollection | None = None,
        clock: Callable[[], float] = time.time,
        count_rows: CountRows = lambda *_: None,
    ) -> None:
        self._count_rows = count_rows
        self._kept = kept
        self._clock = clock
        self._waiting: deque[Given] = deque()
        self._cells = 0
        self._lost = 0
        self._awake = False
        self._counting = threading.Lock()
        self._hours: dict[int, _Hour] = {}
        self._unkept = False
        self._tidied = 0
        self._news = threading.Event()
        self._now = threading.Event()
        self._closed = False
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def take(self, given: Given) -> None:
        """Take an answer that was given, to be counted soon. Any thread may call it.

        No lock is taken, which would cost as much as all the rest. So the number of cells that wait is about right.
        """
        self._cells += given[0].width * len(given[2])
        if self._cells > _MANY_CELLS:
            self._now.set()
            if self._cells > _MOST_CELLS and self._waiting:
                self._lost += len(given[2])
                return
        self._waiting.append(given)
        if not self._awake:
            self._wake()

    def count(self) -> None:
        """Count what waits, in the calling thread."""
        with self._counting:
            self._awake = False  # what is taken from here on wakes the thread again
            lost, self._lost, self._cells = self._lost, 0, 0
            if lost:
                log.warning("%d rows were left out of what is watched, because counting fell behind", lost)
            waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
            for asked in _by_model(waiting):
                self._count(asked)

    def keep(self) -> None:
        """Count what waits, and keep the counts for all processes to read. Raises Unavailable; they wait then."""
        self.count()
        if self._kept is None:
            return
        hour = self._hour_now()
        with self._counting:
            for past in list(self._hours) if self._unkept else ():
                of_hour = self._hours[past]
                counts = {model_id: found.to_json() for model_id, found in of_hour.models.items()}
                self._kept.keep(past, of_hour.name, counts)
                if past != hour:
                    del self._hours[past]
            self._unkept = False
        settled = int((self._clock() - SETTLED_S) // HOUR_S)
        if self._tidied != settled:
            self._kept.tidy(settled)
            self._tidied = settled

    def close(self) -> None:
        """Count what waits, keep the counts, and end the thread."""
        self._closed = True
        self._now.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join()
            self._carefully(self.keep)

    def _count(self, asked: _Asked) -> None:
        watch = asked.watch
        counts, apart = count_cells(watch, asked.few, asked.tables)
        self._count_rows(watch.name, watch.version, counts.rows, apart.unknown, apart.missing)
        if self._kept is None or not watch.has_reference:
            return
        for decision, found in asked.answers.values():
            answers = count_answers(watch, found[0] if len(found) == 1 else list(chain.from_iterable(found)))
            if answers is not None:
                counts.add(ModelCounts(answers={key_of(decision): answers}))
        of_hour = self._hours.setdefault(self._hour_now(), _Hour())
        of_hour.models.setdefault(watch.model_id, ModelCounts()).add(counts)
        self._unkept = True
        if len(self._hours) > _MOST_HOURS:
            log.warning("the counts of an hour are lost, because they could not be kept for a day")
            del self._hours[min(self._hours)]

    def _hour_now(self) -> int:
        return int(self._clock() // HOUR_S)

    def _wake(self) -> None:
        self._awake = True
        with self._starting:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="watching", daemon=True)
                self._thread.start()
        self._news.set()

    def _work(self) -> None:
        due = 0.0
        while not self._closed:
            self._news.wait(KEEP_EVERY_S if self._unkept else None)
            self._now.wait(EVERY_S)
            self._news.clear()
            self._now.clear()
            self._carefully(self.count)
            if self._unkept and time.monotonic() >= due:
                self._carefully(self.keep)
                due = time.monotonic() + KEEP_EVERY_S

    def _carefully(self, step: Callable[[], None]) -> None:
        try:
            step()
        except ModelyardError as error:
            log.warning("what was predicted for is not kept now: %s", error.detail)
        except Exception:  # whatever is wrong with the rows of one second, those of the next are counted
            log.exception("what was predicted for cannot be counted")


@dataclass(slots=True)
class _Hour:
    """The counts of one hour, by model id, and the name that they are kept under.

    An hour that comes again, because the clock was set back, is counted anew, and under another name. So it is not
    written over what was kept of it before.
    """

    name: str = field(default_factory=partial(secrets.token_hex, 8))
    models: dict[str, ModelCounts] = field(default_factory=dict)


@dataclass(slots=True)
class _Asked:
    """What one model was asked: few rows, tables, and the answers by the decision of the model that they obeyed."""

    watch: Watch
    few: list[FewRows] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    answers: dict[int, tuple[ResolvedDecision | None, list[list[Prediction]]]] = field(default_factory=dict)


def _by_model(waiting: Iterable[Given]) -> Iterable[_Asked]:
    asked: dict[str, _Asked] = {}
    for watch, checked, predictions, decision, is_decided_by_caller in waiting:
        one = asked.get(watch.model_id)
        if one is None:
            one = asked[watch.model_id] = _Asked(watch)
        if isinstance(checked, FewRows):
            one.few.append(checked)
        else:
            one.tables.append(checked)
        if not is_decided_by_caller:
            one.answers.setdefault(id(decision), (decision, []))[1].append(predictions)
    return asked.values()
