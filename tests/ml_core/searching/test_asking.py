"""What a search tries next: the defaults first, then what follows from what was told, and the same again."""

from __future__ import annotations

from typing import Any

import pytest

from modelyard import models_registry
from modelyard.ml_core.searching.asking import ask, number_of_trials
from modelyard.ml_core.searching.settings import SearchSettings
from modelyard.models_registry import hyperparams
from modelyard.models_registry.base import ModelClass

KEYS = ("logistic_regression", "catboost_classifier", "lightgbm_classifier")


def settings(**fields: Any) -> SearchSettings:
    given: dict[str, Any] = {"model_classes": KEYS, "trials": 30, "max_seconds": 9.0, "metric": "log_loss", "seed": 3}
    return SearchSettings(**{**given, **fields})


def told(number: int, key: str, metric: float, status: str = "complete", **chosen: Any) -> dict[str, Any]:
    full = hyperparams.check(models_registry.model_class(key).hyperparams, chosen)
    kept = {"number": number, "model_class_key": key, "hyperparams": full, "status": status}
    return {**kept, "metric": metric, "folds": [metric]}


DEFAULTS = [told(number, key, 0.4 + number / 100) for number, key in enumerate(KEYS)]


def test_the_first_trial_of_each_class_is_its_defaults() -> None:
    asked = [ask(settings(), [], number) for number in range(3)]
    assert [key for key, _ in asked] == list(KEYS)
    assert all(chosen == hyperparams.check(models_registry.model_class(key).hyperparams, {}) for key, chosen in asked)


def test_the_same_trials_told_lead_to_the_same_next_one_and_another_seed_to_another() -> None:
    assert ask(settings(), DEFAULTS, 3) == ask(settings(), DEFAULTS, 3)
    assert ask(settings(), DEFAULTS, 3) != ask(settings(seed=4), DEFAULTS, 3)
    assert ask(settings(), DEFAULTS, 3) != ask(settings(), DEFAULTS, 4)


def test_what_is_asked_lies_within_the_ranges_and_is_a_legal_hyperparam() -> None:
    before = list(DEFAULTS)
    for number in range(3, 25):
        key, chosen = ask(settings(), before, number)
        model_class = models_registry.model_class(key)
        assert chosen == hyperparams.check(model_class.hyperparams, chosen)
        for one in model_class.search_space:
            assert one.low <= chosen[one.name] <= one.high
            assert isinstance(chosen[one.name], int) == one.is_whole
        before.append(told(number, key, 0.5, "pruned" if number % 3 else "complete", **chosen))
    failed = {**told(25, "logistic_regression", 0.5), "status": "failed", "folds": []}
    del failed["metric"]
    ask(settings(), [*before, failed], 26)


def test_what_was_good_is_tried_more_often() -> None:
    only = settings(model_classes=KEYS[:1])
    before = [told(number, KEYS[0], 0.1 if C > 1 else 0.9, C=C) for number, C in enumerate([0.02, 0.05, 0.1, 5.0] * 6)]
    asked = [ask(only, before, number)[1]["C"] for number in range(30, 60)]
    assert sum(C > 1 for C in asked) > 20


def test_classes_take_turns_as_often_as_they_declare() -> None:
    before = list(DEFAULTS)
    for number in range(3, 30):
        key, chosen = ask(settings(), before, number)
        before.append(told(number, key, 0.5, **chosen))
    tried = [one["model_class_key"] for one in before]
    assert {key: tried.count(key) for key in KEYS} == {KEYS[0]: 6, KEYS[1]: 6, KEYS[2]: 18}
    assert set(tried[3:8]) == set(KEYS)


def test_a_class_whose_trials_all_failed_is_tried_no_more() -> None:
    failed = [{**one, "status": "failed", "folds": []} for one in DEFAULTS]
    assert ask(settings(), [failed[0], failed[1], DEFAULTS[2]], 3)[0] == KEYS[2]
    assert {ask(settings(), [failed[0], *DEFAULTS[1:]], number)[0] for number in range(3, 12)} == set(KEYS[1:])


def test_trials_of_a_release_that_knew_fewer_ranges_are_learned_from() -> None:
    old = [{**one, "hyperparams": {"depth": 5}} for one in DEFAULTS[1:2]]
    assert ask(settings(model_classes=KEYS[1:2]), old, 1)[0] == KEYS[1]


def test_a_search_of_classes_without_ranges_ends_with_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert number_of_trials(settings()) == 30
    for key in KEYS:
        monkeypatch.setattr(type(models_registry.model_class(key)), "search_space", ())
    assert number_of_trials(settings()) == 3
    assert number_of_trials(settings(trials=2)) == 2


@pytest.mark.parametrize("model_class", models_registry.BUILT_IN.values(), ids=lambda one: one.key)
def test_every_range_lies_within_its_hyperparam(model_class: ModelClass) -> None:
    declared = {one.name: one for one in model_class.hyperparams}
    assert model_class.search_space
    for one in model_class.search_space:
        assert one.low < one.high
        for end in (one.low, one.high):
            assert hyperparams.check([declared[one.name]], {one.name: end}) == {one.name: end}
