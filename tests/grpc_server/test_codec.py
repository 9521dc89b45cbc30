"""What goes over the wire comes back: values, tables, places, errors, metadata."""

from __future__ import annotations

import datetime as dt
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from hypothesis import given
from hypothesis import strategies as st

from modelyard import errors
from modelyard.errors import FieldError, InvalidRequest, InvalidTable, ModelyardError
from modelyard.grpc_server import codec, faults, messages
from modelyard.grpc_server.chunks_on_disk import Spool
from modelyard.grpc_server.client import from_messages, table_chunks, to_messages
from modelyard.grpc_server.paths import read_path, write_path
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.table_messages import opened, read_table
from modelyard.grpc_server.values import check_value, read_value, write_value
from modelyard.schemas import (
    ActualAndPredicted,
    Curve,
    Evaluation,
    Histogram,
    LearningCurve,
    ModelWarning,
    Predictions,
    Report,
)
from modelyard.tables.sources.forms import read_form

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | INT64 | st.floats(allow_nan=False) | TEXT


def arrow(columns: dict[str, list[Any]]) -> bytes:
    stream = io.BytesIO()
    pl.DataFrame(columns).write_ipc_stream(stream)
    return stream.getvalue()


def over_the_wire(X: Any, max_bytes: int = 2**22) -> Any:
    """Return what the server reads of a table that a client sends in chunks."""
    with Spool(2**30) as spool:
        for table, _ in table_chunks.chunks(X, max_bytes):
            spool.append(pb.TrainChunk.FromString(pb.TrainChunk(X=table).SerializeToString()))
        sent, _ = spool.table()
    assert sent.feature_names is None
    return sent.X


@given(SCALARS)
def test_a_value_comes_back_as_it_went(cell: Any) -> None:
    back = read_value(pb.Value.FromString(write_value(cell).SerializeToString()))
    assert (back, type(back)) == (cell, type(cell))


def test_nan_comes_back_as_nan() -> None:
    assert math.isnan(read_value(write_value(float("nan"))))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cell", "sent"),
    [
        (np.int32(3), 3),
        (np.float64(0.5), 0.5),
        (np.float32(0.1), 0.1),
        (np.bool_(True), True),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (2**64, float(2**64)),
    ],
)
def test_what_is_nearly_a_scalar_is_sent_as_one(cell: Any, sent: Any) -> None:
    back = read_value(write_value(cell))
    assert (back, type(back)) == (sent, type(sent))


@pytest.mark.parametrize(
    ("cell", "due"),
    [
        (2**63 + 1, "must be an integer of 64 bits or a number that a double holds exactly"),
        (b"x", "must be text, a number or a boolean"),
        ([1], "must be text, a number or a boolean"),
        (object(), "must be text, a number or a boolean"),
        ("\ud800", "must be valid Unicode text"),
    ],
)
def test_what_is_no_scalar_is_refused(cell: Any, due: str) -> None:
    with pytest.raises(ValueError, match=f"^{due}$"):
        check_value(cell)


@pytest.mark.parametrize(
    "X",
    [
        {"a": [1.0, object(), {1: 2}], "b": ["x", [1], "\ud800"]},
        [{"a": 1.0, "b": "x"}, {"a": object(), "b": [1]}, {"a": {1: 2}, "b": "\ud800"}],
        [[1.0, "x"], [object(), [1]], [{1: 2}, "\ud800"]],
    ],
)
def test_every_cell_that_cannot_be_sent_is_named(X: Any) -> None:
    names = ["a", "b"] if isinstance(X, list) and isinstance(X[0], list) else None
    with pytest.raises(InvalidTable) as caught:
        list(table_chunks.chunks(X, 2**22, names))
    assert [wrong.loc for wrong in caught.value.errors] == [("X", 1, "a"), ("X", 2, "a"), ("X", 1, "b"), ("X", 2, "b")]
    assert caught.value.detail.startswith("column 'a', row 1: must be text, a number or a boolean, got ")
    assert caught.value.errors[3].message == "column 'b', row 2: must be valid Unicode text, got '\\ud800'"


