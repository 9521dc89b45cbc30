"""Checks of a training table: what is legal, and what its owner should look at before trusting a model of it.

`check_table` makes the warnings that a training and a check of a table give alike. They count rows and never show
cells, labels aside.
"""

from __future__ import annotations

from modelyard.schemas import ModelWarning
from modelyard.tables.checks import columns, duplicates, identifiers, leaks, targets
from modelyard.tables.contract import TrainingTable

__all__ = ["check_table"]


def check_table(table: TrainingTable) -> tuple[ModelWarning, ...]:
    """Return the findings of a table, those of its target first. A column that names its rows is judged no further."""
    named = identifiers.identifier_like(table)
    known = {warning.column for warning in named}
    return (
        *targets.check_classes(table),
        *named,
        *columns.check_columns(table),
        *duplicates.check_duplicates(table),
        *leaks.check_leaks(table, known),
    )
