"""The audit held against itself: whether all entries are there, unchanged, in order, and signed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from modelyard.access.audit import START, Fields, Link, is_known, is_whole
from modelyard.access.signing import SigningKeys

PRUNE, REPAIR, SIGN = "prune_audit", "repair", "sign_audit"
"""The verbs of entries that speak of others: of those pruned, found wrong by a repair, accepted without signatures."""

ENTRIES = "entries"
"""In what such an entry says: the numbers that it speaks of, such as `7` or `7-9, 12`."""

NO_KEY = "signed, and no key is there to check it"
NOT_SIGNED = "not signed by a key of the yard; see `modelyard audit sign`"
LOST = "the database does not know of it: it has lost transactions"

_MOST_FLAWS = 1000


@dataclass(frozen=True, slots=True)
class Flaw:
    """Entries from `first` to `last` that are missing or not what was written, and what is wrong with the first."""

    first: int
    last: int
    problem: str

    @property
    def numbers(self) -> str:
        """The entries' numbers, such as `7` or `7-9`."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def __str__(self) -> str:
        return f"audit entr{'y' if self.first == self.last else 'ies'} {self.numbers}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found: the chain from entry `first` to `end`, and how many of its entries are signed.

    `flaws` are what is wrong, the first one first; `noted` is what a repair has written down already.
    """

    first: int
    end: Link
    signed: int
    flaws: list[Flaw]
    noted: list[Flaw]

    @property
    def entries(self) -> int:
        """How many entries there should be."""
        return self.end.number - self.first + 1


class Verification:
    """Takes the entries of an audit in order, then says what is wrong with them. `end` is what the yard knows of it."""

    def __init__(self, end: Link | None, signer: SigningKeys | None) -> None:
        self._end = end or START
        self._signer = signer
        self._first, self._first_damage = 0, ""
        self._last: Link | None = None
        self._signed = 0
        self._flaws: list[Flaw] = []
        self._unsigned: list[tuple[int, int]] = []
        self._statements: list[tuple[Fields, bool]] = []
        self._beyond: deque[Fields] = deque(maxlen=2)
        self._damage = ""

    def take(self, entry: Fields) -> None:
        """Take the next entry."""
        number = entry["number"]
        if number > self._end.number:
            if not self._beyond or self._beyond[-1]["transaction"] != entry["transaction"]:
                self._beyond.append(entry)
            return
        last = self._last
        if last is None:
            self._first, self._first_damage = number, self._damage
        elif number <= last.number:
            self._add(number, number, f"it stands behind entry {last.number}")
            return
        elif number > last.number + 1:
            self._add(last.number + 1, number - 1, self._damage or "missing")
        elif entry["previous"] != last.hash:
            self._add(number, number, "it does not follow from the entry before it")
        self._damage = ""
        self._last = Link(number, entry["hash"])
        self._check_seal(entry)

    def take_damage(self, problem: str) -> None:
        """Take note that the next entries cannot be read."""
        self._damage = problem

    def result(self, now: Callable[[], Link | None]) -> Verified:
        """Say what was found in all that was taken. `now` returns the end that the yard knows of after it was read."""
        accepted = max((last for statement in self._said(SIGN, 0) for _, last in statement), default=0)
        pruned = max((last for statement in self._said(PRUNE, accepted) for _, last in statement), default=0)
        noted = [numbers for statement in self._said(REPAIR, accepted) for numbers in statement]
        self._check_ends(pruned)
        self._check_beyond(now)
        for first, last in self._unsigned:
            if last > accepted:
                self._add(max(first, accepted + 1), last, NOT_SIGNED)
        flaws = sorted(self._flaws, key=lambda flaw: flaw.first)
        told = [flaw for flaw in flaws if any(first <= flaw.first and flaw.last <= last for first, last in noted)]
        first = min([self._first, *(flaw.first for flaw in flaws)]) if self._end.number else 1
        return Verified(first, self._end, self._signed, [flaw for flaw in flaws if flaw not in told], told)

    def _check_ends(self, pruned: int) -> None:
        last, end = self._last or START, self._end
        if last.number < end.number:
            self._add(last.number + 1, end.number, self._damage or "missing at the end")
        elif last.hash != end.hash:
            self._add(end.number, end.number, "the database knows another one")
        if self._first > pruned + 1:
            self._add(pruned + 1, self._first - 1, self._first_damage or "missing at the beginning")

    def _check_beyond(self, now: Callable[[], Link | None]) -> None:
        """Find entries of several transactions that the database does not know; of one alone the commit has failed."""
        if len(self._beyond) == 2:
            known = (now() or START).number
            first, last = self._beyond[0]["number"], self._beyond[-1]["number"]
            if first > known:
                self._add(first, last, LOST)

    def _check_seal(self, entry: Fields) -> None:
        number, known = entry["number"], is_known(entry, self._signer)
        if known is None:
            self._add(number, number, NO_KEY)
            return
        if not is_whole(entry, self._signer):
            self._add(number, number, "changed")
            return
        self._signed += self._signer is not None and known
        if not known:
            self._add_unsigned(number)
        if entry["verb"] in (PRUNE, REPAIR, SIGN) and ENTRIES in entry["what"]:
            self._statements.append((entry, known))

    def _add_unsigned(self, number: int) -> None:
        if self._unsigned and self._unsigned[-1][1] == number - 1:
            self._unsigned[-1] = (self._unsigned[-1][0], number)
        else:
            self._unsigned.append((number, number))

    def _said(self, verb: str, accepted: int) -> Iterator[list[tuple[int, int]]]:
        """Yield the numbers that each entry of a verb names, if its word counts: signed, or accepted unsigned."""
        for entry, known in self._statements:
            if entry["verb"] == verb and (known or entry["number"] <= accepted):
                parts = [part.partition("-") for part in entry["what"][ENTRIES].split(", ")]
                yield [(int(first), int(last or first)) for first, _, last in parts]

    def _add(self, first: int, last: int, problem: str) -> None:
        """Add a flaw, or let the last one grow if it is alike."""
        if self._flaws and (before := self._flaws[-1]).problem == problem and before.last == first - 1:
            self._flaws[-1] = Flaw(before.first, last, problem)
        elif len(self._flaws) < _MOST_FLAWS:
            self._flaws.append(Flaw(first, last, problem))
