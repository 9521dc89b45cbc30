"""An order to search, worked out in full: a training's order, and what is to be tried instead of one model class."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from modelyard import models_registry
from modelyard.errors import FieldError, InvalidRequest
from modelyard.ml_core.searching.asking import check_sampler
from modelyard.ml_core.searching.folds import Folds
from modelyard.ml_core.searching.settings import SearchSettings
from modelyard.ml_core.training.checking import read_by_task
from modelyard.ml_core.training.monotone import resolve_monotone
from modelyard.ml_core.training.orders import TrainingOrder, check_hyperparams, order_training
from modelyard.ml_core.training.plan import check_plan
from modelyard.ml_core.training.reading import reading_options
from modelyard.ml_core.training.runs import write_order
from modelyard.models_registry.base import ModelClass
from modelyard.schemas import AUTO, MEASURES, USUAL_LOSSES, SearchRequest, TrainRequest
from modelyard.schemas.showing import shown
from modelyard.tables import TrainingTable

_OWN = {"model_classes", "trials", "max_seconds", "metric", "seed"}
"""The fields of a request to search that no request to train has."""


@dataclass(frozen=True, slots=True)
class SearchOrder:
    """What a search is to do; the model class and the hyperparams of `order` only stand in for those to be found."""

    order: TrainingOrder
    settings: SearchSettings

    def digest(self) -> str:
        """Return a SHA-256 in hex that two orders share only if they ask for the same."""
        said = {name: getattr(self.settings, name) for name in self.settings.__slots__}
        text = orjson.dumps([self.order.digest(), said], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(text).hexdigest()

    def details(self) -> dict[str, Any]:
        """Return the facts of the order that are kept even if no model comes of it."""
        return {**self.order.details(), "hyperparams": {}}


def order_search(request: SearchRequest, missing_markers: tuple[str, ...], max_file_bytes: int) -> SearchOrder:
    """Work out a request to search. Raises what `order_training` and `check_plan` raise.

    InvalidRequest is raised, too, for model classes of several tasks, a metric that the task has not, and the
    evaluation `cv`, which would take a search for each of its folds; InvalidTable if no rows are left to judge trials
    by; FailedPrecondition if Optuna is not installed.
    """
    _check_evaluation(request)
    named = [models_registry.model_class(key) for key in request.model_classes or ()]
    task = _task_of(request, named)
    table: TrainingTable | None = None
    if task is None:
        task, table = read_by_task(request, None, reading_options(request, None, missing_markers, max_file_bytes))
    metric = _metric(request, task)
    candidates = named or _able(
        [models_registry.model_class(key) for key in models_registry.keys_of_task(task)], request
    )
    given = {name: value for name, value in request if name not in _OWN}
    first = TrainRequest.model_construct(model_class_key=candidates[0].key, **given)
    order = order_training(first, missing_markers, max_file_bytes, table=table)
    for one in candidates:
        resolve_monotone(request.monotone or {}, {}, one, order.plan.table.contract)
        check_plan(at_work(order, one, check_hyperparams(one, {})).plan)
    Folds.of(order.plan, metric, request.seed)  # refuses what no trial could be judged by
    if request.trials > len(candidates):
        check_sampler()
    settings = SearchSettings(
        tuple(dict.fromkeys(one.key for one in candidates)), request.trials, request.max_seconds, metric, request.seed
    )
    return SearchOrder(order, settings)


def write_search(folder: Path, order: SearchOrder) -> None:
    """Write an order into a job's folder, down to the disk. Raises OSError."""
    write_order(folder, order.order)
    order.settings.write(folder)


def search_of(request: TrainRequest) -> SearchRequest:
    """Return the search that a request to train the model class `auto` is. Raises InvalidRequest for hyperparams."""
    if request.hyperparams:
        message = f"hyperparams cannot be given with model class {AUTO!r}, because the search chooses them"
        raise InvalidRequest.of([FieldError(("hyperparams",), message)])
    given = {name: value for name, value in request if name not in ("model_class_key", "hyperparams")}
    return SearchRequest.model_construct(**given)


def _task_of(request: SearchRequest, named: Sequence[ModelClass]) -> str | None:
    """Return the task that a request and the model classes it names are of; None: the target has to show it."""
    tasks = {one.task for one in named} | ({request.task} if request.task else set())
    if len(tasks) > 1:
        told = ", ".join(f"{one.key!r} ({one.task})" for one in named)
        message = f"model_classes must all be of one task{f', {request.task!r}' if request.task else ''}, got {told}"
        raise InvalidRequest.of([FieldError(("model_classes",), message, request.model_classes)])
    return next(iter(tasks), None)


def _able(known: Sequence[ModelClass], request: SearchRequest) -> list[ModelClass]:
    """Return the model classes that heed what a request asks of all; if none does all of them, to be refused."""
    weighs = "weight" in (request.column_roles or {}).values()
    able = [one for one in known if one.takes_weights or not weighs]
    if any((request.monotone or {}).values()):
        able = [one for one in able if one.takes_monotone]
    return able or list(known)


def _metric(request: SearchRequest, task: str) -> str:
    if request.metric is None:
        return USUAL_LOSSES[task]
    if request.metric not in MEASURES[task]:
        known = ", ".join(map(repr, MEASURES[task]))
        message = f"metric of {task} must be one of {known}, got {shown(request.metric)}"
        raise InvalidRequest.of([FieldError(("metric",), message, request.metric)])
    return request.metric


def _check_evaluation(request: SearchRequest) -> None:
    if request.evaluation.method == "cv":
        message = (
            "evaluation method of a search must be 'holdout', 'time' or 'none', got 'cv', which would take a search "
            "for each fold; its trials are cross-validated in any case"
        )
        raise InvalidRequest.of([FieldError(("evaluation", "method"), message, "cv")])


def at_work(order: TrainingOrder, model_class: ModelClass, hyperparams: dict[str, Any]) -> TrainingOrder:
    """Return the order to train what a search has found, or tries."""
    return replace(order, plan=replace(order.plan, model_class=model_class, hyperparams=hyperparams))
