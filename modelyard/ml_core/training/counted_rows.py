"""The rows that count in a fit, and the classes that it can know by them.

Rows of weight 0 are as if they were not there. By them, or if times or groups say which rows are held out, a fit may
see fewer classes than the contract has; then it is a fit of these classes alone, and gives all others the
probability 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from modelyard.errors import InvalidTable
from modelyard.ml_core.tasks.base import MAX_NAMED, Part, Rows, Scores, Weights
from modelyard.schemas import ModelWarning
from modelyard.schemas.showing import shown
from modelyard.tables.contract import Contract, TrainingTable


def counted(rows: Rows, table: TrainingTable) -> Rows:
    """Return those of some rows whose weight is not 0. Raises InvalidTable if there are none."""
    if table.weights is None:
        return rows
    rows = rows[table.weights[rows] > 0]
    if not len(rows):
        name = table.named_for("weight")
        raise InvalidTable(f"all rows of a part of the evaluation have the weight 0 in column {name!r}")
    return rows


def fit_weights(rows: Rows | None, table: TrainingTable) -> Weights | None:
    """Return the weights of some rows that count, scaled to 1 on average; None if the table has none, or no rows.

    Penalties and limits of libraries are absolute: to weights that add up to 1 they would be huge.
    """
    if rows is None or table.weights is None:
        return None
    relative = table.weights[rows] / table.weights[rows].max()
    return np.asarray(relative / relative.mean())


def known_classes(table: TrainingTable, part: Part | None) -> Rows | None:
    """Return the codes of the classes that a fit of a part, or of all rows, knows; None if these are all.

    Raises InvalidTable if a part has rows that count of a single class.
    """
    classes = table.contract.classes
    if part is None or not classes:
        return None
    known: Rows = np.unique(table.codes[counted(part.train, table)])
    if len(known) < 2:
        name = table.named_for("weight")
        raise InvalidTable(
            f"only rows of the class {shown(classes[known[0]])} have a weight above 0 in column {name!r}"
        )
    return None if len(known) == len(classes) else known


def unseen_classes(parts: Sequence[Part], table: TrainingTable) -> tuple[ModelWarning, ...]:
    """Warn of classes that have rows that count among those held out by a part, and none among those it fits."""
    classes, codes = table.contract.classes, table.codes
    counts = np.ones(len(codes), dtype=bool) if table.weights is None else table.weights > 0
    unseen: Counter[int] = Counter()
    for part in parts if classes else ():
        fitted, held_out = (
            np.bincount(codes[rows[counts[rows]]], minlength=len(classes)) for rows in (part.train, part.validation)
        )
        new = np.flatnonzero((held_out > 0) & (fitted == 0))
        unseen.update(dict(zip(new.tolist(), held_out[new].tolist(), strict=True)))
    if not unseen:
        return ()
    told = ", ".join(f"{shown(classes[code])} ({rows} rows)" for code, rows in list(unseen.items())[:MAX_NAMED])
    message = (
        f"rows of these classes were held out from fits that had none of them, and count as wrong: {told}"
        f"{', ...' if len(unseen) > MAX_NAMED else ''}; the model itself is fitted to all classes"
    )
    return (ModelWarning(code="class_not_fitted", message=message, count=unseen.total()),)


def narrowed(contract: Contract, known: Rows | None) -> Contract:
    """Return the contract of a fit that knows some of the classes."""
    return contract if known is None else replace(contract, classes=tuple(contract.classes[code] for code in known))


def widened(scores: Scores, known: Rows | None, contract: Contract) -> Scores:
    """Return the probabilities of the classes known, shape (n, k known), as those of all: 0 for the others."""
    if known is None:
        return scores
    full = np.zeros((len(scores), len(contract.classes)))
    full[:, known] = scores
    return full


def early_stopping_rows(table: TrainingTable, part: Part) -> Rows | None:
    """Return the rows held out that a fit of the part can be judged by meanwhile; None if there are none."""
    rows = counted(part.validation, table)
    known = known_classes(table, part)
    if known is not None:
        rows = rows[np.isin(table.codes[rows], known)]
    return rows if len(rows) else None
