"""A form for one row, made from what a model knows of its columns: ranges of numbers and times, categories seen."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import streamlit as st

from modelyard.dashboard.formats import escaped, minute, number
from modelyard.dashboard.texts import t
from modelyard.schemas import ModelMetadata, Report

_FIELDS_A_LINE = 4
_EARLIEST, _LATEST = (datetime.combine(day, time.min) for day in (date.min, date.max))


def ask_row(model: ModelMetadata, report: Report) -> dict[str, Any] | None:
    """Ask for one value a feature; None until the form is sent. An empty field is a missing value."""
    with st.form(f"row-{model.model_id}"):
        st.caption(t("row.help"))
        row: dict[str, Any] = {}
        grid = st.grid(_FIELDS_A_LINE, min_column_width=160)
        for name in model.feature_names:
            with grid.cell():
                row[name] = _ask(model, name, report.columns.get(name, {}))
        sent = st.form_submit_button(t("predict.go"), type="primary", icon=":material/play_arrow:", key="row-go")
    return row if sent else None


def _ask(model: ModelMetadata, name: str, profile: dict[str, Any]) -> Any:
    key, title = f"row-{model.model_id}-{name}", escaped(name)
    if model.feature_types[name] == "numeric":
        low, high = profile.get("min"), profile.get("max")
        seen = None if low is None or high is None else t("row.seen", low=number(low), high=number(high))
        start = profile.get("median")
        _fill(key, None if start is None else float(start))
        return st.number_input(
            title,
            value=None,
            step=_step(low, high),
            format="%.10g",
            placeholder=t("row.missing"),
            key=key,
            help=seen,
            persist_state="session",
        )
    if model.feature_types[name] == "datetime":
        return _ask_moment(title, key, profile)
    options = [item["value"] for item in profile.get("top", []) if item["value"] is not None]
    return st.selectbox(
        title,
        options,
        index=0 if options else None,
        accept_new_options=True,
        placeholder=t("row.missing"),
        key=key,
        help=t("row.categories", n=profile.get("n_categories", len(options))),
        persist_state="session",
    )


def _ask_moment(title: str, key: str, profile: dict[str, Any]) -> datetime | None:
    """Ask for a date and a time in UTC, to the minute; it begins with the latest of training."""
    earliest, latest = profile.get("earliest"), profile.get("latest")
    _fill(key, None if latest is None else datetime.fromisoformat(latest).replace(second=0, microsecond=0, tzinfo=None))
    found: datetime | None = st.datetime_input(
        title,
        value=None,
        min_value=_EARLIEST,
        max_value=_LATEST,
        format="YYYY-MM-DD",
        step=timedelta(minutes=1),
        key=key,
        help=None if latest is None else t("row.moments", low=minute(str(earliest)), high=minute(latest)),
        persist_state="session",
    )
    return found


def _fill(key: str, value: object) -> None:
    """Begin a field with a value. Given as the field's own, it would come back whenever the field is emptied."""
    if key not in st.session_state:
        st.session_state[key] = value


def _step(low: Any, high: Any) -> float:
    """Return a step that suits the range: a power of ten of about a hundredth of it."""
    if not isinstance(low, int | float) or not isinstance(high, int | float) or high <= low:
        return 1.0
    return float(f"1e{len(str(int(high - low))) - 2}") if high - low >= 1 else 0.01
