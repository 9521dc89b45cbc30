"""Answers to the chunks of one table, put together as the answer to the whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

from modelyard.errors import Internal
from modelyard.schemas import ModelWarning, Predictions
from modelyard.tables import advice


def joined(answers: Iterable[Predictions]) -> Predictions:
    """Return one answer: the rows in order, the warnings counted over all chunks."""
    found = list(answers)
    if not found:
        raise Internal("the server answered no chunk of the table")
    if len(found) == 1:
        return found[0]
    rows = [one.probabilities for one in found if one.probabilities is not None]
    return replace(
        found[0],
        predictions=list(chain.from_iterable(one.predictions for one in found)),
        probabilities=list(chain.from_iterable(rows)) if rows else None,
        warnings=_joined_warnings(chain.from_iterable(one.warnings for one in found)),
    )


def _joined_warnings(warnings: Iterable[ModelWarning]) -> list[ModelWarning]:
    unknown: dict[str, int] = {}
    others: dict[tuple[str, str | None], ModelWarning] = {}
    for warning in warnings:
        if warning.code == "unknown_categories" and warning.column is not None:
            unknown[warning.column] = unknown.get(warning.column, 0) + (warning.count or 0)
        else:
            others.setdefault((warning.code, warning.column), warning)
    return [*others.values(), *advice.unknown_category_warnings(unknown)]