def test_cells_that_cannot_be_sent_are_named_up_to_fifty() -> None:
    with pytest.raises(InvalidTable) as caught:
        list(table_chunks.chunks({"a": [b"x"] * 80}, 2**22))
    assert len(caught.value.errors) == 50


TABLES = st.integers(1, 6).flatmap(
    lambda width: st.lists(st.lists(SCALARS, min_size=width, max_size=width), min_size=1, max_size=12)
)


@given(TABLES, st.sampled_from([2**22, 60]))
def test_rows_come_back_as_they_went(rows: list[list[Any]], max_bytes: int) -> None:
    assert over_the_wire(rows, max_bytes) == rows


@given(TABLES, st.data(), st.sampled_from([2**22, 60]))
def test_records_come_back_with_a_missing_cell_for_each_absent_key(
    rows: list[list[Any]], data: Any, max_bytes: int
) -> None:
    names = [f"c{i}" for i in range(len(rows[0]))]
    records = [
        {name: cell for name, cell in zip(names, row, strict=True) if data.draw(st.booleans(), name)} for row in rows
    ]
    records[0] = dict(zip(names, rows[0], strict=True))
    assert over_the_wire(records, max_bytes) == [{name: record.get(name) for name in names} for record in records]


COLUMN = st.one_of(
    st.lists(st.none() | st.floats(allow_nan=False), min_size=5, max_size=5),
    st.lists(st.none() | INT64, min_size=5, max_size=5),
    st.lists(st.none() | TEXT, min_size=5, max_size=5),
    st.lists(st.none() | st.booleans(), min_size=5, max_size=5),
    st.lists(SCALARS, min_size=5, max_size=5),
)


@given(st.dictionaries(TEXT.filter(lambda name: bool(name.strip())), COLUMN, min_size=1), st.sampled_from([2**22, 60]))
def test_columns_come_back_with_their_cells(columns: dict[str, list[Any]], max_bytes: int) -> None:
    back = over_the_wire(columns, max_bytes)
    cells = {name: list(column) for name, column in back.items()}
    assert cells == columns
    for name, column in columns.items():  # 1 == 1.0 == True, and a column of numbers may become one of doubles
        kinds = {type(cell) for cell in column if cell is not None}
        if kinds != {int, float} and len(kinds) == 1:
            assert {type(cell) for cell in cells[name] if cell is not None} == kinds


def test_a_frame_comes_back_whole_and_in_chunks() -> None:
    frame = pl.DataFrame(
        {"n": [1, None, 3], "x": [0.5, float("inf"), None], "t": ["a", None, "ü"], "b": [True, False, None]}
    )
    assert over_the_wire(frame).frame().equals(frame)
    joined = over_the_wire(frame, max_bytes=1)
    assert joined.frame().equals(frame)


def test_types_that_differ_between_chunks_stay_what_they_were(tmp_path: Path) -> None:
    pieces: list[dict[str, list[Any]]] = [
        {"a": [None, None], "m": [1, 2]},
        {"a": ["x", "y"], "m": [0.5, None]},
        {"a": [1, None], "m": [3, 4]},
    ]
    with Spool(2**20) as spool:
        for piece in pieces:
            ((table, _),) = table_chunks.chunks(piece, 2**20)
            spool.append(pb.TrainChunk(X=table))
        sent, _ = spool.table()
    assert list(sent.X["a"]) == [None, None, "x", "y", 1, None]
    assert list(sent.X["m"]) == [1, 2, 0.5, None, 3, 4]


