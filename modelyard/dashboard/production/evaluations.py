"""What labelled tables showed of a model, or of an alias whichever version it was, over time."""

from __future__ import annotations

import streamlit as st

from modelyard.dashboard import address, formats, session
from modelyard.dashboard.charts import draw
from modelyard.dashboard.charts.life import Point, over_time
from modelyard.dashboard.report import metric_title
from modelyard.dashboard.texts import t
from modelyard.schemas import KeptEvaluation, ModelMetadata, ModelMetrics, interval_of, meaning


def show_evaluations(reference: str, model: ModelMetadata) -> None:
    """Show the evaluations of a reference, the newest 50."""
    name, _, alias = reference.partition("@")
    found = _judged(reference, name, alias, model) or _judged(model.model_id, name, "", model)
    if not found:
        st.caption(t("life.no_evaluations"))
        return
    metrics = list(dict.fromkeys(key for _, of in found for key in of.metrics if meaning(key).is_value))
    metric = st.selectbox(
        t("life.metric"), metrics, format_func=metric_title, **address.bound("judged", metrics[0], allowed=metrics)
    )
    if len(found) > 1:
        points = []
        for one, of in reversed(found):
            value = of.metrics.get(metric)
            if value is not None:
                low, high = interval_of(metric, of.metrics) or (None, None)
                at = f"{one.at:%Y-%m-%d %H:%M}" + (f" · {one.label}" if one.label else "")
                points.append(Point(at, value, low, high, f"v{of.version}"))
        draw(over_time(points, metric_title(metric), share=formats.is_share(metric)), t("life.evaluations"))
    _show_table(found, metric)


def _judged(reference: str, name: str, alias: str, model: ModelMetadata) -> list[tuple[KeptEvaluation, ModelMetrics]]:
    kept = session.yard().list_evaluations(reference if alias else model.model_id).evaluations
    return [(one, of) for one in kept for of in one.models if _is_meant(of, name, alias, model)]


def _is_meant(of: ModelMetrics, name: str, alias: str, model: ModelMetadata) -> bool:
    return (of.name, of.alias) == (name, alias) if alias else of.model_id == model.model_id


def _show_table(found: list[tuple[KeptEvaluation, ModelMetrics]], metric: str) -> None:
    st.table(
        {
            t("history.when"): [f"{one.at:%Y-%m-%d %H:%M} UTC" for one, _ in found],
            t("column.version"): [f"v{of.version}" for _, of in found],
            t("life.label"): [formats.escaped(one.label or formats.NOTHING) for one, _ in found],
            t("column.rows"): [formats.count(one.n_rows) for one, _ in found],
            metric_title(metric): [formats.metric_with_interval(metric, of.metrics) for _, of in found],
        },
        hide_index=True,
        border="horizontal",
    )
