"""What a check of a training table found."""

from __future__ import annotations

from typing import Any

from modelyard.schemas.base import ColumnRole, FeatureType, Frozen, Label, ModelWarning


class ClassCount(Frozen):
    """A class, and how many rows have it."""

    label: Label
    count: int


class TableCheck(Frozen):
    """A table as a training would read it, and what its owner should know before one.

    `feature_types` are in the order of `feature_names`; `column_roles` has the columns that are no features. `task` is
    the one asked for, or the one that suits the target; `classes` are null for regression. `columns` profiles each
    feature as a Report does. `warnings` are those that a training gives of the table.
    """

    n_rows: int
    n_features: int
    feature_names: list[str]
    feature_types: dict[str, FeatureType]
    column_roles: dict[str, ColumnRole] = {}
    target: str | None = None
    task: str
    classes: list[ClassCount] | None = None
    columns: dict[str, dict[str, Any]]
    warnings: list[ModelWarning] = []
