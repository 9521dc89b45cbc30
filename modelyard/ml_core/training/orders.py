"""An order to train, worked out in full: the request checked, the table read, the parent's part filled in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import orjson

from modelyard import models_registry
from modelyard.errors import FieldError, InvalidHyperparams, InvalidRequest
from modelyard.ml_core.tasks import TASKS, Task
from modelyard.ml_core.tasks.base import changed
from modelyard.ml_core.training.calibrating import checked_method
from modelyard.ml_core.training.decided import ordered_decision
from modelyard.ml_core.training.monotone import resolve_monotone
from modelyard.ml_core.training.plan import TrainingPlan
from modelyard.ml_core.training.reading import kept_reading, read_table, reading_options
from modelyard.models_registry import hyperparams
from modelyard.models_registry.base import ModelClass
from modelyard.schemas import Decision, ModelMetadata, ModelWarning, Promote, Reading, RetrainRequest, TrainRequest
from modelyard.tables import UNPACKED_BYTES, TrainingTable, advice
from modelyard.tables.contract import as_text


@dataclass(frozen=True, slots=True)
class TrainingOrder:
    """A plan of training and what its model will be called.

    `name` is None if one is to be made up. `parent_reference` is how the caller named the model `parent_id`.
    """

    plan: TrainingPlan
    name: str | None
    tags: tuple[str, ...]
    reading: Reading
    description: str = ""
    decision: Decision | None = None
    promote: Promote | None = None
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
        if plan.monotone:
            said["monotone"] = plan.monotone
        if plan.calibrate is not None:
            said["calibrate"] = plan.calibrate
        if self.description:  # so that without one the digest is that of releases before it
            said["description"] = self.description
        if self.decision is not None:
            said["decision"] = self.decision.model_dump()
        if self.promote is not None:
            said["promote"] = self.promote.model_dump()
        return _digest(said, table)

    def fingerprint(self) -> str:
        """Return a SHA-256 in hex of the table alone, which two orders share only if their tables are equal.

        The columns of roles are part of the table.
        """
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
            "column_roles": dict(table.column_roles),
            "monotone": plan.monotone,
            "calibrate": plan.calibrate,
            "n_rows": table.frame.height,
            "n_features": table.frame.width,
            "n_classes": len(table.contract.classes) or None,
        }


def _digest(said: dict[str, Any], table: TrainingTable) -> str:
    categories = {name: column.categories for name, column in table.contract.categorical.items()}  # cells are codes
    said = {**said, "categories": categories}
    if table.column_roles:  # so that without roles the digests are those of releases before them
        said["column_roles"] = dict(table.column_roles)
    digest = hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS))
    digest.update(table.codes.tobytes())
    for frame in (table.frame, as_text(table.roles)):
        digest.update(frame.hash_rows(seed=0).to_numpy().tobytes())
    return digest.hexdigest()


def order_training(
    request: TrainRequest | RetrainRequest,
    missing_markers: tuple[str, ...],
    max_file_bytes: int = UNPACKED_BYTES,
    *,
    parent: ModelMetadata | None = None,
    table: TrainingTable | None = None,
) -> TrainingOrder:
    """Work out a request to train, or to retrain its `parent`: what a retraining leaves out is the parent's.

    `table` is the request's own if it has been read already. `missing_markers` hold if neither names any.
    `max_file_bytes` bounds what comes out of a compressed file. Raises ModelClassNotFound, InvalidHyperparams,
    InvalidTable, PayloadTooLarge; InvalidRequest for a model class of another task, or one that cannot do what is
    asked.
    """
    full = request if isinstance(request, TrainRequest) else _completed(request, parent)
    if parent is None:
        model_class = models_registry.model_class(full.model_class_key)
    else:
        model_class = models_registry.class_of_model(parent.model_class_key, parent.hyperparams)
    check_task(full.task, model_class)
    task = TASKS[model_class.task]
    checked = check_hyperparams(model_class, full.hyperparams)
    options = reading_options(request, parent, missing_markers, max_file_bytes)
    if table is None:
        table = read_table(
            full,
            task,
            options,
            inherited_types=None if parent is None else parent.feature_types,
            row_names=None if parent is None else _row_names(parent, full.X),
        )
    if parent is not None:
        table = replace(table, warnings=(*table.warnings, *_changes(parent, table, task)))
    inherited = {} if parent is None else parent.monotone
    monotone, lost = resolve_monotone(full.monotone or {}, inherited, model_class, table.contract)
    table = replace(table, warnings=(*table.warnings, *lost))
    decision, doubts = ordered_decision(request.decision, full.evaluation, table.contract.classes, parent)
    if doubts:
        table = replace(table, warnings=(*table.warnings, *doubts))
    return TrainingOrder(
        plan=TrainingPlan(
            model_class, checked, full.evaluation, table, monotone, checked_method(full.calibrate, table)
        ),
        name=full.name,
        tags=tuple(full.tags),
        reading=kept_reading(options, table),
        description=request.description,
        decision=decision,
        promote=request.promote,
        parent_id=None if parent is None else parent.model_id,
        parent_reference=None if isinstance(request, TrainRequest) else request.model_id,
    )


def check_hyperparams(model_class: ModelClass, given: dict[str, Any]) -> dict[str, Any]:
    """Return the hyperparams with defaults filled in. Raises InvalidHyperparams naming all that are wrong."""
    checked = hyperparams.check(model_class.hyperparams, given)
    wrong = model_class.rules(checked, None)
    if wrong:
        raise InvalidHyperparams.of(wrong)
    return checked


def check_task(asked: str | None, model_class: ModelClass) -> None:
    """Raise InvalidRequest if a model class is of another task than the one asked for."""
    if asked is None or asked == model_class.task:
        return
    message = (
        f"task {asked!r} cannot be done by model class {model_class.key!r}, whose task is {model_class.task!r}; "
        f"take {advice.one_of(models_registry.keys_of_task(asked))}"
    )
    raise InvalidRequest.of([FieldError(("task",), message, asked)])


def _completed(request: RetrainRequest, parent: ModelMetadata | None) -> TrainRequest:
    """Return the request to train that a retraining stands for; how its table is read is not filled in."""
    assert parent is not None
    inherited: dict[str, Any] = {"target": parent.target, "tags": parent.tags, "evaluation": parent.evaluation}
    inherited["calibrate"] = parent.calibrate
    given = {name: value for name, value in request if value is not None and name not in ("model_id", "promote")}
    full = {**inherited, **given, "hyperparams": {**parent.hyperparams, **request.hyperparams}}
    # What a parent of an earlier release says is not checked anew.
    return TrainRequest.model_construct(model_class_key=parent.model_class_key, name=parent.name, **full)


def _changes(parent: ModelMetadata, table: TrainingTable, task: Task) -> tuple[ModelWarning, ...]:
    """Return how a table differs from the parent's."""
    columns = table.frame.columns
    new = [name for name in columns if name not in parent.feature_types]
    gone = [name for name in parent.feature_names if name not in columns]
    return (*changed("columns", new, gone), *task.changes(parent.classes or (), table.contract))


def _row_names(parent: ModelMetadata, X: Any) -> list[str] | None:
    """Return the names of the columns of rows: the parent's features, or None if the parent's rows had no names either.

    Then they have the columns with roles, too, and are called f0, f1, ... as they were.
    """
    if not (isinstance(X, list | tuple) and len(X) > 0 and isinstance(X[0], list | tuple)):
        return None
    unnamed = {f"f{position}" for position in range(len(X[0]))}
    was_unnamed = unnamed.issuperset([*parent.feature_names, *parent.roles])
    return None if was_unnamed and len(X[0]) > len(parent.feature_names) else parent.feature_names
