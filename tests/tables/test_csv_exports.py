"""CSV as other programs export it: read if only one thing can be meant, else refused with a way out."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import InvalidTable
from modelyard.settings import DEFAULT_MISSING_MARKERS
from modelyard.tables import Reader, ReadingOptions, TrainingTable, read_file, read_training
from modelyard.tables.sources import csv_text

PLAIN = "a,b,y\n1,x,0\n2,,1\n"
ROWS = [("1", "x", "0"), ("2", None, "1")]


def train(X: Any, target: str = "y") -> TrainingTable:
    options = ReadingOptions(DEFAULT_MISSING_MARKERS)
    return read_training(X, None, target=target, feature_types=None, feature_names=None, options=options)


def written(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(content)
    return path


EXPORTS = {
    "trailing delimiters": "a,b,y,\n1,x,0,\n2,,1,\n",
    "trailing delimiters in the header alone": "a,b,y,,\n1,x,0\n2,,1\n",
    "trailing delimiters in the rows alone": "a,b,y\n1,x,0,\n2,,1,\n",
    "trailing delimiters in some rows": "a,b,y\n1,x,0,,\n2,,1\n",
    "trailing blanks": "a,b,y,\n1,x,0, \n2,,1,\n",
    "empty columns": ",a,,b,,y,\n,1,,x,,0,\n,2,,,,1,\n",
    "empty columns of quotes": '"","a","b","y"\n"","1","x","0"\n"","2","","1"\n',
    "sep": "sep=,\na,b,y\n1,x,0\n2,,1\n",
    "sep, another mark": 'sep=^\r\na^b^y\r\n1^x^0\r\n2^""^1\r\n',
    "sep, a blank": "sep= \na b y\n1 x 0\n2  1\n",
    "sep, quoted": '"sep=;"\n\na;b;y\n1;x;0\n2;;1\n',
    "sep, against the look": "sep=;\na;b;y\n1;x;0\n2;;1\n",
    "empty rows before": ",,\n\n,,\na,b,y\n1,x,0\n2,,1\n",
}


@pytest.mark.parametrize("what", EXPORTS)
def test_what_can_mean_one_thing_only_is_read(what: str, tmp_path: Path) -> None:
    path = written(tmp_path, EXPORTS[what])
    frame = read_file(path)
    assert frame.columns == ["a", "b", "y"]
    assert frame.rows() == ROWS
    table, expected = train(path), train(written(tmp_path, PLAIN))
    assert (table.contract, table.warnings) == (expected.contract, ())
    assert table.frame.equals(expected.frame)
    read = Reader(expected.contract).read_table(written(tmp_path, EXPORTS[what]))
    assert read.frame.equals(expected.frame)
    assert [warning.code for warning in read.warnings] == ["extra_columns"]


def test_a_delimiter_that_is_told_wins_over_the_one_that_is_found(tmp_path: Path) -> None:
    assert read_file(written(tmp_path, "sep=,\na,b;c\n1,2;3\n")).rows() == [("1", "2;3")]


@pytest.mark.parametrize("exact", [False, True], ids=["by polars", "by the csv module"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_of_nothing_but_delimiters_are_skipped_and_counted(exact: bool, end: str, tmp_path: Path) -> None:
    lines = ["a,b,y", "1,x,0", ",,", "", "2,,1", ",,,,", '"",,', "  "]
    text = end.join([*lines, 'q,5" z,1'] if exact else lines)
    path = written(tmp_path, text)
    table = train(path)
    assert table.frame.height == 3 if exact else 2
    (warning,) = (found for found in table.warnings if found.code == "blank_rows")
    assert (warning.count, warning.message) == (
        3,
        "3 rows hold nothing but delimiters and counted as blank lines, which are skipped",
    )
    found = Reader(table.contract).read_table(path)
    assert found.frame.equals(table.frame)
    assert [(warning.code, warning.count) for warning in found.warnings] == [("blank_rows", 3), ("extra_columns", 1)]


def test_rows_are_counted_without_blank_ones_in_errors(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match=r"^row 1 \(line 5\) has 1 cell, the header has 2$"):
        read_file(written(tmp_path, "a,b\n1,2\n,\n\n3\n"))
    with pytest.raises(InvalidTable, match=r"^row 0 \(line 2\) has 4 cells, the header has 3$"):
        read_file(written(tmp_path, "a,b,\n1,2,,3\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "a,b,\n1,2,\n1,2,3\n",
            "CSV header: the name of column 2 must be text that is not empty, because the column has",
        ),
        (
            "a,,b\n1,,2\n1,2,3\n",
            "CSV header: the name of column 1 must be text that is not empty, because the column has",
        ),
        ("a,b\n1,2,\n1,2,3\n", "row 1 (line 3) has 3 cells, the header has 2"),
        (",,\n", "the CSV has no header: no column has a name"),
        ("sep=;\n", "the CSV has no header: no column has a name"),
    ],
)
def test_a_column_that_holds_anything_needs_a_name(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidTable) as caught:
        read_file(written(tmp_path, content))
    assert caught.value.detail.startswith(message)


CELLS = st.sampled_from(["", "", "1", "x", "a,b", 'say "x"', "two\nlines", "\t"])


@given(
    st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=6),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.integers(0, 2),
    st.integers(0, 2),
)
def test_empty_columns_change_nothing(rows: list[tuple[str, ...]], quoting: Any, before: int, behind: int) -> None:
    plain, padded = io.StringIO(), io.StringIO()
    for out, left, right in ((plain, 0, 0), (padded, before, behind)):
        writer = csv.writer(out, quoting=quoting)
        writer.writerows([""] * left + [*row] + [""] * right for row in [("a", "b", "c"), *rows])
    found, expected = (csv_text.read_csv(out.getvalue().encode()) for out in (padded, plain))
    assert found.frame.equals(expected.frame)
    assert (found.unnamed, found.blank_rows) == (0, expected.blank_rows)


TITLES = {
    "a title": ("Sales of 2024\n", 1),
    "a title and a blank line": ("Sales of 2024\n\n", 2),
    "a padded title": ("Sales of 2024;;;\n", 1),
    "a title with a comma": ("Sales, 2024\n", 1),
    "comments": ("# made by us, for you\n# in 2024\n", 2),
    "fields of a head": ("Report;Sales\nDate;2024-01-05\nRegion;North\n\n", 4),
    "a quoted title": ('"Sales\nof 2024"\n', 2),
    "a comment as wide as the table": ("# made; by; us; all\n", 1),
    "sep and a title": ("sep=;\nSales of 2024\n", 2),
}
BODY = "name;age;2024;y\nann;1,5;10;no\nbob;2,5;;yes\ncid;3,5;30;no\n"


@pytest.mark.parametrize("what", TITLES)
def test_lines_before_the_header_are_named(what: str, tmp_path: Path) -> None:
    title, lines = TITLES[what]
    with pytest.raises(InvalidTable) as caught:
        train(written(tmp_path, title + BODY))
    hint = f"the table seems to begin in line {lines + 1}, with 4 columns; leave the lines before it out with "
    assert caught.value.detail.endswith(f"{hint}skip_rows={lines}")
    assert train(written(tmp_path, BODY)).frame.height == 3


def test_a_title_above_empty_columns_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidTable, match="begin in line 3, with 4 columns; leave the lines before it out with skip_rows=2"
    ):
        train(written(tmp_path, "Report,,,\n,,,\na,b,,y\n1,2,,0\n3,4,,1\n"))


def test_names_of_rows_without_a_name_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidTable, match="each row has one cell more; if the first ones are the names of rows, as of R's"
    ):
        train(written(tmp_path, '"a","b","y"\n"1",5,6,0\n"2",7,8,1\n'))


@pytest.mark.parametrize(
    "content",
    [
        "a,b,y\n1,x,0\n2\n3,z,1\n",
        "a,b,y\n1,x,0\n2,x,y,z\n3,z,1\n",
        "a,b,y\none,x,no\ntwo,x,y,z\nthree,z,yes\nfour,v,w,no\n",
        '"a","b","y"\n"1","x","z",0\n"2","x","z",1\n',
        "a,a,y\n1,x,0\n2,x,1\n",
        "a,b\n",
    ],
)
def test_other_faults_are_no_reason_to_speak_of_titles(content: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidTable) as caught:
        train(written(tmp_path, content))
    assert "skip_rows" not in caught.value.detail


@pytest.mark.parametrize(
    "content",
    ["age job y\n1 x no\n2 z yes\n", "age      job      y   \n1        x        no  \n", "age^job^y\n1^x^no\n"],
)
def test_columns_parted_by_another_mark_are_named(content: str, tmp_path: Path) -> None:
    hint = (
        "; if its columns are parted by blanks or another mark, write them with commas, or name the mark in delimiter"
    )
    path = written(tmp_path, content)
    with pytest.raises(InvalidTable) as in_training:
        train(path)
    assert in_training.value.detail.startswith("target 'y' is not a column of X; it has 'age")
    assert in_training.value.detail.endswith(hint)
    model = train({"age": [1, 2], "job": ["x", "z"], "y": [0, 1]})
    with pytest.raises(InvalidTable) as in_prediction:
        Reader(model.contract).read_table(path)
    assert in_prediction.value.errors[0].message.startswith("column 'age' is missing; X has the columns 'age")
    assert in_prediction.value.errors[0].message.endswith(hint)


def test_a_text_with_blanks_is_a_column_like_others(tmp_path: Path) -> None:
    assert read_file(written(tmp_path, "full name\nann lee\nbob ray\n")).rows() == [("ann lee",), ("bob ray",)]


def test_rows_without_names_say_how_to_name_them() -> None:
    with pytest.raises(InvalidTable) as caught:
        train([[1, "no"], [2, "yes"]])
    assert caught.value.detail == (
        "target 'y' is not a column of X; it has 'f0', 'f1'; rows have no names: give feature_names, "
        "or send records (of pandas: orient='records')"
    )
