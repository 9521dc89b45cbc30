"""Drift on a model's page: whether it is asked what it was trained on, column by column."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from modelyard.dashboard import address, formats, session
from modelyard.dashboard.charts import draw, life, side_by_side
from modelyard.dashboard.texts import t
from modelyard.schemas import ColumnDrift, Drift, DriftQuery, DriftStatus, ModelMetadata

_SPANS = {"day": 24, "week": 168, "quarter": 2160}
_MOST_NAMED = 5
_MOST_SHOWN = 10
_BADGES: dict[DriftStatus, str] = {
    "ok": "green",
    "watch": "orange",
    "drifted": "red",
    "too_few_rows": "gray",
    "no_reference": "gray",
}


def show_drift(model: ModelMetadata, *, folded: bool = False) -> None:
    """Show how far what the model was asked is from its training; `folded`: a sentence, and all else on a click."""
    span = st.segmented_control(
        t("drift.span"),
        list(_SPANS),
        required=True,
        format_func=lambda name: t(f"drift.{name}"),
        **address.bound("span", "day", allowed=list(_SPANS)),
    )
    found = session.yard().get_drift(model.model_id, DriftQuery(hours=_SPANS[span]))
    badge = f":{_BADGES[found.status]}-badge[{t(f'drift.{found.status}')}]"
    st.markdown(f"{badge} {_in_words(found, _SPANS[span])}")
    if folded:
        with st.expander(t("drift.by_column"), key="drift-by-column"):
            _show_found(model, found)
    else:
        _show_found(model, found)


def _show_found(model: ModelMetadata, found: Drift) -> None:
    """Show when the model was asked, and what is unlike training, the farthest off first."""
    pair = side_by_side()
    if found.hourly:
        with pair.cell():
            st.caption(t("life.hourly"))
            draw(life.by_hour(found.hourly, found.since, found.until), t("life.hourly"))
    if found.columns and found.rows:
        with pair.cell():
            _show_histogram(model, found)
    if not found.columns:
        return
    columns = {formats.escaped(name): column for name, column in _farthest_first(found)}
    if found.predictions is not None:
        columns = {f"*{t('drift.predictions')}*": found.predictions, **columns}
    first = dict(list(columns.items())[:_MOST_SHOWN])
    _show_columns(first)
    if len(columns) > len(first):
        with st.expander(t("drift.others", n=len(columns) - len(first)), key="drift-others"):
            _show_columns({name: one for name, one in columns.items() if name not in first})
    st.caption(t("drift.help"))


def _in_words(found: Drift, hours: int) -> str:
    """Say what was found in a sentence, as `Drift.message` does in English."""
    asked = t("drift.asked", rows=formats.count(found.rows), hours=formats.count(hours))
    if found.status in ("watch", "drifted"):
        named = [formats.escaped(name) for name, column in _farthest_first(found) if column.status == found.status]
        if found.predictions is not None and found.predictions.status == found.status:
            named.append(t("drift.predictions"))
        return f"{asked} {t('drift.unlike', columns=', '.join(named[:_MOST_NAMED]), n=len(named))}"
    return f"{asked} {t(f'drift.said_{found.status}')}"


def _farthest_first(found: Drift) -> list[tuple[str, ColumnDrift]]:
    return sorted(found.columns.items(), key=lambda one: -one[1].psi)


def _show_histogram(model: ModelMetadata, found: Drift) -> None:
    """Show one column's cells over training's, the farthest off at first."""
    columns = dict(_farthest_first(found))
    if found.predictions is not None:
        columns[""] = found.predictions
    name = st.selectbox(
        t("life.histogram_of"),
        list(columns),
        format_func=lambda name: name or t("drift.predictions"),
        key=f"histogram-{model.model_id}",
    )
    draw(life.histograms(columns[name]), t("life.histogram_of"))


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
    return f"{formats.escaped(formats.bin_label(label))}: {formats.percent(expected)} → {formats.percent(seen)}"
