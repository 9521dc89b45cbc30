"""The protocol of the audit's engine: one stream whose entries stand in one order for all processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple, Protocol

from modelyard.errors import DataLoss
from modelyard.storage.protocols import Appended


class LedgerEnd(NamedTuple):
    """The end of a ledger, or of an earlier part of it: a file, and how many lines and bytes of it count."""

    file: str
    lines: int
    bytes: int


class Ledger(Protocol):
    """One stream whose entries stand in one order for all processes: they write in turn, under the writers' lock.

    Where it ends is remembered by those who use it, in the documents: an entry counts if the transaction was committed
    that knows of it, and what stands behind the end did not happen. Every use raises Unavailable if the system refuses.
    """

    def append(
        self, end: LedgerEnd | None, number: int, at: datetime, entries: Sequence[Mapping[str, Any]]
    ) -> LedgerEnd:
        """Add entries behind the end (None: there are none yet), down to the disk; cut off what stands there.

        `number` is that of the first entry; `at` must not go back. Call it within a transaction.
        """

    def take(self, appended: Iterable[Appended]) -> LedgerEnd | None:
        """Put what was appended elsewhere in the place of all entries; return the end behind it, None if it is nothing.

        Call it within a transaction.
        """

    def forwards(self) -> Iterator[Sequence[dict[str, Any]] | DataLoss]:
        """Iterate all entries as they were appended; in the place of what is damaged its error.

        What has not happened is among them, until a writer cuts it off.
        """

    def backwards(
        self, end: LedgerEnd, holding: Sequence[bytes] = ()
    ) -> Iterator[tuple[LedgerEnd, Sequence[dict[str, Any]]]]:
        """Iterate what was appended up to an end, the last first, each with the end behind it. Raises DataLoss.

        What does not hold all of these pieces of JSON in its text is not read: its entries are left out.
        """

    def last(self) -> LedgerEnd | None:
        """Return an end behind all entries, counted or not, from which to go on; None if there are none."""

    def first_since(self, day: date) -> int | None:
        """Return the number of the first entry of a day or of later ones; None if there are none of earlier days."""

    def drop(self, before: int) -> None:
        """Remove the files whose first entries have numbers below this one, which `first_since` has returned."""
