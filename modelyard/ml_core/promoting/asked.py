"""What a request to train says of aliases, checked when the request is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelyard.errors import FieldError, InvalidArgument, InvalidRequest, InvalidTable
from modelyard.ml_core.evaluating.labelled import Labelled, Reads, read_labelled
from modelyard.ml_core.evaluating.mean_costs import COST
from modelyard.ml_core.tasks.base import MAX_NAMED, Task
from modelyard.ml_core.training.orders import TrainingOrder
from modelyard.schemas import MEASURES, EvaluateRequest, Label, PromotionTable
from modelyard.schemas.showing import shown
from modelyard.tables import UNPACKED_BYTES, Contract, FileOptions, Reader


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A model that is yet to be published, as far as it reads tables."""

    contract: Contract
    reader: Reader
    task: Task


def check_promote(order: TrainingOrder) -> None:
    """Refuse, before anything is fitted, a metric that the task has not and a table that the model could not read.

    Raises InvalidRequest, InvalidTable.
    """
    promote, task = order.promote, order.plan.model_class.task
    if promote is None:
        return
    known = (*MEASURES[task], *((COST,) if task == "classification" else ()))
    if promote.metric is not None and promote.metric not in known:
        message = f"promote.metric {shown(promote.metric)} is none of {task}; it is one of: {', '.join(known)}"
        raise InvalidRequest.of([FieldError(("promote", "metric"), message, promote.metric)])
    if promote.metric == COST and (order.decision is None or order.decision.costs is None):
        message = 'promote.metric \'cost\' needs a decision that says what errors cost: {"rule": "costs", …}'
        raise InvalidRequest.of([FieldError(("promote", "metric"), message, promote.metric)])
    if promote.on is not None:
        _check_table(order, promote.on)


def _check_table(order: TrainingOrder, on: PromotionTable) -> None:
    try:
        labelled = read_given(new_version(order), on, order.plan.table.target)
    except InvalidArgument as error:
        wrong = [
            FieldError(("promote", "on", *one.loc), f"promote.on: {one.message}", one.value) for one in error.errors
        ]
        raise type(error)(f"promote.on: {error.detail}", errors=wrong) from None
    if classes := order.plan.table.contract.classes:
        _check_labels(np.flatnonzero(labelled.truth >= len(classes)), on, classes)


def _check_labels(unknown: npt.NDArray[np.int64], on: PromotionTable, classes: Sequence[Label]) -> None:
    """Refuse rows, by their places, whose labels are no classes. Raises InvalidTable naming the first one."""
    if not len(unknown):
        return
    row = int(unknown[0])
    label = None if on.y is None else on.y[row]
    told = "has a label" if on.y is None else f"has the label {shown(label)}"
    more = f" (and {len(unknown) - 1:,} more)" if len(unknown) > 1 else ""
    named = ", ".join(map(shown, classes[:MAX_NAMED])) + (", ..." if len(classes) > MAX_NAMED else "")
    message = f"promote.on: row {row}{more} {told} that the new version cannot predict; its classes are {named}"
    raise InvalidTable.of([FieldError(("promote", "on", "y", row), message, label)])


def new_version(order: TrainingOrder) -> NewVersion:
    """Return how the model of an order will read tables."""
    contract, roles = order.plan.table.contract, order.plan.table.column_roles
    return NewVersion(
        contract, Reader(contract, FileOptions.usual(order.reading, UNPACKED_BYTES), roles), order.plan.task
    )


def read_given(model: Reads, on: PromotionTable, target: str | None) -> Labelled:
    """Read the table `on` as a model reads it; without y, its labels are the column that it names, or `target`.

    Raises InvalidTable.
    """
    request = EvaluateRequest(model_ids=["new"], X=on.X, y=on.y, target=on.target)
    return read_labelled(model, request, target if on.target is None and on.y is None else on.target, None)
