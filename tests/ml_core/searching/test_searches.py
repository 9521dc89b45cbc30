"""Whole searches in the core: the same again, ended by their time, and with trials that fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from modelyard import errors
from modelyard.ml_core.searching.orders import order_search
from modelyard.ml_core.yard import Yard
from modelyard.schemas import JobQuery, LeaderboardEntry, ModelMetadata, SearchRequest, parse
from modelyard.tables import read_training
from tests import doors
from tests.test_contract import LABELS, RECORDS


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with doors.core(tmp_path_factory.mktemp("yard") / "models_storage") as opened:
        yield opened


def search(**fields: Any) -> SearchRequest:
    return parse(SearchRequest, {"X": RECORDS, "y": LABELS, **fields})


def board(yard: Yard, model: ModelMetadata) -> list[LeaderboardEntry]:
    found = yard.get_report(model.model_id).leaderboard
    assert found is not None
    return [entry.model_copy(update={"seconds": 0.0}) for entry in found]


def test_the_same_seed_and_number_of_trials_give_the_same_result(yard: Yard) -> None:
    asked = search(model_classes=["logistic_regression"], trials=4, seed=7)
    first, again = yard.search(asked), yard.search(asked)
    assert first.metrics == again.metrics
    assert first.hyperparams == again.hyperparams
    assert board(yard, first) == board(yard, again)
    assert first.artifact.sha256 == again.artifact.sha256


def test_no_trial_begins_after_the_time_but_one_is_made_in_any_case(
    yard: Yard, caplog: pytest.LogCaptureFixture
) -> None:
    model = yard.search(search(max_seconds=1e-6))
    assert [one.getMessage() for one in caplog.records if one.levelname == "WARNING"] == []
    assert model.search is not None
    assert (model.search.trials, model.model_class_key) == (1, "logistic_regression")


def test_a_trial_that_fails_is_told_and_others_win(yard: Yard) -> None:
    constant = {"age": [1.0] * len(LABELS)}
    model = yard.search(search(X=constant, model_classes=["catboost_classifier", "logistic_regression"], trials=2))
    assert model.model_class_key == "logistic_regression"
    *_, failed = board(yard, model)
    assert (failed.model_class_key, failed.status, failed.metric) == ("catboost_classifier", "failed", None)
    assert failed.words.startswith("X must have a column whose values differ")


def test_a_search_whose_first_trials_all_fail_says_why_the_first_did(yard: Yard) -> None:
    constant = {"age": [1.0] * len(LABELS)}
    with pytest.raises(errors.InvalidTable, match="X must have a column whose values differ"):
        yard.search(search(X=constant, model_classes=["catboost_classifier"], trials=200))
    job = yard.list_jobs(JobQuery(limit=1)).jobs[0]
    assert job.progress.step == 1


def test_what_no_trial_could_be_judged_by_is_refused_before_there_is_a_job(yard: Yard) -> None:
    with pytest.raises(errors.InvalidTable, match="at least two of each of two classes"):
        yard.submit_search(search(y=["yes", *["no"] * (len(LABELS) - 1)]))


def test_rows_count_by_their_weights_and_probabilities_are_calibrated_at_the_end(yard: Yard) -> None:
    X = [{**row, "w": 1.0 + row["age"] % 2} for row in RECORDS]
    model = yard.search(search(X=X, column_roles={"w": "weight"}, trials=1, calibrate="sigmoid"))
    assert (model.column_roles, model.calibrate) == ({"w": "weight"}, "sigmoid")


def test_monotone_columns_are_for_the_classes_that_take_them() -> None:
    assert order_search(search(), (), 0).settings.model_classes == (
        "logistic_regression",
        "catboost_classifier",
        "lightgbm_classifier",
    )
    monotone = order_search(search(monotone={"age": 1}), (), 0)
    assert monotone.settings.model_classes == ("catboost_classifier", "lightgbm_classifier")
    assert monotone.order.plan.monotone == {"age": 1}


def test_a_table_whose_target_shows_the_task_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def counted(*table: Any, **how: Any) -> Any:
        read.append(table)
        return read_training(*table, **how)

    monkeypatch.setattr("modelyard.ml_core.training.reading.read_training", counted)
    order_search(search(), (), 0)
    assert len(read) == 1


def test_without_optuna_the_defaults_alone_can_be_tried(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.ml_core.searching.asking.find_spec", lambda _: None)
    assert order_search(search(trials=3), (), 0).settings.trials == 3
    with pytest.raises(errors.FailedPrecondition, match=r"install modelyard\[search\]"):
        yard.submit_search(search(trials=4))
