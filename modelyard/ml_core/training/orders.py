"""An order to train, worked out in full: the request checked, the table read, the parent's part filled in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import orjson

from modelyard import models_registry
from modelyard.errors import FieldError, InvalidHyperparams, InvalidRequest
from modelyard.ml_core.tasks import TASKS, Task
from modelyard.ml_core.training.plan import TrainingPlan
from modelyard.ml_core.training.reading import kept_reading, reading_options
from modelyard.models_registry import hyperparams
from modelyard.models_registry.base import ModelClass
from modelyard.schemas import ModelMetadata, ModelWarning, Reading, RetrainRequest, TrainRequest
from modelyard.tables import UNPACKED_BYTES, ReadingOptions, TrainingTable, advice, read_training


@dataclass(frozen=True, slots=True)
class TrainingOrder:
    """A plan of training and what its model will be called.

    `name` is None if one is to be made up. `parent_reference` is how the caller named the model `parent_id`.
    """

    plan: TrainingPlan
    name: str | None
    tags: tuple[str, ...]
    reading: Reading
    parent_id: str | None = None
    parent_reference: str | None = None

    def digest(self) -> str:
        """Return a SHA-256 in hex that two orders share only if they ask for the same, by whatever door they came."""
        plan, table = self.plan, self.plan.table
        said = {
            "model_class": plan.model_class.key,
            "hyperparams": plan.hyperparams,
            "evaluation": plan.evaluation.model_dump(),
            "feature_types": list(table.contract.feature_types.items()),
            "classes": table.contract.classes,
            "target": table.target,
            "name": self.name,
            "tags": self.tags,
            "reading": self.reading.model_dump(),
            "parent": self.parent_reference,  # as written: a name means another model after each retraining
        }
        return _digest(said, table)

    def fingerprint(self) -> str:
        """Return a SHA-256 in hex of the table alone, which two orders share only if their tables are equal."""
        table = self.plan.table
        said = {"feature_types": list(table.contract.feature_types.items()), "classes": table.contract.classes}
        return _digest(said, table)

    def details(self) -> dict[str, Any]:
        """Return the facts of the order that are kept even if no model comes of it."""
        plan, table = self.plan, self.plan.table
        return {
            "hyperparams": plan.hyperparams,
            "evaluation": plan.evaluation.model_dump(),
            "tags": self.tags,
            "target": table.target,
            "n_rows": table.frame.height,
            "n_features": table.frame.width,
            "n_classes": len(table.contract.classes) or None,
        }


def _digest(said: dict[str, Any], table: TrainingTable) -> str:
    categories = {name: column.categories for name, column in table.contract.categorical.items()}  # cells are codes
    digest = hashlib.sha256(orjson.dumps({**said, "categories": categories}, option=orjson.OPT_SORT_KEYS))
    digest.update(table.codes.tobytes())
    digest.update(table.frame.hash_rows(seed=0).to_numpy().tobytes())
    return digest.hexdigest()


def order_training(
    request: TrainRequest, missing_markers: tuple[str, ...], max_file_bytes: int = UNPACKED_BYTES
) -> TrainingOrder:
    """Work out a request to train. `max_file_bytes` bounds what comes out of a compressed file.

    Raises ModelClassNotFound, InvalidHyperparams, InvalidTable, PayloadTooLarge; InvalidRequest for a model class of
    another task.
    """
    model_class = models_registry.model_class(request.model_class_key)
    _check_task(request.task, model_class)
    checked = check_hyperparams(model_class, request.hyperparams)
    options = reading_options(request, None, missing_markers, max_file_bytes)
    table = read_training(
        request.X,
        request.y,
        target=request.target,
        feature_types=request.feature_types,
        feature_names=request.feature_names,
        options=options,
        read_target=TASKS[model_class.task].read_target(models_registry.keys_of_task),
    )
    plan = TrainingPlan(model_class=model_class, hyperparams=checked, evaluation=request.evaluation, table=table)
    return TrainingOrder(plan=plan, name=request.name, tags=tuple(request.tags), reading=kept_reading(options, table))


def order_retraining(
    request: RetrainRequest,
    parent: ModelMetadata,
    missing_markers: tuple[str, ...],
    max_file_bytes: int = UNPACKED_BYTES,
) -> TrainingOrder:
    """Work out a request to retrain: what it leaves out is the parent's. `max_file_bytes` as in `order_training`.

    Raises ModelClassNotFound, InvalidHyperparams, InvalidTable, PayloadTooLarge.
    """
    model_class = models_registry.model_class(parent.model_class_key)
    checked = check_hyperparams(model_class, {**parent.hyperparams, **request.hyperparams})
    options = reading_options(request, parent.reading, missing_markers, max_file_bytes)
    table = _read_like_parent(request, parent, options, TASKS[model_class.task])
    plan = TrainingPlan(
        model_class=model_class,
        hyperparams=checked,
        evaluation=request.evaluation or parent.evaluation,
        table=table,
    )
    tags = parent.tags if request.tags is None else request.tags
    return TrainingOrder(
        plan=plan,
        name=parent.name,
        tags=tuple(tags),
        reading=kept_reading(options, table),
        parent_id=parent.model_id,
        parent_reference=request.model_id,
    )


def check_hyperparams(model_class: ModelClass, given: dict[str, Any]) -> dict[str, Any]:
    """Return the hyperparams with defaults filled in. Raises InvalidHyperparams naming all that are wrong."""
    checked = hyperparams.check(model_class.hyperparams, given)
    wrong = model_class.rules(checked, None)
    if wrong:
        raise InvalidHyperparams.of(wrong)
    return checked


def _check_task(asked: str | None, model_class: ModelClass) -> None:
    if asked is None or asked == model_class.task:
        return
    message = (
        f"task {asked!r} cannot be done by model class {model_class.key!r}, whose task is {model_class.task!r}; "
        f"take {advice.one_of(models_registry.keys_of_task(asked))}"
    )
    raise InvalidRequest.of([FieldError(("task",), message, asked)])


def _read_like_parent(
    request: RetrainRequest, parent: ModelMetadata, options: ReadingOptions, task: Task
) -> TrainingTable:
    table = read_training(
        request.X,
        request.y,
        target=parent.target if request.target is None else request.target,
        feature_types=request.feature_types,
        feature_names=request.feature_names,
        options=options,
        read_target=task.read_target(models_registry.keys_of_task),
        inherited_types=parent.feature_types,
        row_names=parent.feature_names if _is_rows(request.X) else None,
    )
    changes = (*_changed_columns(parent, table), *task.changes(parent.classes or (), table.contract))
    return replace(table, warnings=(*table.warnings, *changes))


def _changed_columns(parent: ModelMetadata, table: TrainingTable) -> list[ModelWarning]:
    new = [name for name in table.frame.columns if name not in parent.feature_types]
    gone = [name for name in parent.feature_names if name not in table.frame.columns]
    if not new and not gone:
        return []
    told = [f"{what} {', '.join(map(repr, names[:20]))}" for what, names in (("new:", new), ("gone:", gone)) if names]
    message = f"the columns are not those of the parent model; {'; '.join(told)}"
    return [ModelWarning(code="columns_changed", message=message, count=len(new) + len(gone))]


def _is_rows(X: Any) -> bool:
    return isinstance(X, list | tuple) and len(X) > 0 and isinstance(X[0], list | tuple)
