"""Explaining behind every door: contributions that add up to what the model itself says, and words if it cannot."""

from __future__ import annotations

import math
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelyard import errors
from modelyard.schemas import (
    Evaluation,
    ExplainRequest,
    Explanations,
    ModelMetadata,
    PredictRequest,
    TrainRequest,
    parse,
)
from modelyard.verbs import Verbs
from tests.test_contract import LABELS, RECORDS, name, yard

__all__ = ["name", "yard"]

DATED = [{**row, "since": date(2024, 1, 1) + timedelta(days=7 * i)} for i, row in enumerate(RECORDS)]
PRICES = [1e6 + 2.5 * row["age"] + 0.01 * row["income"] + (7 if row["job"] == "clerk" else 0) for row in RECORDS]
COLOURS = [["red", "green", "blue"][row["age"] % 3] for row in RECORDS]
WITHOUT = Evaluation(method="none")
QUICK: dict[str, dict[str, Any]] = {
    "logistic_regression": {},
    "linear_regression": {},
    "catboost_classifier": {"iterations": 20},
    "catboost_regressor": {"iterations": 20},
    "lightgbm_classifier": {"n_estimators": 20},
    "lightgbm_regressor": {"n_estimators": 20},
}


def train(yard: Verbs, key: str, y: list[Any], X: Any = RECORDS) -> ModelMetadata:
    return yard.train(TrainRequest(model_class_key=key, X=X, y=y, hyperparams=QUICK[key], evaluation=WITHOUT))


def sums(found: Explanations) -> list[list[float]]:
    """Return base, contributions and what else there is, added up: one number an output, for each row."""
    added = np.array(found.base) + np.array(found.contributions).sum(axis=2)
    whole: list[list[float]] = (added if found.other is None else added + np.array(found.other)).tolist()
    return whole


@pytest.mark.parametrize("key", ["logistic_regression", "catboost_classifier", "lightgbm_classifier"])
def test_two_classes_have_the_log_odds_of_the_second(yard: Verbs, key: str) -> None:
    model = train(yard, key, LABELS)
    found = yard.explain(ExplainRequest(model_id=model.model_id, X=RECORDS[:20]))
    answer = yard.predict(PredictRequest(model_id=model.model_id, X=RECORDS[:20], probabilities=True))
    assert (found.model_id, found.unit, found.outputs, found.other) == (model.model_id, "log_odds", ["yes"], None)
    assert found.feature_names == model.feature_names
    assert (found.predictions, found.probabilities, found.warnings) == (answer.predictions, None, [])
    for rows in (RECORDS[:1], RECORDS[:20]):
        asked = yard.explain(ExplainRequest(model_id=model.model_id, X=rows, probabilities=True))
        assert asked.probabilities == (answer.probabilities or [])[: len(rows)]
    for (score,), (no, yes) in zip(sums(found), answer.probabilities or [], strict=True):
        assert score == pytest.approx(math.log(yes / no), rel=1e-6)


@pytest.mark.parametrize("key", ["logistic_regression", "catboost_classifier", "lightgbm_classifier"])
def test_three_classes_have_a_score_each(yard: Verbs, key: str) -> None:
    model = train(yard, key, COLOURS)
    found = yard.explain(ExplainRequest(model_id=model.model_id, X=RECORDS[:20]))
    answer = yard.predict(PredictRequest(model_id=model.model_id, X=RECORDS[:20], probabilities=True))
    assert (found.unit, found.outputs, len(found.base)) == ("log_odds", ["blue", "green", "red"], 3)
    assert found.predictions == answer.predictions
    for scores, likely in zip(sums(found), answer.probabilities or [], strict=True):
        shares = np.exp(scores) / np.exp(scores).sum()
        assert shares == pytest.approx(likely, rel=1e-6)


@pytest.mark.parametrize("key", ["linear_regression", "catboost_regressor", "lightgbm_regressor"])
def test_a_number_is_explained_in_its_own_unit(yard: Verbs, key: str) -> None:
    model = train(yard, key, PRICES)
    found = yard.explain(ExplainRequest(model_id=model.model_id, X=RECORDS[:20]))
    assert (found.unit, found.outputs) == ("target", ["target"])
    assert found.predictions == yard.predict(PredictRequest(model_id=model.model_id, X=RECORDS[:20])).predictions
    assert [score for (score,) in sums(found)] == pytest.approx(found.predictions, rel=1e-9)
    assert found.base == pytest.approx([np.mean(PRICES)], rel=1e-6)


