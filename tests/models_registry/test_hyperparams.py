"""What follows from one declaration: the check, the JSON Schema and the reading of texts agree with each other."""

from __future__ import annotations

import json
import math
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import InvalidHyperparams
from modelyard.models_registry import BUILT_IN
from modelyard.models_registry.hyperparams import (
    Hyperparam,
    check,
    from_text,
    json_schema,
)
from tests.wrong_hyperparams import examples_of_wrong_values

CATBOOST = BUILT_IN["catboost_classifier"].hyperparams
LOGISTIC = BUILT_IN["logistic_regression"].hyperparams

MESSAGES: list[tuple[tuple[Hyperparam, ...], dict[str, Any], str]] = [
    (CATBOOST, {"depth": 20}, "hyperparam 'depth' must be at most 16, got 20"),
    (CATBOOST, {"depth": 0}, "hyperparam 'depth' must be at least 1, got 0"),
    (CATBOOST, {"depth": 6.5}, "hyperparam 'depth' must be an integer, got 6.5"),
    (CATBOOST, {"depth": "6"}, "hyperparam 'depth' must be an integer, got '6'"),
    (CATBOOST, {"depth": True}, "hyperparam 'depth' must be an integer, got true"),
    (CATBOOST, {"depth": None}, "hyperparam 'depth' must be an integer, got null"),
    (CATBOOST, {"verbose": -1}, "hyperparam 'verbose' must be at least 0, got -1"),
    (CATBOOST, {"verbose": "x"}, "hyperparam 'verbose' must be a boolean or a non-negative integer, got 'x'"),
    (CATBOOST, {"learning_rate": 0}, "hyperparam 'learning_rate' must be greater than 0, got 0"),
    (CATBOOST, {"learning_rate": "a"}, "hyperparam 'learning_rate' must be a finite number or null, got 'a'"),
    (LOGISTIC, {"C": math.inf}, "hyperparam 'C' must be a finite number, got inf"),
    (LOGISTIC, {"C": 10**400}, "hyperparam 'C' must be a finite number, got an integer of more than 300 digits"),
    (
        LOGISTIC,
        {"penalty": "l3"},
        "hyperparam 'penalty' must be one of 'l2', 'l1', 'elasticnet', 'none', got 'l3'",
    ),
    (LOGISTIC, {"class_weight": 1}, "hyperparam 'class_weight' must be one of 'balanced' or null, got 1"),
    (
        CATBOOST,
        {"iteration": 5},
        (
            "hyperparam 'iteration' is unknown; did you mean 'iterations'? known are: 'iterations', 'learning_rate', "
            "'depth', 'verbose', 'l2_leaf_reg', 'one_hot_max_size', 'rsm', 'random_seed', 'auto_class_weights', "
            "'early_stopping_rounds'"
        ),
    ),
    ((), {"zzz": 5}, "hyperparam 'zzz' is unknown; known are: none"),
]


@pytest.mark.parametrize(("declared", "values", "message"), MESSAGES)
def test_the_message_says_what_which_value_and_what_is_allowed(
    declared: tuple[Hyperparam, ...], values: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidHyperparams) as caught:
        check(declared, values)
    assert caught.value.detail == message
    ((name, value),) = values.items()
    assert [(error.loc, error.message) for error in caught.value.errors] == [(("hyperparams", name), message)]
    assert caught.value.errors[0].value is value


def test_all_wrong_ones_are_named_at_once() -> None:
    with pytest.raises(InvalidHyperparams, match="and 2 more") as caught:
        check(CATBOOST, {"depth": 20, "iterations": 5, "leaves": 3, "verbose": "loud"})
    assert [error.loc[1] for error in caught.value.errors] == ["depth", "leaves", "verbose"]


def test_defaults_fill_what_is_left_out_in_the_order_of_the_declaration() -> None:
    checked = check(CATBOOST, {"depth": 4, "verbose": 0})
    assert list(checked) == [one.name for one in CATBOOST]
    assert checked["depth"] == 4
    assert checked["verbose"] == 0
    assert checked["verbose"] is not False
    assert checked["iterations"] == 300


def test_whole_floats_are_integers_and_integers_are_numbers() -> None:
    checked = check(CATBOOST, {"depth": 6.0, "l2_leaf_reg": 2})
    assert repr(checked["depth"]) == "6"
    assert repr(checked["l2_leaf_reg"]) == "2.0"


