"""The texts that mean a missing cell: the configured markers, and those of other programs.

Among numbers `None`, `-` or `#DIV/0!` can only mean a missing cell. Among texts they may be real categories, so there
only texts are added that no person writes as a category. Labels know the configured markers alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product

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


@dataclass(frozen=True)
class Markers:
    """The texts (without outer blanks) and the numbers that mean a missing cell."""

    texts: frozenset[str]
    numbers: frozenset[float] = frozenset()

    def __contains__(self, text: str) -> bool:
        return text in self.texts

    @cached_property
    def series(self) -> pl.Series:
        """The texts as one value for polars' `is_in`."""
        return pl.Series(sorted(self.texts), dtype=pl.String).implode()


def label_markers(given: Iterable[str]) -> Markers:
    """Return the markers of labels, and of every column in contracts of format 1: the configured ones alone."""
    return Markers(frozenset(marker.strip(BLANKS) for marker in given))


@lru_cache(maxsize=64)
def column_markers(given: tuple[str, ...], *, among_numbers: bool) -> Markers:
    """Return the markers of a column, by whether its other cells are numbers."""
    configured = label_markers(given).texts
    others = map(_in_any_case, _AMONG_NUMBERS if among_numbers else _AMONG_TEXTS)
    numbers = frozenset(value for value in map(_number, configured) if value is not None)
    return Markers(configured.union(*others), numbers)


def _in_any_case(marker: str) -> set[str]:
    """Return the up to 128 ways to write a marker: to list them takes less than to fold the case of every cell."""
    return set(map("".join, product(*({char, char.upper()} for char in marker))))


def _number(marker: str) -> float | None:
    try:
        value = float(marker)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
