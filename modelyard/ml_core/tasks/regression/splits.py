"""Which rows are fitted and which are held out: at random, because numbers have no classes to be kept together.

At least one row is on either side. Where the rows are too few for what was asked, the nearest evaluation that works is
taken and a warning says so.
"""

from __future__ import annotations

import math

import numpy as np

from modelyard.ml_core.tasks.base import FALLBACK, Part, Splits
from modelyard.schemas import Evaluation, ModelWarning


def split_rows(evaluation: Evaluation, n: int) -> Splits:
    """Split n rows, two at least, by the evaluation's seed."""
    if evaluation.method == "none":
        return Splits(evaluation)
    return _hold_out(evaluation, n) if evaluation.method == "holdout" else _fold(evaluation, n)


def _hold_out(evaluation: Evaluation, n: int) -> Splits:
    from sklearn.model_selection import ShuffleSplit

    wanted = math.ceil(evaluation.fraction * n)
    size = min(wanted, n - 1)
    splitter = ShuffleSplit(test_size=size, train_size=n - size, random_state=evaluation.seed)
    train, held_out = next(splitter.split(np.arange(n)))
    parts = (Part(np.sort(train), np.sort(held_out)),)
    if size == wanted:
        return Splits(evaluation, parts)
    message = f"a hold-out of {evaluation.fraction:g} would be all {n} rows; it is {size} rows instead"
    done = evaluation.model_copy(update={"fraction": size / n})
    return Splits(done, parts, (ModelWarning(code=FALLBACK, message=message, count=size),))


def _fold(evaluation: Evaluation, n: int) -> Splits:
    from sklearn.model_selection import KFold

    folds = min(evaluation.folds, n)
    splitter = KFold(folds, shuffle=True, random_state=evaluation.seed)
    parts = tuple(Part(train, held_out) for train, held_out in splitter.split(np.arange(n)))
    if folds == evaluation.folds:
        return Splits(evaluation, parts)
    message = f"{evaluation.folds} folds need as many rows, but there are {n}; there are {folds} folds instead"
    done = evaluation.model_copy(update={"folds": folds})
    return Splits(done, parts, (ModelWarning(code=FALLBACK, message=message, count=folds),))
