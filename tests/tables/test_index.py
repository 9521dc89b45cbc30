"""Pandas' index is no feature: not in Parquet, not in Arrow, not in CSV, whatever it is called."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelyard.errors import InvalidTable
from modelyard.grpc_server import table_messages
from modelyard.grpc_server.chunks_on_disk import Spool
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.settings import DEFAULT_MISSING_MARKERS
from modelyard.tables import Reader, ReadingOptions, TrainingTable, read_arrow, read_training
from modelyard.tables.sources import pandas_index

pandas: Any = pytest.importorskip("pandas", reason="needs pandas")
pyarrow: Any = pytest.importorskip("pyarrow", reason="needs pyarrow")

FRAME = pandas.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "y": ["no", "no", "yes", "yes"]})
SORTED = FRAME.set_index(pandas.Index([7, 3, 9, 1]))
NAMED = FRAME.set_index(pandas.Index(["w", "x", "y", "z"], name="größe"))
DOUBLE = FRAME.set_index(pandas.MultiIndex.from_product([[1, 2], ["p", "q"]], names=["m", None]))
DATES = FRAME.set_index(pandas.date_range("2024-01-01", periods=4, name="day"))


def arrow(frame: Any, new: str) -> bytes:
    """Return a pandas DataFrame as an Arrow file or stream, as pyarrow writes it."""
    table, out = pyarrow.Table.from_pandas(frame), pyarrow.BufferOutputStream()
    with getattr(pyarrow.ipc, new)(out, table.schema) as writer:
        writer.write_table(table)
    written: bytes = out.getvalue().to_pybytes()
    return written


WRITERS: dict[str, Callable[[Any], bytes]] = {
    "parquet": lambda frame: frame.to_parquet(),
    "file": lambda frame: arrow(frame, "new_file"),
    "stream": lambda frame: arrow(frame, "new_stream"),
}


def train(X: Any, target: str | None = "y", y: Any = None, **options: Any) -> TrainingTable:
    given = {
        "feature_types": None,
        "feature_names": None,
        "options": ReadingOptions(DEFAULT_MISSING_MARKERS),
        **options,
    }
    return read_training(X, y, target=target, **given)


def written(tmp_path: Path, content: bytes | str) -> Path:
    path = tmp_path / "table"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("how", WRITERS)
@pytest.mark.parametrize(
    ("frame", "names"),
    [
        (FRAME, []),
        (FRAME[::2], []),
        (SORTED, ["__index_level_0__"]),
        (NAMED, ["größe"]),
        (DOUBLE, ["m", "__index_level_1__"]),
        (DATES, ["day"]),
    ],
    ids=["counted", "counted by two", "sorted", "named", "double", "dates"],
)
def test_an_index_is_left_out_and_named(frame: Any, names: list[str], how: str, tmp_path: Path) -> None:
    path = written(tmp_path, WRITERS[how](frame))
    table = train(path)
    assert table.frame.columns == ["a"]
    told = [(warning.code, warning.count) for warning in table.warnings]
    assert told == ([("index_columns", len(names))] if names else [])
    assert all(repr(name) in table.warnings[0].message for name in names)
    contract = train({"a": [1.0, 2.0], "y": ["no", "yes"]}).contract
    found = Reader(contract).read_table(path)
    assert found.frame["a"].to_list() == frame["a"].to_list()
    assert [(warning.code, warning.count) for warning in found.warnings] == [("extra_columns", 1)]  # y


def test_an_index_that_is_asked_for_is_a_column_like_others(tmp_path: Path) -> None:
    path = written(tmp_path, NAMED.to_parquet())
    as_target = train(path, target="größe", feature_types={"a": "numeric"})
    assert as_target.frame.columns == ["a", "y"]
    assert as_target.contract.classes == ("w", "x", "y", "z")
    for options in (
        {"feature_types": {"größe": "categorical"}},
        {"feature_names": ["größe", "a"]},
        {"inherited_types": {"größe": "categorical"}},
    ):
        table = train(path, **options)
        assert set(table.frame.columns) == {"a", "größe"}
        assert table.warnings == ()
        fed = Reader(table.contract).read_table(path).frame
        assert fed["größe"].to_list() == ["w", "x", "y", "z"]


def test_a_table_of_nothing_but_an_index_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, NAMED[[]].to_parquet())
    with pytest.raises(InvalidTable, match="X has no columns besides pandas' index 'größe'"):
        train(path, target=None, y=[0, 1, 0, 1])
    with pytest.raises(InvalidTable, match="has no columns besides the target 'y'"):
        train(written(tmp_path, NAMED[["y"]].to_parquet()))


@pytest.mark.parametrize("how", ["file", "stream"])
def test_arrow_on_the_wire_keeps_its_index_apart(how: str) -> None:
    data = WRITERS[how](DOUBLE)
    assert train(table_messages.read_table(pb.Table(arrow=data)).X).frame.columns == ["a"]
    with Spool(2**20) as spool:
        for _ in range(2):
            spool.append(pb.TrainChunk(X=pb.Table(arrow=data)))
        table = train(spool.table()[0].X)
    assert table.frame["a"].to_list() == [1.0, 2.0, 3.0, 4.0] * 2
    assert [warning.code for warning in table.warnings] == ["index_columns"]


@pytest.mark.parametrize("how", ["write_ipc", "write_ipc_stream"])
def test_arrow_that_says_nothing_of_an_index_has_none(how: str) -> None:
    out = io.BytesIO()
    getattr(pl.DataFrame({"__index_level_0__": [1, 2]}), how)(out)
    assert read_arrow(out.getvalue()).index_columns == ()


@pytest.mark.parametrize(
    "said", [b"", b"{", b"[]", b"{}", b'{"index_columns": 7}', b'{"index_columns": [1, null, {}]}']
)
def test_metadata_of_another_form_names_no_index(said: bytes) -> None:
    table = pyarrow.table({"a": [1]}).replace_schema_metadata({"other": "x", "pandas": said})
    out = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    assert read_arrow(out.getvalue().to_pybytes()).index_columns == ()


@pytest.mark.parametrize("how", ["file", "stream"])
def test_damaged_metadata_name_no_index(how: str) -> None:
    """Polars judges the file; here nothing may go wrong besides."""
    whole = WRITERS[how](SORTED)
    found = set()
    for at in range(8, len(whole)):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            found.add(pandas_index.in_arrow(damaged))
    assert {(), ("__index_level_0__",)} <= found


def test_the_nameless_first_column_of_a_csv_is_an_index(tmp_path: Path) -> None:
    table = train(written(tmp_path, SORTED.to_csv()))
    assert table.frame.to_dict(as_series=False) == {"a": [1.0, 2.0, 3.0, 4.0]}
    assert [warning.code for warning in table.warnings] == ["index_columns"]
    assert table.warnings[0].message.startswith("the first column has no name, like pandas' index in CSV")
    assert Reader(table.contract).read_table(written(tmp_path, FRAME[["a"]].to_csv())).warnings == ()
    double = train(written(tmp_path, DOUBLE.rename_axis([None, None]).to_csv()))
    assert double.frame["a"].to_list() == [1.0, 2.0, 3.0, 4.0]
    assert [(warning.code, warning.count) for warning in double.warnings] == [("index_columns", 2)]
    assert double.warnings[0].message.startswith(
        "the first 2 columns have no names, like pandas' index in CSV, and were"
    )
    again = train(written(tmp_path, ",Unnamed: 0,a,y\n0,7,1,no\n1,3,2,yes\n"))
    assert again.frame.columns == ["Unnamed: 0", "a"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("a,,y", "the name of column 1 must be text"),
        (",a,a", "column name 'a' is given twice"),
        ('""', "the CSV has no header: no column has a name"),
    ],
)
def test_other_names_that_are_missing_are_refused(header: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match=message):
        train(written(tmp_path, f"{header}\n1,2,3\n"))
