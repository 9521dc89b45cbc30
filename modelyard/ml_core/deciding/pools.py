"""Resamples of many rows, and of what each of many thresholds would answer for them, in a moment.

Whole pools of rows are drawn: the groups, or the rows themselves. Of more than 1,000 there is one pool to several by
lot: sums of what is drawn by lot vary as their parts do, so the intervals are the same but for
2 % of their width.
"""

from __future__ import annotations

import numpy as np

from modelyard.ml_core.resampling import bootstrap
from modelyard.ml_core.resampling.measures import Floats, Indices, ratio
from modelyard.ml_core.validation_predictions import ValidationPredictions

MOST_POOLS = 1000
_SEED = 0


class Pools:
    """The pools of a validation's n rows; `places` has the number of each row's pool, `weights` its weight, (n,)."""

    def __init__(self, validation: ValidationPredictions) -> None:
        n = len(validation.truth)
        self.weights = np.ones(n) if validation.weights is None else validation.weights
        units: Indices = np.arange(n)
        if validation.groups is not None:
            units = np.unique(validation.groups, return_inverse=True)[1]
        self.count = int(units.max()) + 1
        if self.count > MOST_POOLS:
            lots = np.random.default_rng(_SEED).permutation(self.count) % MOST_POOLS
            units, self.count = lots[units], MOST_POOLS
        self.places = units

    def add(self, values: Floats) -> Floats:
        """Add up values of the rows, shape (n,), by their weights; shape (count,)."""
        return np.bincount(self.places, weights=values * self.weights, minlength=self.count).astype(np.float64)

    def add_by(self, values: Floats, steps: Indices, m: int) -> Floats:
        """Add up values, shape (n,), over the rows that reach each of m thresholds; shape (count, m).

        `steps` says how many of the thresholds each row reaches, beginning with the first.
        """
        cells = self.places * (m + 1) + steps
        table = np.bincount(cells, weights=values * self.weights, minlength=self.count * (m + 1))
        from_above: Floats = table.reshape(self.count, m + 1)[:, ::-1].cumsum(axis=1)[:, ::-1]
        return from_above[:, 1:]

    def means(self, sums: Floats) -> Floats:
        """Return the means of resamples for sums of shape (count, c); shape (rounds, c)."""
        total = self.add(np.ones(len(self.places)))[:, None]
        return np.concatenate(
            [ratio(_sums(block, sums), _sums(block, total)) for block in bootstrap(self.count, _SEED)]
        )


def _sums(draws: Floats, sums: Floats) -> Floats:
    """Return the product of two matrices by one thread: those of BLAS get into the way of predictions."""
    product: Floats = np.einsum("rn,nc->rc", draws, sums)
    return product
