"""Warnings about tables: what is legal but worth knowing. They count cells and never show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from modelyard.schemas import ModelWarning
from modelyard.tables.contract import MISSING_CATEGORY, Contract

IDENTIFIER_SHARE = 0.9
IDENTIFIER_ROWS = 20
_NAMES_SHOWN = 20
_ROWS_SHOWN = 5


def identifier_like(frame: pl.DataFrame, contract: Contract) -> tuple[ModelWarning, ...]:
    """Warn of columns whose values nearly all differ (over 90 % of more than 20 rows) or number the rows."""
    if frame.height <= IDENTIFIER_ROWS:
        return ()
    categorical = contract.categorical
    found = [
        _identifier(series, categorical[series.name].categories) if series.name in categorical else _row_number(series)
        for series in frame
    ]
    return tuple(warning for warning in found if warning is not None)


def strays_among_numbers(name: str, strays: pl.Series) -> ModelWarning:
    """Warn of a column that is categorical only because the cells of these rows are no numbers."""
    rows = ", ".join(map(str, strays.head(_ROWS_SHOWN).to_list())) + (", ..." if len(strays) > _ROWS_SHOWN else "")
    count = (
        f"{len(strays)} of its cells are no numbers (rows" if len(strays) > 1 else "1 of its cells is no number (row"
    )
    message = (
        f"column {name!r} was taken for categorical, since {count} {rows}); "
        "if it is numeric, say so in feature_types, and what is no number will be refused"
    )
    return ModelWarning(code="numbers_with_text", message=message, column=name, count=len(strays))


def extra_columns(names: Sequence[str]) -> tuple[ModelWarning, ...]:
    """Warn that columns the contract does not have were dropped."""
    if not names:
        return ()
    shown = ", ".join(map(repr, names[:_NAMES_SHOWN])) + (", ..." if len(names) > _NAMES_SHOWN else "")
    message = f"columns that the model does not know were dropped: {shown}"
    return (ModelWarning(code="extra_columns", message=message, count=len(names)),)


def unknown_categories(frame: pl.DataFrame, contract: Contract, counted: Mapping[str, int]) -> tuple[ModelWarning, ...]:
    """Warn of cells whose category training never saw, column by column; some columns are `counted` already."""
    counts = {}
    for name, column in contract.categorical.items():
        if name in counted:
            counts[name] = counted[name]
            continue
        seen = pl.Series(column.categories, dtype=pl.String)
        counts[name] = int((~frame[name].is_in(seen.implode())).sum())
    return unknown_category_warnings(counts)


def unknown_category_warnings(counts: Mapping[str, int]) -> tuple[ModelWarning, ...]:
    """Put the numbers of unknown categories by column into words; no word for none."""
    return tuple(
        ModelWarning(
            code="unknown_categories",
            message=f"column {name!r}: {_cells(count)} never seen in training, handled as unknown",
            column=name,
            count=count,
        )
        for name, count in counts.items()
        if count
    )


def _cells(count: int) -> str:
    return "1 cell holds a category" if count == 1 else f"{count} cells hold categories"


def _identifier(series: pl.Series, categories: Sequence[str]) -> ModelWarning | None:
    present, distinct = len(series), len(categories)
    if MISSING_CATEGORY in categories:
        present, distinct = present - int((series == MISSING_CATEGORY).sum()), distinct - 1
    if not present or distinct / present <= IDENTIFIER_SHARE:
        return None
    return _warning(series.name, distinct, f"{distinct} of {present} values differ")


def _row_number(series: pl.Series) -> ModelWarning | None:
    low, high = series.min(), series.max()
    if series.has_nulls() or not isinstance(low, float) or not isinstance(high, float):
        return None
    if high - low != len(series) - 1 or series.n_unique() < len(series) or not (series == series.floor()).all():
        return None
    return _warning(series.name, len(series), f"its values number the rows, {low:.0f} to {high:.0f}")


def _warning(name: str, count: int, why: str) -> ModelWarning:
    message = f"column {name!r} looks like an identifier or free text ({why}); a model can hardly learn from it"
    return ModelWarning(code="identifier_like", message=message, column=name, count=count)
