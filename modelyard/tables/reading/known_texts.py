"""Texts as columns of categories that training knew: one look-up a cell, and what is new handled apart.

The same as `columns.category_series` and the count of unknown categories after it, in a third of the time: only what
training did not know is looked at for missing markers and for what needs escaping. That is done for all columns in one
go: polars takes longer to be called than to look at a thousand texts.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from modelyard.tables import columns
from modelyard.tables.contract import CategoricalColumn, Contract
from modelyard.tables.sources import Cells

_TEXT_OR_MISSING = frozenset({str, type(None)})


def read_texts(given: Mapping[str, Cells], contract: Contract) -> dict[str, tuple[pl.Series, int]]:
    """Return columns of texts in estimators' form, by name, and how many cells of each training never saw.

    One is an Enum of the known categories where it holds no others; else text. Those are left out that `columns` has to
    judge: cells that are no text, a column of numbers or booleans, fewer cells than categories.
    """
    texts = {}
    for name, known in contract.categorical.items():
        text = _text(given[name], known)
        if text is not None:
            texts[name] = text
    coded = {name: text.cast(contract.categorical[name].enum, strict=False) for name, text in texts.items()}
    odd = _with_escapes({name: text for name, text in texts.items() if contract.categorical[name].escaped})
    new = {name: texts[name] for name, codes in coded.items() if codes.has_nulls() or name in odd}
    found = {name: (codes.alias(name), 0) for name, codes in coded.items()}
    for name, categories in _read_anew(new, contract).items():
        codes = categories.cast(contract.categorical[name].enum, strict=False)
        unknown = codes.null_count()
        found[name] = (categories if unknown else codes, unknown)
    return found


def _with_escapes(texts: Mapping[str, pl.Series]) -> set[str]:
    """Return the columns with texts that may look like a category, but are none: only escaped ones begin so."""
    if not texts:
        return set()
    found = _frame(texts).select(pl.nth(i).str.starts_with("\x00").any() for i in range(len(texts)))
    return {name for name, one in zip(texts, found.row(0), strict=True) if one}


def _read_anew(texts: Mapping[str, pl.Series], contract: Contract) -> dict[str, pl.Series]:
    """Return columns in estimators' form, however odd their texts."""
    readings = map(contract.readings.__getitem__, texts)
    read = _frame(texts).select(columns.category_expr(pl.nth(i), reading) for i, reading in enumerate(readings))
    return {name: series.alias(name) for name, series in zip(texts, read, strict=True)}


def _frame(texts: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Return the columns under numbers, for polars takes some names for patterns."""
    return pl.DataFrame([text.alias(str(i)) for i, text in enumerate(texts.values())])


def _text(column: Cells, known: CategoricalColumn) -> pl.Series | None:
    """Return a column's cells as polars' text, None where they are not all texts or missing."""
    if known.source != "text" or len(column) < max(2, len(known.categories)):
        return None
    if not isinstance(column, pl.Series):
        if not _TEXT_OR_MISSING.issuperset(map(type, column)):  # polars panics at some cells
            return None
        try:
            return pl.Series(column, dtype=pl.String, strict=True)
        except UnicodeEncodeError:
            return None
    return column.cast(pl.String) if column.dtype in columns.TEXT_TYPES else None
