"""Labels and their codes: what fits and answers are made of, and what should be said of the classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelyard.ml_core.tasks.base import Truth
from modelyard.ml_core.tasks.classification.metrics import Codes, Probabilities, predicted_codes
from modelyard.schemas import Label, ModelWarning

_MAX_NAMED = 20


def labels_of(codes: Codes, classes: Sequence[Label]) -> Truth:
    """Return the labels themselves: int64, bool, or an object array of str."""
    kind = {bool: np.bool_, int: np.int64}.get(type(classes[0]), np.object_)
    return np.array(classes, dtype=kind)[codes]


def never_predicted(codes: Codes, probabilities: Probabilities, classes: Sequence[Label]) -> tuple[ModelWarning, ...]:
    """Warn of classes that rows held out have, and that are predicted for none of them."""
    predicted = np.bincount(predicted_codes(probabilities), minlength=len(classes))
    held_out = np.bincount(codes, minlength=len(classes))
    missed = [
        f"{label!r} ({rows} rows)"
        for label, rows, hits in zip(classes, held_out.tolist(), predicted, strict=True)
        if rows and not hits
    ]
    if not missed:
        return ()
    told = ", ".join(missed[:_MAX_NAMED]) + (", ..." if len(missed) > _MAX_NAMED else "")
    message = f"held-out rows of these classes were all taken for others; the model may never predict them: {told}"
    return (ModelWarning(code="class_never_predicted", message=message, count=len(missed)),)


def changed_classes(before: Sequence[Label], now: Sequence[Label]) -> tuple[ModelWarning, ...]:
    """Warn of classes that are not those of the parent model; of all if their type has changed."""
    new_type = type(now[0]) is not type(before[0])
    new = [label for label in now if label not in before or new_type]
    gone = [label for label in before if label not in now or new_type]
    if not new and not gone:
        return ()
    told = [
        f"{what} {', '.join(map(repr, found[:_MAX_NAMED]))}"
        for what, found in (("new:", new), ("gone:", gone))
        if found
    ]
    message = f"the classes are not those of the parent model; {'; '.join(told)}"
    return (ModelWarning(code="classes_changed", message=message, count=len(new) + len(gone)),)
