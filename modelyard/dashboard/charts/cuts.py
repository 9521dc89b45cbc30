"""Charts of thresholds: what each brings, and how much of a class is found by acting on a part of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import polars as pl

from modelyard.dashboard.charts import HEIGHT, NUMBER, Drawing, inks
from modelyard.dashboard.cuts import Cut, Money
from modelyard.dashboard.texts import t

_UNIT = alt.Scale(domain=[0, 1], nice=False)


def profit(cuts: Sequence[Cut], money: Money, marks: Mapping[str, float], at: float) -> Drawing:
    """Draw the profit per 100 rows over the threshold, with named marks, and a line at the one that was chosen."""
    frame = pl.DataFrame(
        {"threshold": [cut.threshold for cut in cuts], "profit": [100 * cut.profit(money) for cut in cuts]}
    )
    x = alt.X("threshold:Q", title=t("chart.threshold"), scale=_UNIT, axis=alt.Axis(format=".1f", tickCount=6))
    y = alt.Y("profit:Q", title=t("chart.profit"), scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))
    tooltip = [
        alt.Tooltip("threshold:Q", title=t("chart.threshold"), format=".3~f"),
        alt.Tooltip("profit:Q", title=t("chart.profit"), format=NUMBER),
    ]
    line = alt.Chart(frame, height=HEIGHT).mark_line(strokeWidth=2).encode(x=x, y=y, tooltip=tooltip)
    ink, _ = inks()
    by_threshold = {cut.threshold: 100 * cut.profit(money) for cut in cuts}
    named = pl.DataFrame(
        {
            "threshold": list(marks.values()),
            "profit": [by_threshold[threshold] for threshold in marks.values()],
            "mark": list(marks),
        },
        schema={"threshold": pl.Float64, "profit": pl.Float64, "mark": pl.String},
    )
    told = [alt.Tooltip("mark:N", title=t("chart.line")), *tooltip]
    points = alt.Chart(named).mark_point(size=70, filled=True, opacity=1, color=ink).encode(x=x, y=y, tooltip=told)
    return line + points + _rule("threshold", at)


def gain(cuts: Sequence[Cut], at: float) -> Drawing:
    """Draw the part of a class that is found over the share of rows acted on, and a line at the share chosen."""
    found = {cut.share: cut for cut in cuts}
    shares = sorted(found)
    frame = pl.DataFrame(
        {
            "share": [0.0, *shares],
            "found": [0.0, *(found[share].recall for share in shares)],
            "lift": [None, *(found[share].lift for share in shares)],
        },
        schema={"share": pl.Float64, "found": pl.Float64, "lift": pl.Float64},
    )
    axis = alt.Axis(format="%", tickCount=5)
    x = alt.X("share:Q", title=t("chart.share"), scale=_UNIT, axis=axis)
    line = (
        alt.Chart(frame, height=HEIGHT)
        .mark_line(strokeWidth=2)
        .encode(
            x=x,
            y=alt.Y("found:Q", title=t("chart.found"), scale=_UNIT, axis=axis),
            tooltip=[
                alt.Tooltip("share:Q", title=t("chart.share"), format=".1%"),
                alt.Tooltip("found:Q", title=t("chart.found"), format=".1%"),
                alt.Tooltip("lift:Q", title=t("chart.lift"), format=NUMBER),
            ],
        )
    )
    chance = alt.Chart(pl.DataFrame({"share": [0.0, 1.0], "found": [0.0, 1.0]}))
    return chance.mark_line(strokeDash=[4, 4], strokeWidth=1, color="#8A9AA1").encode(x=x, y="found:Q") + (
        line + _rule("share", at)
    )


def _rule(name: str, at: float) -> Drawing:
    ink, _ = inks()
    frame = pl.DataFrame({name: [at]})
    return alt.Chart(frame).mark_rule(strokeDash=[4, 4], strokeWidth=1.5, color=ink).encode(x=f"{name}:Q")
