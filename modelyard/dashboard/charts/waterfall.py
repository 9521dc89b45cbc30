"""A waterfall: from the base to a row's score, a step for each column that moved it most."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import polars as pl

from modelyard.dashboard.charts import Drawing, inks
from modelyard.dashboard.texts import t

MOST_STEPS = 9
_STEP = 26
_LARGE = 1000
"""Scores from here on are written in whole units, as the answer beside them is: rounded, they would not add up."""


def waterfall(base: float, shares: Mapping[str, float], score: float) -> Drawing:
    """Draw base, the strongest columns' shares one after the other, the rest as one step, and the score."""
    ordered = sorted(shares, key=lambda name: -abs(shares[name]))
    n_shown = len(ordered) if len(ordered) <= MOST_STEPS else MOST_STEPS - 1
    steps = {name: shares[name] for name in ordered[:n_shown]}
    if rest := ordered[len(steps) :]:
        steps[t("chart.other_columns", n=len(rest))] = sum(shares[name] for name in rest)
    at, ends_at, rows = base, [base, score], []
    for name, share in steps.items():
        rows.append({"name": name, "from": at, "to": at + share, "share": share})
        at += share
        ends_at.append(at)
    frame = pl.DataFrame(
        rows, schema={"name": pl.String, "from": pl.Float64, "to": pl.Float64, "share": pl.Float64}
    ).with_columns(end=pl.max_horizontal("from", "to"))
    ends = pl.DataFrame({"name": [t("why.base"), t("why.score")], "at": [base, score]})
    order = [t("why.base"), *steps, t("why.score")]
    low, high = min(ends_at), max(ends_at)
    digits, room = (".0f", 0.32) if max(-low, high) >= _LARGE else (".3~r", 0.18)
    room = room * (high - low) or 1.0  # for the numbers
    scale = alt.Scale(domain=[low - room / 4, high + room], nice=False)
    x_title = t("why.score")
    y = alt.Y("name:N", title=None, sort=order, axis=alt.Axis(labelLimit=190, labelOverlap=False))
    ink, _ = inks()
    base_bars = alt.Chart(frame, height=alt.Step(_STEP)).encode(
        y=y,
        tooltip=[
            alt.Tooltip("name:N", title=t("chart.feature")),
            alt.Tooltip("share:Q", title=t("chart.contribution"), format="+,.4~r"),
        ],
    )
    bars = base_bars.mark_bar(cornerRadius=2, height={"band": 0.65}).encode(
        x=alt.X("from:Q", title=x_title, scale=scale, axis=alt.Axis(tickCount=5, format=",.3~r")),
        x2="to:Q",
        color=alt.Color("raises:N", legend=None, scale=alt.Scale(domain=[True, False])),
    )
    numbers = base_bars.mark_text(align="left", dx=5, color=ink, clip=False).encode(
        x="end:Q", text=alt.Text("share:Q", format=f"+,{digits}")
    )
    marks = alt.Chart(ends).encode(y=y, x=alt.X("at:Q", scale=scale))
    ticks = marks.mark_tick(thickness=3, size=18, color=ink)
    ends_written = marks.mark_text(align="left", dx=7, color=ink, fontWeight=600, clip=False).encode(
        text=alt.Text("at:Q", format=f",{digits}")
    )
    return bars.transform_calculate(raises="datum.share >= 0") + numbers + ticks + ends_written