@pytest.mark.parametrize("key", ["logistic_regression", "catboost_classifier", "lightgbm_classifier"])
def test_the_parts_of_a_date_count_as_their_column(yard: Verbs, key: str) -> None:
    y = ["late" if row["since"] > date(2024, 7, 1) else "early" for row in DATED]
    model = train(yard, key, y, DATED)
    found = yard.explain(ExplainRequest(model_id=model.model_id, X=DATED))
    assert found.feature_names == ["age", "income", "job", "member", "since"]
    sizes = np.abs(np.array(found.contributions)).sum(axis=(0, 1))
    assert sizes.argmax() == 4
    assert np.array(found.contributions)[0, 0, 4] < 0 < np.array(found.contributions)[-1, 0, 4]


def test_every_form_of_a_table_and_a_row_alone_are_explained_alike(yard: Verbs, tmp_path: Path) -> None:
    model = train(yard, "logistic_regression", LABELS)
    path = tmp_path / "table.csv"
    pl.DataFrame(RECORDS).write_csv(path)
    columns = {column: [row[column] for row in RECORDS] for column in RECORDS[0]}
    rows = [list(row.values()) for row in RECORDS]
    first = yard.explain(ExplainRequest(model_id=model.model_id, X=RECORDS))
    for X in (rows, columns, pl.DataFrame(RECORDS), path, RECORDS * 2):
        found = yard.explain(ExplainRequest(model_id=model.model_id, X=X))
        np.testing.assert_allclose(found.contributions[:60], first.contributions, rtol=1e-12, atol=1e-15)
        assert found.predictions[:60] == first.predictions
    alone = yard.explain(ExplainRequest(model_id=model.model_id, X=RECORDS[7:8]))
    np.testing.assert_allclose(alone.contributions[0], first.contributions[7], rtol=1e-12, atol=1e-15)


def test_top_tells_the_strongest_columns_first_and_what_the_others_make_together(yard: Verbs) -> None:
    model = train(yard, "catboost_classifier", COLOURS)
    every = yard.explain(ExplainRequest(model_id=model.model_id, X=RECORDS))
    sizes = np.abs(np.array(every.contributions)).sum(axis=(0, 1))
    strongest = [every.feature_names[at] for at in np.argsort(-sizes)]
    found = yard.explain(ExplainRequest(model_id=model.model_id, X=RECORDS, top=2))
    assert found.feature_names == strongest[:2]
    assert np.array(found.contributions).shape == (60, 3, 2)
    np.testing.assert_allclose(sums(found), sums(every), rtol=1e-9)
    whole = yard.explain(ExplainRequest(model_id=model.model_id, X=RECORDS, top=99))
    assert whole.feature_names == strongest
    assert whole.other == [[0.0] * 3] * 60


def test_what_is_odd_in_a_table_is_warned_of_as_in_a_prediction(yard: Verbs) -> None:
    model = train(yard, "logistic_regression", LABELS)
    odd = [{**RECORDS[0], "job": "pilot", "shoe size": 43}]
    found = yard.explain(ExplainRequest(model_id=model.model_id, X=odd))
    assert found.warnings == yard.predict(PredictRequest(model_id=model.model_id, X=odd)).warnings
    assert {warning.code for warning in found.warnings} == {"extra_columns", "unknown_categories"}


def test_ids_come_back_with_the_explanations(yard: Verbs) -> None:
    people = [{"person": f"p{i:03}", **row} for i, row in enumerate(RECORDS)]
    order = TrainRequest(model_class_key="logistic_regression", X=people, y=LABELS, column_roles={"person": "id"})
    model = yard.train(order)
    found = yard.explain(ExplainRequest(model_id=model.model_id, X=people[3:5]))
    assert (found.ids, found.id_column) == (["p003", "p004"], "person")
    assert "person" not in found.feature_names
    without = yard.explain(ExplainRequest(model_id=model.model_id, X=RECORDS[3:5]))
    assert (without.ids, without.id_column) == (None, None)


def test_a_wrong_cell_is_named(yard: Verbs) -> None:
    model = train(yard, "logistic_regression", LABELS)
    wrong = [RECORDS[0], {**RECORDS[1], "age": "old"}]
    with pytest.raises(errors.InvalidTable, match="column 'age', row 1: must be a number, got 'old'") as caught:
        yard.explain(ExplainRequest(model_id=model.model_id, X=wrong))
    assert caught.value.errors[0].loc == ("X", 1, "age")


def test_a_model_that_is_not_there_is_not_found(yard: Verbs) -> None:
    with pytest.raises(errors.ModelNotFound):
        yard.explain(ExplainRequest(model_id="nobody", X=RECORDS))


@pytest.mark.parametrize("top", [0, -1, True, 1.5, "2"])
def test_top_is_a_whole_number_from_one(top: Any) -> None:
    with pytest.raises(errors.InvalidRequest, match="top"):
        parse(ExplainRequest, {"model_id": "a", "X": RECORDS, "top": top})
