"""Charts of predicted numbers: how they and their errors are spread, and how they stand against the true ones."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import polars as pl

from modelyard.dashboard.charts import EXACT, HEIGHT, NUMBER, Drawing
from modelyard.dashboard.texts import t

_BINS = 20


def histogram(edges: Sequence[float], counts: Sequence[int], title: str) -> Drawing:
    """Draw how many values are in each bin."""
    if edges[0] == edges[-1]:  # all are equal: a bar needs a width
        edges = [edges[0] - 0.5, edges[0] + 0.5]
    frame = pl.DataFrame({"low": edges[:-1], "high": edges[1:], "rows": counts})
    return (
        alt.Chart(frame, height=HEIGHT)
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            x=alt.X("low:Q", title=title, scale=alt.Scale(zero=False, nice=False)),
            x2="high:Q",
            y=alt.Y("rows:Q", title=t("chart.rows"), axis=alt.Axis(tickMinStep=1)),
            y2=alt.datum(0),
            tooltip=[
                alt.Tooltip("low:Q", title=t("chart.from"), format=NUMBER),
                alt.Tooltip("high:Q", title=t("chart.to"), format=NUMBER),
                alt.Tooltip("rows:Q", title=t("chart.rows"), format=","),
            ],
        )
    )


def spread(values: pl.Series, title: str) -> Drawing:
    """Draw how numbers are spread."""
    low, high = float(values.min()), float(values.max())  # type: ignore[arg-type]
    if low == high:
        return histogram([low, high], [len(values)], title)
    edges = [low + (high - low) * step / _BINS for step in range(_BINS + 1)]
    places = ((values - low) / (high - low) * _BINS).cast(pl.Int64).clip(0, _BINS - 1)
    counts = places.value_counts(name="rows")
    by_place = dict(zip(counts[values.name], counts["rows"], strict=True))
    return histogram(edges, [by_place.get(place, 0) for place in range(_BINS)], title)


def against(actual: Sequence[float], predicted: Sequence[float]) -> Drawing:
    """Draw predicted numbers over the true ones, and the line on which they would be equal."""
    frame = pl.DataFrame(
        {"actual": actual, "predicted": predicted}, schema={"actual": pl.Float64, "predicted": pl.Float64}
    )
    ends = [min(*actual, *predicted), max(*actual, *predicted)]
    scale = alt.Scale(domain=ends, nice=False)
    line = alt.Chart(pl.DataFrame({"actual": ends, "predicted": ends})).mark_line(
        strokeDash=[4, 4], strokeWidth=1, color="#8A9AA1"
    )
    points = alt.Chart(frame, height=HEIGHT).mark_point(size=24, filled=True, opacity=0.5)
    x = alt.X("actual:Q", title=t("chart.actual_number"), scale=scale)
    y = alt.Y("predicted:Q", title=t("chart.predicted_number"), scale=scale)
    tooltip = [
        alt.Tooltip("actual:Q", title=t("chart.actual_number"), format=EXACT),
        alt.Tooltip("predicted:Q", title=t("chart.predicted_number"), format=EXACT),
    ]
    return line.encode(x=x, y=y) + points.encode(x=x, y=y, tooltip=tooltip)
