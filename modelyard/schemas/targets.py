"""Which targets can be learned, by how many classes they have and how many of these have a single row.

A class of a single row can be fitted or held out, never both. A few such classes are legal; a target that consists of
them is an identifier or a measured number. The core refuses it, and the dashboard says so before anything is sent.
"""

from __future__ import annotations

MOST_SINGLE_CLASSES = 100
"""Up to so many classes may have a single row each, whatever share of the classes they are."""


def is_hopeless(n_classes: int, n_single: int) -> bool:
    """Whether a target has more than MOST_SINGLE_CLASSES classes and more than half of them have a single row."""
    return n_classes > MOST_SINGLE_CLASSES and 2 * n_single > n_classes
