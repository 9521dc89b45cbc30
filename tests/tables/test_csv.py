"""CSV says the same as to Python's csv module in strict mode, however its quotes, delimiters and line ends fall."""

from __future__ import annotations

import csv
import io
import itertools
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Literal

import pytest
from hypothesis import settings

from modelyard.errors import InvalidTable
from modelyard.tables.missing import BLANKS
from modelyard.tables.sources import csv_records, csv_start, csv_text

Rows = list[tuple[str, ...]]

TEXTS = 200 * settings().max_examples
HEADERS = [
    "a,b",
    "a,b",
    "a",
    '"a","b"',
    "a;b;c",
    "\n\r\na,b",
    '"a\nx",b',
    "a\tb",
    " a , b ",
    "a,b,",
    ",a,,b",
    ",\n,,a,",
]
PIECES = ['"', '"', '"', '""', '"x"', ",", ",", ";", "\t", "\n", "\r\n", "\r", " ", "x", "1", "\\", "é", "\ufeff", "\0"]
PLAIN_CELLS = ["x", "1", "", " ", "\\", "é", "\ufeff"]
CELLS = ["x", "1", "", " ", 'a "b" c', '"', "a,b", "a\nb", "a\r\nb", "a\rb", "\\", "é", 'size \\"', "\ufeff"]
ENDS = ["\n", "\n", "\r\n", "\r\n", "\r"]


def as_the_csv_module_reads(text: str) -> Rows | None:
    """Return the rows without the cells' outer blanks; None if strict reading, the header or its width refuses them.

    Columns without a name hold nothing or are the first, and rows of nothing but delimiters are none.
    """
    text = re.sub(r"\A(?:[,;\t| ]*(?:\r\n?|\n))+", "", text)
    delimiter = csv_start.find_delimiter(text)
    try:
        header, *records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except csv.Error:
        return None
    names = [name.strip(BLANKS) for name in header]
    named = [place for place, name in enumerate(names) if name]
    if not named or len({*names} - {""}) < len(named):
        return None
    blanks = [len(record) <= 1 and not "".join(record).strip(BLANKS) for record in records]
    if len(header) == 1:
        records = [[""] if blank else record for record, blank in zip(records, blanks, strict=True)]
    else:
        records = [record for record, blank in zip(records, blanks, strict=True) if any(record) and not blank]
    if any(len(record) <= named[-1] for record in records):
        return None
    holding = {place for record in records for place, cell in enumerate(record) if cell.strip(BLANKS)}
    if any(place > named[0] for place in holding.difference(named)):
        return None
    return [tuple(record[place].strip(BLANKS) for place in named) for record in records]


def as_we_read(text: str) -> Rows | None:
    try:
        frame = csv_text.read_csv(text.encode()).frame
    except InvalidTable:
        return None
    return [tuple((cell or "").strip(BLANKS) for cell in row) for row in frame.rows()]


def pieces_of_csv(chance: random.Random) -> str:
    """Return a text of which anything may be wrong."""
    body = "".join(chance.choices(PIECES, k=chance.randrange(16)))
    return chance.choice(HEADERS) + chance.choice(ENDS) + body


def nearly_csv(chance: random.Random) -> str:
    """Return a text as a program writes it, in which a few characters may be lost or new."""
    out = io.StringIO()
    quoting: Literal[0, 1] = chance.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL])
    writer = csv.writer(out, lineterminator=chance.choice(ENDS), quoting=quoting)
    width, cells = chance.randrange(1, 4), chance.choice([CELLS, PLAIN_CELLS])
    writer.writerow("abc"[:width])
    writer.writerows(chance.choices(cells, k=width) for _ in range(chance.randrange(5)))
    text = out.getvalue()
    for _ in range(chance.choice([0, 0, 1, 2])):
        at = chance.randrange(4, len(text) + 1) if len(text) > 4 else len(text)
        text = text[:at] + chance.choice(PIECES) * chance.randrange(2) + text[at + chance.randrange(2) :]
    return text


def shortest(text: str, is_wrong: Callable[[str], bool]) -> str:
    """Leave out of a text whatever is not needed for it to be wrong."""
    for at in reversed(range(len(text))):
        shorter = text[:at] + text[at + 1 :]
        if shorter.strip(BLANKS) and is_wrong(shorter):
            text = shorter
    return text


