"""Monotone columns: which are asked for, and whether a fitted model holds to them.

By a column with 1 a model's answer must only rise as its numbers rise, with -1 only fall, whatever the other columns
say. The answer is the probability of the second of two classes, or for regression the number. What is missing stands
outside of the order.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from modelyard import models_registry
from modelyard.errors import FailedPrecondition, FieldError, InvalidRequest, InvalidTable
from modelyard.models_registry.base import ModelClass, Predictor
from modelyard.schemas import ModelWarning
from modelyard.tables import advice
from modelyard.tables.contract import Contract

_STEPS, _ROWS = 100, 20
"""The grid on which a model is tried: so many numbers of the column, in so many rows of the table."""

_ROUNDING = 1e-9
"""By how much of the largest answer a step may go the wrong way."""


def resolve_monotone(
    asked: Mapping[str, int], inherited: Mapping[str, int], model_class: ModelClass, contract: Contract
) -> tuple[dict[str, int], tuple[ModelWarning, ...]]:
    """Return the monotone columns of a training, those `asked` for over the parent's; 0 frees a column.

    An inherited column that is gone or no longer numeric is let go with a warning. Raises InvalidRequest if the model
    class or the number of classes does not allow any, InvalidTable naming all columns that cannot have one.
    """
    wanted = {name: direction for name, direction in asked.items() if direction}
    if wanted:
        _check_allowed(wanted, model_class, len(contract.classes))
    told = [name for name in asked if name in wanted or name not in inherited]  # what is undone may be gone
    if errors := [error for name in told if (error := _column_error(name, asked[name], contract)) is not None]:
        raise InvalidTable.of(errors)
    lost = [name for name in inherited if name not in asked and contract.feature_types.get(name) != "numeric"]
    kept = {name: direction for name, direction in inherited.items() if name not in asked and name not in lost}
    if kept:
        _check_allowed(kept, model_class, len(contract.classes))
    return {**kept, **wanted}, _lost(lost)


def check_monotone(predictor: Predictor, monotone: Mapping[str, int], frame: pl.DataFrame) -> None:
    """Raise FailedPrecondition if a model's answers go the wrong way by one of its monotone columns.

    `frame` is what the model was fitted to. It is tried on rows of the table, with the numbers
    of the column put in one after the other.
    """
    rows = frame[np.unique(np.linspace(0, frame.height - 1, _ROWS).astype(int))]
    for name, direction in monotone.items():
        numbers = frame[name].drop_nulls().to_numpy()
        if not len(numbers):
            continue
        grid = np.unique(np.quantile(numbers, np.linspace(0, 1, _STEPS), method="nearest"))
        tried = pl.concat([rows] * len(grid)).with_columns(pl.Series(name, np.repeat(grid, rows.height)))
        answers = predictor.many(tried)[:, -1].reshape(len(grid), rows.height)
        if (direction * np.diff(answers, axis=0) < -_ROUNDING * np.abs(answers).max(initial=0.0)).any():
            broken = "falls" if direction > 0 else "rises"
            raise FailedPrecondition(
                f"the fitted model does not hold to monotone {{{name!r}: {direction}}}: its answer {broken} somewhere "
                f"as {name!r} rises, so it is not kept"
            )


def _check_allowed(wanted: Mapping[str, int], model_class: ModelClass, n_classes: int) -> None:
    if not model_class.takes_monotone:
        able = [
            key
            for key, one in models_registry.model_classes().items()
            if one.takes_monotone and one.task == model_class.task
        ]
        message = f"monotone is not heeded by model class {model_class.key!r}; take {advice.one_of(able)}"
        raise InvalidRequest.of([FieldError(("monotone",), message, dict(wanted))])
    if n_classes > 2:
        message = f"monotone needs two classes, because it is about the second one's probability; there are {n_classes}"
        raise InvalidRequest.of([FieldError(("monotone",), message, dict(wanted))])


def _column_error(name: str, direction: int, contract: Contract) -> FieldError | None:
    kind = contract.feature_types.get(name)
    if kind == "numeric":
        return None
    if kind is not None:
        message = f"monotone: column {name!r} must be numeric, and is {kind}"
    else:
        names = contract.feature_names
        near = difflib.get_close_matches(name, names, n=3)
        hint = (
            f"did you mean {' or '.join(map(repr, near))}?" if near else f"known are {', '.join(map(repr, names[:50]))}"
        )
        message = f"monotone: column {name!r} is not among the features; {hint}"
    return FieldError(("monotone", name), message, direction)


def _lost(names: Sequence[str]) -> tuple[ModelWarning, ...]:
    return tuple(
        ModelWarning(
            code="monotone_lost",
            message=f"column {name!r} was monotone in the parent model, and is no numeric column any more",
            column=name,
        )
        for name in names
    )
