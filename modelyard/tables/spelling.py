"""How numbers are written in texts: `1234.5`, `1.234,5`, `12.5%`.

Only the cells of a CSV are read so, because they have no types. A column is read in another spelling if that spelling
is the only one in which all its cells are numbers; `lookalikes` names the columns that remain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from modelyard.schemas.base import Decimal, Thousands

MINUS = "\u2212"
SIGN = rf"[+\-{MINUS}]?"
GROUPING: dict[Thousands, str] = {
    "": "",
    ".": r"\.",
    ",": ",",
    " ": "[ \u00a0\u2007\u2009\u202f]",
    "'": "['\u2019]",
}
"""What may stand for a thousands mark, as regular expressions."""

_WITH_COMMA: tuple[Thousands, ...] = ("", ".", " ", "'")
_LEADING_ZERO = r"^[+-]?0[0-9]"
_MAYBE_THOUSANDS = rf"^{SIGN}[1-9][0-9]{{0,2}}(?:,[0-9]{{3}})+ ?%?$"
_DOTTED_THOUSANDS = r"^[+-]?[1-9][0-9]{0,2}\.[0-9]{3}$"


@dataclass(frozen=True, slots=True)
class Spelling:
    """How the numbers of a column are written: the decimal mark, what parts thousands, whether `%` may end them.

    The sign may be U+2212. The thousands mark `" "` is any blank within a line, `"'"` the typographic one, too. A
    percent sign is dropped: `12.5%` is 12.5.
    """

    decimal: Decimal = "."
    thousands: Thousands = ""
    percent: bool = False

    def plain(self, text: str) -> str | None:
        """Return a text without outer blanks as Python writes the number; None if it is no number of this spelling."""
        if _pattern(self).fullmatch(text) is None:
            return None
        bare = re.sub(GROUPING[self.thousands], "", text.rstrip("% "))
        return bare.replace(",", ".").replace(MINUS, "-")

    def plain_texts(self, texts: pl.Series) -> pl.Series:
        """Return texts as `plain` does, null for a text that is no number of this spelling."""
        is_number = texts.str.contains(f"^(?:{_pattern(self).pattern})$").fill_null(value=False)
        found = texts.set(~is_number, None).str.strip_chars_end("% ")
        if self.thousands:
            found = found.str.replace_all(GROUPING[self.thousands], "")
        return found.str.replace(",", ".", literal=True).str.replace(MINUS, "-", literal=True)

    def example(self) -> str:
        """Return how the number 1234.5 is written."""
        return f"1{self.thousands}234{self.decimal}5{'%' if self.percent else ''}"


PLAIN = Spelling()


def told_spelling(decimal: Decimal | None, thousands: Thousands | None) -> Spelling | None:
    """Return the spelling that a caller tells by the marks; None if neither is given."""
    if decimal is None and thousands is None:
        return None
    return Spelling(decimal or ("," if thousands == "." else "."), thousands or "")


@lru_cache(maxsize=64)
def _pattern(spelling: Spelling) -> re.Pattern[str]:
    """Return what a number looks like, in the syntax that Python's and Rust's regular expressions share."""
    mark, grouping = re.escape(spelling.decimal), GROUPING[spelling.thousands]
    whole = rf"(?:[0-9]{{1,3}}(?:{grouping}[0-9]{{3}})+|[0-9]+)" if grouping else "[0-9]+"
    number = rf"(?:{whole}(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][+-]?[0-9]+)?"
    return re.compile(SIGN + number + (" ?%?" if spelling.percent else ""))


def spelling_of(texts: pl.Series, *, decimal_comma: bool = False) -> Spelling | None:
    """Return the one spelling in which all texts are numbers; None if there is none, or if several could be meant.

    `texts` are the distinct texts of a column, without outer blanks and missing markers. In `1,234` the comma may be
    a thousands mark; with `decimal_comma` other columns of the table have shown that it is a decimal mark.
    """
    if texts.is_empty() or holds_codes(texts):
        return None
    percent = bool(texts.str.ends_with("%").all())
    for spelling in (Spelling(percent=percent), *(Spelling(",", mark, percent) for mark in _WITH_COMMA)):
        if not spelling.plain_texts(texts).has_nulls():
            is_sure = spelling.decimal == "." or shows_decimal_comma(texts)
            return spelling if is_sure or (decimal_comma and not spelling.thousands) else None
    return None


def shows_decimal_comma(texts: pl.Series) -> bool:
    """Whether one of these numbers has a comma that cannot part thousands."""
    return bool((texts.str.contains(",", literal=True) & ~texts.str.contains(_MAYBE_THOUSANDS)).any())


def grouped_by_dots(texts: pl.Series) -> bool:
    """Whether some of these plain numbers have a dot, and all that do could be whole thousands: `1.500`."""
    dotted = texts.filter(texts.str.contains(".", literal=True))
    return not dotted.is_empty() and bool(dotted.str.contains(_DOTTED_THOUSANDS).all())


def holds_codes(texts: pl.Series) -> bool:
    """Whether numbers with leading zeros are codes: they have no decimal mark, or are more than one in ten.

    A single `007.5` among numbers is a number.
    """
    zeros = texts.filter(texts.str.contains(_LEADING_ZERO))
    others = len(texts) - len(zeros)
    few = others > 1 and (len(zeros) == 1 or 9 * len(zeros) <= others)
    return not zeros.is_empty() and not (few and bool(zeros.str.contains("[.,]").all()))