@pytest.mark.parametrize("X", [None, "text", 7, [1, 2], [[1], {"a": 1}], {"a": 5}, {1: [2]}, [{1: 2}], [{}]], ids=repr)
def test_what_is_no_table_is_refused_in_the_words_of_every_door(X: Any) -> None:
    with pytest.raises(InvalidTable) as ours:
        list(table_chunks.chunks(X, 2**20))
    with pytest.raises(InvalidTable) as everyones:
        read_form(X, None, None)
    assert ours.value.detail == everyones.value.detail


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pb.Table(), "must be rows, columns, arrow or file"),
        (pb.Table(arrow=b"nonsense"), "X is neither an Arrow IPC stream nor an Arrow file"),
        (pb.Table(arrow=arrow({"same1": [1], "same2": [2]}).replace(b"same2", b"same1")), "columns have the same name"),
        (pb.Table(rows=pb.Rows(rows=[pb.Row(values=[pb.Value()])])), "row 0, cell 0"),
        (pb.Table(columns=pb.Columns(columns=[pb.Column(name="a")])), "column 'a' has no values"),
        (pb.Table(columns=pb.Columns(columns=[pb.Column(name="a"), pb.Column(name="a")])), "given twice"),
        (
            pb.Table(
                columns=pb.Columns(columns=[pb.Column(name="a", bools=pb.BoolColumn(values=[True]), missing=[1])])
            ),
            "missing names row 1",
        ),
    ],
    ids=str,
)
def test_a_message_that_is_no_table_is_refused(table: pb.Table, words: str) -> None:
    with pytest.raises((InvalidTable, InvalidRequest), match=words):
        read_table(table)


def test_a_file_is_on_disk_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"a,b\n1,2\n")
    ((table, _),) = table_chunks.chunks(path, 2**20)
    with opened(table) as sent:
        assert (sent.X.suffix, sent.X.read_bytes()) == (".csv", b"a,b\n1,2\n")
    assert not sent.X.exists()


@given(st.lists(INT64.filter(lambda i: i >= 0) | TEXT, max_size=5))
def test_a_place_comes_back_as_it_went(loc: list[int | str]) -> None:
    assert read_path(write_path(tuple(loc))) == tuple(loc)


def test_places_read_like_paths() -> None:
    assert write_path(("X", 3, "age")) == "X[3].age"
    assert write_path(("hyperparams", "depth")) == "hyperparams.depth"
    assert write_path(("X", 0, "my column")) == 'X[0]["my column"]'
    with pytest.raises(ValueError, match="not a path"):
        read_path("X[")


@pytest.mark.parametrize("kind", list(errors.tree()), ids=lambda kind: kind.__name__)
def test_every_error_comes_back_as_its_own_class(kind: type[ModelyardError]) -> None:
    wrong = [
        FieldError(("X", 3, "age"), "must be a number", "old"),
        FieldError(("y",), "ü\n", None),
        FieldError((), "", 2.5),
    ]
    back = faults.from_status(faults.to_status(kind("what, which value, what is allowed: ü"), "id"))
    assert type(back) is (kind if kind is not ModelyardError else errors.Internal)
    assert back.detail == "what, which value, what is allowed: ü"
    again = faults.from_status(faults.to_status(kind("detail", errors=wrong), "id"))
    assert again.errors == tuple(wrong)


def test_error_details_stay_within_what_clients_take() -> None:
    wrong = [FieldError(("X", row, "column " * 9), "message " * 40, "value " * 40) for row in range(50)]
    error = InvalidTable("detail " * 3000, errors=wrong)
    status = faults.to_status(error, "id")
    assert len(status.SerializeToString()) + len(status.message.encode()) < 7200
    back = faults.from_status(status)
    assert 0 < len(back.errors) < 50
    assert back.errors[0].message == wrong[0].message
    assert len(faults.from_status(faults.to_status(error, "id", 2**18)).errors) == 50


def test_fifty_ordinary_places_fit() -> None:
    wrong = [
        FieldError(("X", row, "age"), f"column 'age', row {row}: must be a number, got 'old'", "old")
        for row in range(50)
    ]
    back = faults.from_status(faults.to_status(InvalidTable.of(wrong), "id"))
    assert back.errors == tuple(wrong)


LABELS = st.one_of(st.lists(st.booleans(), min_size=1), st.lists(INT64, min_size=1), st.lists(TEXT, min_size=1))


