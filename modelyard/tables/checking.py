"""From a raw table to a checked one: in training the contract is made, in prediction it is kept."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidTable
from modelyard.schemas import FeatureType, ModelWarning
from modelyard.tables import advice, columns
from modelyard.tables.cells import marker_set
from modelyard.tables.columns import Cells
from modelyard.tables.contract import MISSING_CATEGORY, CategoricalColumn, Contract, Table, TrainingTable
from modelyard.tables.files import read_raw_file
from modelyard.tables.forms import RawTable, missing_columns, read_form
from modelyard.tables.known_texts import read_texts
from modelyard.tables.labels import label_column, read_labels

FEATURE_TYPES: tuple[FeatureType, ...] = ("numeric", "categorical")


def read_training(
    X: Any,
    y: Any,
    *,
    target: str | None,
    feature_types: Mapping[str, str] | Sequence[str] | None,
    feature_names: Sequence[str] | None,
    missing_markers: Iterable[str],
    inherited_types: Mapping[str, FeatureType] | None = None,
    row_names: Sequence[str] | None = None,
) -> TrainingTable:
    """Check a training table of n rows and its labels, and make the contract that its model will keep.

    `X` is rows, records, columns, a polars DataFrame or the Path of a file. The labels are `y` or, where that is None,
    X's column `target`. What `feature_types` (by name, or a list in column order) leaves out is as in
    `inherited_types`, and what that does not know is inferred. `row_names` are what the columns of rows are called
    where `feature_names` does not say it. Raises InvalidTable.
    """
    missing_markers = tuple(missing_markers)
    raw = _raw(X, feature_names, row_names)
    markers = marker_set(missing_markers)
    features, label, labels = _split(raw, y, target)
    inherited = {name: kind for name, kind in (inherited_types or {}).items() if name in features}
    declared = {**inherited, **_declared(feature_types, list(features), target if y is None else None)}
    checked, errors = _check_features(features, declared, markers, raw.text_cells)
    if errors:
        raise InvalidTable.of(errors)
    codes, classes = read_labels(labels, label, markers, text_cells=raw.text_cells and y is None)
    contract = Contract(
        {name: column.feature_type for name, column in checked.items()},
        {name: column.categorical for name, column in checked.items() if column.categorical is not None},
        classes,
        missing_markers,
    )
    frame = pl.DataFrame([column.series for column in checked.values()])
    strays = _strays(features, declared, markers) if raw.text_cells else ()
    warnings = (*advice.identifier_like(frame, contract), *strays)
    return TrainingTable(frame, warnings, codes=codes, contract=contract, target=target)


def read_prediction(X: Any, contract: Contract, *, feature_names: Sequence[str] | None = None) -> Table:
    """Check a table to predict for against a model's contract.

    Records, columns, DataFrames and files match by name in any order; rows by position, or by `feature_names`. Columns
    that the contract does not have are dropped with a warning. Raises InvalidTable.
    """
    raw = _raw(X, feature_names, contract.feature_names)
    absent = [name for name in contract.feature_types if name not in raw.columns]
    if absent:
        raise missing_columns(absent, list(raw.columns))
    markers = marker_set(contract.missing_markers)
    errors: list[FieldError] = []
    series: list[pl.Series] = []
    unknown: dict[str, int] = {}
    texts = read_texts(raw.columns, contract, markers)
    for name, feature_type in contract.feature_types.items():
        column = raw.columns[name]
        columns.check_dtype(name, column)
        if feature_type == "numeric":
            series.append(columns.numeric_series(name, column, markers, errors, text_cells=raw.text_cells))
        elif name in texts:
            found, unknown[name] = texts[name]
            series.append(found)
        else:
            source = contract.categorical[name].source
            series.append(columns.category_series(name, column, source, markers, errors))
        if len(errors) >= MAX_FIELD_ERRORS:
            break
    if errors:
        raise InvalidTable.of(errors)
    extra = (*(name for name in raw.columns if name not in contract.feature_types), *raw.dropped)
    frame = pl.DataFrame(series)
    return Table(frame, (*advice.extra_columns(extra), *advice.unknown_categories(frame, contract, unknown)))


@dataclass(frozen=True, slots=True)
class _Checked:
    series: pl.Series
    feature_type: FeatureType
    categorical: CategoricalColumn | None = None


def _raw(X: Any, feature_names: Sequence[str] | None, expected: Sequence[str] | None) -> RawTable:
    if isinstance(X, Path):
        return read_raw_file(X, feature_names=feature_names, expected=expected)
    return read_form(X, feature_names, expected)


def _split(raw: RawTable, y: Any, target: str | None) -> tuple[dict[str, Cells], str, Cells]:
    """Return the features, what messages call the labels, and the labels."""
    if y is not None:
        labels = label_column(y)
        if len(labels) != raw.height:
            raise InvalidTable.of(
                [FieldError(("y",), f"y has {len(labels)} labels, X has {raw.height} rows", len(labels))]
            )
        if target in raw.columns:  # left among the features it would give the labels away
            message = f"target {target!r} is a column of X, and y is given, too: leave one of them out"
            raise InvalidTable.of([FieldError(("target",), message, target)])
        return raw.columns, "y", labels
    if target is None:
        raise InvalidTable("the labels are missing: give y, or target with the name of the label column of X")
    if target not in raw.columns:
        known = ", ".join(map(repr, list(raw.columns)[:50]))
        raise InvalidTable.of(
            [FieldError(("target",), f"target {target!r} is not a column of X; it has {known}", target)]
        )
    features = {name: column for name, column in raw.columns.items() if name != target}
    if not features:
        raise InvalidTable(f"X has no columns besides the target {target!r}")
    return features, f"target {target!r}", raw.columns[target]


def _declared(
    feature_types: Mapping[str, str] | Sequence[str] | None, names: list[str], target: str | None
) -> dict[str, FeatureType]:
    """Return the declared types by name, checked."""
    if feature_types is None:
        return {}
    if isinstance(feature_types, Mapping):
        declared = dict(feature_types)
    elif len(feature_types) != len(names):
        found = f"feature_types has {len(feature_types)} types, X has {len(names)} columns"
        raise InvalidTable.of(
            [FieldError(("feature_types",), f"{found} ({', '.join(names[:50])})", len(feature_types))]
        )
    else:
        declared = dict(zip(names, feature_types, strict=True))
    errors = [_type_error(name, given, names, target) for name, given in declared.items()]
    wrong = [error for error in errors if error is not None]
    if wrong:
        raise InvalidTable.of(wrong)
    return {name: "numeric" if given == "numeric" else "categorical" for name, given in declared.items()}


def _type_error(name: str, given: str, names: list[str], target: str | None) -> FieldError | None:
    loc = ("feature_types", name)
    if name == target:
        return FieldError(loc, f"feature_types: column {name!r} is the target, not a feature", given)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3)
        hint = (
            f"did you mean {' or '.join(map(repr, near))}?" if near else f"known are {', '.join(map(repr, names[:50]))}"
        )
        return FieldError(loc, f"feature_types: column {name!r} is not in X; {hint}", given)
    if given not in FEATURE_TYPES:
        return FieldError(
            loc, f"feature_types: column {name!r} must be 'numeric' or 'categorical', got {given!r}", given
        )
    return None


def _strays(
    features: Mapping[str, Cells], declared: Mapping[str, FeatureType], markers: frozenset[str]
) -> Iterator[ModelWarning]:
    """Warn of CSV's columns that few cells, perhaps wrong ones, have made categorical without a word."""
    for name, column in features.items():
        if name not in declared:
            strays = columns.strays_among_numbers(column, markers)
            if len(strays):
                yield advice.strays_among_numbers(name, strays)


