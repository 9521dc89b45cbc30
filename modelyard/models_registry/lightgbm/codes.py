"""A checked table as the matrix that LightGBM takes: numbers as they are, a category as its place in the contract.

What is missing among numbers is NaN, and so is a category that training never saw. The missing category has a place of
its own if it was seen.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.tables.contract import Contract


class Codes:
    """Turns frames and rows of a contract's columns into float64."""

    def __init__(self, contract: Contract) -> None:
        self._categorical = contract.categorical
        self.categorical = [at for at, name in enumerate(contract.feature_names) if name in contract.categorical]
        """The places of the categorical columns."""
        self._places = [
            (at, {text: float(place) for place, text in enumerate(contract.categorical[name].categories)})
            for at, name in enumerate(contract.feature_names)
            if name in contract.categorical
        ]

    def matrix(self, frame: pl.DataFrame) -> npt.NDArray[np.float64]:
        """Return a frame of n rows and k columns as a matrix of shape (n, k)."""
        columns = [self._coded(column).cast(pl.Float64) for column in frame]
        return pl.DataFrame(columns).to_numpy(order="c", writable=True)

    def row(self, cells: Sequence[float | str]) -> array[float]:
        """Return a row of k cells as k floats."""
        coded: list[Any] = list(cells)
        for at, places in self._places:
            coded[at] = places.get(coded[at], math.nan)
        return array("d", coded)

    def _coded(self, column: pl.Series) -> pl.Series:
        categorical = self._categorical.get(column.name)
        return column if categorical is None else column.cast(categorical.enum, strict=False).to_physical()
