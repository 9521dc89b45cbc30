"""Reading a table to train on: the columns are checked, and the contract that the model keeps is made."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

import numpy as np
import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidTable
from modelyard.schemas import ColumnRole, FeatureType, ModelWarning
from modelyard.tables import advice, columns
from modelyard.tables.contract import MISSING_CATEGORY, CategoricalColumn, Contract, DatetimeColumn, TrainingTable
from modelyard.tables.inference import ColumnPlan, ReadingOptions, plan_columns
from modelyard.tables.labels import TargetReader, find_labels, read_labels
from modelyard.tables.role_columns import RoleColumns
from modelyard.tables.roles import find_roles
from modelyard.tables.sources import Cells, RawTable, looks_like_data, read_source
from modelyard.tables.spelling import PLAIN

FEATURE_TYPES: tuple[FeatureType, ...] = get_args(FeatureType)
_ALLOWED = f"{', '.join(map(repr, FEATURE_TYPES[:-1]))} or {FEATURE_TYPES[-1]!r}"


def read_training(
    X: Any,
    y: Any,
    *,
    target: str | None,
    feature_types: Mapping[str, str] | Sequence[str] | None,
    feature_names: Sequence[str] | None,
    options: ReadingOptions,
    read_target: TargetReader = read_labels,
    target_type: FeatureType | None = None,
    inherited_types: Mapping[str, FeatureType] | None = None,
    row_names: Sequence[str] | None = None,
) -> TrainingTable:
    """Check a training table of n rows and its targets, and make the contract that its model will keep.

    `X` is rows, records, columns, a polars DataFrame, a RawTable, the Path of a file or a FileContent. The labels are
    `y` or, if that is None, X's column `target`; `read_target` reads them, as of `target_type` if that is given. A
    column that `feature_types` (by name, or a list in column order) leaves out has the type of `inherited_types`, else
    its type is inferred. `row_names` are the names of the columns of rows if `feature_names` is None. `options` say how
    the table is read.

    Raises InvalidTable, and PayloadTooLarge if too much comes out of a compressed file.
    """
    typed = tuple(feature_types) if isinstance(feature_types, Mapping) else ()
    raw = read_source(X, feature_names, row_names, options.file)
    roles = find_roles(raw, options, target, typed)
    raw = raw.without_index({target or "", *(feature_names or ()), *typed, *(inherited_types or ()), *roles})
    beside, raw = RoleColumns.of(raw, roles), raw.without(roles)
    features, label, labels = _split(raw, y, target, roles)
    inherited = {name: kind for name, kind in (inherited_types or {}).items() if name in features}
    declared = {**inherited, **_declared(feature_types, list(features), target if y is None else None)}
    is_written = raw.text_cells and y is None
    of_target = {target: target_type} if is_written and target and target_type else {}  # shows how numbers are written
    plans, errors = plan_columns(
        features | dict.fromkeys(of_target, labels) | beside.planned(),
        declared | of_target | beside.types(options),
        options,
        text_cells=raw.text_cells,
    )
    others = {name: plans.pop(name) for name in list(plans) if name not in features}
    series = _read_columns(features, plans, errors, text_cells=raw.text_cells)
    if errors:
        raise InvalidTable.of(errors)
    read_roles = beside.read(others)
    found = read_target(labels, label, options, others.get(target or ""), text_cells=is_written)
    counted = read_roles["weight"] > 0 if "weight" in read_roles.columns else None
    contract = _contract(plans, series, found.classes, options, counted)
    frame = pl.DataFrame(list(series.values()))
    warnings = (
        *(advice.header_like_data() if looks_like_data(raw) else ()),
        *advice.blank_rows(raw.blank_rows),
        *advice.index_columns(raw.index_columns),
        *advice.labels_alike(found.classes),
        *found.warnings,
        *(warning for name in beside.planned() for warning in others[name].warnings),
        *(
            warning
            for name, plan in plans.items()
            for warning in (*plan.warnings, *_of_column(name, features, series, contract))
        ),
    )
    return TrainingTable(
        frame,
        warnings,
        codes=found.codes,
        contract=contract,
        target=target,
        given_names=raw.given_names,
        column_roles=roles,
        roles=read_roles,
    )


def _split(
    raw: RawTable, y: Any, target: str | None, roles: Mapping[str, ColumnRole]
) -> tuple[dict[str, Cells], str, Cells]:
    """Return the features, the name of the labels in messages, and the labels."""
    label, labels = find_labels(raw, y, target)
    features = {name: column for name, column in raw.columns.items() if y is not None or name != target}
    if not features and y is not None:
        raise InvalidTable(f"X has no columns besides {_with_roles(roles)}; at least one must be a feature")
    if not features:
        others = f" and {_with_roles(roles)}; at least one must be a feature" if roles else ""
        raise InvalidTable(f"X has no columns besides the target {target!r}{others}")
    return features, label, labels


def _with_roles(roles: Mapping[str, ColumnRole]) -> str:
    """Name the columns that are no features, with their roles."""
    return f"those with a role ({', '.join(f'{name!r}: {role}' for name, role in list(roles.items())[:50])})"


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
    return cast("dict[str, FeatureType]", declared)


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
        return FieldError(loc, f"feature_types: column {name!r} must be {_ALLOWED}, got {given!r}", given)
    return None


def _read_columns(
    features: Mapping[str, Cells], plans: Mapping[str, ColumnPlan], errors: list[FieldError], *, text_cells: bool
) -> dict[str, pl.Series]:
    """Return the columns as planned. Wrong cells, and columns missing throughout, are added to `errors`."""
    read: dict[str, pl.Series] = {}
    for name, plan in plans.items():
        if len(errors) >= MAX_FIELD_ERRORS:
            break
        before = len(errors)
        if plan.feature_type == "numeric":
            series = columns.numeric_series(name, features[name], plan.reading, errors, text_cells=text_cells)
            is_empty = series.null_count() == len(series)
        elif plan.feature_type == "datetime":
            series = columns.datetime_series(name, features[name], plan.reading, errors)
            is_empty = series.null_count() == len(series)
        else:
            series = columns.coded_series(name, features[name], plan.reading, errors)
            is_empty = _categories(series) == (MISSING_CATEGORY,)
        if is_empty and len(errors) == before:
            message = f"column {name!r} is missing in every row; leave it out or fill it"
            errors.append(FieldError(("X", name), message))
        read[name] = series
    return read


def _categories(series: pl.Series) -> tuple[str, ...]:
    assert isinstance(series.dtype, pl.Enum)
    return tuple(series.dtype.categories.to_list())


def _counts(series: pl.Series, counted: pl.Series | None) -> tuple[int, ...]:
    assert isinstance(series.dtype, pl.Enum)
    codes = series.to_physical() if counted is None else series.to_physical().filter(counted)
    return tuple(np.bincount(codes, minlength=len(series.dtype.categories)).tolist())


def _contract(
    plans: Mapping[str, ColumnPlan],
    series: Mapping[str, pl.Series],
    classes: tuple[bool | int | str, ...],
    options: ReadingOptions,
    counted: pl.Series | None,
) -> Contract:
    """Make the contract; `counted` says of each row whether it counts in fits, None: all do."""
    return Contract(
        {name: plan.feature_type for name, plan in plans.items()},
        {
            name: CategoricalColumn(_categories(series[name]), plan.reading.source, _counts(series[name], counted))
            for name, plan in plans.items()
            if plan.feature_type == "categorical"
        },
        classes,
        options.missing_markers,
        {name: plan.reading.spelling for name, plan in plans.items() if plan.reading.spelling != PLAIN},
        datetimes={
            name: DatetimeColumn(series[name].min())  # type: ignore[arg-type]
            for name, plan in plans.items()
            if plan.feature_type == "datetime"
        },
    )


def _of_column(
    name: str, features: Mapping[str, Cells], series: Mapping[str, pl.Series], contract: Contract
) -> tuple[ModelWarning, ...]:
    if name in contract.categorical:
        return advice.categories_alike(name, contract.categorical[name].categories)
    if name in contract.datetimes:
        return ()
    rows = columns.rounded_integers(features[name], series[name], contract.readings[name])
    return (advice.rounded_integers(name, rows),) if rows else ()
