"""Charts of a model's life in production: histograms over training's, rows by hour, metrics by week and over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import altair as alt
import polars as pl

from modelyard.dashboard.charts import HEIGHT, Drawing, inks, ticks, written
from modelyard.dashboard.formats import bin_label
from modelyard.dashboard.texts import t
from modelyard.schemas import ColumnDrift, HourOfRows

_STEP = 18
_MOST_LABEL = 160


def histograms(column: ColumnDrift) -> Drawing:
    """Draw the shares of what was asked as bars, and those of training as lines across them, bin by bin."""
    names = {True: t("life.asked"), False: t("life.training")}
    labels = [bin_label(label) for label in column.bins]
    bins = list(dict.fromkeys(labels))
    rows = [
        {"bin": label, "share": share, "what": names[asked]}
        for asked, shares in ((True, column.seen), (False, column.expected))
        for label, share in zip(labels, shares, strict=True)
    ]
    base = alt.Chart(pl.DataFrame(rows), height=alt.Step(_STEP)).encode(
        y=alt.Y("bin:N", title=None, sort=bins, axis=alt.Axis(labelLimit=_MOST_LABEL, labelOverlap=False)),
        x=alt.X("share:Q", title=t("life.share"), axis=alt.Axis(format="%", tickCount=4)),
        color=alt.Color("what:N", title=None, sort=list(names.values()), legend=alt.Legend(orient="top")),
        tooltip=[
            alt.Tooltip("bin:N", title=t("life.bin")),
            alt.Tooltip("what:N", title=t("chart.line")),
            alt.Tooltip("share:Q", title=t("life.share"), format=".1%"),
        ],
    )
    bars = base.mark_bar(opacity=0.75, cornerRadiusEnd=2).transform_filter(alt.datum.what == names[True])
    lines = base.mark_tick(thickness=3, size=_STEP - 4).transform_filter(alt.datum.what == names[False])
    return bars + lines


def by_hour(hours: Sequence[HourOfRows], since: datetime, until: datetime) -> Drawing:
    """Draw how many rows were predicted for in each hour, in UTC."""
    frame = pl.DataFrame(
        {"hour": [one.hour for one in hours], "rows": [one.rows for one in hours]},
        schema_overrides={"rows": pl.Int64},
    ).with_columns(end=pl.col("hour") + pl.duration(hours=1), when=pl.col("hour").dt.strftime("%Y-%m-%d %H:%M"))
    scale = alt.Scale(type="utc", domain=[since.isoformat(), until.isoformat()])
    return (
        alt.Chart(frame, height=160)
        .mark_bar()
        .encode(
            x=alt.X("hour:T", title=None, scale=scale, axis=alt.Axis(format="%m-%d %H:%M", tickCount=6, labelAngle=0)),
            x2="end:T",
            y=alt.Y("rows:Q", title=t("chart.rows"), axis=alt.Axis(format=",d", tickMinStep=1, tickCount=4)),
            y2=alt.datum(0),
            tooltip=[
                alt.Tooltip("when:N", title=t("life.hour")),
                alt.Tooltip("rows:Q", title=t("chart.rows"), format=","),
            ],
        )
    )


@dataclass(frozen=True, slots=True)
class Point:
    """A metric of a line at a place on the axis, with its interval (None: not known)."""

    at: str
    value: float
    low: float | None
    high: float | None
    line: str


def over_time(
    points: Sequence[Point], metric: str, *, share: bool, expected: tuple[float, float] | None = None
) -> Drawing:
    """Draw a metric over weeks or moments, a line each, with intervals; `expected` is a band to compare with.

    `share`: the metric is one of 1.
    """
    order = list(dict.fromkeys(point.at for point in points))
    lines = list(dict.fromkeys(point.line for point in points))
    frame = pl.DataFrame([asdict(point) for point in points], schema_overrides={"low": pl.Float64, "high": pl.Float64})
    axis = alt.Axis(format=ticks(share=share), tickCount=4)
    legend = alt.Legend(orient="top", labelLimit=200)
    base = alt.Chart(frame, height=HEIGHT).encode(
        x=alt.X("at:N", title=None, sort=order, axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        color=alt.Color("line:N", title=None, sort=lines, legend=legend if len(lines) > 1 else None),
    )
    scale = alt.Scale(zero=False, padding=8)
    spread = base.mark_rule(strokeWidth=4, opacity=0.3).encode(y=alt.Y("low:Q", title=metric, scale=scale), y2="high:Q")
    values = base.encode(
        y=alt.Y("value:Q", title=metric, scale=scale, axis=axis),
        tooltip=[
            alt.Tooltip("at:N", title=t("life.when")),
            alt.Tooltip("line:N", title=t("chart.line")),
            alt.Tooltip("value:Q", title=metric, format=written(share=share)),
            alt.Tooltip("low:Q", title=t("chart.from"), format=written(share=share)),
            alt.Tooltip("high:Q", title=t("chart.to"), format=written(share=share)),
        ],
    )
    drawn = spread + values.mark_line(strokeWidth=2) + values.mark_point(size=60, filled=True, opacity=1)
    if expected is None:
        return drawn
    ink, _ = inks()
    band = pl.DataFrame({"low": [expected[0]], "high": [expected[1]]})
    return alt.Chart(band).mark_rect(opacity=0.08, color=ink).encode(y=alt.Y("low:Q", scale=scale), y2="high:Q") + drawn
