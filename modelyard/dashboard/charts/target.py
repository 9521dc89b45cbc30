"""What a target holds: how many rows each label has, or how its numbers are spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import polars as pl

from modelyard.dashboard.charts import Drawing, inks
from modelyard.dashboard.texts import t

_ROOM = 1.2


def labels(counts: Mapping[str, int], rows: int) -> Drawing:
    """Draw how many of the rows have each label, in the order given."""
    frame = pl.DataFrame({"label": list(counts), "rows": list(counts.values())})
    ink, _ = inks()
    base = alt.Chart(frame, height=alt.Step(22)).encode(
        x=alt.X("rows:Q", title=None, axis=None, scale=alt.Scale(domain=[0, _ROOM * max(counts.values())])),
        y=alt.Y("label:N", title=None, sort=list(counts), axis=alt.Axis(labelLimit=160, labelOverlap=False)),
        tooltip=[alt.Tooltip("label:N", title=t("report.class")), alt.Tooltip("rows:Q", title=t("column.rows"))],
    )
    share = f"format(datum.rows, ',') + ' · ' + format(datum.rows / {rows}, '.1%')"
    written = base.transform_calculate(text=share).mark_text(align="left", dx=5, color=ink, clip=False)
    return alt.layer(base.mark_bar(cornerRadiusEnd=3, height={"band": 0.7}), written.encode(text="text:N"))


def numbers(edges: Sequence[float], counts: Sequence[int]) -> Drawing:
    """Draw how many rows lie between each pair of neighbouring edges."""
    frame = pl.DataFrame({"from": edges[:-1], "to": edges[1:], "rows": counts})
    return alt.layer(
        alt.Chart(frame, height=130)
        .mark_bar()
        .encode(
            x=alt.X("from:Q", bin="binned", title=None),
            x2="to:Q",
            y=alt.Y("rows:Q", title=t("column.rows"), axis=alt.Axis(tickCount=3)),
            tooltip=[alt.Tooltip("from:Q"), alt.Tooltip("to:Q"), alt.Tooltip("rows:Q", title=t("column.rows"))],
        )
    )