TEXTS: list[tuple[tuple[Hyperparam, ...], str, str, Any]] = [
    (CATBOOST, "depth", "6", 6),
    (CATBOOST, "depth", " 6.0 ", 6),
    (CATBOOST, "depth", "1e1", 10),
    (CATBOOST, "learning_rate", "0.1", 0.1),
    (CATBOOST, "learning_rate", "1", 1.0),
    (CATBOOST, "learning_rate", "null", None),
    (CATBOOST, "learning_rate", "None", None),
    (CATBOOST, "verbose", "true", True),
    (CATBOOST, "verbose", "False", False),
    (CATBOOST, "verbose", "1", 1),
    (CATBOOST, "verbose", "0", 0),
    (CATBOOST, "auto_class_weights", "none", None),
    (CATBOOST, "auto_class_weights", "Balanced", "Balanced"),
    (LOGISTIC, "penalty", "none", "none"),
    (LOGISTIC, "l1_ratio", ".5", 0.5),
]


@pytest.mark.parametrize(("declared", "name", "text", "value"), TEXTS)
def test_texts_are_read_by_the_declaration(declared: tuple[Hyperparam, ...], name: str, text: str, value: Any) -> None:
    read = from_text(declared, {name: text})
    assert repr(read) == repr({name: value})


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("depth", "six", "must be an integer, got 'six'"),
        ("depth", "1_0", "must be an integer, got '1_0'"),
        ("depth", "20", "must be at most 16, got 20"),
        ("depth", "null", "must be an integer, got 'null'"),
        ("depth", "", "must be an integer, got ''"),
        ("learning_rate", "nan", "must be a finite number or null, got nan"),
        ("depht", "6", "is unknown; did you mean 'depth'"),
        ("depth", "9" * 10_000, "must be an integer"),
        ("verbose", "yes", "must be a boolean or a non-negative integer, got 'yes'"),
    ],
)
def test_texts_that_are_wrong_are_refused_like_values(name: str, text: str, expected: str) -> None:
    with pytest.raises(InvalidHyperparams) as caught:
        from_text(CATBOOST, {name: text})
    assert f"hyperparam '{name}' {expected}" in caught.value.detail


JSON_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-2, 20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-2, 20).map(float),
    st.floats(-1, 2),
    st.text(max_size=5),
    st.sampled_from(["l1", "none", "saga", "balanced", "Balanced"]),
    st.lists(st.integers(), max_size=1),
)
EVERY = [*CATBOOST, *LOGISTIC]


@given(st.sampled_from(EVERY), JSON_VALUES)
def test_the_check_and_the_schema_agree(hyperparam: Hyperparam, value: Any) -> None:
    validator = jsonschema_rs.Draft202012Validator(json_schema([hyperparam]))
    valid = validator.is_valid({hyperparam.name: value})
    try:
        checked = check([hyperparam], {hyperparam.name: value})[hyperparam.name]
    except InvalidHyperparams:
        assert not valid
    else:
        assert valid
        assert checked == value
        assert validator.is_valid({hyperparam.name: checked})


@given(st.sampled_from(EVERY), JSON_VALUES)
def test_a_value_read_from_its_own_text_is_the_same(hyperparam: Hyperparam, value: Any) -> None:
    try:
        checked = check([hyperparam], {hyperparam.name: value})
    except InvalidHyperparams:
        return
    text = checked[hyperparam.name]
    assert from_text([hyperparam], {hyperparam.name: text if isinstance(text, str) else json.dumps(text)}) == checked


@given(st.sampled_from(EVERY), st.text(max_size=8))
def test_any_text_is_read_or_refused(hyperparam: Hyperparam, text: str) -> None:
    try:
        read = from_text([hyperparam], {hyperparam.name: text})
    except InvalidHyperparams:
        return
    assert check([hyperparam], read) == read


@pytest.mark.parametrize("hyperparam", EVERY, ids=lambda one: one.name)
def test_counter_examples_reach_every_bound(hyperparam: Hyperparam) -> None:
    wrong = list(examples_of_wrong_values(hyperparam))
    numbers = [value for value in wrong if isinstance(value, int | float) and math.isfinite(value)]
    if hyperparam.minimum is not None:
        assert min(numbers) < hyperparam.minimum
    if hyperparam.exclusive_minimum is not None:
        assert hyperparam.exclusive_minimum in numbers
    if hyperparam.maximum is not None:
        assert max(numbers) > hyperparam.maximum
    assert (None in wrong) != hyperparam.nullable
    for value in wrong:
        with pytest.raises(InvalidHyperparams):
            check([hyperparam], {hyperparam.name: value})


@pytest.mark.parametrize(
    "wrong",
    [
        {"kinds": (), "default": 1},
        {"kinds": ("int",), "default": 1.5},
        {"kinds": ("int",), "default": 0, "minimum": 1},
        {"kinds": ("str",), "default": "c", "choices": ("a", "b")},
        {"kinds": ("float",), "default": None},
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="hyperparam 'x'"):
        Hyperparam("x", description="A test.", **wrong)
