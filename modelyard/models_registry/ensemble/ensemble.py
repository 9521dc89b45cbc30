"""The model class of an ensemble: members of several model classes, one each, weighted.

Its hyperparams are flat, as those of every model class are: `catboost_classifier` is the weight of the member of that
class, `catboost_classifier.depth` the member's own hyperparam. So which members there are stands in the hyperparams,
and everything else follows from them: the task, the libraries, what fits heed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from modelyard.errors import FieldError
from modelyard.models_registry.base import Fit, FitTask, ModelClass, OnProgress, Predictor, Progress
from modelyard.models_registry.contributions import Contributions
from modelyard.models_registry.ensemble.predictor import EnsemblePredictor, MemberPredictor
from modelyard.models_registry.hyperparams import Hyperparam
from modelyard.schemas import ENSEMBLE, ModelWarning
from modelyard.tables.contract import Contract, as_text

_STEPS = 100
"""The steps of one member's fit, in the progress of all."""


class Ensemble(ModelClass):
    """An ensemble of one member of each of some model classes. Its estimator is a dict of estimators and of weights."""

    key = ENSEMBLE
    title = "Ensemble"
    description = "Models of several model classes that answer together, each by its weight. Made by a search."
    import_path = "builtins.dict"

    def __init__(self, members: Sequence[ModelClass]) -> None:
        self._members = {member.key: member for member in members}
        self.task = members[0].task
        self.libraries = tuple(dict.fromkeys(library for member in members for library in member.libraries))
        self.hyperparams = tuple(one for member in members for one in _declared(member))
        self.reads_enums = any(member.reads_enums for member in members)
        self.takes_weights = all(member.takes_weights for member in members)
        self.takes_monotone = all(member.takes_monotone for member in members)
        self.gains_by_batching = any(member.gains_by_batching for member in members)

    def flat(self, weights: Mapping[str, float], own: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return the hyperparams of this ensemble by the weight and the hyperparams of each member."""
        flat = {f"{key}.{name}": value for key, one in own.items() for name, value in one.items()} | dict(weights)
        return {one.name: flat.get(one.name, one.default) for one in self.hyperparams}

    def rules(self, hyperparams: Mapping[str, Any], n_classes: int | None) -> list[FieldError]:
        """Return the members' own errors, under the names that the hyperparams have here."""
        return [
            FieldError((wrong.loc[0], f"{key}.{wrong.loc[1]}", *wrong.loc[2:]), f"{key}: {wrong.message}", wrong.value)
            for key, member in self._members.items()
            for wrong in member.rules(_own(member, hyperparams), n_classes)
        ]

    def fit(self, task: FitTask) -> Fit:
        """Fit the members, one after the other; nothing is learned of rows held out."""
        estimators, warnings = {}, []
        for place, (key, member) in enumerate(self._members.items()):
            fitted = member.fit(
                replace(
                    task,
                    frame=task.frame if member.reads_enums else as_text(task.frame),
                    hyperparams=_own(member, task.hyperparams),
                    validation=None,
                    validation_weights=None,
                    iterations=None,
                    on_progress=_share(task.on_progress, place, len(self._members)),
                )
            )
            estimators[key] = fitted.estimator
            warnings += [_of_member(warning, key) for warning in fitted.warnings]
        weights = {key: task.hyperparams[key] for key in self._members}
        return Fit({"estimators": estimators, "weights": weights}, warnings=tuple(warnings))

    def predictor(self, estimator: Any, contract: Contract) -> Predictor:
        """Have each member answer in its own quickest way."""
        total = sum(estimator["weights"].values())
        members = [
            MemberPredictor(
                member, member.predictor(estimator["estimators"][key], contract), estimator["weights"][key] / total
            )
            for key, member in self._members.items()
        ]
        return EnsemblePredictor(members, contract)

    def feature_importances(self, estimator: Any, contract: Contract, frame: pl.DataFrame) -> dict[str, float] | None:
        """Return the members' importances by their weights, each first made percentages; None if one has none."""
        total = dict.fromkeys(contract.feature_names, 0.0)
        weights = estimator["weights"]
        for key, member in self._members.items():
            framed = frame if member.reads_enums else as_text(frame)
            found = member.feature_importances(estimator["estimators"][key], contract, framed)
            if found is None:
                return None
            share = 100.0 * weights[key] / sum(weights.values()) / (sum(found.values()) or 1.0)
            total = {name: value + share * found[name] for name, value in total.items()}
        return total

    def contributions(self, predictor: Any, frame: pl.DataFrame) -> Contributions | None:
        """Add the members' contributions up by their weights."""
        found: Contributions | None = predictor.contributions(frame)
        return found


def members_of(hyperparams: Iterable[str]) -> list[str]:
    """Return the keys of the model classes that hyperparams of an ensemble name, in their order."""
    return list(dict.fromkeys(name.partition(".")[0] for name in hyperparams))


def _declared(member: ModelClass) -> list[Hyperparam]:
    """Return the weight and the hyperparams of a member; early stopping is not among them, because rows are its own."""
    weight = Hyperparam(
        member.key, ("float",), 1.0, f"The weight of the member {member.title}.", exclusive_minimum=0, maximum=1e6
    )
    own = [one for one in member.hyperparams if one.name != member.early_stopping]
    return [weight, *(replace(one, name=f"{member.key}.{one.name}") for one in own)]


def _own(member: ModelClass, hyperparams: Mapping[str, Any]) -> dict[str, Any]:
    own = {one.name: hyperparams.get(f"{member.key}.{one.name}", one.default) for one in member.hyperparams}
    return own | {member.early_stopping: None} if member.early_stopping in own else own


def _of_member(warning: ModelWarning, key: str) -> ModelWarning:
    return warning.model_copy(update={"message": f"{key}: {warning.message}"})


def _share(on_progress: OnProgress | None, place: int, members: int) -> OnProgress | None:
    if on_progress is None:
        return None

    def tell(now: Progress) -> None:
        step = place * _STEPS + _STEPS * now.step // max(now.total, 1)
        on_progress(Progress(step, members * _STEPS, now.metric))

    return tell
