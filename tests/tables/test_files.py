"""Files: every format gives the same table, and what is no table is refused with its place."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import InvalidTable
from modelyard.settings import DEFAULT_MISSING_MARKERS
from modelyard.tables import Reader, ReadingOptions, TrainingTable, profile_columns, read_file, read_training
from tests.conftest import SHARED_DATA

COLUMNS: dict[str, list[Any]] = {
    "age": [39.0, None, 2.5],
    "job": ["clerk, senior", "", 'the "boss"'],
    "member": [True, False, None],
    "city": ["Köln", "a\nb", "x"],
    "y": ["no", "yes", "no"],
}


def train(X: Any, target: str = "y", **options: Any) -> TrainingTable:
    defaults: dict[str, Any] = {"feature_types": None, "feature_names": None}
    return read_training(
        X, None, target=target, options=ReadingOptions(DEFAULT_MISSING_MARKERS), **{**defaults, **options}
    )


def records(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def as_csv(columns: dict[str, list[Any]], delimiter: str = ",", end: str = "\n") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return out.getvalue().encode()


def binary(columns: dict[str, list[Any]], how: str) -> bytes:
    out = io.BytesIO()
    getattr(pl.DataFrame(columns), how)(out)
    return out.getvalue()


WRITERS: dict[str, Any] = {
    "comma.csv": as_csv,
    "semicolon.csv": lambda columns: as_csv(columns, ";"),
    "tab.tsv": lambda columns: as_csv(columns, "\t"),
    "bar.txt": lambda columns: as_csv(columns, "|", "\r\n"),
    "bom.csv": lambda columns: b"\xef\xbb\xbf" + as_csv(columns),
    "columns.json": lambda columns: json.dumps(columns).encode(),
    "records.json": lambda columns: json.dumps(records(columns), indent=1).encode(),
    "lines.jsonl": lambda columns: "\n\n".join(map(json.dumps, records(columns))).encode(),
    "lines": lambda columns: "\n".join(map(json.dumps, records(columns))).encode(),
    "table.parquet": lambda columns: binary(columns, "write_parquet"),
    "table.arrow": lambda columns: binary(columns, "write_ipc"),
    "stream.arrows": lambda columns: binary(columns, "write_ipc_stream"),
    "parquet, called.csv": lambda columns: binary(columns, "write_parquet"),
    "json, called.csv": lambda columns: json.dumps(columns).encode(),
    "lines, called.csv": lambda columns: "\n".join(map(json.dumps, records(columns))).encode(),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_table(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(WRITERS[name](COLUMNS))
    expected = train(COLUMNS)
    found = train(path)
    assert found.frame.equals(expected.frame)
    assert found.contract == expected.contract
    assert found.codes.tolist() == expected.codes.tolist()
    table = Reader(expected.contract).read_table(path)
    assert table.frame.equals(expected.frame)
    assert [warning.code for warning in table.warnings] == ["extra_columns"]


NUMBERS = st.one_of(st.none(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False))
# What no format may change: text that CSV would not take for a number, a boolean, or part of a line end.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r", exclude_categories=["Nd"]), min_size=1).map(
    "t".__add__
)
# A name with a delimiter beside cells with the same one is a header of another file.
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r,;|\t"), max_size=5).map("t".__add__)
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "numbers": NUMBERS,
    "text": TEXT | st.none(),
    "booleans": st.sampled_from([True, False, None]),
}
LABELS: st.SearchStrategy[list[Any]] = st.sampled_from([[0, 1], [False, True], ["no", "yes"], [-5, 10**12]])


@st.composite
def legal_tables(draw: st.DrawFn) -> dict[str, list[Any]]:
    height = draw(st.integers(2, 6))
    kinds = draw(st.lists(st.sampled_from(["numbers", "text", "booleans"]), min_size=1, max_size=4))
    columns: dict[str, list[Any]] = {}
    for position, kind in enumerate(kinds):
        cell = CELLS[kind]
        cells = draw(
            st.lists(cell, min_size=height, max_size=height).filter(lambda found: any(c is not None for c in found))
        )
        columns[draw(NAMES) + str(position)] = [float(c) if kind == "numbers" and c is not None else c for c in cells]
    classes = draw(LABELS)
    columns["y"] = [*classes, *draw(st.lists(st.sampled_from(classes), min_size=height - 2, max_size=height - 2))]
    return {name.strip(): cells for name, cells in columns.items()}


@given(legal_tables(), st.data())
def test_any_legal_table_is_the_same_in_every_format(columns: dict[str, list[Any]], data: st.DataObject) -> None:
    expected = train(columns)
    path = Path(tempfile.mkdtemp()) / data.draw(st.sampled_from(sorted(WRITERS)))
    try:
        path.write_bytes(WRITERS[path.name](columns))
        found = train(path)
        read = Reader(expected.contract).read_table(path).frame
    finally:
        path.unlink()
        path.parent.rmdir()
    assert found.frame.equals(expected.frame)
    assert found.contract == expected.contract
    assert found.codes.tolist() == expected.codes.tolist()
    assert read.equals(expected.frame)


def write(tmp_path: Path, content: bytes | str, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["1", "+2", ".5", "5.", "1e5", "-1E-5", " 7 "], "numeric"),
        (["1", "?", "NA", ""], "numeric"),
        (["007", "1"], "categorical"),
        (["1", "x"], "categorical"),
        (["1_0", "1"], "categorical"),
        (["inf", "-inf"], "categorical"),
        (["true", "False", "TRUE", ""], "categorical"),
        (["2020-01-01", "2020-01-02"], "datetime"),
        (["2020-01-01", "05.01.2020"], "categorical"),
        (["20200101", "20200102"], "numeric"),
    ],
)
def test_types_of_csv_are_inferred(cells: list[str], dtype: str, tmp_path: Path) -> None:
    path = write(tmp_path, "a,y\n" + "".join(f"{cell},{row % 2}\n" for row, cell in enumerate(cells)))
    assert train(path).contract.feature_types == {"a": dtype}


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["1", "0"], (0, 1)),
        (["1.0", "10", "9"], (1, 9, 10)),
        (["True", "false"], (False, True)),
        (["01", "1"], ("01", "1")),
        (["9223372036854775807", "-9223372036854775808"], (-(2**63), 2**63 - 1)),
    ],
)
def test_labels_of_csv_are_numbers_booleans_or_text(
    labels: list[str], classes: tuple[Any, ...], tmp_path: Path
) -> None:
    table = train(write(tmp_path, "a,y\n" + "".join(f"x,{label}\n" for label in labels)))
    assert table.contract.classes == classes
    assert list(map(type, table.contract.classes)) == list(map(type, classes))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,y\nx,1\nx,\n", "target 'y', row 1: must not be missing, got null"),
        ("a,y\nx,1\nx,2.5\n", "target 'y', row 1: must be a whole number, text or a boolean; other numbers would be"),
        ("a,y\n1,1\ninf,2\n", "column 'a', row 1: must be a finite number, at most about 1.8e308, got 'inf'"),
        ("a,y\n1,1\n1e999,2\n", "column 'a', row 1: must be a finite number, at most about 1.8e308, got '1e999'"),
        ("a,y\n,1\n?,2\n", "column 'a' is missing in every row; leave it out or fill it"),
        ("a,y\n", "the table has no rows"),
    ],
)
def test_wrong_cells_of_csv_are_named(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidTable) as caught:
        train(write(tmp_path, content))
    assert caught.value.detail.startswith(message)


def test_a_cell_of_csv_is_read_the_same_in_any_company(tmp_path: Path) -> None:
    """Alone its column would look like something else."""
    table = train(write(tmp_path, "a,b,c,y\n01,1,x,0\n1.0,2,true,1\n"), feature_types={"b": "categorical"})
    assert [column.source for column in table.contract.categorical.values()] == ["text", "numbers", "text"]
    alone = Reader(table.contract).read_table(write(tmp_path, "a,b,c\n1.0,2.0,TRUE\n"))
    assert alone.frame.row(0) == ("1.0", "2", "TRUE")
    among = Reader(table.contract).read_table(write(tmp_path, "a,b,c\nzz,zz,zz\n1.0,2.0,TRUE\n"))
    assert among.frame.row(1) == alone.frame.row(0)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("\n\na,b\n\n1,2\n\n\n3,4\n\n", [("1", "2"), ("3", "4")]),
        ("a,b\r\n\r\n1,2\r\n  \r\n3,\r\n", [("1", "2"), ("3", None)]),
        (" a , b \n1,2", [("1", "2")]),
        ('a,b\n1,"x\n\ny"\n', [("1", "x\n\ny")]),
        ('"a","b"\n"1",""\n', [("1", None)]),
        ('a,b\n1,x"y\n', [("1", 'x"y')]),
        ("a,b\r1,2\r", [("1", "2")]),
        ("a;b\n1,5;2,5\n", [("1,5", "2,5")]),
        ("a,b\n1;2,3;4\n", [("1;2", "3;4")]),
    ],
)
def test_csv_is_read_as_people_write_it(content: str, rows: list[Any], tmp_path: Path) -> None:
    frame = read_file(write(tmp_path, content))
    assert frame.columns == ["a", "b"]
    assert [tuple(cell or None for cell in row) for row in frame.rows()] == rows


def test_a_single_column_needs_no_delimiter(tmp_path: Path) -> None:
    assert read_file(write(tmp_path, "a\nx\ny\n")).rows() == [("x",), ("y",)]


@pytest.mark.parametrize("cells", [[1, None, 3], [None, 1, 2], [1, 2, None], ["x", None, "y"], [None, None, 1]])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_blank_line_of_a_single_column_is_a_missing_cell(cells: list[Any], line_end: str, tmp_path: Path) -> None:
    """Skipped, it would leave predictions without their rows."""
    frame = pl.DataFrame({"a": cells})
    path = write(tmp_path, frame.write_csv(line_terminator=line_end))
    assert read_file(path).equals(frame.cast(pl.String))


@pytest.mark.parametrize(
    ("cells", "strays"),
    [
        (["1", "2", "x", "4"], [2]),
        (["1", "", "x", "2"], [2]),
        (["x", *map(str, range(20)), "y"], [0, 21]),
        (["1", "2", "x", "y"], [2, 3]),
        (["x", "x", "x", "1", "2", "x", "x"], [0, 1, 2, 5, 6]),
        (["1", "2", "x", "y", "z"], None),
        (["1", "x", "?", ""], None),
        (["01", "02", "x"], None),
        (["1", "2", "3"], None),
    ],
)
def test_text_among_numbers_of_csv_is_warned_of(cells: list[str], strays: list[int] | None, tmp_path: Path) -> None:
    path = write(tmp_path, "a,b,y\n" + "".join(f"{cell},k,{row % 2}\n" for row, cell in enumerate(cells)))
    warnings = [found for found in train(path).warnings if found.code == "numbers_with_text"]
    assert [(found.column, found.count) for found in warnings] == ([("a", len(strays))] if strays else [])
    assert all(
        f"({'row' if len(strays) == 1 else 'rows'} {', '.join(map(str, strays))})" in found.message
        for found in warnings
        if strays
    )
    assert not [
        found for found in train(path, feature_types={"a": "categorical"}).warnings if found.code == "numbers_with_text"
    ]


def test_json_lines_may_be_called_json(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": 1}\n{"a": 2}\n', "lines.json")
    assert read_file(path).rows() == [(1,), (2,)]


@pytest.mark.parametrize("content", ["ORC,y\n1,2\n", "<=5,y\n1,2\n", "PARE,y\n1,2\n", "BZh,y\n1,2\n"])
def test_a_csv_may_begin_like_another_format(content: str, tmp_path: Path) -> None:
    assert read_file(write(tmp_path, content)).rows() == [("1", "2")]


@pytest.mark.parametrize("name", ["t.csv", "t.json"])
def test_files_that_were_joined_may_begin_with_two_byte_order_marks(name: str, tmp_path: Path) -> None:
    content = "a,y\n1,2\n" if name == "t.csv" else '[{"a": "1", "y": "2"}]'
    assert read_file(write(tmp_path, f"\ufeff\ufeff{content}", name)).to_dicts() == [{"a": "1", "y": "2"}]


def test_a_path_without_a_name_is_shown_as_it_is() -> None:
    with pytest.raises(InvalidTable, match=r"file '\.' cannot be read: Is a directory"):
        read_file(Path())


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "t.csv", "file 't.csv' is empty"),
        (b" \n\n", "t.csv", "file 't.csv' is empty"),
        (b"\xef\xbb\xbf", "t.csv", "file 't.csv' is empty"),
        (
            b"\x89PNG\r\n\x1a\n\x00",
            "t.csv",
            "file 't.csv' is a PNG image; it must be CSV, JSON, JSON lines,",
        ),
        (b"PK\x03\x04abc", "t.xlsx", "file 't.xlsx' is a ZIP archive or a damaged Excel workbook; it must be CSV"),
        (b"a,b\n1,\x00\n", "t.csv", "file 't.csv' is binary; it must be CSV"),
        ("a,b\n1,é\n".encode("latin-1"), "t.csv", "file 't.csv' is not UTF-8: byte 0xe9 in line 2; say its encoding,"),
        (b"a,b\n1,2\n3\n4,5\n", "t.csv", "row 1 (line 3) has 1 cell, the header has 2"),
        (b"a,b\n\n1,2,3\n3\n", "t.csv", "row 0 (line 3) has 3 cells, the header has 2 (and 1 more error)"),
        (b'a,b\n1,"2\n3,4\n', "t.csv", "the CSV cannot be read at row 0 (lines 2 to 3): a quoted cell has no closing"),
        (b'"a,b\n', "t.csv", "the CSV header cannot be read: a quoted cell has no closing quote"),
        (b"a,a\n1,2\n", "t.csv", "CSV header: column name 'a' is given twice; names must differ"),
        (b"a, a\n1,2\n", "t.csv", "CSV header: column name 'a' is given twice; names must differ"),
        (b"a,,c\n1,2,3\n", "t.csv", "CSV header: the name of column 1 must be text that is not empty, because"),
        (b'{"a": [1,', "t.json", "file 't.json' is not JSON: "),
        (
            b'{"a": [NaN]}',
            "t.json",
            "file 't.json' is not JSON: JSON has no NaN, write null for a missing",
        ),
        (b'{"a": [1e999]}', "t.json", "file 't.json' is not JSON: number is infinity"),
        (
            b"[1,\n2,,3]",
            "t.json",
            "file 't.json' is not JSON: unexpected character, expected a JSON value: line 2 column 3",
        ),
        (b"5", "t.json", "file 't.json': JSON must hold rows"),
        (b'{"a": 1}\n{"a": }\n', "t.jsonl", "file 't.jsonl', line 2 is not JSON: "),
        (b'{"a": 1}\n{"a": }\n', "t", "file 't', line 2 is not JSON: "),
        (b"[]", "t.json", "the table has no rows"),
        (b"PAR1 and no more", "t.parquet", "file 't.parquet': not a readable Parquet file: its end is missing, it was"),
        (b"PAR1", "t.parquet", "file 't.parquet': not a readable Parquet file: its end is missing, it was cut short"),
        (b"ARROW1 and no more", "t.arrow", "file 't.arrow': not a readable Arrow file: its end is missing, it was cut"),
        (b"\xff\xff\xff\xff no more", "t.arrow", "file 't.arrow': not a readable Arrow file: it is damaged or cut"),
        (b"PARE\x00PARE", "t.parquet", "file 't.parquet' is an encrypted Parquet file; it must be CSV"),
        (b"ORC\n\x00\x05", "t.orc", "file 't.orc' is an ORC file; it must be CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "t.xls", "file 't.xls' is an old Excel workbook (.xls), or one with a password"),
        (b"\n<HTML><table>", "t.xls", "file 't.xls' is an HTML page, whatever its name says; save it as CSV; it must"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<html>", "t.xls", "file 't.xls' is an HTML page, whatever its name"),
        (b"<?xml version='1.0'?>\n<Workbook>", "t.xls", "file 't.xls' is XML, whatever its name says; save it as CSV"),
        (gzip.compress(b"", mtime=0), "t.csv.gz", "file 't.csv.gz' is empty"),
        (b"\x1f\x8b, cut", "t.csv.gz", "file 't.csv.gz' is a damaged gzip file"),
    ],
)
def test_what_is_no_table_is_refused(content: bytes, name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidTable) as caught:
        read_file(write(tmp_path, content, name))
    assert caught.value.detail.startswith(message)


@pytest.mark.parametrize("how", ["write_parquet", "write_ipc", "write_ipc_stream"])
def test_a_cut_or_damaged_file_is_refused_or_read(how: str, tmp_path: Path) -> None:
    """Whatever happens to the bytes, it ends in a table or in a clear error."""
    whole = binary({"a": [1.0, 2.0], "y": ["no", "yes"]}, how)
    refused: list[str] = []
    for cut in range(8, len(whole), max(1, len(whole) // 40)):
        for content in (whole[:cut], whole[:cut] + bytes([whole[cut] ^ 0x55]) + whole[cut + 1 :]):
            try:
                train(write(tmp_path, content, "t.bin"))
            except InvalidTable as error:
                refused.append(error.detail)
    assert refused
    assert all(detail.startswith(("file", "X", "the table", "column", "target")) for detail in refused)
    assert not [detail for detail in refused if "Error {" in detail or "out-of-spec" in detail or "assertion" in detail]


def test_the_name_a_file_was_sent_under_stands_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match=r"file 'people\.csv' is empty"):
        read_file(write(tmp_path, b"", "upload-123"), filename="people.csv")


def test_rows_of_a_json_file_match_by_position(tmp_path: Path) -> None:
    table = train(write(tmp_path, "[[1, 0], [2, 1]]", "t.json"), target="f1")
    assert table.frame.columns == ["f0"]
    named = train(write(tmp_path, "[[1, 0], [2, 1]]", "t.json"), target="kind", feature_names=["age", "kind"])
    assert named.frame.columns == ["age"]


def test_the_raw_frame_keeps_mixed_cells(tmp_path: Path) -> None:
    frame = read_file(write(tmp_path, '{"a": [1, "x"], "b": [1, null]}', "t.json"))
    assert frame.schema == {"a": pl.Object, "b": pl.Int64}
    with pytest.raises(InvalidTable, match="column 'a', row 1: must be a number like the rest of the column"):
        read_training(frame, [0, 1], target=None, feature_types=None, feature_names=None, options=ReadingOptions(("",)))


def test_profiles_are_json_without_nan() -> None:
    X = {
        "n": [1.0, None, 3.0, 3.0],
        "huge": [1.7e308, -1.7e308, 1.7e308, 1.7e308],
        "same": [1e20] * 4,
        "tiny": [0.0, 5e-324, 0.0, 0.0],
        "c": ["x", None, "x", "\x00z"],
        "y": [0, 1, 0, 1],
    }
    profile = profile_columns(train(X))
    json.dumps(profile, allow_nan=False)
    assert profile["n"] == {
        "type": "numeric",
        "missing": 1,
        "min": 1.0,
        "max": 3.0,
        "mean": pytest.approx(7 / 3),
        "std": pytest.approx(math.sqrt(4 / 3)),
        "median": 3.0,
        "histogram": {"edges": [pytest.approx(edge) for edge in (1, 5 / 3, 7 / 3, 3)], "counts": [1, 0, 2]},
    }
    assert profile["c"] == {
        "type": "categorical",
        "missing": 1,
        "n_categories": 3,
        "top": [{"value": "x", "count": 2}, {"value": "\x00z", "count": 1}, {"value": None, "count": 1}],
    }
    assert profile["same"]["histogram"] == {"edges": [1e20, 1e20], "counts": [4]}
    assert profile["huge"]["std"] is None


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2))
def test_a_histogram_counts_every_number(values: list[float]) -> None:
    profile = profile_columns(train({"n": values, "y": [0, 1] * (len(values) // 2) + [0] * (len(values) % 2)}))
    histogram = profile["n"]["histogram"]
    assert sum(histogram["counts"]) == len(values)
    assert len(histogram["counts"]) <= 20
    assert len(histogram["edges"]) == len(histogram["counts"]) + 1
    json.dumps(profile, allow_nan=False)


REAL: dict[str, dict[str, Any]] = {
    "adult": {"target": "income", "shape": (32561, 14), "numeric": 6, "classes": ("<=50K", ">50K")},
    "titanic": {"target": "survived", "shape": (891, 10), "numeric": 5, "classes": (0, 1)},
    "penguins": {"target": "species", "shape": (344, 6), "numeric": 4, "classes": ("Adelie", "Chinstrap", "Gentoo")},
}


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the larger real tables are not beside this checkout")
@pytest.mark.parametrize("name", REAL)
def test_larger_real_tables_are_read_as_they_are(name: str) -> None:
    facts, path = REAL[name], SHARED_DATA / f"{name}.csv"
    table = train(path, target=facts["target"])
    assert table.frame.shape == facts["shape"]
    assert table.contract.classes == facts["classes"]
    assert list(table.contract.feature_types.values()).count("numeric") == facts["numeric"]
    assert Reader(table.contract).read_table(path).frame.equals(table.frame)


def test_a_real_table_is_read_as_it_is(penguins_csv: Path) -> None:
    table = train(penguins_csv, target="species")
    assert table.frame.height == 344
    assert table.contract.classes == ("Adelie", "Chinstrap", "Gentoo")
    assert table.frame["bill_length_mm"].null_count() == 2
    assert profile_columns(table)["sex"]["missing"] == 11
    assert Reader(table.contract).read_table(penguins_csv).frame.equals(table.frame)