@given(LABELS, st.data())
def test_predictions_come_back_as_they_went(labels: list[Any], data: Any) -> None:
    classes = sorted(set(labels))
    numbers = st.lists(st.floats(0, 1), min_size=len(classes), max_size=len(classes))
    rows = data.draw(st.none() | st.lists(numbers, min_size=len(labels), max_size=len(labels)))
    warnings = [ModelWarning(code="c", message="m", column="x", count=3), ModelWarning(code="d", message="n")]
    found = Predictions(str(len(labels)), labels, classes, rows, warnings)
    message = pb.PredictResponse.FromString(codec.write_predictions(found))
    back = from_messages.read_predictions(message, probabilities=rows is not None)
    assert back == found
    assert [type(label) for label in back.predictions] == [type(label) for label in labels]


@given(st.lists(st.floats(allow_nan=False), max_size=5))
def test_numbers_of_a_regression_come_back_as_they_went(values: list[float]) -> None:
    found = Predictions("id", [*values], None, None, [ModelWarning(code="c", message="m")])
    back = from_messages.read_predictions(
        pb.PredictResponse.FromString(codec.write_predictions(found)), probabilities=True
    )
    assert back == found
    assert [str(value) for value in back.predictions] == [str(value) for value in values]  # -0.0 is not 0.0


def test_a_report_of_a_regression_comes_back_as_it_went() -> None:
    report = Report(
        metrics={"validation_mape": None, "validation_rmse": 2.0},
        residuals=Histogram(edges=[-1.0, 0.0, 1.0], counts=[0, 3]),
        predicted_against_actual=ActualAndPredicted(actual=[0.0, 1.0], predicted=[0.5, 0.0]),
        columns={},
        rows={"total": 3},
    )
    assert messages.read(Report, messages.write(pb.Report, report)) == report


def test_a_report_comes_back_as_it_went() -> None:
    report = Report(
        metrics={"train_accuracy": 0.5, "validation_roc_auc": None},
        roc_curves={"yes": Curve(x=[0.0, None], y=[1.0, 2.0])},
        learning_curve=LearningCurve(metric="Logloss", train=[0.5, 0.25]),
        columns={
            "age": {
                "type": "numeric",
                "missing": 1,
                "min": 0.0,
                "max": 1.0,
                "mean": None,
                "std": None,
                "median": 0.5,
                "histogram": {"edges": [0.0, 1.0], "counts": [3]},
            },
            "job": {
                "type": "categorical",
                "missing": 0,
                "n_categories": 2,
                "top": [{"value": "a", "count": 2}, {"value": None, "count": 1}],
            },
        },
        rows={"total": 3},
        per_class=[{"label": True, "precision": 0.5, "recall": 0.25, "f1": 0.1, "support": 3}],
    )
    assert messages.read(Report, messages.write(pb.Report, report)) == report


def test_an_evaluation_comes_back_with_what_was_set() -> None:
    assert messages.read(Evaluation, pb.Evaluation(method="cv")) == Evaluation(method="cv")
    for evaluation in (Evaluation(), Evaluation(method="none", seed=2**32 - 1), Evaluation(fraction=0.5, folds=9)):
        assert messages.read(Evaluation, messages.write(pb.Evaluation, evaluation)) == evaluation


def test_hyperparams_go_as_text() -> None:
    assert to_messages.hyperparams_as_text(
        {"a": 1, "b": 0.1, "c": True, "d": None, "e": "l2", "f": np.float64(1e-5)}
    ) == {
        "a": "1",
        "b": "0.1",
        "c": "true",
        "d": "null",
        "e": "l2",
        "f": "1e-05",
    }


def test_a_full_queue_says_when_to_come_back() -> None:
    status = faults.to_status(errors.TooManyRequests("full", retry_after_s=7), "id")
    found = RetryInfo()
    assert [detail.Unpack(found) for detail in status.details].count(True) == 1
    assert found.retry_delay.seconds == 7
    assert not any(detail.Is(RetryInfo.DESCRIPTOR) for detail in faults.to_status(errors.NotFound("no"), "id").details)
