"""Classes that can hardly be learned: too rare, or not classes at all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modelyard.schemas import ModelWarning
from modelyard.schemas.showing import shown
from modelyard.tables.contract import TrainingTable

FEW_ROWS = 10
"""A class of fewer rows is rare in any table."""

PART_OF_EVEN_SHARE = 0.02
"""A class with less than this part of an even share of the rows is rare: of two classes, one with under 1 %."""

MANY_CLASSES = 10
"""Of more classes, most of which have a single row, the target looks like an identifier or free text."""

_NAMED = 5


def check_classes(table: TrainingTable) -> Iterator[ModelWarning]:
    """Warn of a target that nearly all differs, else of classes with few rows; regression has no classes."""
    classes = table.contract.classes
    if not classes:
        return
    sizes, rows = np.bincount(table.codes, minlength=len(classes)), table.frame.height
    single = int(np.count_nonzero(sizes == 1))
    if len(classes) > MANY_CLASSES and 2 * single > len(classes):
        yield _like_identifier(len(classes), single, rows)
        return
    rare = np.flatnonzero(sizes < max(FEW_ROWS, PART_OF_EVEN_SHARE * rows / len(classes)))
    if len(rare):
        rarest = sorted(rare.tolist(), key=lambda code: int(sizes[code]))
        told = ", ".join(f"{shown(classes[code])} {sizes[code]:,}" for code in rarest[:_NAMED])
        yield _rare(told + (", ..." if len(rare) > _NAMED else ""), len(rare), rows, all_rare=len(rare) == len(classes))


def _like_identifier(n_classes: int, single: int, rows: int) -> ModelWarning:
    message = (
        f"the target has {n_classes:,} different labels in {rows:,} rows, and {single:,} of them occur only once, like "
        "an identifier or free text: what occurs once cannot be learned and judged; choose another target, or join "
        "labels to fewer classes"
    )
    return ModelWarning(code="target_like_identifier", message=message, count=n_classes)


def _rare(told: str, count: int, rows: int, *, all_rare: bool) -> ModelWarning:
    accuracy = "" if all_rare else ", and do not go by the accuracy, which is high without finding any"
    message = (
        f"{'a class has' if count == 1 else f'{count} classes have'} few of the {rows:,} rows ({told}): what is that "
        f"rare can hardly be learned, and its metrics are chance; collect more such rows or join classes{accuracy}"
    )
    return ModelWarning(code="rare_classes", message=message, count=count)
