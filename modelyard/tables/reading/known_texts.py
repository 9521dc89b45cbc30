"""Columns of texts that training knew: one look-up a cell, and new texts are handled apart.

The same as `columns.category_series` and a count of unknown categories after it, in a third of the time: missing
markers and texts to escape are looked for among new texts alone. That is done for all columns in one go, because polars
takes longer to be called than to look at a thousand texts.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from modelyard.tables import columns
from modelyard.tables.contract import CategoricalColumn, Contract
from modelyard.tables.sources import Cells


def read_texts(given: Mapping[str, Cells], contract: Contract) -> dict[str, tuple[pl.Series, int]]:
    """Return columns of texts in estimators' form, by name, and the number of cells in each that training never saw.

    A column is an Enum of the known categories if it holds no others, else String. Columns that `columns` has to judge
    are left out: those with other cells than texts, those of numbers or booleans in training, and those with fewer
    cells than categories.
    """
    texts = {}
    for name, known in contract.categorical.items():
        text = _text(name, given[name], known)
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
    """Return the names of columns with texts that begin with NUL, as only escaped categories do."""
    if not texts:
        return set()
    found = _frame(texts).select(pl.nth(i).str.starts_with("\x00").any() for i in range(len(texts)))
    return {name for name, one in zip(texts, found.row(0), strict=True) if one}


def _read_anew(texts: Mapping[str, pl.Series], contract: Contract) -> dict[str, pl.Series]:
    """Return columns in estimators' form, whatever their texts are."""
    readings = map(contract.readings.__getitem__, texts)
    read = _frame(texts).select(columns.category_expr(pl.nth(i), reading) for i, reading in enumerate(readings))
    return {name: series.alias(name) for name, series in zip(texts, read, strict=True)}


def _frame(texts: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Return the columns under numbers as names, because polars takes some names for patterns."""
    return pl.DataFrame([text.alias(str(i)) for i, text in enumerate(texts.values())])


def _text(name: str, column: Cells, known: CategoricalColumn) -> pl.Series | None:
    """Return a column that can be looked up as polars' text; None for any other."""
    if known.source != "text" or len(column) < max(2, len(known.categories)):
        return None
    return columns.texts_of(name, column)
