"""Drift on a model's page: whether it is asked what it was trained on, column by column."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from modelyard.dashboard import formats, session
from modelyard.dashboard.texts import t
from modelyard.schemas import ColumnDrift, DriftQuery, DriftStatus, ModelMetadata

_SPANS = {"drift.day": 24, "drift.week": 168, "drift.quarter": 2160}
_BADGES: dict[DriftStatus, str] = {
    "ok": "green",
    "watch": "orange",
    "drifted": "red",
    "too_few_rows": "gray",
    "no_reference": "gray",
}


def show_drift(model: ModelMetadata) -> None:
    """Show how far what the model was asked is from its training."""
    span = st.segmented_control(
        t("drift.span"), list(_SPANS), default="drift.day", format_func=t, required=True, key=f"drift-{model.model_id}"
    )
    found = session.yard().get_drift(model.model_id, DriftQuery(hours=_SPANS[span or "drift.day"]))
    badge = f":{_BADGES[found.status]}-badge[{t(f'drift.{found.status}')}]"
    st.markdown(f"{badge} {formats.escaped(found.message)}")
    if not found.columns:
        return
    columns = {formats.escaped(name): column for name, column in found.columns.items()}
    if found.predictions is not None:
        columns = {f"*{t('drift.predictions')}*": found.predictions, **columns}
    _show_columns(columns)
    st.caption(t("drift.help"))


def _show_columns(columns: Mapping[str, ColumnDrift]) -> None:
    found = list(columns.values())
    st.table(
        {
            t("drift.column"): list(columns),
            t("drift.status"): [t(f"drift.{one.status}") for one in found],
            t("drift.psi"): [formats.number(one.psi, 3) for one in found],
            t("drift.missing"): [formats.percent(one.missing) for one in found],
            t("drift.unknown"): [formats.percent(one.unknown) for one in found],
            t("drift.out_of_range"): [formats.percent(one.out_of_range) for one in found],
            t("drift.farthest"): [_farthest(one) for one in found],
        },
        hide_index=True,
        border="horizontal",
    )


def _farthest(column: ColumnDrift) -> str:
    """Say which bin differs most; nothing if no rows were seen."""
    if not any(column.seen):
        return formats.NOTHING
    bins = zip(column.bins, column.expected, column.seen, strict=True)
    label, expected, seen = max(bins, key=lambda one: abs(one[2] - one[1]))
    return f"{formats.escaped(label)}: {formats.percent(expected)} → {formats.percent(seen)}"
