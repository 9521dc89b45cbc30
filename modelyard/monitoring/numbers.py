"""Numbers that the workers of a server count, each in its own part of memory that all of them see.

Whoever is asked sums over all parts, so one answer tells of all workers. A worker that takes the place of another goes
on with its part: no count is lost with a process, not even one that was killed. What the numbers mean is not known
here.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

log = logging.getLogger(__name__)

PART_BYTES = 2 << 20
"""Memory is taken of it as far as it is used."""

_WORD = 8
_USED, _PID, _FIRST = 0, 1, 2
"""A part begins with how many of its words are used and whose it is; records follow.

A record is the length of its key and how many numbers it has, its key as JSON that blanks fill up, and its numbers.
"""

_MOST_NUMBERS = 64

Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Which part is a process's own, in memory that a descriptor leads to."""

    descriptor: int
    part: int


def shared_memory(parts: int) -> int:
    """Make memory for so many processes; return its descriptor, which they inherit."""
    size = parts * PART_BYTES
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("modelyard-numbers")
        os.truncate(descriptor, size)
        return descriptor
    with tempfile.TemporaryFile() as file:
        file.write(bytes(size))  # a file with holes kills whoever writes into one while the disk is full
        file.flush()
        return os.dup(file.fileno())


class Part:
    """The numbers of one process, as everybody may read them."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self._words = memory.cast("q")
        self.values = memory.cast("d")

    @property
    def pid(self) -> int | None:
        """The process whose part it is; None if there is none, or it is dead."""
        pid = self._words[_PID]
        if not pid:
            return None
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return pid

    def places(self) -> Iterator[tuple[Key, int, int]]:
        """Yield the key of each record, where its numbers begin among `values`, and how many they are."""
        at, used = _FIRST, self._words[_USED]
        while at < used:
            length, count = self._words[at], self._words[at + 1]
            begin = at + 2
            text = self._memory[begin * _WORD : (begin + length) * _WORD]
            yield tuple(json.loads(bytes(text))), begin + length, count
            at = begin + length + count


class Numbers(Part):
    """This process's own part, and by `parts` those of all workers. Without a `place` it is the only one.

    Only one thread at a time may make a place or change a number.
    """

    def __init__(self, place: Place | None = None) -> None:
        if place is None:
            self._shared = mmap.mmap(-1, PART_BYTES)
        else:
            self._shared = mmap.mmap(place.descriptor, os.fstat(place.descriptor).st_size)
        whole = memoryview(self._shared)
        self.parts = [Part(whole[at : at + PART_BYTES]) for at in range(0, len(whole), PART_BYTES)]
        own = 0 if place is None else place.part
        super().__init__(whole[own * PART_BYTES : (own + 1) * PART_BYTES])
        self._words[_USED] = max(_FIRST, self._words[_USED])
        self._words[_PID] = os.getpid()
        self._known = {key: at for key, at, _ in self.places()}
        self._lost: int | None = None

    def at(self, key: Key, count: int = 1) -> int:
        """Return where the numbers of a key begin among `values`; a new key gets `count` numbers, all 0."""
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._new(key, count)
        return found

    def _new(self, key: Key, count: int) -> int:
        text = json.dumps(key).encode()
        length = -(-len(text) // _WORD)
        at = self._words[_USED]
        end = at + 2 + length + count
        if end + _MOST_NUMBERS > len(self._words):
            return self._place_for_lost()
        begin = (at + 2) * _WORD
        self._memory[begin : begin + length * _WORD] = text.ljust(length * _WORD)
        self._words[at], self._words[at + 1] = length, count
        self._words[_USED] = end  # last: whoever reads meanwhile sees all of it or nothing
        return at + 2 + length

    def _place_for_lost(self) -> int:
        """Return a place that nobody reads: counting must go on."""
        if self._lost is None:
            self._lost = len(self._words) - _MOST_NUMBERS
            log.warning("the memory for metrics is full: new ones are not shown")
        return self._lost
