"""What a caller's fields must be, and in which words they are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest

from modelyard.errors import InvalidRequest
from modelyard.schemas import AuditQuery, EvaluateRequest, PredictRequest, RetrainRequest, TrainRequest, parse
from modelyard.schemas.base import Request
from modelyard.schemas.showing import shown, shown_instead

TRAIN: dict[str, Any] = {"model_class_key": "logistic_regression", "X": [[1], [2]], "y": ["a", "b"]}
EVALUATION = "method, fraction, folds, seed"
FEATURE_TYPES = (
    "feature_types must be an object of column names and types, or a list of types in column order; "
    "a type is 'numeric', 'categorical' or 'datetime'"
)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"evaluation": {"fold": 3}}, f"field 'evaluation.fold' is unknown; known are: {EVALUATION}"),
        ({"evaluation": "cv"}, "field 'evaluation' must be an object, got 'cv'"),
        ({"evaluation": {"folds": "5"}}, "field 'evaluation.folds' must be an integer, got '5'"),
        ({"evaluation": {"fraction": "0.3"}}, "field 'evaluation.fraction' must be a number, got '0.3'"),
        ({"evaluation": {"seed": True}}, "field 'evaluation.seed' must be an integer, got true"),
        ({"hyperparams": [1]}, "field 'hyperparams' must be an object, got [1]"),
        ({"hyperparams": None}, "field 'hyperparams' must be an object, got null"),
        (
            {"evaluation": {"method": "x"}},
            "field 'evaluation.method' must be 'holdout', 'time', 'cv' or 'none', got 'x'",
        ),
        ({"evaluation": {"folds": 1}}, "field 'evaluation.folds' must be at least 2, got 1"),
        ({"evaluation": {"folds": 2.5}}, "field 'evaluation.folds' must be an integer, got 2.5"),
        ({"evaluation": {"fraction": float("nan")}}, "field 'evaluation.fraction' must be a finite number, got nan"),
        ({"model_class_key": 5}, "field 'model_class_key' must be text, got 5"),
        ({"tags": "a"}, "field 'tags' must be a list, got 'a'"),
        ({"tags": [""]}, "field 'tags.0' must not be empty, got ''"),
        ({"tags": ["x" * 101]}, f"field 'tags.0' must have at most 100 characters, got '{'x' * 76}..."),
        ({"tags": ["a"] * 51}, f"field 'tags' must have at most 50 items, got {str(['a'] * 51)[:77]}..."),
        ({"feature_types": "numeric"}, f"{FEATURE_TYPES}, got 'numeric'"),
        ({"feature_types": {"a": 1}}, f"{FEATURE_TYPES}, got {{'a': 1}}"),
        ({"feature_types": 5}, f"{FEATURE_TYPES}, got 5"),
        ({"name": "a/b"}, "name 'a/b' must be 1 to 100 letters, digits, '.', '_' or '-', the first a letter or digit"),
    ],
)
def test_a_wrong_field_is_refused_in_clear_words(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(TrainRequest, {**TRAIN, **fields})
    assert caught.value.detail == message
    assert len(caught.value.errors) == 1


def test_an_unknown_field_is_told_what_is_known_where_it_stands() -> None:
    with pytest.raises(InvalidRequest, match=f"'evaluation.x' is unknown; known are: {EVALUATION}$"):
        parse(RetrainRequest, {"model_id": "m", "X": [[1]], "evaluation": {"x": 1}})
    with pytest.raises(InvalidRequest, match="'x' is unknown; known are: model_id, X, "):
        parse(RetrainRequest, {"model_id": "m", "X": [[1]], "x": 1})


@pytest.mark.parametrize("given", ["yes", 1, "true"])
def test_a_flag_is_a_boolean_and_nothing_like_one(given: object) -> None:
    with pytest.raises(InvalidRequest, match="field 'probabilities' must be true or false, got "):
        parse(PredictRequest, {"model_id": "m", "X": [[1]], "probabilities": given})


def _bodies(kind: type[Request] = Request) -> Iterator[type[Request]]:
    """Yield what is sent as a body; the fields of a query are texts in an address."""
    for child in kind.__subclasses__():
        if not child.__name__.endswith("Query"):
            yield child
        yield from _bodies(child)


def _numbers(kind: type[Request]) -> set[str]:
    """Return the names of the fields that hold a number, or a number or nothing."""
    types = {name: field.annotation for name, field in kind.model_fields.items()}
    parts = {
        name: {kind, *(part for one in get_args(kind) for part in (one, *get_args(one)))}
        for name, kind in types.items()
    }
    return {name for name, known in parts.items() if known & {int, float}}


@pytest.mark.parametrize("given", [True, "1"])
def test_a_number_in_a_body_is_neither_a_boolean_nor_a_text(given: object) -> None:
    numbers = {(kind, name) for kind in _bodies() for name in _numbers(kind)}
    assert {"version", "expires_in_days", "grace_s", "trials", "folds"} <= {name for _, name in numbers}
    for kind, name in numbers:
        with pytest.raises(InvalidRequest) as caught:
            parse(kind, {name: given})
        said = [error.message for error in caught.value.errors if error.loc == (name,)]
        assert len(said) == 1
        assert said[0].startswith((f"field '{name}' must be an integer, got", f"field '{name}' must be a number, got"))


@pytest.mark.parametrize("given", ["", "x", "2026-13-45", "yesterday", True, [], float("nan")])
def test_a_moment_that_is_none_is_refused_in_our_words(given: object) -> None:
    with pytest.raises(
        InvalidRequest, match=r"^field 'since' must be a date or a moment, such as 2026-11-28T12:00:00Z, got "
    ):
        parse(AuditQuery, {"since": given})


def test_a_list_that_must_not_be_empty_says_so() -> None:
    with pytest.raises(InvalidRequest, match=r"field 'model_ids' must not be empty, got \[\]$"):
        parse(EvaluateRequest, {"model_ids": []})


def test_a_whole_fraction_of_an_evaluation_is_still_a_number() -> None:
    with pytest.raises(InvalidRequest, match=r"field 'evaluation.fraction' must be at most 0.9"):
        parse(TrainRequest, {**TRAIN, "evaluation": {"fraction": 1}})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ("it's", '"it\'s"'),
        (-0.0, "-0.0"),
        (10**400, "an integer of more than 300 digits"),
        ([True, None, "a"], "[true, null, 'a']"),
        ({"a": {"b": [False]}, "c": None}, "{'a': {'b': [false]}, 'c': null}"),
        ([[[[[["deep"]]]]]], "[[[[...]]]]"),
        ([1] * 1_000_000, str([1] * 100)[:77] + "..."),
        ("x" * 100, "'" + "x" * 76 + "..."),
    ],
)
def test_messages_show_values_in_the_words_of_json(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "null"), (5, "5"), (True, "true"), ("a", "'a'"), ([1], "a list"), ({}, "an object")]
)
def test_what_stands_in_a_wrong_place_is_shown_or_named(value: object, text: str) -> None:
    assert shown_instead(value) == text
