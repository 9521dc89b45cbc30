"""Which rows are fitted and held out if columns have the roles `time` or `group`; a task decides on all other tables.

The method `time` holds out the latest rows; rows of one time stay on one side. Rows of a group stay on one side, too:
hold-outs and folds are of whole groups, and by time the earlier rows of groups that are held out are left out of the
fit. Here, unlike in the splits of a task, a class may stand in the part held out alone.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from modelyard.errors import FieldError, InvalidArgument, InvalidTable
from modelyard.ml_core.tasks.base import FALLBACK, Groups, Part, Rows, Splits
from modelyard.ml_core.training.groups import deal_groups
from modelyard.schemas import Evaluation, ModelWarning
from modelyard.schemas.showing import shown
from modelyard.tables.contract import TrainingTable
from modelyard.tables.moments import written

_NEAR = 0.05
"""A hold-out of whole groups whose share differs by more from what was asked for is worth a warning."""


def split_by_roles(evaluation: Evaluation, table: TrainingTable) -> Splits | None:
    """Choose the rows by the table's times or groups; None if neither has a say in the evaluation.

    Raises InvalidTable if that cannot be done: all rows are of one time or of one group, or no rows, or rows of a
    single class, are left to be fitted.
    """
    if evaluation.method == "time":
        splits = _latest(evaluation, table)
    elif table.groups is not None and evaluation.method != "none":
        splits = _whole_groups(evaluation, table, table.groups)
    else:
        return None
    _refuse_single_classes(splits, table)
    return splits


def _latest(evaluation: Evaluation, table: TrainingTable) -> Splits:
    name, times, groups = table.named_for("time"), table.times, table.groups
    assert name is not None
    assert times is not None
    moments = times.to_physical().to_numpy()
    border = np.sort(moments)[len(moments) - math.ceil(evaluation.fraction * len(moments))]
    out = moments >= border
    if out.all():
        out = moments > border
    if not out.any():
        raise _refused(name, "time", f"needs rows of two times, but in column {name!r} all are of {_told(times[0])}")
    fitted = ~out if groups is None else ~out & ~np.isin(groups, groups[out])
    part = Part(np.flatnonzero(fitted), np.flatnonzero(out))
    if not len(part.train):
        group = table.named_for("group")
        problem = f"cannot keep the groups of column {group!r} apart, because each has rows among the latest"
        raise _refused(name, "time", f"{problem}; choose a smaller fraction, 'holdout' or 'cv'")
    return Splits(evaluation, (part,), _periods(name, times, part, len(moments)))


def _periods(name: str, times: pl.Series, part: Part, n: int) -> tuple[ModelWarning, ...]:
    """Say from when to when rows were fitted and held out, and how many were neither."""
    fitted, held_out = (f"{len(rows)} rows {_span(times[rows])}" for rows in (part.train, part.validation))
    message = f"by column {name!r} the validation fits {fitted} and judges {held_out}; the model is fitted to all rows"
    told = [ModelWarning(code="held_out_by_time", message=message, column=name, count=len(part.validation))]
    if left := n - len(part.train) - len(part.validation):
        message = f"{left} earlier rows of groups that are held out were left out of the validation's fit"
        told.append(ModelWarning(code="groups_kept_apart", message=message, count=left))
    return tuple(told)


def _span(times: pl.Series) -> str:
    return f"from {_told(times.min())} to {_told(times.max())}"


def _told(time: Any) -> str:
    """Return a time as a person reads it: a date, with its time of day unless that is midnight, or a number."""
    if isinstance(time, datetime):
        return written(time).replace("T", " ")
    return str(int(time)) if float(time).is_integer() and abs(time) < 2**63 else repr(float(time))


def _whole_groups(evaluation: Evaluation, table: TrainingTable, groups: Groups) -> Splits:
    name = table.named_for("group")
    assert name is not None
    n_groups, n = int(groups.max()) + 1, len(groups)
    if n_groups < 2:
        raise _refused(name, evaluation.method, f"needs rows of two groups, but in column {name!r} all are of one")
    classes = table.codes if table.contract.classes else None
    if evaluation.method == "holdout":
        shares = [evaluation.fraction, 1 - evaluation.fraction]
        out = np.flatnonzero(deal_groups(groups, classes, shares, evaluation.seed) == 0)
        return _near(evaluation, name, _part(n, out))
    folds = min(evaluation.folds, n_groups)
    fold = deal_groups(groups, classes, [1 / folds] * folds, evaluation.seed)
    parts = tuple(_part(n, np.flatnonzero(fold == number)) for number in range(folds))
    if folds == evaluation.folds:
        return Splits(evaluation, parts)
    message = (
        f"{evaluation.folds} folds need as many groups, but column {name!r} has {n_groups}; there are {folds} folds "
        "instead"
    )
    warning = ModelWarning(code=FALLBACK, message=message, count=folds)
    return Splits(evaluation.model_copy(update={"folds": folds}), parts, (warning,))


def _near(evaluation: Evaluation, name: str, part: Part) -> Splits:
    """Return a hold-out of whole groups, with a warning if it could not be of about the size that was asked for."""
    size, n = len(part.validation), len(part.train) + len(part.validation)
    if abs(size / n - evaluation.fraction) <= _NEAR:
        return Splits(evaluation, (part,))
    message = f"a hold-out of {evaluation.fraction:g} of whole groups of column {name!r} is {size} of {n} rows"
    done = evaluation.model_copy(update={"fraction": size / n})
    return Splits(done, (part,), (ModelWarning(code=FALLBACK, message=message, count=size),))


def _part(n: int, held_out: Rows) -> Part:
    return Part(np.setdiff1d(np.arange(n), held_out, assume_unique=True), held_out)


def _refuse_single_classes(splits: Splits, table: TrainingTable) -> None:
    classes = table.contract.classes
    for part in splits.parts if classes else ():
        fitted = np.unique(table.codes[part.train])
        if len(fitted) < 2:
            name = table.named_for("group") or table.named_for("time") or ""
            problem = f"leaves only rows of the class {shown(classes[fitted[0]])} to be fitted"
            raise _refused(name, splits.evaluation.method, f"{problem}; choose another fraction or method")


def _refused(name: str, method: str, problem: str) -> InvalidArgument:
    return InvalidTable.of([FieldError(("column_roles", name), f"evaluation {method!r} {problem}")])
