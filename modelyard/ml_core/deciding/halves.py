"""The validation in two halves: what is found on one is measured on the other, both ways."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from modelyard.ml_core.validation_predictions import ValidationPredictions

Mask = npt.NDArray[np.bool_]

_SEED = 0


def first_half(validation: ValidationPredictions) -> Mask:
    """Choose half of the rows, of each class alike, or half of the groups if there are any; a mask of shape (n,)."""
    rng = np.random.default_rng(_SEED)
    if validation.groups is not None:
        numbers, places = np.unique(validation.groups, return_inverse=True)
        chosen: Mask = rng.permutation(len(numbers)) % 2 == 0
        return chosen[places]
    n = len(validation.truth)
    by_class = np.lexsort((rng.random(n), validation.truth))
    first = np.empty(n, dtype=np.bool_)
    first[by_class] = np.arange(n) % 2 == 0
    return first


def only(validation: ValidationPredictions, rows: Mask | npt.NDArray[np.int64]) -> ValidationPredictions:
    """Return some of the rows: those of a mask of shape (n,), or those at some places."""
    return replace(
        validation,
        rows=validation.rows[rows],
        truth=validation.truth[rows],
        scores=validation.scores[rows],
        weights=None if validation.weights is None else validation.weights[rows],
        groups=None if validation.groups is None else validation.groups[rows],
    )
