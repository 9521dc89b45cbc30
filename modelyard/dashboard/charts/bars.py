"""Bars and cells: importances, confusion, how predictions are distributed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import altair as alt
import polars as pl

from modelyard.dashboard.charts import Drawing, inks, ticks, written
from modelyard.dashboard.formats import label
from modelyard.dashboard.texts import t
from modelyard.schemas import ConfusionMatrix

MAX_BARS = 15
MOST_FEATURES = 8
_MAX_WRITTEN_CELLS = 12


def importances(values: Mapping[str, float]) -> Drawing:
    """Draw the features that count most, as shares of all importance."""
    whole = sum(abs(value) for value in values.values()) or 1.0
    top = sorted(values, key=lambda name: -abs(values[name]))[:MOST_FEATURES]
    shares = {name: abs(values[name]) / whole for name in top}
    axis = alt.Axis(format="%", tickCount=5)
    return _written_bars(shares, t("chart.feature"), t("chart.importance"), axis, _from_zero(), step=23)


def confusion(matrix: ConfusionMatrix) -> Drawing:
    """Draw how many rows of each class were predicted as each; the colour is the share of the true class."""
    names = [label(value) for value in matrix.labels]
    rows = [
        {"actual": names[i], "predicted": names[j], "rows": cell, "share": cell / (sum(counts) or 1)}
        for i, counts in enumerate(matrix.matrix)
        for j, cell in enumerate(counts)
    ]
    step = 44 if len(names) <= _MAX_WRITTEN_CELLS else max(8, 400 // len(names))
    base = alt.Chart(pl.DataFrame(rows), height=alt.Step(max(step, 200 // len(names)))).encode(
        x=alt.X(
            "predicted:N",
            title=t("chart.predicted"),
            sort=names,
            axis=alt.Axis(labelAngle=0, labelLimit=110, labelFlush=False),
        ),
        y=alt.Y("actual:N", title=t("chart.actual"), sort=names, axis=alt.Axis(labelLimit=110)),
        tooltip=[
            alt.Tooltip("actual:N", title=t("chart.actual")),
            alt.Tooltip("predicted:N", title=t("chart.predicted")),
            alt.Tooltip("rows:Q", title=t("chart.rows"), format=","),
            alt.Tooltip("share:Q", title=t("chart.share_of_class"), format=".1%"),
        ],
    )
    scale = alt.Scale(domain=[0, 1])
    cells = base.mark_rect(cornerRadius=3).encode(color=alt.Color("share:Q", legend=None, scale=scale))
    if len(names) > _MAX_WRITTEN_CELLS:
        return alt.layer(cells)
    ink, ground = inks()
    ink_on_cell = alt.condition(alt.datum.share > 0.5, alt.value(ground), alt.value(ink))
    return cells + base.mark_text(fontSize=14, fontWeight=600).encode(
        text=alt.Text("rows:Q", format=","), color=ink_on_cell
    )


def counts_of_labels(counts: Mapping[str, int]) -> Drawing:
    """Draw how often each class was predicted."""
    axis = alt.Axis(format=",d", tickMinStep=1, tickCount=5)
    return _written_bars(counts, t("report.class"), t("chart.rows"), axis, _from_zero(), number=",")


def histogram_of_certainty(certainties: pl.Series) -> Drawing:
    """Draw how many rows were predicted with which probability of the class that was chosen."""
    edges = [step / 20 for step in range(21)]
    by_bin = Counter((certainties * 20).cast(pl.Int64).clip(0, 19).to_list())
    frame = pl.DataFrame({"low": edges[:-1], "high": edges[1:], "rows": [by_bin[index] for index in range(20)]})
    return (
        alt.Chart(frame, height=220)
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            x=alt.X("low:Q", title=t("chart.certainty"), axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            x2="high:Q",
            y=alt.Y("rows:Q", title=t("chart.rows"), axis=alt.Axis(tickMinStep=1), scale=_from_zero()),
            y2=alt.datum(0),
        )
    )


def probabilities(classes: Sequence[str], shares: Sequence[float]) -> Drawing:
    """Draw the probability of each class for one row."""
    found = sorted(zip(classes, shares, strict=False), key=lambda one: -one[1])
    axis, scale = alt.Axis(format="%"), alt.Scale(domain=[0, 1])
    return _written_bars(dict(found), t("report.class"), t("chart.probability"), axis, scale)


def versions(points: Sequence[tuple[int, float, str]], metric: str, *, share: bool) -> Drawing:
    """Draw a metric by version; `share`: it is one of 1, written in percent."""
    frame = pl.DataFrame(points, schema={"version": pl.Int64, "value": pl.Float64, "status": pl.String}, orient="row")
    base = alt.Chart(frame, height=200).encode(
        x=alt.X("version:O", title=t("chart.version"), axis=alt.Axis(labelAngle=0)),
        y=alt.Y(
            "value:Q", title=metric, scale=alt.Scale(zero=False), axis=alt.Axis(format=ticks(share=share), tickCount=4)
        ),
        tooltip=[
            alt.Tooltip("version:O", title=t("chart.version")),
            alt.Tooltip("value:Q", title=metric, format=written(share=share)),
        ],
    )
    return base.mark_line(strokeWidth=2) + base.mark_point(size=70, filled=True, opacity=1)


def _written_bars(
    values: Mapping[str, float],
    names: str,
    title: str,
    axis: alt.Axis,
    scale: alt.Scale,
    *,
    number: str = ".1%",
    step: int = 30,
) -> Drawing:
    """Draw the first MAX_BARS values, each written at its bar's end. `title` says what they are, `names` of what."""
    frame = pl.DataFrame({"name": list(values), "value": list(values.values())}).head(MAX_BARS)
    base = alt.Chart(frame, height=alt.Step(step)).encode(
        x=alt.X("value:Q", title=title, axis=axis, scale=scale),
        y=alt.Y("name:N", title=None, sort=list(values), axis=alt.Axis(labelLimit=180, labelOverlap=False)),
        tooltip=[alt.Tooltip("name:N", title=names), alt.Tooltip("value:Q", title=title, format=number)],
    )
    ink, _ = inks()
    numbers = base.mark_text(align="left", dx=5, color=ink, clip=False).encode(text=alt.Text("value:Q", format=number))
    return base.mark_bar(cornerRadiusEnd=3, height={"band": 0.7}) + numbers


def _from_zero() -> alt.Scale:
    return alt.Scale(zero=True, domainMin=0)
