"""Warnings about tables that are legal, but that their callers should look at. They count cells and never show them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

import polars as pl

from modelyard.schemas import ModelWarning
from modelyard.tables.contract import Contract
from modelyard.tables.lookalikes import Lookalike
from modelyard.tables.spelling import Spelling, spelling_of

MOST_CLASSES = 20
"""Whole numbers of more different values are rather a quantity than labels."""

_NAMES_SHOWN = 20
_ROWS_SHOWN = 5


def strays_among_numbers(name: str, strays: pl.Series) -> ModelWarning:
    """Warn of a column that is categorical only because the cells of these rows are no numbers."""
    rows = ", ".join(map(str, strays.head(_ROWS_SHOWN).to_list())) + (", ..." if len(strays) > _ROWS_SHOWN else "")
    count = (
        f"{len(strays)} of its cells are no numbers (rows" if len(strays) > 1 else "1 of its cells is no number (row"
    )
    message = (
        f"column {name!r} was taken for categorical, since {count} {rows}); "
        "if they mean missing, name them in missing_markers; if the column is numeric, say so in feature_types, "
        "and what is no number will be refused"
    )
    return ModelWarning(code="numbers_with_text", message=message, column=name, count=len(strays))


def numbers_in_another_spelling(name: str, seen: Lookalike, *, text_cells: bool) -> ModelWarning:
    """Warn of a column that is categorical only because its numbers are not written as `1234.5`."""
    way_out = "say how with decimal and thousands, or write them plainly" if text_cells else "send them as numbers"
    message = (
        f"column {name!r} was taken for categorical, but most of its cells look like numbers, some with {seen.kind} "
        f"(the first in row {seen.row}); if they are numbers, {way_out}; "
        "if not, declare the column categorical in feature_types"
    )
    return ModelWarning(code="numbers_in_another_spelling", message=message, column=name)


def dates_in_another_spelling(name: str, row: int) -> ModelWarning:
    """Warn of a column that is categorical only because not all its dates are written as ISO 8601 has them."""
    message = (
        f"column {name!r} was taken for categorical, but most of its cells look like dates, and not all are written as "
        f"ISO 8601 has them (the first in row {row}); to have it read as datetime, write them all like 2024-01-05 or "
        "2024-01-05T10:00:00Z; if not, declare the column categorical in feature_types"
    )
    return ModelWarning(code="dates_in_another_spelling", message=message, column=name)


def numbers_read_as(name: str, spelling: Spelling) -> ModelWarning:
    """Warn of numbers whose value depends on how they were read."""
    read = "12.5% as 12.5" if spelling.percent else f"1{spelling.thousands}500 as 1500"
    message = f"column {name!r} was read as numbers in another spelling, {read}; predictions read it so, too"
    return ModelWarning(code="numbers_read_as", message=message, column=name)


def rounded_integers(name: str, rows: Sequence[int]) -> ModelWarning:
    """Warn of whole numbers in a numeric column that a float cannot hold."""
    count = f"{len(rows)} whole numbers" if len(rows) > 1 else "a whole number"
    message = (
        f"column {name!r} has {count} beyond 2**53 (the first in row {rows[0]}), which a float cannot hold: "
        "others close by become the same number; if they are codes, declare the column categorical in feature_types"
    )
    return ModelWarning(code="integers_rounded", message=message, column=name, count=len(rows))


def training_table(rows: int) -> ModelWarning:
    """Warn of answers to the very rows that a model was fitted to."""
    message = (
        f"these {rows} rows are the model's own training table, so the answers look better than those "
        "to new rows will; the report says how good the model is"
    )
    return ModelWarning(code="training_table", message=message, count=rows)


def held_out_of_training_table(rows: int, held_out: int) -> ModelWarning:
    """Tell that a model was judged by those rows of its own training table that a fit had not seen."""
    message = (
        f"these {rows} rows are the model's own training table, so it is judged by the {held_out} of them "
        "that were held out, as they were answered by a fit that had not seen them"
    )
    return ModelWarning(code="training_table", message=message, count=held_out)


def learned_rows(learned: int, rows: int) -> tuple[ModelWarning, ...]:
    """Warn that a model is judged by rows that it was fitted to, if there are some."""
    if not learned:
        return ()
    message = (
        f"rows that equal one that the model was fitted to, in all features and the target: {learned} of {rows}; it "
        "looks better here than it will on new rows"
    )
    return (ModelWarning(code="learned_rows", message=message, count=learned),)


def labels_alike(classes: Sequence[bool | int | str]) -> tuple[ModelWarning, ...]:
    """Warn of labels that differ in case or Unicode form only."""
    pairs = _alike([label for label in classes if isinstance(label, str)])
    if not pairs:
        return ()
    message = f"labels that differ in case or Unicode form only are different classes: {_shown_pairs(pairs)}"
    return (ModelWarning(code="labels_alike", message=message, count=len(pairs)),)


def labels_like_numbers(
    label: str, classes: Sequence[bool | int | str], for_numbers: Sequence[str]
) -> tuple[ModelWarning, ...]:
    """Warn of labels that may be a quantity; `for_numbers` are the model classes that predict one."""
    if len(classes) <= MOST_CLASSES or not for_numbers or isinstance(classes[0], bool):
        return ()
    if isinstance(classes[0], str) and spelling_of(pl.Series(classes, dtype=pl.String)) is None:
        return ()
    message = (
        f"{label} has {len(classes)} different numbers, each of which is a class of its own; if they are a quantity, "
        f"take {one_of(for_numbers)}"
    )
    return (ModelWarning(code="labels_like_numbers", message=message, count=len(classes)),)


def one_of(model_classes: Sequence[str]) -> str:
    """Name model classes to choose from."""
    return f"model class {' or '.join(map(repr, model_classes))}"


def categories_alike(name: str, categories: Sequence[str]) -> tuple[ModelWarning, ...]:
    """Warn of a column's categories that differ in case or Unicode form only."""
    pairs = _alike(categories)
    if not pairs:
        return ()
    message = (
        f"column {name!r} has categories that differ in case or Unicode form only: {len(pairs)} of {len(categories)}"
    )
    return (ModelWarning(code="categories_alike", message=message, column=name, count=len(pairs)),)


