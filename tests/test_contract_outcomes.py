"""What every door promises of kept answers: outcomes are joined to them, whenever they come, by prediction or by id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pytest

from modelyard import errors
from modelyard.schemas import (
    AddedOutcomes,
    AliasRequest,
    Decision,
    DefaultAlias,
    Evaluation,
    KeepAnswersRequest,
    OutcomesRequest,
    PerformanceQuery,
    Predictions,
    PredictRequest,
    TrainRequest,
    WeekPerformance,
)
from modelyard.verbs import Verbs
from tests import doors

DOORS: dict[str, Callable[[Path], AbstractContextManager[Verbs]]] = {
    "core": doors.core,
    "rest": doors.rest,
    "grpc": doors.grpc,
}


@pytest.fixture(scope="module", params=list(DOORS))
def yard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verbs]:
    with DOORS[request.param](tmp_path_factory.mktemp("yard") / "models_storage") as opened:
        yield opened


@pytest.fixture
def name(yard: Verbs) -> str:
    made = f"churn-{uuid4().hex[:8]}"
    train(yard, made)
    return made


def rows(n: int) -> list[dict[str, Any]]:
    return [{"customer": i, "months": float(i % 24), "calls": float(i % 5)} for i in range(n)]


def truth(row: dict[str, Any]) -> str:
    return "yes" if row["months"] < 8 or (row["calls"] == 4 and row["months"] < 12) else "no"


def train(yard: Verbs, name: str) -> str:
    X = rows(240)
    return yard.train(
        TrainRequest(
            model_class_key="logistic_regression",
            X=X,
            y=list(map(truth, X)),
            name=name,
            column_roles={"customer": "id"},
            evaluation=Evaluation(fraction=0.5),
        )
    ).model_id


def ask(yard: Verbs, reference: str, n: int = 2, **fields: Any) -> Predictions:
    return yard.predict(PredictRequest(**{"model_id": reference, "X": rows(n), "keep_answers": True, **fields}))


def add(yard: Verbs, name: str, outcomes: Any) -> AddedOutcomes:
    return yard.add_outcomes(OutcomesRequest(model_id=name, X=outcomes))


def counts(said: AddedOutcomes) -> tuple[int, int, int, int]:
    return said.outcomes, said.matched, said.replaced, said.unknown


def weeks(yard: Verbs, name: str) -> list[WeekPerformance]:
    return yard.get_performance(name).weeks


def test_answers_are_kept_if_that_is_asked_for(yard: Verbs, name: str) -> None:
    assert ask(yard, name, keep_answers=False).prediction_id is None
    began = datetime.now(UTC)
    first, second = ask(yard, name), ask(yard, name)
    assert None not in (first.prediction_id, second.prediction_id)
    assert first.prediction_id != second.prediction_id
    assert first.predictions == ask(yard, name, keep_answers=False).predictions
    (week,) = weeks(yard, name)
    assert (week.rows, week.outcomes, week.metrics, week.status) == (4, 0, {}, "unknown")
    assert week.week in {f"{moment:%G-W%V}" for moment in (began, datetime.now(UTC))}
    assert (week.alias, week.version) == (None, 1)


def test_a_name_may_have_all_its_predictions_kept(yard: Verbs, name: str) -> None:
    assert not yard.get_performance(name).keep_answers
    assert yard.set_keep_answers(name, KeepAnswersRequest(keep=True)).keep_answers
    assert yard.get_performance(name).keep_answers
    assert ask(yard, name, keep_answers=False).prediction_id is not None
    assert ask(yard, name, keep_answers=False, decision=Decision(rule="most_probable")).prediction_id is not None
    train(yard, name)
    assert ask(yard, f"{name}:2", keep_answers=False).prediction_id is not None
    assert not yard.set_keep_answers(name, KeepAnswersRequest(keep=False)).keep_answers
    assert ask(yard, name, keep_answers=False).prediction_id is None
    assert [(week.version, week.rows) for week in weeks(yard, name)] == [(1, 4), (2, 2)]


def test_outcomes_are_joined_by_prediction_and_row_and_the_last_one_counts(yard: Verbs, name: str) -> None:
    kept = ask(yard, name, 3).prediction_id
    said = add(yard, name, [{"prediction_id": kept, "row": i, "label": "no"} for i in range(3)])
    assert (said.name, *counts(said)) == (name, 3, 3, 0, 0)
    assert weeks(yard, name)[0].outcomes == 3
    again = [
        {"prediction_id": kept, "row": 0, "label": "no"},
        {"prediction_id": kept, "row": 1, "label": "no"},
        {"prediction_id": kept, "row": 1, "label": "yes"},
        {"prediction_id": kept, "row": 3, "label": "yes"},
        {"prediction_id": "20200101-0000000000000000", "row": 0, "label": "of no class"},
    ]
    said = add(yard, name, again)
    assert counts(said) == (5, 3, 1, 2)
    assert said.unknown_examples == [f"{kept}, row 3", "20200101-0000000000000000, row 0"]
    assert weeks(yard, name)[0].outcomes == 3
    assert counts(add(yard, name, again)) == (5, 3, 0, 2)


def test_outcomes_by_id_are_of_all_rows_without_one_and_then_correct_the_last(yard: Verbs, name: str) -> None:
    first, second = ask(yard, name), ask(yard, name)
    assert counts(add(yard, name, [{"id": 0, "label": "no"}, {"id": 77, "label": "no"}])) == (2, 1, 0, 1)
    assert weeks(yard, name)[0].outcomes == 2
    third = ask(yard, name)
    assert counts(add(yard, name, [{"id": "0", "label": "yes"}])) == (1, 1, 0, 0)
    assert weeks(yard, name)[0].outcomes == 3
    assert counts(add(yard, name, [{"id": 0.0, "label": "no"}])) == (1, 1, 1, 0)
    for kept in (first, second, third):
        said = add(yard, name, [{"prediction_id": kept.prediction_id, "label": "no"}])
        assert counts(said) == (1, 1, 0, 0)  # each of them is `no` by now


def test_a_correction_by_id_reaches_all_rows_of_the_last_outcome_by_id(yard: Verbs, name: str) -> None:
    """Those included that were corrected by prediction in between, and those alone."""
    alone = ask(yard, name)
    add(yard, name, [{"prediction_id": alone.prediction_id, "row": 1, "label": "no"}])
    both = [ask(yard, name), ask(yard, name)]
    assert counts(add(yard, name, [{"id": 1, "label": "no"}])) == (1, 1, 0, 0)
    assert counts(add(yard, name, [{"prediction_id": both[0].prediction_id, "row": 1, "label": "yes"}])) == (1, 1, 1, 0)
    for label in ("yes", "no"):
        assert counts(add(yard, name, [{"id": 1, "label": label}])) == (1, 1, 1, 0)
        for one, expected in ((alone, "no"), (both[0], label), (both[1], label)):
            known = [{"prediction_id": one.prediction_id, "row": 1, "label": expected}]
            assert counts(add(yard, name, known)) == (1, 1, 0, 0)


def test_a_correction_by_id_is_of_the_last_outcome_if_none_came_by_id(yard: Verbs, name: str) -> None:
    first, second = ask(yard, name), ask(yard, name)
    for one in (first, second):
        add(yard, name, [{"prediction_id": one.prediction_id, "label": "no"}])
    assert counts(add(yard, name, [{"id": 0, "label": "yes"}])) == (1, 1, 1, 0)
    for one, expected in ((first, "no"), (second, "yes")):
        known = [{"prediction_id": one.prediction_id, "label": expected}]
        assert counts(add(yard, name, known)) == (1, 1, 0, 0)


def test_whole_numbers_may_be_written_with_a_point(yard: Verbs, name: str, tmp_path: Path) -> None:
    """As pandas writes columns in which some cells are missing."""
    kept = ask(yard, name, 3).prediction_id
    (tmp_path / "labels.csv").write_text(f"id,prediction_id,row,label\n2.0,,,no\n,{kept},1.0,yes\n,{kept},,yes\n")
    assert counts(add(yard, name, tmp_path / "labels.csv")) == (3, 3, 0, 0)
    (tmp_path / "rows.csv").write_text("customer,months,calls\n90.0,3.0,1.0\n,3.0,1.0\n")
    ask(yard, name, X=tmp_path / "rows.csv")
    assert counts(add(yard, name, [{"id": 90, "label": "no"}])) == (1, 1, 0, 0)


def test_examples_of_unknown_outcomes_are_short(yard: Verbs, name: str) -> None:
    (shown,) = add(yard, name, [{"id": "x" * 10_000, "label": "no"}]).unknown_examples
    assert shown == f"id {'x' * 76}…"


def test_outcomes_come_as_tables_and_files(yard: Verbs, name: str, tmp_path: Path) -> None:
    kept = ask(yard, name, 4).prediction_id
    frame = pl.DataFrame({"prediction_id": [kept] * 2, "row": [0, 1], "label": ["no", "yes"], "note": ["a", "b"]})
    assert counts(add(yard, name, frame)) == (2, 2, 0, 0)
    frame.with_columns(pl.col("row") + 2).write_csv(tmp_path / "labels.csv")
    assert counts(add(yard, name, tmp_path / "labels.csv")) == (2, 2, 0, 0)
    pl.DataFrame({"id": [3], "label": ["no"]}).write_parquet(tmp_path / "labels.parquet")
    assert counts(add(yard, name, tmp_path / "labels.parquet")) == (1, 1, 1, 0)
    assert weeks(yard, name)[0].outcomes == 4


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ([{"label": "no"}], "outcomes must have 'label', and 'prediction_id' or 'id'; they have 'label'"),
        ([{"id": 1, "label": "no"}, {"id": None, "label": "no"}], "outcomes, row 1: must have either prediction_id or"),
        ([{"id": 1, "prediction_id": "x", "label": "no"}], "outcomes, row 0: must have either prediction_id or id"),
        ([{"prediction_id": "x", "row": -1, "label": "no"}], "row, row 0: must be a whole number from 0 on, got -1"),
        ([{"prediction_id": "x", "row": 0.5, "label": "no"}], "row, row 0: must be a whole number from 0 on, got 0.5"),
        ([{"id": 0, "label": "no"}, {"id": 1, "label": "maybe"}], "label, row 1: must be one of the classes 'no', 'y"),
        (
            [{"id": 0, "label": "no"}, {"id": 1, "label": 3}],
            "label, row 1: must be text like the model's labels, got 3",
        ),
        ([{"id": 0, "label": None}], "label, row 0: must not be missing"),
    ],
)
def test_what_is_wrong_with_an_outcome_is_said_with_its_row_and_nothing_is_kept(
    yard: Verbs, name: str, outcomes: list[Any], said: str
) -> None:
    ask(yard, name)
    with pytest.raises(errors.InvalidTable) as refused:
        add(yard, name, outcomes)
    assert said in refused.value.detail
    assert weeks(yard, name)[0].outcomes == 0


def test_a_name_means_all_its_versions_and_any_other_reference_one(yard: Verbs, name: str) -> None:
    ask(yard, name)
    train(yard, name)
    second = ask(yard, name)
    outcomes = [{"id": 0, "label": "no"}]
    assert counts(add(yard, f"{name}:1", outcomes)) == (1, 1, 0, 0)
    assert [week.version for week in yard.get_performance(second.model_id).weeks] == [2]
    assert [(week.version, week.outcomes) for week in weeks(yard, name)] == [(1, 1), (2, 0)]
    said = add(yard, second.model_id, [{"prediction_id": second.prediction_id, "label": "no"}])
    assert (said.name, *counts(said)) == (name, 1, 1, 0, 0)
    with pytest.raises(errors.ModelNotFound, match="there is no model named 'nobody'"):
        add(yard, "nobody", [{"id": 1, "label": "no"}])
    with pytest.raises(errors.ModelNotFound):
        yard.get_performance("nobody")
    with pytest.raises(errors.ModelNotFound):
        yard.set_keep_answers("nobody", KeepAnswersRequest(keep=True))


def test_a_week_is_judged_by_alias_and_version_with_intervals_and_one_word(yard: Verbs, name: str) -> None:
    yard.set_alias(name, "live", AliasRequest(version=1))
    good, bad = ask(yard, f"{name}@live", 200), ask(yard, f"{name}:1", 200)
    right = list(map(truth, rows(200)))
    wrong = ["no" if label == "yes" else "yes" for label in right]
    for kept, labels in ((good, right), (bad, wrong)):
        add(yard, name, [{"prediction_id": kept.prediction_id, "row": i, "label": x} for i, x in enumerate(labels)])
    by_version, by_alias = weeks(yard, name)
    assert (by_version.alias, by_alias.alias) == (None, "live")
    assert (by_version.status, by_alias.status) == ("stale", "fresh")
    assert (by_alias.rows, by_alias.outcomes) == (200, 200)
    accuracy = sum(a == b for a, b in zip(good.predictions, right, strict=True)) / 200
    assert by_alias.metrics["accuracy"] == pytest.approx(accuracy)
    assert by_version.metrics["accuracy"] == pytest.approx(1 - accuracy)
    for metric in ("accuracy", "roc_auc", "log_loss"):
        ends = [by_alias.metrics[metric + end] or 0.0 for end in ("_low", "", "_high")]
        assert ends == sorted(ends)
        assert ends[0] < ends[2]
    assert "cost" not in by_alias.metrics
    yard.set_decision(name, Decision(rule="costs", costs={"yes": {"no": 10}, "no": {"yes": 1}}))
    assert weeks(yard, name)[0].metrics["cost"] is not None
    assert yard.get_performance(name, PerformanceQuery(weeks=1)).weeks == weeks(yard, name)


def test_a_name_alone_is_by_the_default_alias_if_it_has_it(yard: Verbs, name: str) -> None:
    yard.set_alias(name, "champion", AliasRequest(version=1))
    ask(yard, name)
    yard.set_default_alias(DefaultAlias(alias="champion"))
    try:
        ask(yard, name)
    finally:
        yard.set_default_alias(DefaultAlias(alias=None))
    assert [week.alias for week in weeks(yard, name)] == [None, "champion"]


def test_deleted_versions_are_told_of_until_they_are_deleted_for_good(yard: Verbs, name: str) -> None:
    kept = ask(yard, name).prediction_id
    train(yard, name)
    yard.delete(f"{name}:1")
    assert counts(add(yard, name, [{"prediction_id": kept, "label": "no"}])) == (1, 1, 0, 0)
    assert [(week.version, week.outcomes) for week in weeks(yard, name)] == [(1, 1)]
    yard.delete(f"{name}:1", hard=True)
    assert weeks(yard, name) == []
    assert counts(add(yard, name, [{"prediction_id": kept, "label": "no"}])) == (1, 0, 0, 1)


def test_numbers_are_judged_by_how_far_they_are_off(yard: Verbs, tmp_path: Path) -> None:
    name = f"price-{uuid4().hex[:8]}"
    X = [[float(i), float(i % 7)] for i in range(100)]
    y = [3.0 * a + b + (a % 3) for a, b in X]
    yard.train(TrainRequest(model_class_key="linear_regression", X=X, y=y, name=name))
    kept = yard.predict(PredictRequest(model_id=name, X=X, keep_answers=True))
    lines = [f'{kept.prediction_id},{i},"{value:.2f}"'.replace(".", ",") for i, value in enumerate(y)]
    (tmp_path / "prices.csv").write_text("\n".join(["prediction_id,row,label", *lines]))
    assert counts(add(yard, name, tmp_path / "prices.csv")) == (100, 100, 0, 0)
    (week,) = weeks(yard, name)
    missed = [abs(a - float(b)) for a, b in zip(y, kept.predictions, strict=True)]
    assert week.metrics["mae"] == pytest.approx(sum(missed) / 100)
    assert week.status == "fresh"
    assert "accuracy" not in week.metrics
