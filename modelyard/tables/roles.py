"""Column roles: which columns of a training table are no features, and what they are instead.

`id` names the rows and is carried into answers, `time` and `group` say which rows may be held out together, `weight`
how much a row counts; `ignore` is left out. All other columns are features.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator, Mapping
from typing import get_args

from modelyard.errors import FieldError, InvalidTable
from modelyard.schemas import ColumnRole
from modelyard.schemas.showing import shown
from modelyard.tables.inference import ReadingOptions
from modelyard.tables.sources import RawTable

ROLES: tuple[ColumnRole, ...] = get_args(ColumnRole)
SINGLE_ROLES: tuple[ColumnRole, ...] = ("id", "time", "group", "weight")
"""The roles that one column can have at most."""

_MAY_BE_MISSING = ("ignore", "id")
"""The roles of a parent model's columns that a new table need not have, because no fit needs them."""

_MOST_NAMED = 50


def find_roles(
    raw: RawTable, options: ReadingOptions, target: str | None, typed: Collection[str]
) -> dict[str, ColumnRole]:
    """Return the roles of the columns of a table that are no features; inherited ones may not be in the table.

    `target` is the column of targets, None if they come beside the table; `typed` are the columns whose feature type
    was declared. Raises InvalidTable naming all roles that are wrong.
    """
    told = {**dict.fromkeys(options.exclude, "ignore"), **options.roles}
    taken = {**dict.fromkeys(typed, "has a type in feature_types"), **({target: "is the target"} if target else {})}
    wrong = [_problem(name, role, raw, options, taken) for name, role in told.items()]
    errors = [error for error in wrong if error is not None]
    roles: dict[str, ColumnRole] = {name: role for name, role in told.items() if role != "feature"}  # type: ignore[misc]
    present = [*raw.columns, *raw.index_columns]
    errors.extend(_more_than_one(roles, present))
    if errors:
        raise InvalidTable.of(errors)
    given = {role for name, role in roles.items() if name in present and role in SINGLE_ROLES}
    return {name: role for name, role in roles.items() if name in present or role not in given}


def _problem(
    name: str, role: str, raw: RawTable, options: ReadingOptions, taken: Mapping[str, str]
) -> FieldError | None:
    """Return what is wrong with the role of a column; `taken` says of columns what they are already."""

    def refused(problem: str) -> FieldError:
        return FieldError(("column_roles", name), f"column_roles: column {name!r} {problem}", role)

    if role not in ROLES:
        return refused(f"must be {', '.join(map(repr, ROLES[:-1]))} or {ROLES[-1]!r}, got {shown(role)}")
    if name in options.exclude:
        if role != "ignore":
            return refused(f"is in exclude, too, so its role can only be 'ignore', got {role!r}")
        problem = f"{taken[name]}, so it cannot be left out" if name in taken else _absent(name, raw)
        return FieldError(("exclude",), f"exclude: column {name!r} {problem}", name) if problem else None
    if name in taken and (role != "feature" or taken[name] == "is the target"):
        return refused(f"{taken[name]}, so it cannot have the role {role!r}")
    problem = _absent(name, raw)
    if not problem or (name in options.inherited and role in ("feature", *_MAY_BE_MISSING)):
        return None
    if name in options.inherited:
        way_out = (
            f"name the column that takes its place, or undo it: {json.dumps({name: 'ignore'}, ensure_ascii=False)}"
        )
        return refused(f"has the role {role!r} in the parent model and is not in X; {way_out}")
    return refused(problem)


def _absent(name: str, raw: RawTable) -> str:
    """Say that a table does not have a column; empty if it does."""
    if name in raw.columns or name in raw.index_columns:
        return ""
    alike = difflib.get_close_matches(name, list(raw.columns), n=1)
    hint = f" (did you mean {alike[0]!r}?)" if alike else ""
    return f"is not in X{hint}; it has {', '.join(map(repr, list(raw.columns)[:_MOST_NAMED]))}"


def _more_than_one(roles: Mapping[str, ColumnRole], present: Collection[str]) -> Iterator[FieldError]:
    for role in SINGLE_ROLES:
        names = [name for name in present if roles.get(name) == role]
        if len(names) > 1:
            message = f"column_roles: at most one column can be {role!r}, got {' and '.join(map(repr, names[:5]))}"
            yield FieldError(("column_roles", names[1]), message, role)
