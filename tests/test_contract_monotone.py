"""Monotone columns behind every door: asked for, kept, inherited, undone, and refused in the same words."""

from __future__ import annotations

from typing import Any

import pytest

from modelyard import errors
from modelyard.schemas import RetrainRequest, TrainRequest, parse
from modelyard.verbs import Verbs
from tests.test_contract import RECORDS, name, yard

__all__ = ["name", "yard"]

PRICES = [1000.5 + row["age"] - row["income"] / 100 for row in RECORDS]


def order(name: str, **fields: Any) -> TrainRequest:
    defaults: dict[str, Any] = {"model_class_key": "lightgbm_regressor", "hyperparams": {"n_estimators": 10}}
    defaults |= {"X": RECORDS, "y": PRICES, "name": name, "evaluation": {"method": "none"}}
    return parse(TrainRequest, {**defaults, **fields})


def test_monotone_columns_are_kept_inherited_and_undone(yard: Verbs, name: str) -> None:
    model = yard.train(order(name, monotone={"age": 1, "income": -1}))
    assert model.monotone == yard.get_model(name).monotone == {"age": 1, "income": -1}
    again = yard.retrain(RetrainRequest(model_id=name, X=RECORDS, y=PRICES))
    assert again.monotone == {"age": 1, "income": -1}
    changed = yard.retrain(RetrainRequest(model_id=name, X=RECORDS, y=PRICES, monotone={"age": -1, "income": 0}))
    assert changed.monotone == {"age": -1}
    assert yard.train(order(name)).monotone == {}


def test_a_column_whose_order_is_undone_may_be_gone(yard: Verbs, name: str) -> None:
    yard.train(order(name, monotone={"age": 1, "income": -1}))
    without = [{key: cell for key, cell in row.items() if key != "income"} for row in RECORDS]
    model = yard.retrain(RetrainRequest(model_id=name, X=without, y=PRICES, monotone={"income": 0}))
    assert model.monotone == {"age": 1}
    assert "monotone_lost" not in [warning.code for warning in model.warnings]


def test_an_inherited_column_that_is_gone_or_no_number_is_let_go_with_a_warning(yard: Verbs, name: str) -> None:
    yard.train(order(name, monotone={"age": 1, "income": -1}))
    without = [{key: cell for key, cell in row.items() if key != "age"} for row in RECORDS]
    told = {"income": "categorical"}
    model = yard.retrain(RetrainRequest(model_id=name, X=without, y=PRICES, feature_types=told))
    assert model.monotone == {}
    lost = [(warning.column, warning.message) for warning in model.warnings if warning.code == "monotone_lost"]
    assert lost == [
        (column, f"column {column!r} was monotone in the parent model, and is no numeric column any more")
        for column in ("age", "income")
    ]


def test_model_classes_say_whether_they_take_monotone_columns(yard: Verbs) -> None:
    able = {info.key for info in yard.list_model_classes() if info.takes_monotone}
    assert able == {"catboost_classifier", "catboost_regressor", "lightgbm_classifier", "lightgbm_regressor"}


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        (
            {"monotone": {"incom": 1}},
            errors.InvalidTable,
            "monotone: column 'incom' is not among the features; did you mean 'income'?",
        ),
        (
            {"monotone": {"job": 1}},
            errors.InvalidTable,
            "monotone: column 'job' must be numeric, and is categorical",
        ),
        (
            {"monotone": {"age": 2}},
            errors.InvalidRequest,
            (
                "monotone must be an object of column names and 1 (the answer only rises with the column), "
                "-1 (it only falls) or 0 (neither), got {'age': 2}"
            ),
        ),
        (
            {"monotone": {"age": 1}, "model_class_key": "linear_regression", "hyperparams": {}},
            errors.InvalidRequest,
            (
                "monotone is not heeded by model class 'linear_regression'; take model class 'catboost_regressor' or "
                "'lightgbm_regressor'"
            ),
        ),
    ],
)
def test_what_cannot_be_is_refused_in_the_same_words(
    yard: Verbs, name: str, fields: dict[str, Any], error: type[errors.ModelyardError], message: str
) -> None:
    with pytest.raises(error) as caught:
        yard.train(order(name, **fields))
    assert [found.message for found in caught.value.errors] == [message]
