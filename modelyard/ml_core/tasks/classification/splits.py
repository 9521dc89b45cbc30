"""Which rows are fitted and which are held out: an evaluation turned into row numbers.

Every class is in every fitted part, whatever the table, so that each fit knows all classes. Where a class has too few
rows for what was asked, the nearest evaluation that works is taken and a warning says so:

- a class with a single row stays in the fitted parts and is never held out;
- with fewer than two classes of at least two rows there is nothing to judge by: the method becomes `none`;
- a hold-out that is smaller than the number of classes (or leaves fewer rows than that) is moved to that number;
- more folds than the smallest class that is held out has rows become that many folds.

Nothing is fitted here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from modelyard.ml_core.tasks.base import FALLBACK, Part, Rows, Splits
from modelyard.schemas import Evaluation, Label, ModelWarning
from modelyard.schemas.showing import shown


def split_rows(evaluation: Evaluation, codes: Rows, classes: Sequence[Label]) -> Splits:
    """Split rows whose classes are `classes[codes]`, by the class and seeded; codes has shape (n,)."""
    if evaluation.method == "none":
        return Splits(evaluation)
    counts = np.bincount(codes, minlength=len(classes))
    single: list[int] = np.flatnonzero(counts == 1).tolist()
    if np.count_nonzero(counts > 1) < 2:
        return _no_split(evaluation, [classes[code] for code in single])
    warnings = [_stay([classes[code] for code in single])] if single else []
    rows = np.flatnonzero(~np.isin(codes, single))
    if evaluation.method == "holdout":
        done, held_out, changed = _hold_out(evaluation, codes[rows])
    else:
        done, held_out, changed = _fold(evaluation, codes[rows], classes)
    parts = tuple(_part(len(codes), rows[validation]) for validation in held_out)
    return Splits(done, parts, (*warnings, *changed))


def _hold_out(evaluation: Evaluation, codes: Rows) -> tuple[Evaluation, list[Rows], list[ModelWarning]]:
    from sklearn.model_selection import StratifiedShuffleSplit

    n, n_classes = len(codes), len(np.unique(codes))
    wanted = math.ceil(evaluation.fraction * n)
    size = min(max(wanted, n_classes), n - n_classes)
    splitter = StratifiedShuffleSplit(test_size=size, train_size=n - size, random_state=evaluation.seed)
    _, held_out = next(splitter.split(codes, codes))
    held_out = _in_both_parts(held_out, codes)
    if size == wanted:
        return evaluation, [held_out], []
    message = (
        f"a hold-out of {evaluation.fraction:g} would be {wanted} of {n} rows, which leaves a class out of one part; "
        f"it is {size} rows instead"
    )
    done = evaluation.model_copy(update={"fraction": size / n})
    return done, [held_out], [ModelWarning(code=FALLBACK, message=message, count=size)]


def _in_both_parts(held_out: Rows, codes: Rows) -> Rows:
    """Move one row of each class that is in one part only: proportions round a rare class down to nothing."""
    out = np.zeros(len(codes), dtype=bool)
    out[held_out] = True
    counts, counts_out = np.bincount(codes), np.bincount(codes[held_out], minlength=codes.max() + 1)
    for code in np.flatnonzero((counts > 0) & ((counts_out == 0) | (counts_out == counts))):
        first = np.flatnonzero(codes == code)[0]
        out[first] = not out[first]
    return np.flatnonzero(out)


def _fold(
    evaluation: Evaluation, codes: Rows, classes: Sequence[Label]
) -> tuple[Evaluation, list[Rows], list[ModelWarning]]:
    from sklearn.model_selection import StratifiedKFold

    present, counts = np.unique(codes, return_counts=True)
    folds = min(evaluation.folds, int(counts.min()))
    splitter = StratifiedKFold(folds, shuffle=True, random_state=evaluation.seed)
    held_out = [validation for _, validation in splitter.split(np.zeros(len(codes)), codes)]
    if folds == evaluation.folds:
        return evaluation, held_out, []
    smallest = classes[int(present[counts.argmin()])]
    message = (
        f"{evaluation.folds} folds need as many rows of each class, but class {smallest!r} has {folds}; "
        f"there are {folds} folds instead"
    )
    done = evaluation.model_copy(update={"folds": folds})
    return done, held_out, [ModelWarning(code=FALLBACK, message=message, count=folds)]


def _part(n: int, validation: Rows) -> Part:
    return Part(np.setdiff1d(np.arange(n), validation, assume_unique=True), np.sort(validation))


def _no_split(evaluation: Evaluation, single: Sequence[Label]) -> Splits:
    message = (
        f"evaluation '{evaluation.method}' needs two classes of at least two rows each, but {_names(single)} "
        f"{'has' if len(single) == 1 else 'have'} a single row; the model is not validated"
    )
    warning = ModelWarning(code=FALLBACK, message=message, count=len(single))
    return Splits(evaluation.model_copy(update={"method": "none"}), warnings=(warning,))


def _stay(single: Sequence[Label]) -> ModelWarning:
    has, it = ("has", "it is") if len(single) == 1 else ("have", "they are")
    message = f"{_names(single)} {has} a single row: {it} fitted but never held out, which the validation cannot judge"
    return ModelWarning(code=FALLBACK, message=message, count=len(single))


def _names(labels: Sequence[Label]) -> str:
    named = ", ".join(map(shown, labels[:5]))
    return f"{'class' if len(labels) == 1 else 'classes'} {named}{', ...' if len(labels) > 5 else ''}"
