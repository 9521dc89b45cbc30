"""What each column contributed to the raw scores of rows: how far it moved them away from a base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from modelyard.schemas import ModelWarning

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Contributions:
    """The raw scores of n rows, taken apart: `base`, shape (d,), and `shares`, shape (n, d, c), of c columns.

    There is one score for regression (the target) and for two classes (the log-odds of the second), else d are the
    classes. `base` plus the sum over a row's columns is the model's raw score, before any link and calibration.
    """

    base: Numbers
    shares: Numbers
    warnings: tuple[ModelWarning, ...] = ()

    @classmethod
    def of_trees(cls, values: Numbers) -> Self:
        """Take what TreeSHAP of a library answers for at least one row.

        `values` have shape (n, c + 1), or (n, d, c + 1) for several scores; the last column is the base.
        """
        each = values if values.ndim == 3 else values[:, np.newaxis, :]
        return cls(each[0, :, -1], each[:, :, :-1])

    def in_order(self, order: Sequence[int]) -> Contributions:
        """Return the same for classes in another order: `order` has the place of each of them in the present one."""
        places = list(order)
        if places == sorted(places):
            return self
        if len(self.base) == 1:  # the log-odds of the one class are those of the other with another sign
            return Contributions(-self.base, -self.shares, self.warnings)
        return Contributions(self.base[places], self.shares[:, places], self.warnings)
