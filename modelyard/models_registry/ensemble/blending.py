"""The answers of several predictors for the same rows made one, each counted by its weight.

Probabilities are averaged as log-probabilities and made probabilities again, which for two classes is the average of
the log-odds. So raw scores add up, and with them explanations. Numbers are averaged as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

_LEAST = 1e-15
"""The least probability that has a logarithm; a model that is certain shall not outvote all others for ever."""


def blend(scores: Sequence[Numbers], weights: Sequence[float], *, are_probabilities: bool) -> Numbers:
    """Return the weighted answers, shape (n, k), of several of that shape; the weights add up to 1.

    The predictors are added up in their order, so that a row has the same answer alone and among others.
    """
    each = [np.log(np.maximum(one, _LEAST)) if are_probabilities else one for one in scores]
    total = each[0] * weights[0]
    for one, weight in zip(each[1:], weights[1:], strict=True):
        total = total + one * weight
    return _softmax(total) if are_probabilities else total


def _softmax(logs: Numbers) -> Numbers:
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    total = shares[:, 0].copy()
    for column in range(1, shares.shape[1]):
        total += shares[:, column]
    found: Numbers = shares / total[:, None]
    return found