WELL_QUOTED = re.compile(r"(?:{0}[,\n])*{0}".format(r'(?:"(?:[^"]|"")*"|[^",\n]*)'))


def test_polars_reads_only_what_is_well_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """All texts of up to seven quotes, delimiters, line ends and letters."""
    monkeypatch.setattr(csv_text, "_BLOCK_BYTES", 3)
    for length in range(8):
        for text in map("".join, itertools.product('",\nx', repeat=length)):
            well_quoted = WELL_QUOTED.fullmatch(text) is not None
            assert csv_text._is_well_quoted(text.encode(), ",") is well_quoted, repr(text)


def test_a_large_text_is_read_as_strict_csv_in_every_piece_of_it() -> None:
    """Polars divides it among its threads."""
    chance = random.Random("pieces")
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(["a", "b"])
    cells = ["plain", "", 'a "b"', "a,b", "a\nb\n", "\r\n", '"', "é" * 300]
    writer.writerows(chance.choices(cells, k=2) for _ in range(40_000))
    text = out.getvalue()
    assert as_we_read(text) == as_the_csv_module_reads(text)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ('1,"size \\""\n2,b\n3,"size \\""\n', "row 0 (lines 4 to 6): a quoted cell goes on after its closing quote"),
        ('0,x\n1,"5" pipe"\n2,b\n3,"5" pipe"\n', "row 1 (line 5): a quoted cell goes on after its closing quote"),
        ('0,x\n\n1,"a \\" c"\n2,b\n3,"a \\" c"\n', "row 1 (line 6): a quoted cell goes on after its closing quote"),
        ('1,"x"\r2,"y" \r', "row 1 (line 5): a quoted cell goes on after its closing quote"),
        ('"a\nb",x\n1,"2\n3,4\n', "row 1 (lines 6 to 7): a quoted cell has no closing quote"),
    ],
)
def test_quotes_in_disorder_are_named_by_row_and_line(body: str, detail: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        csv_text.read_csv(f"\n\na,b\n{body}".encode())
    assert caught.value.detail.startswith(f"the CSV cannot be read at {detail}")


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_records, "_LONGEST_CELL", 1000)
    with pytest.raises(InvalidTable, match=r"at row 0 \(lines 2 to 252\): a cell has more than 1,000 characters"):
        csv_text.read_csv(b'a,b\n1,"2\n' + b"x,y\n" * 1000)


def test_a_record_of_wrong_width_is_named_by_all_its_lines() -> None:
    with pytest.raises(InvalidTable, match=r"^row 1 \(lines 5 to 6\) has 1 cell, the header has 2$"):
        csv_text.read_csv(b'\n"a\n ",b\n1,2\n"x\ny"\n')


def test_a_quote_within_an_unquoted_cell_is_text() -> None:
    frame, *_ = csv_text.read_csv(b'n,what\n1,5" pipe\n2,"6"" pipe"\n3,"a, ""b"""\n')
    assert frame.rows() == [("1", '5" pipe'), ("2", '6" pipe'), ("3", 'a, "b"')]


def test_whatever_is_accepted_has_the_cells_that_strict_csv_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seeded generator, because it makes many more texts in the same time than a search with shrinking does."""
    monkeypatch.setattr(csv_text, "_BLOCK_BYTES", 7)  # so that quotes lie in different blocks
    chance = random.Random("quotes")

    def is_wrong(text: str) -> bool:
        return as_we_read(text) != as_the_csv_module_reads(text)

    seen: Counter[str] = Counter()
    for number in range(TEXTS):
        text = (nearly_csv if number % 2 else pieces_of_csv)(chance)
        expected = as_the_csv_module_reads(text)
        if as_we_read(text) != expected:
            text = shortest(text, is_wrong)
            assert as_we_read(text) == as_the_csv_module_reads(text), repr(text)
        kind = "plain" if '"' not in text else "quoted"
        seen["refused" if expected is None else kind if expected else "without rows"] += 1
    assert min(seen[kind] for kind in ("refused", "plain", "quoted")) > TEXTS // 10, seen