def _check_features(
    features: Mapping[str, Cells], declared: Mapping[str, FeatureType], markers: frozenset[str], text_cells: bool
) -> tuple[dict[str, _Checked], list[FieldError]]:
    checked: dict[str, _Checked] = {}
    errors: list[FieldError] = []
    for name, column in features.items():
        columns.check_dtype(name, column)
        content = columns.content_of(column, markers, text_cells=text_cells)
        if content == "mixed" and name not in declared:
            errors.extend(columns.break_of_majority(name, column, markers))
            continue
        kind = declared.get(name) or ("numeric" if content == "numbers" else "categorical")
        if kind == "numeric":
            found = _numeric(name, column, markers, errors, text_cells=text_cells)
        else:
            found = _categorical(name, column, content, markers, errors)
        if found is not None:
            checked[name] = found
        if len(errors) >= MAX_FIELD_ERRORS:
            break
    return checked, errors


def _numeric(
    name: str, column: Cells, markers: frozenset[str], errors: list[FieldError], *, text_cells: bool
) -> _Checked | None:
    before = len(errors)
    series = columns.numeric_series(name, column, markers, errors, text_cells=text_cells)
    if len(errors) > before:
        return None
    if series.null_count() == len(series):
        errors.append(_all_missing(name))
        return None
    return _Checked(series, "numeric")


def _categorical(
    name: str, column: Cells, content: columns.Content, markers: frozenset[str], errors: list[FieldError]
) -> _Checked | None:
    before = len(errors)
    source = content if content in ("numbers", "booleans") else "text"
    series = columns.coded_series(name, column, source, markers, errors)
    if len(errors) > before:
        return None
    assert isinstance(series.dtype, pl.Enum)
    categories = tuple(series.dtype.categories.to_list())
    if categories == (MISSING_CATEGORY,):
        errors.append(_all_missing(name))
        return None
    return _Checked(series, "categorical", CategoricalColumn(categories, source))


def _all_missing(name: str) -> FieldError:
    return FieldError(("X", name), f"column {name!r} is missing in every row; leave it out or fill it")