def _alike(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of texts, each with the first one that equals it in lower case and Unicode's form NFKC."""
    first: dict[str, str] = {}
    return [(first[form], text) for text in texts if first.setdefault(form := _form(text), text) != text]


def _form(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold().strip()


def _shown_pairs(pairs: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{one!r} and {other!r}" for one, other in pairs[:_ROWS_SHOWN]) + (
        ", ..." if len(pairs) > _ROWS_SHOWN else ""
    )


def header_like_data() -> tuple[ModelWarning, ...]:
    """Warn that the header of a CSV looks like a row."""
    message = (
        "the names of the columns look like cells of their own columns; if the file has no header, its first row was "
        "taken for names: say header=false"
    )
    return (ModelWarning(code="header_like_data", message=message),)


def blank_rows(count: int) -> tuple[ModelWarning, ...]:
    """Warn that rows of nothing but delimiters were left out."""
    if not count:
        return ()
    rows = f"{count} rows hold" if count > 1 else "1 row holds"
    message = f"{rows} nothing but delimiters and counted as blank lines, which are skipped"
    return (ModelWarning(code="blank_rows", message=message, count=count),)


def index_columns(names: Sequence[str]) -> tuple[ModelWarning, ...]:
    """Warn that pandas' index was not trained on; the names of a CSV's are empty."""
    if not names:
        return ()
    shown = ", ".join(map(repr, names))
    if any(names):
        message = f"pandas' index is no feature and was left out: {shown}; to train on it, name it in feature_types"
    else:
        message = (
            "the first column has no name, like pandas' index in CSV, and was left out; to train on it, give it a name"
            if len(names) == 1
            else f"the first {len(names)} columns have no names, like pandas' index in CSV, and were left out; "
            "to train on them, give them names"
        )
    return (ModelWarning(code="index_columns", message=message, count=len(names)),)


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
