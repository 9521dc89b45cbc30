"""Charts of groups of rows: how good a model is in each, and cells of a confusion matrix that can be picked."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import polars as pl

from modelyard.dashboard.charts import Drawing, inks, written
from modelyard.dashboard.texts import t
from modelyard.schemas import RowGroup, Weaknesses

PICKED = "cell"
"""The name of the selection in a confusion matrix."""

_MAX_WRITTEN_CELLS = 12


def by_value(names: Sequence[str], groups: Sequence[RowGroup], whole: Weaknesses) -> Drawing:
    """Draw how good the model is in each group, its interval, and the whole as a dashed line."""
    is_share = whole.measure == "accuracy"
    title = t(f"chart.{whole.measure}")
    frame = pl.DataFrame(
        {
            "name": list(names),
            "value": [group.value for group in groups],
            "low": [group.low for group in groups],
            "high": [group.high for group in groups],
            "rows": [group.n_rows for group in groups],
        }
    )
    y = alt.Y("name:N", title=None, sort=list(names), axis=alt.Axis(labelLimit=200, labelOverlap=False))
    x = alt.X(
        "value:Q", title=title, scale=alt.Scale(zero=False), axis=alt.Axis(format=written(share=is_share), tickCount=5)
    )
    tooltip = [
        alt.Tooltip("name:N", title=t("errors.group")),
        alt.Tooltip("value:Q", title=title, format=written(share=is_share)),
        alt.Tooltip("low:Q", title=t("chart.from"), format=written(share=is_share)),
        alt.Tooltip("high:Q", title=t("chart.to"), format=written(share=is_share)),
        alt.Tooltip("rows:Q", title=t("chart.rows"), format=","),
    ]
    base = alt.Chart(frame, height=alt.Step(26)).encode(y=y, tooltip=tooltip)
    spans = base.mark_rule(strokeWidth=2, opacity=0.5).encode(x=alt.X("low:Q", title=title), x2="high:Q")
    ink, _ = inks()
    mark = alt.Chart(pl.DataFrame({"value": [whole.value]}))
    return mark.mark_rule(strokeDash=[4, 4], color=ink).encode(x="value:Q") + (
        spans + base.mark_point(size=70, filled=True, opacity=1).encode(x=x)
    )


def confusion(frame: pl.DataFrame, names: Sequence[str]) -> Drawing:
    """Draw how many rows of each class were taken for which, as cells to pick.

    `frame` has `actual` and `predicted`; the colour is the share of the true class.
    """
    counted = frame.group_by("actual", "predicted").len("rows")
    every = pl.DataFrame({"actual": list(names)}).join(pl.DataFrame({"predicted": list(names)}), how="cross")
    cells = every.join(counted, on=["actual", "predicted"], how="left").with_columns(pl.col("rows").fill_null(0))
    cells = cells.with_columns(share=pl.col("rows") / pl.col("rows").sum().over("actual").clip(1))
    step = 44 if len(names) <= _MAX_WRITTEN_CELLS else max(8, 400 // len(names))
    picked = alt.selection_point(name=PICKED, fields=["actual", "predicted"])
    base = alt.Chart(cells, height=alt.Step(max(step, 200 // len(names)))).encode(
        x=alt.X(
            "predicted:N", title=t("chart.predicted"), sort=list(names), axis=alt.Axis(labelAngle=0, labelLimit=110)
        ),
        y=alt.Y("actual:N", title=t("chart.actual"), sort=list(names), axis=alt.Axis(labelLimit=110)),
        tooltip=[
            alt.Tooltip("actual:N", title=t("chart.actual")),
            alt.Tooltip("predicted:N", title=t("chart.predicted")),
            alt.Tooltip("rows:Q", title=t("chart.rows"), format=","),
            alt.Tooltip("share:Q", title=t("chart.share_of_class"), format=".1%"),
        ],
    )
    rectangles = (
        base.mark_rect(cornerRadius=3, cursor="pointer")
        .encode(
            color=alt.Color("share:Q", legend=None, scale=alt.Scale(domain=[0, 1])),
            opacity=alt.condition(picked, alt.value(1.0), alt.value(0.35)),
        )
        .add_params(picked)
    )
    if len(names) > _MAX_WRITTEN_CELLS:
        return alt.layer(rectangles)
    ink, ground = inks()
    ink_on_cell = alt.condition(alt.datum.share > 0.5, alt.value(ground), alt.value(ink))
    return rectangles + base.mark_text(fontSize=14, fontWeight=600, cursor="pointer").encode(
        text=alt.Text("rows:Q", format=","), color=ink_on_cell
    )
