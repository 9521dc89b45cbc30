"""GrpcClient refuses what the core itself refuses, whatever Python can hand it, and with the core's class of error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from modelyard.errors import (
    InvalidHyperparams,
    InvalidRequest,
    InvalidTable,
    JobNotFound,
    ModelClassNotFound,
    ModelyardError,
)
from modelyard.grpc_server.client import GrpcClient
from modelyard.ml_core.yard import Yard
from modelyard.schemas import Evaluation, ModelQuery, PredictRequest, RetrainRequest, SearchRequest, TrainRequest
from modelyard.verbs import Verbs
from tests import doors
from tests.dated_targets import dated_targets

ROWS: list[list[Any]] = [[float(i), "ab"[i % 2]] for i in range(12)]
LABELS = [i % 2 for i in range(12)]
MODEL = "known"
BROKEN = "\ud800"

Call = Callable[[Verbs], object]


class Yards(NamedTuple):
    core: Yard
    grpc: GrpcClient
    chunked: GrpcClient
    """On the same server; any table goes in chunks."""


@pytest.fixture(scope="module")
def yards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yards]:
    folder = tmp_path_factory.mktemp("yards")
    with ExitStack() as opened:
        target = opened.enter_context(doors.grpc_thread(folder / "grpc"))
        found = Yards(
            opened.enter_context(doors.core(folder / "core")),
            opened.enter_context(GrpcClient(target)),
            opened.enter_context(GrpcClient(target, chunk_mb=0.0001)),
        )
        for yard in found[:2]:
            yard.train(order(name=MODEL, feature_names=["age", "job"]))
        yield found


def order(**fields: Any) -> TrainRequest:
    defaults: dict[str, Any] = {"X": ROWS, "y": LABELS, "evaluation": Evaluation(method="none")}
    return TrainRequest(model_class_key="logistic_regression", **{**defaults, **fields})


def training(request: TrainRequest) -> Call:
    return lambda yard: yard.train(request)


def predicting(request: PredictRequest) -> Call:
    return lambda yard: yard.predict(request)


def refusal(call: Call, yard: Verbs) -> ModelyardError:
    with pytest.raises(ModelyardError) as caught:
        call(yard)
    return caught.value


def refused_alike(yards: Yards, call: Call, due: type[ModelyardError]) -> tuple[ModelyardError, ModelyardError]:
    """Return the core's error and GrpcClient's, both of the class that is due."""
    core, grpc, chunked = (refusal(call, yard) for yard in yards)
    assert type(grpc) is type(chunked) is type(core) is due
    return core, grpc


@pytest.mark.parametrize(
    "y",
    [
        [date(2020, 1, 1 + i % 2) for i in range(12)],
        np.array(["2020-01-01", "2020-01-02"] * 6, dtype="datetime64[D]"),
        np.array(["2020-01-01", "2020-01-02"] * 6, dtype="datetime64[ns]"),
        np.array([1, 2] * 6, dtype="timedelta64[ns]"),
        [np.datetime64("2020-01-01"), np.datetime64("2020-01-02")] * 6,
        pl.Series([date(2020, 1, 1), date(2020, 1, 2)] * 6),
        [date(2020, 1, 1), *LABELS[1:]],
        [b"a", b"b"] * 6,
        [BROKEN, "a"] * 6,
        [2**70, *LABELS[1:]],
        [Decimal("Infinity"), *LABELS[1:]],
        [0.5, *LABELS[1:]],
    ],
    ids=[
        "dates",
        "array of dates",
        "array of nanoseconds",
        "array of durations",
        "numpy dates",
        "Series of dates",
        "a date",
        "bytes",
        "broken text",
        "large",
        "infinite",
        "a fraction",
    ],
)
def test_labels_that_cannot_be_are_never_trained_on(yards: Yards, y: Any) -> None:
    core, grpc = refused_alike(yards, training(order(y=y)), InvalidTable)
    assert [wrong.loc for wrong in grpc.errors] == [wrong.loc for wrong in core.errors]
    retraining = RetrainRequest(model_id=MODEL, X=ROWS, y=y)
    refused_alike(yards, lambda yard: yard.retrain(retraining), InvalidTable)


def test_dates_are_refused_in_a_target_column_too(yards: Yards) -> None:
    for table in dated_targets(list(map(float, range(12)))):
        core, grpc = refused_alike(yards, training(order(**table)), InvalidTable)
        assert [wrong.loc for wrong in grpc.errors] == [wrong.loc for wrong in core.errors]


@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize(
    "cell",
    [np.datetime64(10**18, "s"), Decimal("Infinity"), Decimal("-Infinity"), Decimal("1e400"), 10**400, b"x", BROKEN],
    ids=["datetime64", "infinite", "-infinite", "large Decimal", "large integer", "bytes", "broken text"],
)
def test_a_cell_that_no_table_may_hold_is_refused_as_by_the_core(yards: Yards, cell: Any, column: int) -> None:
    rows = [list(row) for row in ROWS]
    rows[3][column] = cell
    columns = {"age": [row[0] for row in rows], "job": [row[1] for row in rows]}
    for X in (rows, columns, [{"age": age, "job": job} for age, job in rows]):
        _, grpc = refused_alike(yards, predicting(PredictRequest(model_id=MODEL, X=X)), InvalidTable)
        refused_alike(yards, training(order(X=X, feature_types=["numeric", "categorical"])), InvalidTable)
        if isinstance(cell, Decimal):
            assert f"column '{['age', 'job'][column]}', row 3: must be a finite number" in grpc.detail


@pytest.mark.parametrize("key", ["", " ", "é", "a\nb", "\x7f", BROKEN, "k" * 201])
def test_an_idempotency_key_is_visible_ascii(yards: Yards, key: str) -> None:
    retraining = RetrainRequest(model_id=MODEL, X=ROWS, y=LABELS)
    calls: tuple[Call, ...] = (
        lambda yard: yard.train(order(), idempotency_key=key),
        lambda yard: yard.submit_training(order(), idempotency_key=key),
        lambda yard: yard.retrain(retraining, idempotency_key=key),
        lambda yard: yard.submit_retraining(retraining, idempotency_key=key),
    )
    for call in calls:
        core, grpc = refused_alike(yards, call, InvalidRequest)
        assert grpc.detail == core.detail


@pytest.mark.parametrize("reference", ["", ".", "a/b", " known", "é", BROKEN, "known\n", "known:", "x" * 200])
def test_what_is_no_reference_is_refused_in_the_cores_words(yards: Yards, reference: str) -> None:
    calls: tuple[Call, ...] = (
        lambda yard: yard.get_model(reference),
        lambda yard: yard.get_report(reference),
        lambda yard: yard.get_history(reference),
        lambda yard: yard.get_artifact(reference),
        lambda yard: yard.delete(reference),
        lambda yard: yard.restore(reference),
        lambda yard: yard.predict(PredictRequest(model_id=reference, X=ROWS)),
        lambda yard: yard.retrain(RetrainRequest(model_id=reference, X=ROWS, y=LABELS)),
    )
    for call in calls:
        core, grpc = refused_alike(yards, call, InvalidRequest)
        assert grpc.detail == core.detail


@pytest.mark.parametrize("job_id", ["", ".", "é", BROKEN, "x" * 200])
def test_what_is_no_job_id_is_not_found(yards: Yards, job_id: str) -> None:
    calls: tuple[Call, ...] = (
        lambda yard: yard.get_job(job_id),
        lambda yard: yard.cancel_job(job_id),
        lambda yard: list(yard.watch_job(job_id)),
    )
    for call in calls:
        core, grpc = refused_alike(yards, call, JobNotFound)
        assert grpc.detail == core.detail


@pytest.mark.parametrize(
    ("fields", "due"),
    [
        ({"model_class_key": BROKEN}, ModelClassNotFound),
        ({"hyperparams": {BROKEN: 1}}, InvalidHyperparams),
        ({"hyperparams": {"solver": BROKEN}}, InvalidHyperparams),
        ({"target": BROKEN, "y": None}, InvalidTable),
        ({"feature_names": [BROKEN, "b"]}, InvalidTable),
        ({"feature_types": {BROKEN: "numeric"}}, InvalidTable),
        ({"X": {BROKEN: LABELS, "b": LABELS}}, InvalidTable),
        ({"X": [{BROKEN: i, "b": 1} for i in range(12)]}, InvalidTable),
    ],
    ids=ascii,
)
def test_broken_text_is_refused_with_the_cores_class(
    yards: Yards, fields: dict[str, Any], due: type[ModelyardError]
) -> None:
    request = order().model_copy(update=fields)
    refused_alike(yards, training(request), due)


def test_broken_text_names_nothing_to_predict_for_or_to_list(yards: Yards) -> None:
    for X, names in ((ROWS, [BROKEN, "job"]), ([{BROKEN: 1.0, "job": "a"}], None), ({BROKEN: [1.0]}, None)):
        request = PredictRequest(model_id=MODEL, X=X, feature_names=names)
        refused_alike(yards, predicting(request), InvalidTable)
    with pytest.raises(InvalidRequest, match="Unicode"):
        yards.grpc.list_models(ModelQuery(tag=BROKEN))


@pytest.mark.parametrize(
    "given",
    [
        {"max_iter": np.int64(5)},
        {"max_iter": 10**5000},
        {"max_iter": [5]},
        {"C": Decimal("0.5")},
        {"C": np.float32("inf")},
        {"C": None},
        {"solver": b"saga"},
    ],
    ids=lambda given: next(f"{name} {type(value).__name__}" for name, value in given.items()),
)
def test_hyperparams_of_other_types_are_refused_as_by_the_core(yards: Yards, given: dict[str, Any]) -> None:
    core, grpc = refused_alike(yards, training(order(hyperparams=given)), InvalidHyperparams)
    assert [wrong.loc for wrong in grpc.errors] == [wrong.loc for wrong in core.errors]


def test_legal_hyperparams_of_other_types_are_taken_over(yards: Yards) -> None:
    request = order(hyperparams={"C": np.float64(0.3), "max_iter": 50.0, "solver": np.str_("lbfgs")})
    assert yards.grpc.train(request).hyperparams == yards.core.train(request).hyperparams


def test_a_file_that_cannot_be_read_is_refused_in_the_cores_words(yards: Yards, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.csv", Path("a\0b.csv")):
        request = PredictRequest(model_id=MODEL, X=path)
        core, grpc = refused_alike(yards, predicting(request), InvalidTable)
        assert grpc.detail == core.detail


@pytest.mark.parametrize("first", [{}, {"id": "007"}])
def test_ids_that_a_chunk_lacks_are_missing_ones(yards: Yards, first: dict[str, str]) -> None:
    """A record may leave its id out, so that a whole chunk may have none."""
    named = [{"id": f"{row:03d}", "age": age, "job": job} for row, (age, job) in enumerate(ROWS)]
    training = order(name="named", X=named, column_roles={"id": "id"})
    for yard in yards[:2]:
        yard.train(training)
    last = {} if first else {"id": "008"}
    rows = [{"age": 39, "job": "clerk", **ids} for ids in [first] * 40 + [last] * 40]
    core, grpc, chunked = (yard.predict(PredictRequest(model_id="named", X=rows)) for yard in yards)
    assert core.ids == grpc.ids == chunked.ids == [row.get("id") for row in rows]
    assert core.id_column == grpc.id_column == chunked.id_column == "id"


def test_a_search_on_a_table_in_chunks_finds_what_one_message_finds(yards: Yards) -> None:
    asked = SearchRequest(X=ROWS, y=LABELS, model_classes=["logistic_regression"], trials=1)
    core, grpc, chunked = (yard.search(asked) for yard in yards)
    assert core.fingerprint == grpc.fingerprint == chunked.fingerprint
    assert core.metrics == grpc.metrics == chunked.metrics
