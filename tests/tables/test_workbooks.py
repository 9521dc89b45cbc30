"""Excel workbooks: typed cells, the sheet that is meant, errors by the cell's name, and none that ends the process."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelyard.errors import InvalidTable, PayloadTooLarge
from modelyard.tables import FileOptions, Reader, ReadingOptions, TrainingTable, read_file, read_training
from modelyard.tables.sources import Sheets, sheets_of
from modelyard.tables.sources.workbook_archive import column_letters
from tests.tables.workbooks import Failed, write_workbook

HEADER = ["size", "kind", "member", "day", "y"]
ROWS: list[list[Any]] = [
    [1.5, "a", True, date(2024, 1, 2), "no"],
    [None, " b ", False, date(2024, 1, 3), "yes"],
    [3, "a", None, date(2024, 1, 2), "yes"],
]


def train(X: Any, **file: Any) -> TrainingTable:
    options = ReadingOptions(("",), file=FileOptions(**file))
    return read_training(X, None, target="y", feature_types=None, feature_names=None, options=options)


def changed(path: Path, part: str, old: bytes, new: bytes) -> Path:
    """Write a workbook anew with a text in one of its parts replaced."""
    content = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(content) as before, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            text = before.read(name)
            assert name != part or old in text
            after.writestr(name, text.replace(old, new) if name == part else text)
    return path


SHEET = "xl/worksheets/sheet1.xml"
NOON = datetime(2024, 1, 2, 12)  # noqa: DTZ001 - a cell of Excel has no time zone


def test_a_workbook_is_the_table_that_its_cells_are(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "t.xlsx", {"data": [HEADER, *ROWS]})
    expected = train([dict(zip(HEADER, row, strict=True)) for row in ROWS])
    found = train(path)
    assert found.contract == expected.contract
    assert found.frame.equals(expected.frame)
    assert found.contract.feature_types == {
        "size": "numeric",
        "kind": "categorical",
        "member": "categorical",
        "day": "datetime",
    }
    parts = found.contract.expand(expected.text_frame)
    assert Reader(found.contract).read_table(path).text_frame.equals(parts)


def test_times_keep_their_types_and_days_among_them_are_midnights(tmp_path: Path) -> None:
    rows = [
        ["when", "day", "at"],
        [NOON, date(2024, 1, 2), time(5, 6)],
        [date(2024, 1, 3), None, None],
    ]
    frame = read_file(write_workbook(tmp_path / "t.xlsx", {"s": rows}))
    assert frame.dtypes == [pl.Datetime("us"), pl.Date, pl.Time]
    assert frame["when"].to_list() == [NOON, NOON.replace(day=3, hour=0)]


def test_the_first_sheet_that_is_not_empty_is_read_or_the_one_that_is_told(tmp_path: Path) -> None:
    sheets = {"cover": [], "blank": [[None, "  "]], "one": [["a"], [1]], "two": [["b"], [2]]}
    path = write_workbook(tmp_path / "t.xlsx", sheets)
    assert read_file(path).to_dict(as_series=False) == {"a": [1.0]}
    assert read_file(path, FileOptions(sheet="two")).to_dict(as_series=False) == {"b": [2.0]}
    with pytest.raises(
        InvalidTable, match=r"file 't\.xlsx' has no sheet 'three'; it has 'cover', 'blank', 'one', 'two'"
    ):
        read_file(path, FileOptions(sheet="three"))
    with pytest.raises(InvalidTable, match=r"file 't\.xlsx', sheet 'cover': no cell is filled"):
        read_file(path, FileOptions(sheet="cover"))


def test_which_sheet_is_read_is_known_without_its_cells_if_there_is_no_choice(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    one, two = {"one": [["a"], [1]]}, {"one": [], "two": [["b"], [2]]}
    for sheets, told, read in ((one, None, "one"), (two, "one", "one"), (two, None, "two")):
        assert sheets_of(write_workbook(path, sheets), FileOptions(sheet=told)) == Sheets(tuple(sheets), read)
    changed(write_workbook(path, one), SHEET, b"<sheetData>", b"<!-- --><sheetData>")
    assert sheets_of(path) == Sheets(("one",), "one")


def test_a_table_may_stand_anywhere_in_its_sheet(tmp_path: Path) -> None:
    rows = [["a", None, 2024], [], [1, None, "x"], [None, None, None], [2, None, "y"]]
    path = write_workbook(tmp_path / "t.xlsx", {"s": rows}, at=(3, 2))
    assert read_file(path).to_dict(as_series=False) == {"a": [1.0, 2.0], "2024": ["x", "y"]}
    titled = write_workbook(tmp_path / "titled.xlsx", {"s": [["Report of the year"], [], ["a", "b"], [1, 2]]})
    assert read_file(titled, FileOptions(skip_rows=1)).to_dict(as_series=False) == {"a": [1.0], "b": [2.0]}
    with pytest.raises(InvalidTable, match=r"sheet 's': no cell below its first 9 rows \(skip_rows\) is filled"):
        read_file(titled, FileOptions(skip_rows=9))


def test_a_sheet_without_a_header_is_named_like_a_csv_without_one(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "t.xlsx", {"s": [[1, "x"], [2, "y"]]})
    assert read_file(path, FileOptions(header=False)).columns == ["f0", "f1"]
    assert read_file(path, FileOptions(header=False, names=["a", "b"])).rows() == [(1.0, "x"), (2.0, "y")]


def test_pandas_index_is_no_feature_and_other_columns_need_names(tmp_path: Path) -> None:
    table = train(write_workbook(tmp_path / "t.xlsx", {"s": [[None, "a", "y"], [0, 5, "no"], [1, 6, "yes"]]}))
    assert (table.frame.columns, next(warning.code for warning in table.warnings)) == (["a"], "index_columns")
    path = write_workbook(tmp_path / "t.xlsx", {"s": [["a", None, "y"], [0, 5, "no"]]})
    with pytest.raises(InvalidTable, match="sheet 's', header: the name of column 1 must be text that is not empty"):
        read_file(path)


@pytest.mark.parametrize("shown", ["#DIV/0!", "#N/A", "#REF!", "#VALUE!"])
def test_an_error_of_a_formula_is_named_by_its_cell(tmp_path: Path, shown: str) -> None:
    rows = [["a", "b", "y"], [1, "x", "no"], [], [Failed(shown), Failed(shown), "yes"]]
    path = write_workbook(tmp_path / "t.xlsx", {"data": rows}, at=(2, 1))
    with pytest.raises(InvalidTable) as caught:
        train(path)
    due = "row 1: must be text, a number or a boolean, got Excel's error"
    assert [(one.loc, one.message) for one in caught.value.errors] == [
        (("X", 1, column), f"column '{column}', {due} {shown} in cell {cell} of sheet 'data'")
        for column, cell in (("a", "B6"), ("b", "C6"))
    ]


def test_errors_in_columns_that_nobody_needs_are_no_matter(tmp_path: Path) -> None:
    good = write_workbook(tmp_path / "good.xlsx", {"s": [["a", "y"], [1, "no"], [2, "yes"]]})
    path = write_workbook(tmp_path / "t.xlsx", {"s": [["a", "other"], [1, Failed("#N/A")]]})
    found = Reader(train(good).contract).read_table(path)
    assert found.frame.rows() == [(1.0,)]
    with pytest.raises(InvalidTable, match=r"target 'y', row 1: .*Excel's error #N/A in cell B3 of sheet 's'"):
        train(write_workbook(tmp_path / "u.xlsx", {"s": [["a", "y"], [1, "no"], [2, Failed("#N/A")]]}))


def test_cells_far_apart_do_not_end_the_process(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "t.xlsx", {"s": [["a", "b"], [1, 2]]})
    far = changed(path, SHEET, b'r="B2"', b'r="XFD1048576"')
    with pytest.raises(InvalidTable, match="cells are so far apart that too many empty ones lie between"):
        read_file(far)
    path = write_workbook(tmp_path / "t.xlsx", {"s": [["a", "b"], [1, 2]]})
    with pytest.raises(InvalidTable, match="cells are so far apart"):
        read_file(changed(path, SHEET, b'<row r="2"', b'<row r="900000"'))


def test_cells_without_references_are_where_they_follow(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "t.xlsx", {"s": [["a", "b"], [1, 2]]})
    for reference in (b' r="A1"', b' r="B1"', b' r="A2"', b' r="B2"'):
        changed(path, SHEET, reference, b"")
    assert read_file(path).to_dict(as_series=False) == {"a": [1.0], "b": [2.0]}


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "t.xlsx", {"s": [["a"], [1]]})
    changed(path, SHEET, b"</sheetData>", b"</sheetData>" + b" " * 2**21)
    assert path.stat().st_size < 2**14
    with pytest.raises(PayloadTooLarge, match=r"more than 1 MB \(1,048,576 bytes\) come out of file 't\.xlsx'"):
        read_file(path, FileOptions(max_bytes=2**20))


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        (SHEET, b"<sheetData>", b"<!-- --><sheetData>"),
        (SHEET, b"</sheetData>", b"</sheetDat"),
        (SHEET, b't="s"', b't="s" r="'),
        ("xl/workbook.xml", b"<sheets>", b"<sheets"),
        ("xl/_rels/workbook.xml.rels", b"worksheets/sheet1.xml", b"worksheets/gone.xml"),
        ("xl/sharedStrings.xml", b"<si>", b"<so>"),
        (SHEET, b"<v>0</v>", b"<v>99</v>"),
    ],
)
def test_a_damaged_workbook_is_refused_in_words(tmp_path: Path, part: str, old: bytes, new: bytes) -> None:
    path = changed(write_workbook(tmp_path / "t.xlsx", {"s": [["a", "b"], [1, "x"]]}), part, old, new)
    with pytest.raises(InvalidTable, match=r"^file 't\.xlsx'"):
        read_file(path)


def test_whatever_is_cut_or_flipped_ends_in_a_table_or_in_words(tmp_path: Path) -> None:
    whole = write_workbook(tmp_path / "t.xlsx", {"s": [HEADER, *ROWS]}).read_bytes()
    path = tmp_path / "damaged.xlsx"
    refused: list[str] = []
    for at in range(0, len(whole), len(whole) // 60):
        for content in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]):
            path.write_bytes(content)
            try:
                read_file(path)
            except InvalidTable as error:
                refused.append(error.detail)
    assert len(refused) > 60
    assert all(detail.startswith("file 'damaged.xlsx'") for detail in refused)


@pytest.mark.parametrize(
    ("place", "letters"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA"), (16383, "XFD")]
)
def test_columns_are_called_as_excel_calls_them(place: int, letters: str) -> None:
    assert column_letters(place) == letters
