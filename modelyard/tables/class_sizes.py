"""Refuse labels of which nearly each occurs once: nothing can be learned from them, and trying takes very long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from modelyard.errors import InvalidTable
from modelyard.schemas.targets import MOST_SINGLE_CLASSES, is_hopeless
from modelyard.tables import advice


def check_class_sizes(codes: npt.NDArray[np.int64], label: str, for_numbers: Sequence[str]) -> None:
    """Raise InvalidTable for labels that are hopeless; `codes` numbers the class of each row, shape (n,).

    `label` names the labels in the message, which also names the model classes `for_numbers`.
    """
    sizes = np.bincount(codes)
    n_classes, n_single = len(sizes), int(np.count_nonzero(sizes == 1))
    if is_hopeless(n_classes, n_single):
        quantity = f"; or, if it is a quantity, take {advice.one_of(for_numbers)}" if for_numbers else ""
        raise InvalidTable(
            f"{label} has {n_classes} classes in {len(codes)} rows, and {n_single} of them occur only once: beyond "
            f"{MOST_SINGLE_CLASSES} classes at least half of them must occur twice, once to learn from and once to be "
            f"judged by; choose another target, such as a column of few labels that repeat{quantity}"
        )
