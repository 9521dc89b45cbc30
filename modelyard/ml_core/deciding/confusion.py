"""How often each class is taken for each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelyard.ml_core.deciding.deciders import Codes, Floats
from modelyard.schemas import ConfusionMatrix, Label


def confusion(truth: Codes, answers: Codes, classes: Sequence[Label], weights: Floats | None = None) -> ConfusionMatrix:
    """Count the rows of each class by the class answered for them; with weights add those up."""
    k = len(classes)
    cells = np.bincount(truth * k + answers, weights, minlength=k * k)
    return ConfusionMatrix(labels=list(classes), matrix=cells.reshape(k, k).tolist())
