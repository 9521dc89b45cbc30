"""What every door promises of the gate: a new version takes an alias over only if rows show that it may."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelyard import errors
from modelyard.grpc_server.client import GrpcClient
from modelyard.schemas import EvaluateRequest, EvaluationQuery, ModelMetadata, RetrainRequest, SearchRequest, parse
from modelyard.verbs import Verbs
from tests import doors
from tests.promotions import live, retrain, table, train

DOORS: dict[str, Callable[[Path], AbstractContextManager[Verbs]]] = {
    "core": doors.core,
    "rest": doors.rest,
    "grpc": doors.grpc,
}
COSTS = {"rule": "costs", "costs": {"yes": {"no": 5.0}, "no": {"yes": 1.0}}}


@pytest.fixture(scope="module", params=list(DOORS))
def yard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verbs]:
    with DOORS[request.param](tmp_path_factory.mktemp("yard") / "models_storage") as opened:
        yield opened


@pytest.fixture(scope="module")
def first(yard: Verbs) -> ModelMetadata:
    """The version that has the alias at first: a good one."""
    return yard.train(train("churn", 1, promote=live()))


def at(yard: Verbs) -> int:
    (alias,) = yard.list_aliases("churn").aliases
    return alias.version


def test_an_alias_that_is_not_set_is_set(yard: Verbs, first: ModelMetadata) -> None:
    assert first.promotion is not None
    assert (first.promotion.alias, first.promotion.moved) == ("live", True)
    assert first.promotion.reason == "the alias was not set yet"
    assert first.aliases == ["live"]
    assert yard.get_model("churn@live").promotion == first.promotion


def test_a_training_that_asks_for_nothing_moves_nothing(yard: Verbs, first: ModelMetadata) -> None:
    assert yard.retrain(retrain("churn", 2)).promotion is None
    assert at(yard) == first.version


def test_a_worse_version_stays_behind_with_its_reason_and_a_better_one_takes_over(
    yard: Verbs, first: ModelMetadata
) -> None:
    yard.retrain(retrain("churn", 3, blurred=0.9, promote=live(**{"if": "always"})))
    weak = at(yard)
    better = yard.retrain(retrain("churn", 4, promote=live(**{"if": "better"})))
    assert better.promotion is not None
    assert better.promotion.moved
    assert better.promotion.reason == f"better than churn:{weak} by log_loss"
    assert (better.promotion.metric, better.promotion.n_rows) == ("log_loss", 240)
    low, difference, high = better.promotion.low, better.promotion.difference, better.promotion.high
    assert low is not None
    assert difference is not None
    assert high is not None
    assert 0 < low < difference < high
    assert at(yard) == better.version

    on = dict(zip(("X", "y"), table(5, n=400), strict=True))
    worse = yard.retrain(retrain("churn", 3, blurred=0.9, promote=live(on=on, metric="roc_auc")))
    assert worse.promotion is not None
    assert not worse.promotion.moved
    assert worse.promotion.reason == f"worse than churn:{better.version} by roc_auc"
    assert worse.promotion.high is not None
    assert worse.promotion.high < 0
    assert (worse.promotion.n_rows, worse.aliases) == (400, [])
    assert at(yard) == better.version
    assert yard.get_model(f"churn:{worse.version}").promotion == worse.promotion

    like = yard.retrain(retrain("churn", 6, promote=live(**{"if": "not_worse", "margin": 0.2})))
    assert like.promotion is not None
    assert like.promotion.reason == f"not worse than churn:{better.version} by more than 0.2 of log_loss"
    assert at(yard) == like.version


def test_tables_of_every_form_carry_it(yard: Verbs, first: ModelMetadata, tmp_path: Path) -> None:
    X, y = table(7, n=300)
    frame = pl.DataFrame(X).with_columns(left=pl.Series(y))
    frame.write_csv(tmp_path / "t.csv")
    for form in (frame, tmp_path / "t.csv"):
        fields = {"model_id": "churn", "X": form, "target": "left", "promote": live(**{"if": "always"})}
        model = yard.retrain(parse(RetrainRequest, fields))
        assert model.promotion is not None
        assert model.promotion.moved
        assert at(yard) == model.version


def test_a_stream_of_chunks_carries_it(tmp_path: Path) -> None:
    with doors.grpc_thread(tmp_path / "yard") as target, GrpcClient(target, chunk_mb=0.01) as client:
        model = client.train(train("churn", 1, promote=live()))
        assert model.aliases == ["live"]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "alias": ({"alias": "Live"}, "alias 'Live' must be 1 to 64 small letters"),
    "latest": ({"alias": "latest"}, "always means the newest active version"),
    "no alias": ({"if": "always"}, "'promote.alias'|alias ''"),
    "condition": (live(**{"if": "maybe"}), "field 'promote.if' must be 'better', 'not_worse' or 'always', got 'maybe'"),
    "margin": (live(margin=-0.5), "field 'promote.margin' must be at least 0"),
    "metric": (live(metric="rmse"), "promote.metric 'rmse' is none of classification; it is one of: accuracy, "),
    "cost": (live(metric="cost"), "promote.metric 'cost' needs a decision that says what errors cost"),
    "unlike": (live(on={"X": [{"age": 1.0}], "y": ["yes"]}), "promote.on: column 'job' is missing"),
    "labels": (
        live(on={"X": table(1, n=2)[0], "y": ["yes", "maybe"]}),
        "promote.on: row 1 has the label 'maybe' that the new version cannot predict; its classes are 'no', 'yes'",
    ),
    "no labels": (live(on={"X": table(1, n=2)[0]}), "promote.on: the labels are missing"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_refused_before_anything_is_trained(yard: Verbs, first: ModelMetadata, wrong: str) -> None:
    promote, words = WRONG[wrong]
    before = len(yard.list_jobs().jobs)
    X, y = table(8, n=50)
    with pytest.raises(errors.InvalidArgument, match=words):
        yard.retrain(parse(RetrainRequest, {"model_id": first.model_id, "X": X, "y": y, "promote": promote}))
    assert len(yard.list_jobs().jobs) == before


def test_a_key_stands_for_what_was_asked_of_the_alias_too(yard: Verbs, first: ModelMetadata) -> None:
    asked = retrain(first.model_id, 9, n=300, promote=live(**{"if": "always"}))
    model = yard.retrain(asked, idempotency_key="once")
    yard.retrain(retrain("churn", 10, n=300, promote=live(**{"if": "always"})))
    moved = at(yard)
    again = yard.retrain(asked, idempotency_key="once")
    assert (again.model_id, again.promotion) == (model.model_id, model.promotion)
    assert at(yard) == moved != model.version
    with pytest.raises(errors.IdempotencyConflict):
        yard.retrain(retrain(first.model_id, 9, n=300, promote=live()), idempotency_key="once")


def test_the_evaluations_of_an_alias_are_a_series_of_what_it_meant(yard: Verbs) -> None:
    X, y = table(21, n=200)
    for seed in (1, 2):
        model = yard.train(train("series", seed, n=300, decision=COSTS, promote=live(**{"if": "always"})))
        other = "series:1"
        references = ["series@live"] if seed == 1 else ["series@live", other]
        found = yard.evaluate(EvaluateRequest(model_ids=references, X=X, y=y, label=f"month {seed}"))
        asked = found.models[0]
        assert (asked.model_id, asked.alias) == (model.model_id, "live")
        assert [one.alias for one in found.models[1:]] == [None] * (seed - 1)
        cost = [asked.metrics[f"cost{end}"] for end in ("_low", "", "_high")]
        assert all(isinstance(value, float) for value in cost)
        assert cost == sorted(cost)  # type: ignore[type-var]
        assert ("cost" in {pair.metric for pair in found.pairs}) == (seed == 2)
    yard.evaluate(EvaluateRequest(model_ids=["series:2"], X=X, y=y, label="by its number"))

    series = yard.list_evaluations("series@live").evaluations
    assert [one.label for one in series] == ["month 2", "month 1"]
    assert [one.models[0].version for one in series] == [2, 1]
    assert all("cost" in one.models[0].metrics for one in series)
    assert yard.list_evaluations("series", EvaluationQuery(alias="live")).evaluations == series
    (newest,) = yard.list_evaluations("series@live", EvaluationQuery(limit=1)).evaluations
    assert newest == series[0]
    page = yard.list_evaluations("series@live", EvaluationQuery(limit=1))
    later = yard.list_evaluations("series@live", EvaluationQuery(limit=1, cursor=page.next_cursor))
    assert later.evaluations == series[1:]
    assert [one.label for one in yard.list_evaluations("series:2").evaluations] == ["by its number", "month 2"]
    yard.delete_alias("series", "live")
    assert yard.list_evaluations("series@live").evaluations == series
    with pytest.raises(errors.AliasNotFound, match="'series' never had an alias 'next'"):
        yard.list_evaluations("series@next")
    with pytest.raises(errors.InvalidRequest, match="alias 'live' goes with the name of models, got 'series:1'"):
        yard.list_evaluations("series:1", EvaluationQuery(alias="live"))


def test_the_best_of_a_search_takes_an_alias_over_by_the_rows_that_no_trial_saw(yard: Verbs) -> None:
    X, y = table(21)
    asked = {"X": X, "y": y, "name": "searched", "model_classes": ["logistic_regression"], "trials": 1}
    first = yard.search(parse(SearchRequest, {**asked, "promote": live()}))
    assert first.aliases == ["live"]
    X, y = table(22)
    second = yard.search(parse(SearchRequest, {**asked, "X": X, "y": y, "promote": live(**{"if": "better"})}))
    assert second.promotion is not None
    assert (second.promotion.moved, second.promotion.n_rows) == (False, 240)
    assert yard.get_model("searched@live").version == 1
