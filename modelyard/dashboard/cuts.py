"""What each threshold would do with the rows held out, in rows and in money.

All of it is arithmetic on the points of a decision's curve: with the share of rows that are of the class, precision and
share give the four counts of a threshold. The points themselves are the core's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelyard.schemas import DecisionReport


@dataclass(frozen=True, slots=True)
class Money:
    """What a row brings, by what it was called and what it is; costs are negative.

    `hit` is called the class and is of it, `alarm` is called it and is not, `miss` is of it and not called so, `rest`
    is neither.
    """

    hit: float = 0.0
    alarm: float = -1.0
    miss: float = -1.0
    rest: float = 0.0


@dataclass(frozen=True, slots=True)
class Cut:
    """A threshold and how many rows (or how much of their weight) are hits, alarms, misses and neither."""

    threshold: float
    hit: float
    alarm: float
    miss: float
    rest: float

    @property
    def rows(self) -> float:
        """All rows."""
        return self.hit + self.alarm + self.miss + self.rest

    @property
    def share(self) -> float:
        """The part of the rows that is called the class."""
        return (self.hit + self.alarm) / self.rows

    @property
    def precision(self) -> float | None:
        """The part of what is called the class that is of it; None if nothing is called so."""
        return self.hit / called if (called := self.hit + self.alarm) else None

    @property
    def recall(self) -> float | None:
        """The part of the class that is called so; None if no row is of it."""
        return self.hit / own if (own := self.hit + self.miss) else None

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 0 if nothing is found."""
        return 2 * self.hit / (2 * self.hit + self.alarm + self.miss) if self.hit else 0.0

    @property
    def lift(self) -> float | None:
        """How many times as frequent the class is among the rows called so as among all; None if either has none."""
        own = (self.hit + self.miss) / self.rows
        return self.precision / own if self.precision is not None and own else None

    def profit(self, money: Money) -> float:
        """Return what a row brings on average."""
        won = self.hit * money.hit + self.alarm * money.alarm + self.miss * money.miss + self.rest * money.rest
        return won / self.rows


def cuts_of(found: DecisionReport) -> list[Cut]:
    """Return the cuts of a curve, by rising threshold; none if the model keeps no validation predictions."""
    if not found.curve or not found.n_rows:
        return []
    of_class = found.curve[0].precision or 0.0  # the first threshold is 0, which every row reaches
    cuts = []
    for point in found.curve:
        hit = (point.precision or 0.0) * point.share
        cuts.append(
            Cut(
                point.threshold,
                hit=hit * found.n_rows,
                alarm=(point.share - hit) * found.n_rows,
                miss=max(of_class - hit, 0.0) * found.n_rows,
                rest=max(1 - of_class - point.share + hit, 0.0) * found.n_rows,
            )
        )
    return cuts


def nearest(cuts: Sequence[Cut], threshold: float) -> Cut:
    """Return the cut whose threshold is nearest."""
    return min(cuts, key=lambda cut: abs(cut.threshold - threshold))


def found_in(cuts: Sequence[Cut], share: float) -> float | None:
    """Return the part of the class that the most probable rows of this share hold; None if no row is of the class.

    Between two cuts it goes along the straight line, as the rows between them do if they come in any order.
    """
    found = [cut.recall for cut in reversed(cuts) if cut.recall is not None]
    shares = [cut.share for cut in reversed(cuts)]
    return float(np.interp(share, [0.0, *shares], [0.0, *found])) if found else None


def best_f1(cuts: Sequence[Cut]) -> Cut:
    """Return the cut of the highest F1, of equals the one of the lowest threshold."""
    return max(cuts, key=lambda cut: cut.f1)


def best_profit(cuts: Sequence[Cut], money: Money) -> Cut:
    """Return the cut that brings most, of equals the nearest to 0.5."""
    return max(cuts, key=lambda cut: (cut.profit(money), -abs(cut.threshold - 0.5)))
