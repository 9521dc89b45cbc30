"""RestClient answers like the core itself to whatever Python can hand it, also where JSON has no word for it."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import polars as pl
import pytest

from modelyard.errors import Internal, InvalidRequest, InvalidTable, JobNotFound, ModelyardError
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.client import RestClient
from modelyard.schemas import Evaluation, ModelQuery, PredictRequest, RetrainRequest, TrainRequest
from modelyard.tables.moments import MOMENT_DUE
from modelyard.verbs import Verbs
from tests import doors
from tests.dated_targets import dated_targets

NONE = Evaluation(method="none")
ROWS: list[list[Any]] = [[float(i), "ab"[i % 2]] for i in range(12)]
LABELS = [i % 2 for i in range(12)]
MODEL = "known"


class Yards(NamedTuple):
    core: Yard
    rest: RestClient


class Mood(StrEnum):
    GOOD = "a"


@pytest.fixture(scope="module")
def yards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yards]:
    folder = tmp_path_factory.mktemp("yards")
    with ExitStack() as opened:
        found = Yards(
            opened.enter_context(doors.core(folder / "core")), opened.enter_context(doors.rest(folder / "rest"))
        )
        for yard in found:
            yard.train(order(name=MODEL, feature_names=["age", "job"]))
        yield found


def order(**fields: Any) -> TrainRequest:
    defaults: dict[str, Any] = {"X": ROWS, "y": LABELS, "evaluation": NONE}
    return TrainRequest(model_class_key="logistic_regression", **{**defaults, **fields})


def refusal(call: Any) -> ModelyardError:
    with pytest.raises(ModelyardError) as caught:
        call()
    return caught.value


def train(yard: Verbs, fields: dict[str, Any]) -> Any:
    return yard.train(order(**fields))


def predict(yard: Verbs, X: Any, **fields: Any) -> Any:
    return yard.predict(PredictRequest(model_id=MODEL, X=X, probabilities=True, **fields))


def with_cell(cell: Any, column: int = 0) -> list[list[Any]]:
    wrong = [list(row) for row in ROWS]
    wrong[3][column] = cell
    return wrong


def records(rows: list[list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(("age", "job"), row, strict=True)) for row in rows]


INF = float("inf")
CELLS: dict[str, Any] = {
    "inf": INF,
    "-inf": -INF,
    "float32 inf": np.float32("inf"),
    "float64 inf": np.float64("inf"),
    "Decimal inf": Decimal("inf"),
    "Decimal too large": Decimal("1e400"),
    "integer too large": 10**400,
    "bytes": b"x'\"y",
    "set": {1},
    "list": [1, "b"],
    "dict": {"a": None},
    "UUID": UUID(int=1),
    "complex": 1j,
    "object": SimpleNamespace(a=1),
    "long object": [list(range(30))],
    "broken text": "a\ud800",
    "datetime64": np.datetime64(10**18, "s"),
    "timedelta64": np.timedelta64(5, "D"),
    "timedelta": datetime(2020, 1, 1, tzinfo=UTC) - datetime(2019, 1, 1, tzinfo=UTC),
}
BY_ANY_COLUMN = {
    **dict.fromkeys(
        CELLS.keys() - {case for case in CELLS if "inf" in case or "large" in case}, "text, a number or a boolean"
    ),
    "broken text": "valid Unicode text",
    "datetime64": MOMENT_DUE.removeprefix("must be "),
}
"""What a cell must be that no column may hold: the client does not know what the one at hand holds."""


@pytest.mark.parametrize("case", list(CELLS))
@pytest.mark.parametrize("form", ["rows", "tuples", "named rows", "records", "columns", "mixed columns"])
def test_a_cell_that_no_table_may_hold_is_refused_as_by_the_core(yards: Yards, case: str, form: str) -> None:
    for column in (0, 1):
        wrong = with_cell(CELLS[case], column)
        lists = {"age": [row[0] for row in wrong], "job": [row[1] for row in wrong]}
        X: Any = {
            "rows": wrong,
            "tuples": tuple(map(tuple, wrong)),
            "named rows": wrong,
            "records": records(wrong),
            "columns": lists,
            "mixed columns": {**lists, "job": pl.Series(lists["job"], dtype=pl.Object)},
        }[form]
        names: dict[str, Any] = {"feature_names": ["age", "job"]} if form == "named rows" else {}
        orders = {"X": X, **names, "feature_types": ["numeric", "categorical"]}
        for call in (partial(train, fields=orders), partial(predict, X=X, **names)):
            core, rest = (refusal(partial(call, yard)) for yard in yards)
            assert type(rest) is type(core) is InvalidTable
            (due,) = core.errors
            if case in BY_ANY_COLUMN:
                due = replace(due, message=due.message.replace("must be a number", f"must be {BY_ANY_COLUMN[case]}"))
            if form in ("rows", "tuples") and call.func is predict:  # the names of their columns are the server's
                known, name = ("age", "job")[column], f"f{column}"
                due = replace(due, loc=("X", 3, name), message=due.message.replace(repr(known), repr(name), 1))
            assert rest.errors == (due,)
            assert rest.detail == due.message


@pytest.mark.parametrize("case", ["inf", "float32 inf", "Decimal inf", "bytes", "broken text"])
def test_a_wrong_cell_is_refused_where_the_type_of_its_column_is_inferred(yards: Yards, case: str) -> None:
    for X in (with_cell(CELLS[case]), records(with_cell(CELLS[case]))):
        core, rest = (refusal(lambda yard=yard, X=X: train(yard, {"X": X})) for yard in yards)
        assert (type(rest), rest.detail, rest.errors) == (type(core), core.detail, core.errors)


def test_infinite_numbers_are_never_missing_ones(yards: Yards) -> None:
    column = np.array([row[0] for row in with_cell(INF)])
    job = [row[1] for row in ROWS]
    for age in (column, column.astype(np.float32), column.tolist(), tuple(column), pl.Series(column)):
        for X in ({"age": age, "job": job}, {"age": age, "job": pl.Series(job)}):
            core, rest = (refusal(lambda yard=yard, X=X: predict(yard, X)) for yard in yards)
            assert (rest.detail, rest.errors) == (core.detail, core.errors)
            assert "column 'age', row 3: must be a finite number" in rest.detail


LEGAL: dict[str, list[Any]] = {
    "Decimal": [Decimal(i) / 3 for i in range(12)],
    "Decimal NaN": [Decimal("nan"), *map(Decimal, range(11))],
    "Decimal signaling NaN": [Decimal("snan"), *map(Decimal, range(11))],
    "NaN": [float("nan"), *map(float, range(11))],
    "float64": list(np.arange(12.0) / 3),
    "float16": list((np.arange(12) / 3).astype(np.float16)),
    "integers": list(np.arange(12)),
    "large integers": [2**70 + i for i in range(12)],
    "numpy booleans": [np.bool_(i % 3 == 0) for i in range(12)],
    "dates": [date(2020, 1, 1 + i % 2) for i in range(12)],
    "datetimes": [datetime(2020, 1, 1, i % 2, 30, tzinfo=UTC) for i in range(12)],
    "times": [time(i % 2, 30) for i in range(12)],
    "numpy texts": [np.str_("ab"[i % 2]) for i in range(12)],
    "enums": [Mood.GOOD, *"bababababab"],
}


@pytest.mark.parametrize("case", list(LEGAL))
def test_cells_of_other_types_mean_what_they_mean_to_the_core(yards: Yards, case: str) -> None:
    column = LEGAL[case]
    forms: list[Any] = [
        [[cell, i] for i, cell in enumerate(column)],
        [{"c": cell, "i": i} for i, cell in enumerate(column)],
        {"c": column, "i": list(range(12))},
    ]
    names = ["c", "i"]
    core, rest = (train(yard, {"X": forms[0], "feature_names": names}) for yard in yards)
    pairs: list[tuple[Verbs, Any]] = [(yards.core, core), (yards.rest, rest)]
    assert rest.feature_types == core.feature_types
    reports = [yard.get_report(model.model_id) for yard, model in pairs]
    assert reports[1].columns == reports[0].columns
    for X in forms:
        answers = [
            yard.predict(PredictRequest(model_id=model.model_id, X=X, probabilities=True)) for yard, model in pairs
        ]
        assert answers[1].probabilities == answers[0].probabilities
        assert answers[1].warnings == answers[0].warnings


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Int128, pl.Date, pl.Categorical, pl.Decimal(10, 2), pl.Object])
def test_typed_columns_keep_their_types(yards: Yards, dtype: Any) -> None:
    numbers = [2**70, *range(11)] if dtype == pl.Int128 else list(range(12))
    cells = [str(i % 2) for i in range(12)] if dtype in (pl.Categorical, pl.Object) else numbers
    series = pl.Series("c", cells, dtype=dtype if dtype != pl.Float32 else pl.Float64).cast(dtype)
    if dtype == pl.Float32:
        series = series / pl.Series([3.0], dtype=pl.Float32)
    kinds = ("categorical", "numeric") if dtype in (pl.Float32, pl.Int128) else ("categorical",)
    for kind, X in zip(kinds, ({"c": series}, pl.DataFrame([series])), strict=False):
        core, rest = (train(yard, {"X": X, "feature_types": {"c": kind}}) for yard in yards)
        pairs: list[tuple[Verbs, Any]] = [(yards.core, core), (yards.rest, rest)]
        reports = [yard.get_report(model.model_id) for yard, model in pairs]
        assert reports[1].columns == reports[0].columns


CONTAINERS: dict[str, Any] = {
    "2-D array": np.array(ROWS, dtype=object),
    "rows as arrays": [np.array([1.0, 2.0])] * 12,
    "rows as Series": [pl.Series([1.0, 2.0])] * 12,
    "set": {1, 2},
    "bytes": b"1,2",
    "text": "table.csv",
    "number": 5,
    "infinite": INF,
    "nothing": None,
    "a row": [1.0, "a"],
    "a set for a row": [[1.0, "a"], {1, 2}],
    "a number for a row": [[1.0, "a"], 5],
    "ragged": [[1.0, "a"], ["x"]],
    "ragged, and not JSON's": [[Decimal(1), "a"], [Decimal(2)]],
    "a set for a column": {"age": {1}, "job": ["a"]},
    "2-D column": {"age": np.zeros((2, 2)), "job": ["a", "b"]},
    "columns of two lengths": {"age": pl.Series([1.0]), "job": pl.Series(["a", "b"])},
    "no text for a column's name": {1: [1.0], "job": ["a"]},
    "broken name": {"\ud800": [1.0], "job": ["a"]},
    "missing column": [{"job": Decimal(1)}],
    "empty frame": pl.DataFrame(),
    "no rows": pl.DataFrame({"age": [], "job": []}),
    "lists in a frame": pl.DataFrame({"age": [[1.0]], "job": ["a"]}),
}


@pytest.mark.parametrize("case", list(CONTAINERS))
def test_what_is_no_table_is_refused_in_the_cores_words(yards: Yards, case: str) -> None:
    X = CONTAINERS[case]
    for call in (lambda yard: train(yard, {"X": X}), lambda yard: predict(yard, X)):
        core, rest = (refusal(lambda yard=yard, call=call: call(yard)) for yard in yards)
        assert (type(rest), rest.detail) == (type(core), core.detail)
        assert [wrong.loc for wrong in rest.errors] == [wrong.loc for wrong in core.errors]


def test_keys_that_are_no_text(yards: Yards) -> None:
    for X in ([{1: 1.0, "job": "a"}] * 12, [{"\ud800": 1.0, "job": "a"}] * 12):
        core, rest = (refusal(lambda yard=yard, X=X: train(yard, {"X": X})) for yard in yards)
        assert (type(rest), rest.detail) == (type(core), core.detail)
        core, rest = (refusal(lambda yard=yard, X=X: predict(yard, X)) for yard in yards)
        assert type(rest) is type(core) is InvalidTable


def test_a_column_more_is_dropped_if_it_can_be_sent(yards: Yards) -> None:
    core, rest = (predict(yard, [{"age": 1.0, "job": "a", "age ": Decimal(1)}]) for yard in yards)
    assert rest.probabilities == core.probabilities
    assert rest.warnings == core.warnings
    for extra in ({1: "x"}, {"age ": b"y"}):
        assert (
            type(refusal(lambda extra=extra: predict(yards.rest, [{"age": 1.0, "job": "a", **extra}]))) is InvalidTable
        )


WRONG_LABELS: dict[str, Any] = {
    "dates": [date(2020, 1, 1 + i % 2) for i in range(12)],
    "bytes": [b"a", b"b"] * 6,
    "infinite": [INF, *LABELS[1:]],
    "NaN": [float("nan"), *LABELS[1:]],
    "large": [2**70, *LABELS[1:]],
    "fractions": [Decimal("0.5"), *LABELS[1:]],
    "broken text": ["\ud800", "a"] * 6,
    "array of dates": np.array(["2020-01-01", "2020-01-02"] * 6, dtype="datetime64[D]"),
    "array of nanoseconds": np.array(["2020-01-01", "2020-01-02"] * 6, dtype="datetime64[ns]"),
    "array of durations": np.array([1, 2] * 6, dtype="timedelta64[ns]"),
    "2-D array": np.zeros((12, 1)),
    "set": {0, 1},
    "text": "ab" * 6,
    "too few": np.array([0, 1]),
}


@pytest.mark.parametrize("case", list(WRONG_LABELS))
def test_labels_that_cannot_be_are_refused_as_by_the_core(yards: Yards, case: str) -> None:
    core, rest = (refusal(lambda yard=yard: train(yard, {"y": WRONG_LABELS[case]})) for yard in yards)
    assert type(rest) is type(core) is InvalidTable
    assert [wrong.loc for wrong in rest.errors] == [wrong.loc for wrong in core.errors]
    if case in ("bytes", "2-D array", "set", "text", "too few", "broken text") or "dates" in case:
        assert rest.detail == core.detail


def test_dates_are_refused_in_a_target_column_too(yards: Yards) -> None:
    for table in dated_targets(list(map(Decimal, range(12)))):
        core, rest = (refusal(lambda yard=yard, table=table: train(yard, table)) for yard in yards)
        assert (type(rest), rest.detail, rest.errors) == (type(core), core.detail, core.errors)


@pytest.mark.parametrize(
    "y",
    [
        np.array(LABELS),
        np.array(LABELS, dtype=np.float32),
        pl.Series(LABELS, dtype=pl.UInt8),
        pl.Series(["a", "b"] * 6, dtype=pl.Categorical),
        [Decimal(2**53 + 1), Decimal(1)] * 6,
        [np.bool_(i % 2) for i in LABELS],
        [2**63 - 1, -(2**63)] * 6,
        tuple(map(float, LABELS)),
    ],
)
def test_labels_of_other_types_are_the_same_classes(yards: Yards, y: Any) -> None:
    core, rest = (train(yard, {"y": y}) for yard in yards)
    assert rest.classes == core.classes
    assert list(map(type, rest.classes)) == list(map(type, core.classes))


HYPERPARAMS: dict[str, dict[str, Any]] = {
    "nan": {"C": float("nan")},
    "inf": {"C": INF},
    "null": {"C": None},
    "bytes": {"solver": b"saga"},
    "Decimal": {"C": Decimal("0.5")},
    "numpy integer": {"max_iter": np.int64(5)},
    "float32": {"C": np.float32("inf")},
    "large": {"max_iter": 10**400},
    "object": {"penalty": SimpleNamespace(a=1)},
    "list": {"C": [1.0]},
    "tuple": {"C": (1.0,)},
    "broken text": {"solver": "\ud800"},
    "broken name": {"\ud800": 1},
    "two": {"C": float("nan"), "max_iter": {1}},
}


@pytest.mark.parametrize("case", list(HYPERPARAMS))
def test_hyperparams_are_refused_as_by_the_core(yards: Yards, case: str, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pl.DataFrame({"a": [1.0, 2.0] * 6}).write_parquet(path)
    for X in (ROWS, path):
        fields = {"X": X, "hyperparams": HYPERPARAMS[case]}
        core, rest = (refusal(lambda yard=yard, fields=fields: train(yard, fields)) for yard in yards)
        assert type(rest) is type(core)
        if "broken" in case:
            continue
        assert [wrong.loc for wrong in rest.errors] == [wrong.loc for wrong in core.errors]
        if case in ("nan", "inf", "null"):
            assert rest.detail == core.detail
        elif case == "large":
            assert rest.detail.startswith("hyperparam 'max_iter' must be a finite number")
        else:
            due = "must be text, a number, a boolean or null, got "
            (name,) = HYPERPARAMS[case].keys() - ({"C"} if case == "two" else set())
            assert f"hyperparam {name!r} {due}" in " ".join(wrong.message for wrong in rest.errors)


def test_legal_hyperparams_of_other_types_are_taken_over(yards: Yards) -> None:
    given = {"C": np.float64(0.3), "max_iter": 50.0, "penalty": np.str_("l2")}
    core, rest = (train(yard, {"hyperparams": given}) for yard in yards)
    assert rest.hyperparams == core.hyperparams


@pytest.mark.parametrize("field", ["model_class_key", "target", "feature_names", "feature_types"])
def test_broken_text_in_a_field_is_refused_with_the_cores_class(yards: Yards, field: str) -> None:
    broken: dict[str, Any] = {"feature_names": ["\ud800", "b"], "feature_types": {"\ud800": "numeric"}}
    request = order().model_copy(update={field: broken.get(field, "\ud800")})
    if field == "target":
        request = request.model_copy(update={"y": None})
    core, rest = (refusal(lambda yard=yard: yard.train(request)) for yard in yards)
    assert type(rest) is type(core)


@pytest.mark.parametrize("key", ["", " ", "é", "a\nb", " k ", "k" * 201, "\ud800", "a b", "\x7f"])
def test_an_idempotency_key_is_visible_ascii_behind_every_door(yards: Yards, key: str) -> None:
    retraining = RetrainRequest(model_id=MODEL, X=ROWS, y=LABELS)
    for call in (
        lambda yard: yard.train(order(), idempotency_key=key),
        lambda yard: yard.submit_training(order(), idempotency_key=key),
        lambda yard: yard.retrain(retraining, idempotency_key=key),
        lambda yard: yard.submit_retraining(retraining, idempotency_key=key),
    ):
        core, rest = (refusal(lambda yard=yard, call=call: call(yard)) for yard in yards)
        assert type(rest) is type(core) is InvalidRequest
        assert rest.detail == core.detail


def test_an_idempotency_key_of_any_visible_character_reaches_the_core(yards: Yards) -> None:
    key = "".join(map(chr, range(0x21, 0x7F)))
    for yard in yards:
        first = yard.train(order(), idempotency_key=key)
        assert yard.train(order(), idempotency_key=key).model_id == first.model_id


REFERENCES = ["", ".", "..", "a/b", "known/report", "known%2Freport", "known?x", "known#1", "known:0", " known", "é"]


@pytest.mark.parametrize("reference", [*REFERENCES, "\ud800", "known\n", "x" * 200, "/", "known:"])
def test_what_is_no_reference_is_refused_as_by_the_core(yards: Yards, reference: str) -> None:
    for call in (
        lambda yard: yard.get_model(reference),
        lambda yard: yard.get_report(reference),
        lambda yard: yard.get_history(reference),
        lambda yard: yard.get_artifact(reference),
        lambda yard: yard.delete(reference),
        lambda yard: yard.delete(reference, hard=True),
        lambda yard: yard.restore(reference),
        lambda yard: yard.predict(PredictRequest(model_id=reference, X=ROWS)),
        lambda yard: yard.retrain(RetrainRequest(model_id=reference, X=ROWS, y=LABELS)),
    ):
        core, rest = (refusal(lambda yard=yard, call=call: call(yard)) for yard in yards)
        assert type(rest) is type(core) is InvalidRequest
        if reference != "\ud800":
            assert rest.detail == core.detail


@pytest.mark.parametrize("job_id", ["", ".", "..", "a/b", "é", "\ud800", "x\n", "x" * 200])
def test_what_is_no_job_id_is_not_found_as_by_the_core(yards: Yards, job_id: str) -> None:
    for call in (
        lambda yard: yard.get_job(job_id),
        lambda yard: yard.cancel_job(job_id),
        lambda yard: list(yard.watch_job(job_id)),
    ):
        core, rest = (refusal(lambda yard=yard, call=call: call(yard)) for yard in yards)
        assert type(rest) is type(core) is JobNotFound
        assert rest.detail == core.detail


def test_models_are_listed_by_any_text(yards: Yards) -> None:
    for query in (ModelQuery(name=""), ModelQuery(tag=""), ModelQuery(tag="a&b=c#d"), ModelQuery(name="é /")):
        core, rest = (yard.list_models(query) for yard in yards)
        assert core.models == rest.models == []
    for wrong in (ModelQuery(model_class_key=""), ModelQuery(cursor="é"), ModelQuery(cursor="")):
        refused = [refusal(lambda yard=yard, wrong=wrong: yard.list_models(wrong)) for yard in yards]
        assert type(refused[1]) is type(refused[0])
    with pytest.raises(InvalidRequest, match="Unicode"):
        yards.rest.list_models(ModelQuery(tag="\ud800"))


def test_a_file_that_cannot_be_read_is_refused_in_the_cores_words(yards: Yards, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.csv", tmp_path / "x" / "y.csv"):
        core, rest = (refusal(lambda yard=yard, path=path: predict(yard, path)) for yard in yards)
        assert (type(rest), rest.detail) == (type(core), core.detail)
    with pytest.raises(InvalidTable, match="cannot be read"):
        predict(yards.rest, Path("a\0b.csv"))


def test_a_server_of_another_kind_is_told_from_ours() -> None:
    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with RestClient(f"http://127.0.0.1:{server.server_port}") as client:
            for call in (client.health, client.list_models, client.list_model_classes, lambda: client.get_model("a")):
                with pytest.raises(Internal, match="Modelyard server"):
                    call()
        server.shutdown()
        thread.join()
