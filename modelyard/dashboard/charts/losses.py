"""The losses of a training under way, a line for each of its fits."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import polars as pl

from modelyard.dashboard.charts import HEIGHT, Drawing
from modelyard.dashboard.texts import t

_FEW_POINTS = 30


def live(losses: Mapping[str, Mapping[int, float]], total: int | None, step: str) -> Drawing:
    """Draw losses by step, by the titles of their lines; `total` is how many steps there may be, `step` names one."""
    points = [(line, step, loss) for line, found in losses.items() for step, loss in found.items()]
    frame = pl.DataFrame(points, schema=["line", "step", "loss"], orient="row")
    scale = alt.Scale(domain=[0, total], nice=False) if total else alt.Scale(zero=True)
    legend = alt.Legend(orient="top", columns=4, labelLimit=260) if len(losses) > 1 else None
    return alt.layer(
        alt.Chart(frame, height=HEIGHT)
        .mark_line(strokeWidth=2, point=len(points) < _FEW_POINTS)
        .encode(
            x=alt.X("step:Q", title=step, scale=scale),
            y=alt.Y("loss:Q", title=t("chart.loss"), scale=alt.Scale(zero=False)),
            color=alt.Color("line:N", title=None, sort=list(losses), legend=legend),
        )
    )
