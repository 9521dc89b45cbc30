"""Calibration in a training: it is fitted on all rows of a fit, each scored by a fit that had not seen it."""

from __future__ import annotations

from typing import cast

import numpy as np

from modelyard.errors import FieldError, InvalidRequest
from modelyard.ml_core.deciding.calibration import Calibration
from modelyard.ml_core.tasks.base import Part, Rows, Scores
from modelyard.ml_core.training.groups import deal_groups
from modelyard.schemas import CalibrationMethod, ModelWarning
from modelyard.tables.contract import TrainingTable

FOLDS = 5


def inner_parts(table: TrainingTable, rows: Rows, seed: int) -> list[Part]:
    """Deal some rows of a table into folds, of each class alike or of whole groups; each is held out once."""
    codes, groups = table.codes[rows], table.groups
    if groups is not None:
        numbers, places = np.unique(groups[rows], return_inverse=True)
        folds = min(FOLDS, len(numbers))
        dealt = deal_groups(places, codes, [1 / folds] * folds, seed)
    else:
        by_class = np.lexsort((np.random.default_rng(seed).random(len(rows)), codes))
        dealt = np.empty(len(rows), dtype=np.int64)
        dealt[by_class] = np.arange(len(rows)) % FOLDS
    parts = [Part(np.sort(rows[dealt != fold]), np.sort(rows[dealt == fold])) for fold in np.unique(dealt)]
    return [part for part in parts if len(np.unique(table.codes[part.train])) > 1]


def checked_method(asked: str | None, table: TrainingTable) -> CalibrationMethod | None:
    """Return how probabilities are to be calibrated. Raises InvalidRequest for a regression, which has none."""
    if asked is None or asked == "none":
        return None
    if not table.contract.classes:
        message = f"calibrate {asked!r} goes with classification alone; regression has no probabilities"
        raise InvalidRequest.of([FieldError(("calibrate",), message, asked)])
    return cast("CalibrationMethod", asked)


def calibrated(scores: Scores, calibration: Calibration | None) -> Scores:
    """Return probabilities as they are after calibration, if there is one."""
    return scores if calibration is None else calibration.apply(scores)


def not_calibrated(why: str) -> tuple[ModelWarning, ...]:
    """Warn that probabilities are the fit's own."""
    message = (
        f"the probabilities are not calibrated, because the model could not be fitted to a part of the rows: {why}"
    )
    return (ModelWarning(code="not_calibrated", message=message),)
