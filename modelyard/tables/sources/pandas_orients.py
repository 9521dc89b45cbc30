"""What pandas' `to_json` and `to_dict` write besides records and columns: recognised, so that an error can name it.

`orient="values"` is not among them, because it writes rows.
"""

from __future__ import annotations

from typing import Any

WAY_OUT = "write it with orient='records'"


def orient_of(X: dict[Any, Any]) -> str | None:
    """Return how pandas calls the form of an object that is no table of columns; None if pandas writes none such."""
    if {"columns", "index", "data"} <= X.keys():
        rows = X["data"]
        return "orient='split'" if isinstance(rows, list) and rows and isinstance(rows[0], list) else None
    if X.keys() == {"schema", "data"}:
        return "orient='table'" if isinstance(X["schema"], dict) and "fields" in X["schema"] else None
    if not X or not all(isinstance(value, dict) for value in X.values()):
        return None
    if _counts(X):
        return "orient='index'"
    return "orient='columns', its default" if all(map(_counts, X.values())) else "orient='columns' or 'index'"


def _counts(labels: dict[Any, Any]) -> bool:
    """Whether labels are whole numbers, as of an index that nobody set."""
    return all(str(label).isdecimal() for label in labels)
