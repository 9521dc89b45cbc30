"""Texts that look like numbers or dates in some spelling, in columns taken for categories: named, never guessed."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import polars as pl

from modelyard.tables.moments import moments_in
from modelyard.tables.spelling import MINUS, SIGN

_SAMPLE = 500
_MOST_TEXTS = 5_000
"""Of a column of more distinct texts, the most frequent ones are looked at."""

_NUMBER = r"(?:[0-9]{1,3}(?:[., \u00a0\u2007\u2009\u202f'\u2019][0-9]{3})+|[0-9]+)(?:[.,][0-9]+)?"
_CODES = "USD EUR GBP JPY CHF CNY RUB INR SEK NOK DKK PLN CZK HUF RON BGN TRY UAH KZT KRW BRL MXN CAD AUD NZD ZAR ILS"
_CURRENCY = rf"(?:[$\u00a2-\u00a5\u20a0-\u20bf]|{'|'.join(_CODES.split())}|[Kk]r\.?|z\u0142|R\$)"
_PLAIN = re.compile(r"[+-]?(?:(?!0[0-9])[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ZEROS = "leading zeros"
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (_ZEROS, rf"{SIGN}0[0-9]+(?:[.,][0-9]+)?"),
        ("percent signs", rf"{SIGN}{_NUMBER}\s?%"),
        ("parentheses, which may mean minus", rf"\(\s?{_NUMBER}\s?\)"),
        ("a currency", rf"{SIGN}{_CURRENCY}\s?{SIGN}{_NUMBER}|{SIGN}{_NUMBER}\s?{_CURRENCY}"),
        ("the minus sign U+2212", rf"{MINUS}{_NUMBER}"),
        ("a thousands mark", rf"{SIGN}[0-9]{{1,3}}(?:[., \u00a0\u2007\u2009\u202f'\u2019][0-9]{{3}})+(?:[.,][0-9]+)?"),
        ("a decimal comma", rf"{SIGN}[0-9]*,[0-9]+"),
    )
)
"""How a number may be written that is none of Python's, the narrower kinds before the wider ones."""

_UNIT = re.compile(rf"{SIGN}{_NUMBER}\s?((?:[^\W\d_]|[°/²³]){{1,6}})")

_DATE = r"^(?:[0-9]{4}[-./][0-9]{1,2}[-./][0-9]{1,2}|[0-9]{1,2}[-./][0-9]{1,2}[-./][0-9]{2,4})(?:$|[T ,])"


@dataclass(frozen=True, slots=True)
class Lookalike:
    """How numbers of a column of texts are written: the most frequent kind in words, and its first row."""

    kind: str
    row: int


def may_hold_numbers(column: pl.Series) -> bool:
    """Whether at least a quarter of a sample of a column's texts has a digit: `lookalike` finds nothing otherwise."""
    sample = _sample(column)
    return int(sample.str.contains("[0-9]").sum()) * 4 > len(sample) - sample.null_count()


def lookalike(column: pl.Series) -> Lookalike | None:
    """Say how a column's numbers are written if most of its texts are numbers, and some in another spelling.

    `column` has texts without outer blanks, null if missing. Whole numbers of one width, some with leading zeros,
    are codes and not meant.
    """
    counted = column.drop_nulls().alias("text").value_counts(sort=True).head(_MOST_TEXTS)
    counts: dict[str, int] = dict(counted.iter_rows())
    unit = _unit(counts)
    kinds = {text: kind for text in counts if (kind := _kind(text, unit))}
    shares: Counter[str] = Counter()
    for text, kind in kinds.items():
        shares[kind] += counts[text]
    most = 2 * shares.total() > sum(counts.values())
    del shares["plain"]
    if not most or not shares or (set(shares) == {_ZEROS} and len(set(map(len, kinds))) == 1):
        return None
    kind = max(shares, key=lambda kind: shares[kind])
    rows = (column.is_in([text for text, found in kinds.items() if found == kind])).arg_true()
    return Lookalike(kind, int(rows[0]))


def odd_date(column: pl.Series) -> int | None:
    """Return the first row that tells no moment if most texts look like dates, however written; None if they do not.

    `column` has texts without outer blanks, null if missing.
    """
    sample = _sample(column).drop_nulls()
    if int(sample.str.contains(_DATE).sum()) * 2 <= len(sample):
        return None
    odd = (moments_in(column).is_null() & column.is_not_null()).arg_true()
    return None if odd.is_empty() else int(odd[0])


def _sample(column: pl.Series) -> pl.Series:
    return column.gather_every(max(1, len(column) // _SAMPLE))


def _kind(text: str, unit: str | None) -> str | None:
    if _PLAIN.fullmatch(text):
        return "plain"
    found = next((kind for kind, pattern in _KINDS if pattern.fullmatch(text)), None)
    if found is None and unit is not None and (match := _UNIT.fullmatch(text)) and match[1] == unit:
        return f"the unit {unit!r}"
    return found


def _unit(counts: dict[str, int]) -> str | None:
    """Return the unit that most texts end in; house numbers such as `12b` have no such one."""
    units: Counter[str] = Counter()
    for text, count in counts.items():
        if match := _UNIT.fullmatch(text):
            units[match[1]] += count
    unit, count = units.most_common(1)[0] if units else ("", 0)
    return unit if 2 * count > sum(counts.values()) else None
