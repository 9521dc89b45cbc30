"""A form for one row, made from what a model knows of its columns: ranges of numbers and times, categories seen.

What is typed stays for the session, whatever page or way is shown between.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from heapq import nlargest
from typing import Any

import streamlit as st

from modelyard.dashboard import session
from modelyard.dashboard.formats import escaped, minute, number
from modelyard.dashboard.texts import t
from modelyard.schemas import ModelMetadata, Report

_FIELDS_A_LINE = 2
_FIRST_FIELDS = 12
_EARLIEST, _LATEST = (datetime.combine(day, time.min) for day in (date.min, date.max))


def ask_row(model: ModelMetadata, report: Report, turn: int) -> dict[str, Any]:
    """Ask for one value a feature and return them as they are now. An empty field is a missing value.

    `turn` tells one drawing of the page from the next. Each has fields of its own, which begin with what was typed: a
    field that was away for a moment comes back to the browser as if it were empty.
    """
    st.caption(t("row.help"))
    before = _typed(model.model_id)
    row: dict[str, Any] = {}
    first = _most_important(model, report)
    rest = [name for name in model.feature_names if name not in first]
    grid = others = st.grid(_FIELDS_A_LINE, min_column_width=150)
    if rest:
        with st.expander(t("row.others", n=len(rest)), key="row-others"):
            others = st.grid(_FIELDS_A_LINE, min_column_width=120)
    for name in model.feature_names:
        with grid.cell() if name in first else others.cell():
            key = f"row-{model.model_id}-{turn}-{name}"
            asked = {"key": key, "on_change": _changed, "args": (model.model_id, name, key)}
            profile = report.columns.get(name, {})
            start = before[name] if name in before else usual(profile, model.n_rows)
            row[name] = _ask(escaped(name), model.feature_types[name], profile, start, asked)
    before.update(row)
    return row


def _most_important(model: ModelMetadata, report: Report) -> set[str]:
    """Return the columns that count most, parts of moments with their column; all if they are few."""
    if len(model.feature_names) <= _FIRST_FIELDS + 2:
        return set(model.feature_names)
    found = report.feature_importances or {}
    worth = {
        name: sum(abs(value) for part, value in found.items() if part == name or part.startswith(f"{name}."))
        for name in model.feature_names
    }
    return set(nlargest(_FIRST_FIELDS, worth, key=worth.__getitem__))


def begin_with(model: ModelMetadata, row: Mapping[str, Any]) -> None:
    """Fill the form with this row when the page is drawn next."""
    _typed(model.model_id).update(row)


def focus_of(model: ModelMetadata) -> str:
    """Return the column whose field was changed last, the first one if none was."""
    last = session.current().kept.get("focus", "")
    return last if last in model.feature_names else model.feature_names[0]


def _typed(model_id: str) -> dict[str, Any]:
    rows: dict[str, dict[str, Any]] = session.current().kept.setdefault("rows", {})
    return rows.setdefault(model_id, {})


def _changed(model_id: str, name: str, key: str) -> None:
    _typed(model_id)[name] = st.session_state[key]
    session.current().kept["focus"] = name


def usual(profile: Mapping[str, Any], n_rows: int) -> Any:
    """Return the most frequent category of a column, its median or its latest moment; None if cells mostly lack."""
    if "top" in profile:
        most = max(profile["top"], key=lambda one: (one["count"], one["value"] is not None), default=None)
        return None if most is None else most["value"]
    if 2 * profile.get("missing", 0) > n_rows:
        return None
    median = profile.get("median")
    return profile.get("latest") if median is None else _short(median)


def _ask(title: str, kind: str, profile: Mapping[str, Any], start: Any, asked: dict[str, Any]) -> Any:
    if kind == "numeric":
        low, high = profile.get("min"), profile.get("max")
        seen = None if low is None or high is None else t("row.seen", low=number(low), high=number(high))
        _fill(asked["key"], None if start is None else float(start))
        placeholder = t("row.missing")
        return st.number_input(
            title, value=None, step=_step(low, high), format="%.10g", placeholder=placeholder, help=seen, **asked
        )
    if kind == "datetime":
        return _ask_moment(title, profile, start, asked)
    options = [item["value"] for item in profile.get("top", []) if item["value"] is not None]
    _fill(asked["key"], start)
    return st.selectbox(
        title,
        options,
        index=None,
        accept_new_options=True,
        placeholder=t("row.missing"),
        help=t("row.categories", n=profile.get("n_categories", len(options))),
        **asked,
    )


def _ask_moment(
    title: str, profile: Mapping[str, Any], start: datetime | str | None, asked: dict[str, Any]
) -> datetime | None:
    """Ask for a date and a time in UTC, to the minute; it begins with the latest of training."""
    earliest, latest = profile.get("earliest"), profile.get("latest")
    if isinstance(start, str):
        start = datetime.fromisoformat(start).replace(second=0, microsecond=0, tzinfo=None)
    _fill(asked["key"], start)
    found: datetime | None = st.datetime_input(
        title,
        value=None,
        min_value=_EARLIEST,
        max_value=_LATEST,
        format="YYYY-MM-DD",
        step=timedelta(minutes=1),
        help=None if latest is None else t("row.moments", low=minute(str(earliest)), high=minute(latest)),
        **asked,
    )
    return found


def _fill(key: str, value: object) -> None:
    """Begin a field with a value. Given as the field's own, it would come back whenever the field is emptied."""
    if key not in st.session_state:
        st.session_state[key] = value


def _short(value: float) -> float:
    """Round a number to four digits that matter, a large one to a whole one: a narrow field shows all of it."""
    return float(f"{value:.{max(4, len(str(int(abs(value)))))}g}")


def _step(low: Any, high: Any) -> float:
    """Return a step that suits the range: a power of ten of about a hundredth of it."""
    if not isinstance(low, int | float) or not isinstance(high, int | float) or high <= low:
        return 1.0
    return float(f"1e{len(str(int(high - low))) - 2}") if high - low >= 1 else 0.01
