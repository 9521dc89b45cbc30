"""What each threshold would do: the cost of a row with its interval, and precision, recall and share."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import polars as pl

from modelyard.dashboard.charts import Drawing, inks, written
from modelyard.dashboard.texts import t
from modelyard.schemas import DecisionPoint

_HEIGHT = 300
_SHARES = ("precision", "recall", "share")


def costs(points: Sequence[DecisionPoint], threshold: float | None, title: str) -> Drawing:
    """Draw the mean cost of a row over the threshold, the band its interval, and a line at the decision's own."""
    frame = pl.DataFrame([point.model_dump() for point in points])
    base = alt.Chart(frame, height=_HEIGHT).encode(x=_thresholds())
    scale = alt.Scale(zero=False, nice=True)
    band = base.mark_area(opacity=0.25).encode(y=alt.Y("cost_low:Q", title=title, scale=scale), y2="cost_high:Q")
    line = base.mark_line(strokeWidth=2).encode(
        y=alt.Y("cost:Q", title=title, scale=scale),
        tooltip=[
            _told("threshold", t("chart.threshold")),
            _told("cost", title),
            *(_told(name, t(f"chart.{name}")) for name in ("cost_low", "cost_high")),
        ],
    )
    return band + line + _mark(threshold)


def shares(points: Sequence[DecisionPoint], threshold: float | None) -> Drawing:
    """Draw precision, recall and share over the threshold, and a line at the decision's own."""
    titles = {name: t(f"chart.{name}") for name in _SHARES}
    rows = [
        {"threshold": point.threshold, "line": titles[name], "value": value}
        for name in _SHARES
        for point in points
        if (value := getattr(point, name)) is not None
    ]
    schema = {"threshold": pl.Float64, "line": pl.String, "value": pl.Float64}
    lines = (
        alt.Chart(pl.DataFrame(rows, schema=schema), height=_HEIGHT)
        .mark_line(strokeWidth=2)
        .encode(
            x=_thresholds(),
            y=alt.Y("value:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=5)),
            color=alt.Color("line:N", title=None, sort=list(titles.values()), legend=alt.Legend(orient="top")),
            tooltip=[
                alt.Tooltip("line:N", title=t("chart.line")),
                _told("threshold", t("chart.threshold")),
                alt.Tooltip("value:Q", title=t("report.value"), format=".1%"),
            ],
        )
    )
    return lines + _mark(threshold)


def _thresholds() -> alt.X:
    scale = alt.Scale(domain=[0, 1], nice=False)
    return alt.X("threshold:Q", title=t("chart.threshold"), scale=scale, axis=alt.Axis(format="%", tickCount=5))


def _told(name: str, title: str) -> alt.Tooltip:
    return alt.Tooltip(f"{name}:Q", title=title, format=written(share=name == "threshold"))


def _mark(threshold: float | None) -> Drawing:
    ink, _ = inks()
    frame = pl.DataFrame({"threshold": [] if threshold is None else [threshold]}, schema={"threshold": pl.Float64})
    return alt.Chart(frame).mark_rule(strokeDash=[4, 4], strokeWidth=1.5, color=ink).encode(x="threshold:Q")
