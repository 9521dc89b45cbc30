"""A name's versions as a graph: from parent to child, each as high as it is good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import altair as alt
import polars as pl

from modelyard.dashboard.charts import Drawing, inks, ticks, written
from modelyard.dashboard.texts import t

_HEIGHT = 240


@dataclass(frozen=True, slots=True)
class Node:
    """A version: its value of the metric, its interval (None: not known), its parent's version, what is said of it."""

    version: int
    value: float
    low: float | None
    high: float | None
    parent: int | None
    label: str
    status: str


def lineage(nodes: Sequence[Node], metric: str, *, share: bool) -> Drawing:
    """Draw versions, their intervals and what each was made from; `share`: the metric is one of 1."""
    values = {node.version: node.value for node in nodes}
    edges = [
        {"from": node.parent, "from_value": values[node.parent], "to": node.version, "to_value": node.value}
        for node in nodes
        if node.parent in values
    ]
    schema = {"from": pl.Int64, "from_value": pl.Float64, "to": pl.Int64, "to_value": pl.Float64}
    frame = pl.DataFrame(
        [asdict(node) for node in nodes], schema_overrides={"low": pl.Float64, "high": pl.Float64, "parent": pl.Int64}
    )
    frame = frame.with_columns(top=pl.coalesce("high", "value"))
    numbers = [node.version for node in nodes]
    x_scale = alt.Scale(domain=[min(numbers) - 0.5, max(numbers) + 0.5], nice=False)
    x_axis = alt.Axis(format="d", tickMinStep=1, tickCount=min(len(numbers), 12), grid=False)
    x = alt.X("version:Q", title=t("chart.version"), scale=x_scale, axis=x_axis)
    y_axis = alt.Axis(format=ticks(share=share), tickCount=4)
    y = alt.Y("value:Q", title=metric, scale=alt.Scale(zero=False, padding=12), axis=y_axis)
    tooltip = [
        alt.Tooltip("version:Q", title=t("chart.version"), format="d"),
        alt.Tooltip("value:Q", title=metric, format=written(share=share)),
        alt.Tooltip("low:Q", title=t("chart.from"), format=written(share=share)),
        alt.Tooltip("high:Q", title=t("chart.to"), format=written(share=share)),
        alt.Tooltip("status:N", title=t("column.status")),
    ]
    ink, _ = inks()
    lines = (
        alt.Chart(pl.DataFrame(edges, schema=schema), height=_HEIGHT)
        .mark_rule(strokeWidth=1.5, opacity=0.6, color=ink)
        .encode(x=alt.X("from:Q", scale=x_scale), y="from_value:Q", x2="to:Q", y2="to_value:Q")
    )
    base = alt.Chart(frame, height=_HEIGHT).encode(x=x)
    spread = base.mark_rule(strokeWidth=5, opacity=0.25, color=ink).encode(y=alt.Y("low:Q", title=metric), y2="high:Q")
    opacity = alt.condition(alt.datum.status == t("status.deleted"), alt.value(0.35), alt.value(1))
    points = base.mark_point(size=90, filled=True).encode(y=y, opacity=opacity, tooltip=tooltip)
    labels = base.mark_text(dy=-10, fontWeight=600, color=ink).encode(y=alt.Y("top:Q", title=metric), text="label:N")
    return alt.layer(*([lines] if edges else []), spread, points, labels)
