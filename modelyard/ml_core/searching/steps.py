"""What a run does that belongs to a search: a trial, or at the end the model. A run of no search is a training.

`run` is what `jobs` calls in the process; this module is named there by `TARGET`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from modelyard import models_registry
from modelyard.errors import DataLoss
from modelyard.jobs import Finished, ProgressReporter, StepTold
from modelyard.ml_core.searching.folds import Folds
from modelyard.ml_core.searching.leaderboard import Board
from modelyard.ml_core.searching.orders import at_work
from modelyard.ml_core.searching.planning import LAST_FILE, TRIAL_FILE
from modelyard.ml_core.searching.settings import SearchSettings
from modelyard.ml_core.searching.trials import run_trial
from modelyard.ml_core.searching.weighing import Weighed, smallest_best
from modelyard.ml_core.tasks.base import Scores
from modelyard.ml_core.training import runs
from modelyard.ml_core.training.orders import check_hyperparams
from modelyard.ml_core.training.trainings import run_training
from modelyard.models_registry.base import ModelClass
from modelyard.models_registry.ensemble.ensemble import Ensemble
from modelyard.schemas import SearchSummary, is_loss
from modelyard.storage.files import sync_files

TARGET = f"{__name__}:run"

_SCORES = "scores.npy"
_LOST = {
    "status": "failed",
    "metric": None,
    "error": {"detail": "what this trial had found is lost: its file of scores is gone or damaged"},
}

Told = Mapping[str, Any]
"""What a trial has told, as `trials.Trial.told` writes it."""

log = logging.getLogger(__name__)


def run(folder: Path, report: ProgressReporter) -> Finished | StepTold:
    """Carry out what is ordered in `folder`. Raises what `run_training` raises."""
    if (folder / TRIAL_FILE).exists():
        return _try(folder)
    if (folder / LAST_FILE).exists():
        return _finish(folder, report)
    return runs.run(folder, report)


def _try(folder: Path) -> StepTold:
    """Make a trial and keep its scores in the run's folder, which stays until the search has ended."""
    search = folder.parents[1]
    order, settings = runs.read_order(search), SearchSettings.read(search)
    said = orjson.loads((folder / TRIAL_FILE).read_bytes())
    model_class = models_registry.model_class(said["model_class_key"])
    hyperparams = check_hyperparams(model_class, said["hyperparams"])
    plan = at_work(order, model_class, hyperparams).plan
    trial = run_trial(plan, Folds.of(plan, settings.metric, settings.seed), said["others"])
    if trial.scores is not None:
        np.save(folder / _SCORES, trial.scores)
        sync_files(folder, [_SCORES])  # a trial that has been told has its scores
    return StepTold(trial.told(said["number"], model_class.key, hyperparams))


def _finish(folder: Path, report: ProgressReporter) -> Finished:
    """Weigh what was tried, and train the best: the model is evaluated and fitted like any other."""
    search = folder.parents[1]
    order, settings = runs.read_order(search), SearchSettings.read(search)
    said = orjson.loads((folder / LAST_FILE).read_bytes())
    folds = Folds.of(order.plan, settings.metric, settings.seed)
    told, scores = _with_scores(search, said["told"], folds)
    by_class = _best_of_each_class(told, lower=is_loss(settings.metric))
    best = smallest_best({key: scores[one["number"]] for key, one in by_class.items()}, folds)

    order = at_work(order, *_chosen(best, {key: one["hyperparams"] for key, one in by_class.items()}))
    runs.write_order_beside(folder, order, search)  # for the gate, which asks what was trained
    trained = run_training(order.plan, report)
    members = {by_class[one]["number"]: weight for one, weight in best.weights.items()}
    entries = Board(folds, scores, best, members).entries(told)
    trained = replace(trained, report=trained.report.model_copy(update={"leaderboard": entries}))
    summary = SearchSummary(trials=len(told), seconds=round(said["seconds"], 3), metric=settings.metric)
    return runs.finish(folder, order, trained, summary)


def _with_scores(search: Path, told: Sequence[Told], folds: Folds) -> tuple[list[Told], dict[int, Scores]]:
    """Return the trials, and the scores of those that are complete by number; one whose scores are lost has failed.

    Raises DataLoss if the scores of all are lost.
    """
    found = {one["number"]: _scores(search, one, folds) for one in told if one["status"] == "complete"}
    scores = {number: one for number, one in found.items() if one is not None}
    if not scores:
        raise DataLoss("the search has lost what its trials had found: no file with scores is there and whole")
    return [one if found.get(one["number"], ...) is not None else {**one, **_LOST} for one in told], scores


def _scores(search: Path, one: Told, folds: Folds) -> Scores | None:
    """Return the scores that a trial has kept; None if they are lost or damaged."""
    file = search / "runs" / str(one["number"]) / _SCORES
    try:
        found: Scores = np.load(file)
    except (OSError, ValueError, EOFError) as error:
        log.warning("the scores of trial %d are lost: %s", one["number"], error)
        return None
    width = len(folds.table.contract.classes) or 1
    return found if found.shape == (len(folds.truth), width) and np.isfinite(found).all() else None


def _best_of_each_class(told: Sequence[Told], *, lower: bool) -> dict[str, Told]:
    complete = sorted(
        (one for one in told if one["status"] == "complete"), key=lambda one: one["metric"], reverse=not lower
    )
    return {one["model_class_key"]: one for one in reversed(complete)}


def _chosen(best: Weighed, hyperparams: Mapping[str, Mapping[str, Any]]) -> tuple[ModelClass, dict[str, Any]]:
    """Return the model class and the hyperparams of the model: those of one trial, or of an ensemble of several."""
    classes = [models_registry.model_class(key) for key in best.weights]
    if len(classes) == 1:
        return classes[0], check_hyperparams(classes[0], dict(hyperparams[classes[0].key]))
    ensemble = Ensemble(classes)
    return ensemble, check_hyperparams(ensemble, ensemble.flat(best.weights, hyperparams))
