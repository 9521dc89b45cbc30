"""Lines: ROC, precision and recall, calibration, learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import polars as pl

from modelyard.dashboard.charts import HEIGHT, Drawing, inks
from modelyard.dashboard.texts import known, t
from modelyard.schemas import Curve, LearningCurve

MAX_LINES = 8
_UNIT = alt.Scale(domain=[0, 1], nice=False, clamp=True)
_LEGEND_LINE = 22
_FEW = 4
"""So many lines have legends in two columns, more in three."""


def roc(curves: Mapping[str, Curve]) -> Drawing:
    """Draw ROC curves, with guessing as the diagonal."""
    return _unit_curves(curves, t("chart.false_positive_rate"), t("chart.true_positive_rate"), diagonal=True)


def precision_recall(curves: Mapping[str, Curve]) -> Drawing:
    """Draw precision over recall."""
    return _unit_curves(curves, t("chart.recall"), t("chart.precision"))


def calibration(curves: Mapping[str, Curve]) -> Drawing:
    """Draw calibration curves, with perfect calibration as the diagonal."""
    x_title, y_title = t("chart.predicted_probability"), t("chart.actual_share")
    return _unit_curves(curves, x_title, y_title, diagonal=True, points=True)


def _unit_curves(
    curves: Mapping[str, Curve], x_title: str, y_title: str, *, diagonal: bool = False, points: bool = False
) -> Drawing:
    """Draw curves within the unit square, one colour each; the first few if there are many."""
    shown = dict(list(curves.items())[:MAX_LINES])
    frame = pl.DataFrame(
        [
            {"line": name, "x": x, "y": y, "order": order}
            for name, curve in shown.items()
            for order, (x, y) in enumerate(zip(curve.x, curve.y, strict=True))
            if x is not None and y is not None
        ],
        schema={"line": pl.String, "x": pl.Float64, "y": pl.Float64, "order": pl.Int64},
    )
    lines = (
        alt.Chart(frame, height=_height(len(shown)))
        .mark_line(strokeWidth=2, point=points, interpolate="linear", clip=False)
        .encode(
            x=alt.X("x:Q", title=x_title, scale=_UNIT, axis=alt.Axis(format="%", tickCount=5)),
            y=alt.Y("y:Q", title=y_title, scale=_UNIT, axis=alt.Axis(format="%", tickCount=5)),
            color=alt.Color("line:N", title=None, sort=list(shown), legend=_legend(len(shown))),
            order="order:Q",
            tooltip=[
                alt.Tooltip("line:N", title=t("chart.line")),
                alt.Tooltip("x:Q", title=x_title, format=".1%"),
                alt.Tooltip("y:Q", title=y_title, format=".1%"),
            ],
        )
    )
    return _diagonal() + lines if diagonal else alt.layer(lines)


def learning(curve: LearningCurve) -> Drawing:
    """Draw the loss by iteration, with the best iteration on the held-out rows marked."""
    series = {t("chart.training_rows"): curve.train}
    if curve.validation:
        series[t("chart.held_out_rows")] = curve.validation
    chart = alt.layer(_losses(series, curve.metric))
    if not curve.validation:
        return chart
    best = min(range(len(curve.validation)), key=curve.validation.__getitem__)
    mark = pl.DataFrame({"step": [best + 1], "loss": [curve.validation[best]], "text": [t("chart.best", n=best + 1)]})
    ink, _ = inks()
    base = alt.Chart(mark).encode(x="step:Q", y="loss:Q")
    return (
        chart
        + base.mark_point(size=70, filled=True, color=ink)
        + base.mark_text(dy=-12, color=ink).encode(text="text:N")
    )


def _losses(series: Mapping[str, Sequence[float]], metric: str) -> Drawing:
    title = t(f"metric.{metric}") if known(f"metric.{metric}") else metric.replace("_", " ")
    frame = pl.DataFrame(
        [
            {"line": name, "step": step, "loss": loss}
            for name, losses in series.items()
            for step, loss in enumerate(losses, start=1)
        ]
    )
    return (
        alt.Chart(frame, height=_height(len(series)))
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("step:Q", title=t("chart.iteration"), scale=alt.Scale(nice=False)),
            y=alt.Y(
                "loss:Q",
                title=title,
                scale=alt.Scale(zero=True),
            ),
            color=alt.Color("line:N", title=None, sort=list(series), legend=_legend(len(series))),
            tooltip=[
                alt.Tooltip("line:N", title=t("chart.line")),
                alt.Tooltip("step:Q", title=t("chart.iteration")),
                alt.Tooltip("loss:Q", title=t("chart.loss"), format=".4f"),
            ],
        )
    )


def _diagonal() -> Drawing:
    ends = pl.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0]})
    return alt.Chart(ends).mark_line(strokeDash=[4, 4], strokeWidth=1, color="#8A9AA1").encode(x="x:Q", y="y:Q")


def _legend(lines: int) -> alt.Legend | None:
    """Return a legend that a narrow chart has room for; None for one line."""
    limit = 120 if lines <= _FEW else 85
    return alt.Legend(orient="top", columns=_columns(lines), labelLimit=limit) if lines > 1 else None


def _columns(lines: int) -> int:
    return 2 if lines <= _FEW else 3


def _height(lines: int) -> int:
    """Return the height of a chart whose legend takes no room from its curves."""
    return HEIGHT + (_LEGEND_LINE * -(-lines // _columns(lines)) if lines > 1 else 0)
