"""A form for one row, made from what a model knows of its columns: the range of numbers, the categories seen."""

from __future__ import annotations

from typing import Any

import streamlit as st

from modelyard.dashboard.formats import escaped, number
from modelyard.dashboard.texts import t
from modelyard.schemas import ModelMetadata, Report

_FIELDS_A_LINE = 4


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
        return st.number_input(
            title,
            value=None if start is None else float(start),
            step=_step(low, high),
            format="%.10g",
            placeholder=t("row.missing"),
            key=key,
            help=seen,
            persist_state="session",
        )
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


def _step(low: Any, high: Any) -> float:
    """Return a step that suits the range: a power of ten of about a hundredth of it."""
    if not isinstance(low, int | float) or not isinstance(high, int | float) or high <= low:
        return 1.0
    return float(f"1e{len(str(int(high - low))) - 2}") if high - low >= 1 else 0.01
