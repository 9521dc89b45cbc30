"""How far numbers can be trusted, behind every door: intervals and baselines of metrics, intervals of predictions."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from modelyard import errors
from modelyard.errors import ModelyardError
from modelyard.grpc_server.client import GrpcClient
from modelyard.rest_api.client import RestClient
from modelyard.schemas import Evaluation, ModelMetadata, PredictRequest, TrainRequest, interval_of
from modelyard.verbs import Verbs
from tests import doors
from tests.test_contract import LABELS, RECORDS, name, yard

__all__ = ["name", "yard"]

NOISE = np.random.default_rng(3).normal(0, 4, len(RECORDS))
PRICES = [3.0 * row["age"] + 0.01 * row["income"] + noise for row, noise in zip(RECORDS, NOISE, strict=True)]


def order(name: str, **fields: Any) -> TrainRequest:
    defaults: dict[str, Any] = {"model_class_key": "linear_regression", "X": RECORDS, "y": PRICES, "name": name}
    return TrainRequest(**{**defaults, **fields})


def ask(name: str, interval: Any = 0.9, X: Any = RECORDS, **fields: Any) -> PredictRequest:
    return PredictRequest(model_id=name, X=X, interval=interval, **fields)


@pytest.fixture
def model(yard: Verbs, name: str) -> ModelMetadata:
    return yard.train(order(name))


def test_metrics_have_intervals_and_baselines_and_few_rows_are_said(yard: Verbs, name: str) -> None:
    of_numbers = yard.train(order(name))
    of_labels = yard.train(order(name, model_class_key="logistic_regression", y=LABELS))

    for model, baselines in ((of_numbers, {"rmse"}), (of_labels, {"accuracy", "log_loss"})):
        metrics = yard.get_model(model.model_id).metrics
        assert {name.removeprefix("baseline_") for name in metrics if name.startswith("baseline_")} == baselines
        for bare in baselines:
            low, high = interval_of(f"validation_{bare}", metrics) or (1, 0)
            assert low <= (metrics[f"validation_{bare}"] or 0) <= high
        assert yard.get_report(model.model_id).metrics == metrics
        assert ("few_rows_held_out", 12) in [(warning.code, warning.count) for warning in model.warnings]


def test_an_interval_reaches_as_far_as_the_rows_held_out_were_missed(yard: Verbs, model: ModelMetadata) -> None:
    found = yard.predict(ask(model.name))
    alone = yard.predict(ask(model.name, X=RECORDS[:1]))
    narrow = yard.predict(ask(model.name, 0.5))

    assert found.intervals is not None
    low, high = np.array(found.intervals).T
    margin = high[0] - float(found.predictions[0])
    assert high == pytest.approx(np.array(found.predictions) + margin)
    assert low == pytest.approx(np.array(found.predictions) - margin)
    report = yard.get_report(model.model_id)
    shown = report.predicted_against_actual
    assert shown is not None
    missed = sorted(abs(true - said) for true, said in zip(shown.actual, shown.predicted, strict=True))
    assert len(missed) == 12
    assert margin == pytest.approx(missed[11])  # the 12th, as 13 * 0.9 is 11.7
    assert narrow.intervals is not None
    assert narrow.intervals[0][1] - float(narrow.predictions[0]) == pytest.approx(missed[6])
    assert alone.intervals is not None
    assert alone.intervals[0] == pytest.approx(found.intervals[0])
    assert yard.predict(PredictRequest(model_id=model.name, X=RECORDS)).intervals is None


def test_many_rows_have_intervals_as_few_have(yard: Verbs, model: ModelMetadata) -> None:
    found = yard.predict(ask(model.name, X=pl.DataFrame(RECORDS * 100)))

    assert found.intervals is not None
    assert len(found.intervals) == 6000
    assert found.intervals[-60] == pytest.approx(found.intervals[0])
    assert all(low < high for low, high in found.intervals)


def refusal(yard: Verbs, request: PredictRequest) -> ModelyardError:
    with pytest.raises(ModelyardError) as caught:
        yard.predict(request)
    return caught.value


def test_an_interval_that_cannot_be_given_is_refused_in_words(yard: Verbs, name: str) -> None:
    yard.train(order(name, X=RECORDS[:40], y=PRICES[:40]))
    few = refusal(yard, ask(name))
    assert type(few) is errors.FailedPrecondition
    assert "an interval of 0.9 needs at least 9 rows held out" in few.detail
    assert f"the validation of model {name}:1 had 8;" in few.detail
    assert yard.predict(ask(name, 0.8)).intervals is not None

    yard.train(order(name, evaluation=Evaluation(method="none")))
    none = refusal(yard, ask(name))
    assert type(none) is errors.FailedPrecondition
    assert f"model {name}:2 has no validation predictions, because its training made no validation" in none.detail

    yard.train(order(name, model_class_key="logistic_regression", y=LABELS))
    labels = refusal(yard, ask(name))
    assert type(labels) is errors.InvalidRequest
    assert labels.detail == (
        f"field 'interval' is for regression, but model {name}:3 predicts labels; ask for probabilities"
    )
    assert [error.loc for error in labels.errors] == [("interval",)]
    for asked in (few, none, labels):
        assert yard.predict(PredictRequest(model_id=name, X=RECORDS)).intervals is None, asked


def test_folds_give_intervals_of_all_rows_and_their_coverage(yard: Verbs, name: str) -> None:
    model = yard.train(order(name, evaluation=Evaluation(method="cv", folds=4)))
    found, coverage = yard.predict(ask(name)), yard.get_report(model.model_id).coverage

    assert found.intervals is not None
    within = [low <= true <= high for true, (low, high) in zip(PRICES, found.intervals, strict=True)]
    assert sum(within) / 60 >= 0.85
    assert coverage is not None
    assert 0.8 <= coverage <= 1


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with doors.rest_thread(tmp_path_factory.mktemp("honest") / "yard") as url:
        with RestClient(url) as client:
            client.train(order("prices"))
        yield url


@pytest.mark.parametrize(
    ("wrong", "due"),
    [
        (0, "more than 0"),
        (-0.5, "more than 0"),
        (1, "less than 1"),
        (1.5, "less than 1"),
        ("wide", "a number"),
        (True, "a number"),
    ],
)
def test_a_share_out_of_range_is_refused_with_what_is_allowed(url: str, wrong: Any, due: str) -> None:
    answer = httpx.post(f"{url}/predict", json={"model_id": "prices", "X": RECORDS[:1], "interval": wrong})

    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["loc"] == ["interval"]
    assert error["message"].startswith(f"field 'interval' must be {due}")


@pytest.mark.parametrize("media_type", ["text/csv", "application/vnd.apache.parquet", "application/json"])
def test_a_file_is_answered_with_low_and_high(url: str, media_type: str) -> None:
    answer = httpx.post(
        f"{url}/predict/file",
        files={"file": ("table.csv", pl.DataFrame(RECORDS).write_csv().encode())},
        data={"model_id": "prices", "interval": "0.9"},
        headers={"Accept": media_type},
    )
    assert answer.status_code == 200, answer.text
    with RestClient(url) as client:
        expected = client.predict(ask("prices")).intervals
    if media_type == "application/json":
        found = [tuple(ends) for ends in answer.json()["intervals"]]
    else:
        frame = {"text/csv": pl.read_csv}.get(media_type, pl.read_parquet)(io.BytesIO(answer.content))
        assert frame.columns == ["prediction", "low", "high"]
        found = frame.select("low", "high").rows()
    assert found == [pytest.approx(ends) for ends in expected or ()]


def test_a_stream_of_chunks_is_answered_with_all_intervals(tmp_path: Path) -> None:
    with doors.grpc_thread(tmp_path / "yard") as target, GrpcClient(target, chunk_mb=0.001) as in_chunks:
        in_chunks.train(order("prices"))
        found = in_chunks.predict(ask("prices")).intervals
        with GrpcClient(target) as whole:
            assert found == whole.predict(ask("prices")).intervals
    assert found is not None
    assert len(found) == 60
