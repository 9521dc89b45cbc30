"""Answers as files: in the format in which the table came, in the order and the number that are wanted."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import polars as pl
import pytest

from modelyard.dashboard.predicted import Predicted
from modelyard.dashboard.predicted_file import Wanted, as_file
from modelyard.dashboard.tables import HEAD_ROWS, Table, open_table
from modelyard.dashboard.written import FORMATS, Written, format_like, write
from modelyard.tables.sources import read_file

ROWS = {"id": ["007", "008", "009"], "sum": [1.5, 2.25, 3.0], "note": ["=1+1", "b", "c"]}
READ = {
    "csv": lambda data: pl.read_csv(data, schema_overrides={"id": pl.String}),
    "parquet": pl.read_parquet,
    "arrow": pl.read_ipc,
    "json": pl.read_json,
    "jsonl": pl.read_ndjson,
}


def given(folder: Path, kind: Written, name: str | None = None) -> Table:
    """Return a table that came in a format."""
    like = open_table(_file(folder / "like.csv", b"a\n1\n"), "like.csv")
    name = name or f"table.{kind}"
    path = _file(folder / name, write(pl.LazyFrame(ROWS), kind, folder, like))
    return open_table(path, name)


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def predicted(table: Table) -> Predicted:
    frame = pl.DataFrame({"prediction": ["y", "n", "y"], "probability y": [0.7, 0.2, 0.9]})
    return Predicted("m", table, frame, ("y",), (), pl.DataFrame({"id": ROWS["id"]}))


@pytest.mark.parametrize("kind", FORMATS)
def test_answers_come_in_the_format_of_the_table(tmp_path: Path, kind: Written) -> None:
    table = given(tmp_path, kind)
    assert format_like(table) == kind
    content = as_file(predicted(table), tmp_path, kind, Wanted("probability y", 2))
    found = read_file(_file(tmp_path / "answers.xlsx", content)) if kind == "xlsx" else READ[kind](io.BytesIO(content))
    assert found.columns == ["id", "sum", "note", "prediction", "probability y"]
    assert [(row[0], row[2], row[4]) for row in found.rows()] == [("009", "c", 0.9), ("007", "=1+1", 0.7)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({"like.csv", table.name, *_kept(kind)})


def _kept(kind: Written) -> set[str]:
    return {"answers.xlsx"} if kind == "xlsx" else set()


def test_a_cell_of_a_workbook_is_never_a_formula(tmp_path: Path) -> None:
    content = write(pl.LazyFrame(ROWS), "xlsx", tmp_path, given(tmp_path, "csv"))
    assert b"<f>" not in content
    assert read_file(_file(tmp_path / "book.xlsx", content))["note"].to_list() == ROWS["note"]


@pytest.mark.parametrize(
    ("content", "said", "begins"),
    [
        (
            "имя;доля\nж;1,5\nц;2,25\n".encode("cp1251"),
            {"encoding": "cp1251"},
            "имя;доля;prediction;probability y\nж;1,5;y;0,7\n",
        ),
        ("\ufeffname\tx\na\t1.5\nb\t2.5\n".encode(), {}, "name\tx\tprediction\tprobability y\na\t1.5\ty\t0.7\n"),
        ("a,b\n1,2\n3,4\n".encode("utf-16"), {}, "a,b,prediction,probability y\n1,2,y,0.7\n"),
    ],
)
def test_a_csv_is_laid_out_as_the_one_that_came(
    tmp_path: Path, content: bytes, said: dict[str, str], begins: str
) -> None:
    table = open_table(_file(tmp_path / "t.csv", content), "t.csv", said)
    assert table.layout is not None
    frame = pl.DataFrame({"prediction": ["y", "n"], "probability y": [0.7, 0.2]})
    written = as_file(Predicted("m", table, frame, ("y",), (), pl.DataFrame()), tmp_path)
    assert written.decode(table.layout.encoding).removeprefix("\ufeff").startswith(begins)
    assert written.startswith(b"\xef\xbb\xbf") == content.startswith(b"\xef\xbb\xbf")


def test_what_an_encoding_lacks_makes_the_file_utf_8(tmp_path: Path) -> None:
    table = open_table(_file(tmp_path / "t.csv", b"a,b\n1,2\n"), "t.csv", {"encoding": "cp1252"})
    written = write(pl.LazyFrame({"a": ["\u4e2d"]}), "csv", tmp_path, table)
    assert written.decode() == "a\n\u4e2d\n"


@pytest.mark.parametrize(
    ("content", "decimal"),
    [("a;b\n1,5;x\n2,25;y\n", ","), ("a;b\n1.5;x\n", "."), ("a;b\n1,500;x\n2,500;y\n", "."), ("a;b\n1.234,5;x\n", ",")],
)
def test_a_decimal_comma_is_seen(tmp_path: Path, content: str, decimal: str) -> None:
    assert open_table(_file(tmp_path / "t.csv", content.encode()), "t.csv").decimal == decimal


def test_packed_files_tell_their_format_by_their_names(tmp_path: Path) -> None:
    import gzip

    rows = json.dumps({"a": 1}).encode() + b"\n"
    for name, kind in (("t.jsonl.gz", "jsonl"), ("t.ndjson.gz", "jsonl"), ("t.csv.gz", "csv"), ("t.gz", "csv")):
        assert format_like(open_table(_file(tmp_path / name, gzip.compress(rows)), name)) == kind


COMMAS = "№;сумма;доля;код;метка\n1;1.234,5;12,5%;007;да\n2;-3,25;;012;нет\n3;NA;7%;1;да\n"


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "csv"])
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_numbers_of_a_csv_are_numbers_in_a_format_with_types(tmp_path: Path, kind: Written, name: str) -> None:
    content = COMMAS.encode("cp1251")
    packed = gzip.compress(content) if name.endswith("gz") else content
    table = open_table(_file(tmp_path / name, packed), name, {"encoding": "cp1251"})
    frame = pl.DataFrame({"prediction": ["1", "0", "1"], "probability 1": [0.7, 0.2, 0.9]})
    answers = Predicted("m", table, frame, ("0", "1"), (), pl.DataFrame(), label_type=pl.Int64)
    written = as_file(answers, tmp_path, kind)
    found = read_file(_file(tmp_path / "a.xlsx", written)) if kind == "xlsx" else READ[kind](io.BytesIO(written))
    number, total, share, code, label, prediction, _ = found.iter_columns()
    assert [number.to_list(), prediction.to_list()] == [[1, 2, 3], [1, 0, 1]]
    assert [total.to_list(), share.to_list()] == [[1234.5, -3.25, None], [12.5, None, 7.0]]
    assert [code.to_list(), label.to_list()] == [["007", "012", "1"], ["да", "нет", "да"]]


def test_numbers_that_would_not_stay_the_same_stay_text(tmp_path: Path) -> None:
    head = "".join(f"{row};{row},5\n" for row in range(HEAD_ROWS))
    table = open_table(_file(tmp_path / "t.csv", f"a;b\n{head}12345678901234567890;odd\n".encode()), "t.csv")
    found = pl.read_parquet(io.BytesIO(write(table.scan(), "parquet", tmp_path, table)))
    assert found.row(-1) == ("12345678901234567890", "odd")
    assert found["b"][7] == "7,5"
