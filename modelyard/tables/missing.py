"""Which texts mean a missing cell: the configured markers, and what other programs write.

Among numbers nothing but a missing cell can be meant by `None`, `-` or `#DIV/0!`; among texts those are real
categories, so there only what no person writes as one is added. Labels know the configured markers alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

BLANKS = " \t\r\n"

_AMONG_TEXTS = frozenset({"#n/a", "\\n", "null"})
"""Excel's, MySQL's and SQL's; without regard to case."""

_AMONG_NUMBERS = _AMONG_TEXTS | {
    *("na", "n/a", "nan", "-nan", "<na>", "nat", "none"),  # pandas, numpy, R, Python
    *("#n/a n/a", "#na", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),  # pandas' list of what others write
    *("#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!"),  # Excel's errors
    *("(null)", "nil", "missing", "n.a.", "-", "--", "\u2013", "\u2014", ".", "?", ""),  # SQL clients, SAS, people
}


@dataclass(frozen=True, slots=True)
class Markers:
    """The texts that mean a missing cell, outer blanks aside.

    `exact` are matched as they are, `folded` (in lower case) without regard to case, and `numbers` are markers written
    as numbers, which number cells may equal, too.
    """

    exact: frozenset[str]
    folded: frozenset[str] = frozenset()
    numbers: frozenset[float] = frozenset()

    def __contains__(self, text: str) -> bool:
        return text in self.exact or (bool(self.folded) and text.lower() in self.folded)

    def expr(self, stripped: pl.Expr) -> pl.Expr:
        """Return the expression that is true if a text without outer blanks is a marker."""
        found = stripped.is_in(sorted(self.exact))
        return found | stripped.str.to_lowercase().is_in(sorted(self.folded)) if self.folded else found

    def mask(self, stripped: pl.Series) -> pl.Series:
        """Return which of some texts without outer blanks are markers; null stays null."""
        return stripped.to_frame().select(self.expr(pl.nth(0))).to_series()


def label_markers(given: Iterable[str]) -> Markers:
    """Return the markers of labels, and of every column in contracts of format 1: the configured ones alone."""
    return Markers(frozenset(marker.strip(BLANKS) for marker in given))


@lru_cache(maxsize=64)
def column_markers(given: tuple[str, ...], *, among_numbers: bool) -> Markers:
    """Return the markers of a column, by whether its other cells are numbers."""
    exact = label_markers(given).exact
    numbers = frozenset(value for value in map(_number, exact) if value is not None)
    return Markers(exact, _AMONG_NUMBERS if among_numbers else _AMONG_TEXTS, numbers)


def _number(marker: str) -> float | None:
    try:
        value = float(marker)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
