"""What a search tries next: the defaults of each model class, then what Optuna's sampler makes of the trials told.

Nothing is remembered: the sampler is told everything anew, so that a search goes on in another process as it would have
in the first. The same trials told, number and seed lead to the same answer.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from statistics import fmean
from typing import TYPE_CHECKING, Any

from modelyard import models_registry
from modelyard.errors import FailedPrecondition
from modelyard.ml_core.searching.settings import SearchSettings
from modelyard.models_registry import hyperparams as declared
from modelyard.models_registry.ranges import Range
from modelyard.schemas import is_loss

if TYPE_CHECKING:
    import optuna

_RANDOM = 3
"""Trials of a class after its defaults that are drawn at random, before there is enough to learn from."""

Told = Sequence[Mapping[str, Any]]
"""What trials have told, each as `trials.Trial.told` writes it."""


def ask(settings: SearchSettings, told: Told, number: int) -> tuple[str, dict[str, Any]]:
    """Return the key of the model class and the hyperparams to be tried as the trial `number`, counted from 0."""
    keys = settings.model_classes
    if number < len(keys):
        return keys[number], _in_full(keys[number], {})
    key = _turn(settings, told, number)
    if key is None:
        return keys[0], _in_full(keys[0], {})
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=settings.seed * 1000 + number, n_startup_trials=1 + _RANDOM)
    study = optuna.create_study(direction="minimize" if is_loss(settings.metric) else "maximize", sampler=sampler)
    study.add_trials([_frozen(one) for one in told if one["model_class_key"] == key and one["status"] != "failed"])
    trial = study.ask()
    return key, _in_full(key, {one.name: _suggest(trial, one) for one in models_registry.model_class(key).search_space})


def _turn(settings: SearchSettings, told: Told, number: int) -> str | None:
    """Return whose trial the one of this number is; None if there is no class with ranges whose fits succeed.

    The classes take turns as often as they declare, whatever they have shown: a class that is worse alone may be of use
    in a blend, and one that is better is no reason to try an expensive one ten times.
    """
    turns = {key: models_registry.model_class(key).search_turns for key in settings.model_classes if _is_searched(key)}
    for key in list(turns):
        statuses = {one["status"] for one in told if one["model_class_key"] == key}
        if statuses == {"failed"}:
            del turns[key]
    taken = dict.fromkeys(turns, 0)
    last: str | None = None
    for _ in range(number - len(settings.model_classes) + 1 if turns else 0):
        last = max(turns, key=lambda key: turns[key] / (taken[key] + 1))
        taken[last] += 1
    return last


def _is_searched(key: str) -> bool:
    return bool(models_registry.model_class(key).search_space)


def check_sampler() -> None:
    """Raise FailedPrecondition if Optuna is not installed."""
    if find_spec("optuna") is None:
        raise FailedPrecondition(
            "a search beyond the defaults of its model classes needs Optuna, which is not installed here: install "
            "modelyard[search], or ask for as many trials as there are model classes"
        )


def number_of_trials(settings: SearchSettings) -> int:
    """Return how many trials there are to make: no more than the defaults if no model class has a search space."""
    keys = settings.model_classes
    return settings.trials if any(map(_is_searched, keys)) else min(settings.trials, len(keys))


def _in_full(key: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    return declared.check(models_registry.model_class(key).hyperparams, chosen)


def _suggest(trial: optuna.Trial, one: Range) -> float:
    if one.is_whole:
        return trial.suggest_int(one.name, int(one.low), int(one.high), log=one.log)
    return trial.suggest_float(one.name, one.low, one.high, log=one.log)


def _frozen(one: Mapping[str, Any]) -> optuna.trial.FrozenTrial:
    """Return a trial as Optuna takes it. Of defaults only those count that are numbers within their range."""
    import optuna

    params: dict[str, Any] = {}
    distributions: dict[str, Any] = {}
    for space in models_registry.model_class(one["model_class_key"]).search_space:
        value = one["hyperparams"].get(space.name)  # of a release before it may be without
        if isinstance(value, int | float) and space.low <= value <= space.high:
            params[space.name] = value
            distributions[space.name] = _distribution(space)
    pruned = one["status"] == "pruned"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.trial.create_trial(
            state=optuna.trial.TrialState.PRUNED if pruned else optuna.trial.TrialState.COMPLETE,
            value=one["metric"],
            params=params,
            distributions=distributions,
            intermediate_values={place: fmean(one["folds"][: place + 1]) for place in range(len(one["folds"]))},
        )


def _distribution(space: Range) -> optuna.distributions.BaseDistribution:
    import optuna

    if space.is_whole:
        return optuna.distributions.IntDistribution(int(space.low), int(space.high), log=space.log)
    return optuna.distributions.FloatDistribution(space.low, space.high, log=space.log)
