"""How a file is read if its sender says so: encoding, delimiter, header, columns left out, and what gzip packs."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelyard.errors import InvalidRequest, InvalidTable, PayloadTooLarge
from modelyard.schemas import TrainRequest, parse
from modelyard.tables import FileOptions, Reader, ReadingOptions, TrainingTable, read_file, read_training
from modelyard.tables.sources import extension_of

TEXT = "город;доход;y\nТверь;1;нет\nОмск;2;да\n"  # noqa: RUF001
ROWS = [("Тверь", "1", "нет"), ("Омск", "2", "да")]


def write(folder: Path, content: bytes | str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def train(X: Any, target: str = "y", exclude: Sequence[str] = (), **file: Any) -> TrainingTable:
    options = ReadingOptions(("",), exclude=tuple(exclude), file=FileOptions(**file))
    return read_training(X, None, target=target, feature_types=None, feature_names=None, options=options)


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "utf-16", "utf-16-le", "utf-32-be", "utf-8", "utf-8-sig"])
def test_a_text_is_read_in_the_encoding_that_is_told(tmp_path: Path, encoding: str) -> None:
    frame = read_file(write(tmp_path, TEXT.encode(encoding)), FileOptions(encoding=encoding))
    assert (frame.columns, frame.rows()) == (["город", "доход", "y"], ROWS)


@pytest.mark.parametrize("told", [None, "cp1251"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_a_byte_order_mark_decides_whatever_is_told(
    tmp_path: Path, mark: bytes, encoding: str, told: str | None
) -> None:
    path = write(tmp_path, mark + TEXT.encode(encoding))
    assert read_file(path, FileOptions(encoding=told)).rows() == ROWS


def test_json_in_another_encoding_is_read_too(tmp_path: Path) -> None:
    path = write(tmp_path, '[{"a": "Омск"}]'.encode("utf-16"), "t.json")
    assert read_file(path).rows() == [("Омск",)]


def test_a_file_is_read_as_in_training_only_if_it_cannot_be_utf_8(tmp_path: Path) -> None:
    usual = FileOptions(usual_encoding="cp1251")
    assert read_file(write(tmp_path, TEXT.encode("cp1251")), usual).rows() == ROWS
    assert read_file(write(tmp_path, TEXT), usual).rows() == ROWS
    wide = FileOptions(usual_encoding="utf-16-le")
    assert read_file(write(tmp_path, "a,b\n1,2\n".encode("utf-16-le")), wide).rows() == [("1", "2")]


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (
            TEXT.encode("cp1251"),
            None,
            "file 't.csv' is not UTF-8: byte 0xe3 in line 1; say its encoding, such as cp1251",
        ),
        (b"a\n\x98\n", "cp1251", "file 't.csv' is not cp1251: byte 0x98 in line 2; say its encoding"),
        (TEXT.encode("utf-16-le"), None, "file 't.csv' is binary; it must be CSV, JSON, JSON lines, Parquet, Arrow or"),
        (b"a,b\n1,\0\n", "latin-1", "file 't.csv' is binary when read as latin-1; it must be CSV"),
    ],
)
def test_what_cannot_be_read_names_the_encoding_as_a_way_out(
    tmp_path: Path, content: bytes, encoding: str | None, message: str
) -> None:
    with pytest.raises(InvalidTable) as caught:
        train(write(tmp_path, content), encoding=encoding)
    assert caught.value.detail.startswith(message)


@pytest.mark.parametrize(
    "encoding", ["klingon", "hex", "rot13", "idna", "punycode", "unicode_escape", "utf_7", "", "a\0"]
)
def test_an_encoding_in_which_no_files_are_written_is_refused(encoding: str) -> None:
    with pytest.raises(InvalidRequest, match="encoding must be one that Python knows, such as utf-8, utf-16, cp1251"):
        parse(TrainRequest, {"model_class_key": "m", "X": [[1]], "encoding": encoding})


@pytest.mark.parametrize("delimiter", ["", ";;", "a", "1", '"', "\n", "§", "\0"])
def test_a_delimiter_is_one_mark_of_ascii(delimiter: str) -> None:
    with pytest.raises(InvalidRequest, match="delimiter must be one ASCII character that is no letter, digit, quote"):
        parse(TrainRequest, {"model_class_key": "m", "X": [[1]], "delimiter": delimiter})


@pytest.mark.parametrize("written", ["\t", "\\t", "tab"])
def test_a_tab_may_be_written_out(written: str) -> None:
    assert parse(TrainRequest, {"model_class_key": "m", "X": [[1]], "delimiter": written}).delimiter == "\t"


@pytest.mark.parametrize("delimiter", [":", "^", "~", " ", "\t", ","])
def test_cells_are_parted_by_the_delimiter_that_is_told(tmp_path: Path, delimiter: str) -> None:
    path = write(tmp_path, "a;b\n1;2\n".replace(";", delimiter) + f'"x{delimiter}y"{delimiter}3\n')
    assert read_file(path, FileOptions(delimiter=delimiter)).rows() == [("1", "2"), (f"x{delimiter}y", "3")]


def test_lines_above_the_table_are_skipped_and_counted_in_messages(tmp_path: Path) -> None:
    path = write(tmp_path, 'A title, "unfinished\n\nmade today\na,y\n1,no\n2,yes\n')
    assert read_file(path, FileOptions(skip_rows=3)).rows() == [("1", "no"), ("2", "yes")]
    with pytest.raises(InvalidTable, match=r"row 1 \(line 4\) has 1 cell"):
        read_file(write(tmp_path, "title\na,y\n1,2\n3\n"), FileOptions(skip_rows=1))
    with pytest.raises(InvalidTable, match="skip_rows is 9, but the file has only 3 lines"):
        read_file(write(tmp_path, "a,y\n1,2\n3,4\n"), FileOptions(skip_rows=9))


def test_without_a_header_the_first_row_is_data(tmp_path: Path) -> None:
    path = write(tmp_path, "1,x,no\n2,y,yes\n")
    table = train(path, "f2", header=False)
    assert (table.frame.columns, table.frame["f0"].to_list()) == (["f0", "f1"], [1.0, 2.0])
    assert table.given_names == ("f0", "f1", "f2")
    named = train(path, "bought", header=False, names=["size", "kind", "bought"])
    assert (named.frame.columns, named.frame.height) == (["size", "kind"], 2)
    with pytest.raises(InvalidTable, match="names has 2 names, the first row has 3 cells"):
        train(path, header=False, names=["a", "y"])
    with pytest.raises(InvalidTable, match="names: column name 'a' is given twice"):
        train(path, header=False, names=["a", "a", "y"])


def test_files_without_a_header_are_predicted_for_by_position_where_nothing_else_can_be_meant(tmp_path: Path) -> None:
    names = ["size", "id", "bought", "kind"]
    table = train(write(tmp_path, "1,9,no,x\n2,8,yes,y\n"), "bought", ["id"], header=False, names=names)
    reader = Reader(table.contract, FileOptions(header=False, usual_names=table.given_names))
    expected = table.text_frame.rows()
    assert reader.read_table(write(tmp_path, "1,9,no,x\n2,8,yes,y\n")).text_frame.rows() == expected
    assert reader.read_table(write(tmp_path, "1,x\n2,y\n")).text_frame.rows() == expected
    told = FileOptions(header=False, names=["kind", "size"])
    assert reader.read_table(write(tmp_path, "x,1\ny,2\n"), file=told).text_frame.rows() == expected
    message = (
        r"first row has 3 cells, due are 4 \('size', 'id', 'bought', 'kind'\), or 2 \('size', 'kind'\); names says"
    )
    with pytest.raises(InvalidTable, match=message):
        reader.read_table(write(tmp_path, "1,9,x\n"))


@pytest.mark.parametrize("content", ["1;no;\n2;yes;\n", "1;no;;;\n2;yes\n", ";no;\n2;yes;;\n"])
def test_rows_without_a_header_may_end_in_delimiters(tmp_path: Path, content: str) -> None:
    path = write(tmp_path, content)
    told = train(path, header=False, names=("a", "y"))
    assert (told.frame.columns, told.frame["a"].to_list()[-1], told.contract.classes) == (["a"], 2.0, ("no", "yes"))
    reader = Reader(train(write(tmp_path, "a;b;y\n1;no;x\n2;yes;z\n", "h.csv")).contract)
    assert reader.read_table(path, file=FileOptions(header=False)).frame["b"].to_list() == ["no", "yes"]


def test_what_stands_behind_the_names_of_a_file_without_a_header_is_not_dropped(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match=r"row 1 \(line 2\) has 3 cells, the header has 2"):
        train(write(tmp_path, "1;no;\n2;yes;3\n"), header=False, names=("a", "y"))
    with pytest.raises(InvalidTable, match="names has 1 names, the first row has 3 cells"):
        train(write(tmp_path, "1;no;\n2;yes;\n"), header=False, names=("y",))


@pytest.mark.parametrize(
    ("content", "column", "blank_rows"),
    [
        ("\n1\n\n2\n", [None, 1.0, None, 2.0], 0),
        ('""\n', [None], 0),
        (";\n1;x\n;;\n2;x\n", [1.0, 2.0], 2),
        ("title\n;\n\n1;x\n", [1.0], 1),
        ("sep=;\n;\n1;x\n", [1.0], 1),
    ],
)
def test_no_row_above_the_first_filled_one_is_lost_without_a_word(
    content: str, column: list[float | None], blank_rows: int, tmp_path: Path
) -> None:
    rows = "1\n2\n3\n" if column[0] is None else "1;x\n2;y\n3;x\n"
    y = pl.Series([0, 1, 0])
    options = ReadingOptions(("",), file=FileOptions(header=False))
    trained = read_training(
        write(tmp_path, rows), y, target=None, feature_types=None, feature_names=None, options=options
    )
    file = FileOptions(header=False, skip_rows=content.count("title"))
    table = Reader(trained.contract).read_table(write(tmp_path, content, "p.csv"), file=file)
    assert table.frame["f0"].to_list() == column
    assert [(warning.code, warning.count) for warning in table.warnings] == [("blank_rows", blank_rows)] * (
        blank_rows > 0
    )


@pytest.mark.parametrize("first", ["PAR1", "ARROW1", "ORC", "BZh"])
def test_a_header_may_begin_as_files_of_other_formats_do(tmp_path: Path, first: str) -> None:
    assert read_file(write(tmp_path, f"{first},y\n1,2\n")).rows() == [("1", "2")]


def test_names_say_that_there_is_no_header() -> None:
    fields = {"model_class_key": "m", "X": [[1]], "names": ["a"]}
    assert FileOptions().told(parse(TrainRequest, fields)).header is False
    with pytest.raises(InvalidRequest, match="names are those of a table without a header"):
        parse(TrainRequest, {**fields, "header": True})
    with pytest.raises(InvalidRequest, match="field 'names' must not be empty"):
        parse(TrainRequest, {**fields, "names": []})


@pytest.mark.parametrize(
    "X", [{"id": [1, 2], "a": [3, 4], "y": ["n", "j"]}, [{"id": 1, "a": 3, "y": "n"}, {"id": 2, "a": 4, "y": "j"}]]
)
def test_excluded_columns_are_left_out_of_every_form(X: Any, tmp_path: Path) -> None:
    assert train(X, exclude=["id"]).frame.columns == ["a"]
    assert train(write(tmp_path, "id,a,y\n1,3,n\n2,4,j\n"), exclude=["id"]).frame.columns == ["a"]
    with pytest.raises(InvalidTable, match="exclude: column 'ID' is not in X; it has 'id', 'a', 'y'"):
        train(X, exclude=["ID"])
    with pytest.raises(InvalidTable, match="exclude: column 'y' is the target, so it cannot be left out"):
        train(X, exclude=["y"])
    with pytest.raises(InvalidTable, match="X has no columns besides the target 'y'"):
        train(X, exclude=["id", "a"])


def test_a_column_that_is_excluded_may_hold_anything() -> None:
    mixed = {"note": [1, "x", [2]], "a": [3, 4, 5], "y": ["n", "j", "n"]}
    assert train(mixed, exclude=["note"]).frame.columns == ["a"]
    with pytest.raises(InvalidTable, match="exclude: column 'a' has a type in feature_types, so it cannot be left out"):
        read_training(
            mixed,
            None,
            target="y",
            feature_types={"a": "numeric"},
            feature_names=None,
            options=ReadingOptions(("",), exclude=("a",)),
        )


@pytest.mark.parametrize(
    ("content", "name"), [(b"a,b\n1,2\n", "t.csv.gz"), (b'{"a": "1", "b": "2"}\n{"a": "3", "b": "4"}\n', "t.jsonl.gz")]
)
def test_what_gzip_packed_is_read_whatever_its_name(tmp_path: Path, content: bytes, name: str) -> None:
    expected = read_file(write(tmp_path, content, name.removesuffix(".gz")))
    for packed_name in (name, "upload", "t.csv" if b"," in content[:4] else "t.gz"):
        assert read_file(write(tmp_path, gzip.compress(content), packed_name)).equals(expected)
    half = len(content) // 2
    parts = gzip.compress(content[:half]) + gzip.compress(content[half:])
    assert read_file(write(tmp_path, parts, name)).equals(expected)
    assert extension_of("x.TSV.gz") == ".TSV.gz"


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(b"a,b\n" + b"1,2\n" * 2**20), "t.csv.gz")
    assert path.stat().st_size < 2**14
    message = r"more than 1 MB \(1,048,576 bytes\) come out of file 't\.csv\.gz'; MODELYARD_MAX_BODY_MB sets the limit"
    with pytest.raises(PayloadTooLarge, match=message):
        read_file(path, FileOptions(max_bytes=2**20))
    many = write(tmp_path, gzip.compress(b"1,2\n" * 2**17) * 3, "t.csv.gz")
    with pytest.raises(PayloadTooLarge, match="more than 1 MB"):
        read_file(many, FileOptions(max_bytes=2**20))
    exact = write(tmp_path, gzip.compress(b"a,b\n" + b"1,2\n" * (2**18 - 1)), "t.csv.gz")
    assert read_file(exact, FileOptions(max_bytes=2**20)).height == 2**18 - 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9], "file 't.csv.gz' is a damaged gzip file: it is cut short"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0) + b"more", "file 't.csv.gz' is a damaged gzip file: incorrect header"),
        (b"\x1f\x8b\x08\x00no more", "file 't.csv.gz' is a"),
        (
            gzip.compress(gzip.compress(b"a,b\n1,2\n", mtime=0), mtime=0),
            "file 't.csv.gz' is a gzip archive in a gzip archive; it must be",
        ),
        (gzip.compress(b"", mtime=0), "file 't.csv.gz' is empty"),
    ],
    ids=["cut short", "more behind it", "no gzip", "gzip in gzip", "empty"],
)
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        read_file(write(tmp_path, content, "t.csv.gz"))
    assert caught.value.detail.startswith(message)
