"""How an answer would change with one column, all others as they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import altair as alt
import polars as pl

from modelyard.dashboard.charts import EXACT, HEIGHT, Drawing, inks, ticks, written
from modelyard.dashboard.formats import label
from modelyard.dashboard.texts import t


def along(
    column: str, values: Sequence[float] | Sequence[datetime], answers: Sequence[float], now: int | None, title: str,
    *, share: bool,
) -> Drawing:  # fmt: skip
    """Draw answers over the numbers or moments of a column; the point `now` is the row's own."""
    frame = pl.DataFrame({"value": values, "answer": answers})
    kind = "T" if frame["value"].dtype.is_temporal() else "Q"
    x = alt.X(f"value:{kind}", title=column, scale=alt.Scale(zero=False, nice=False))
    y = _answers(title, share=share)
    tooltip = [
        alt.Tooltip("value:T", title=column) if kind == "T" else alt.Tooltip("value:Q", title=column, format=EXACT),
        alt.Tooltip("answer:Q", title=title, format=written(EXACT, share=share)),
    ]
    line = alt.Chart(frame, height=HEIGHT).mark_line(strokeWidth=2).encode(x=x, y=y, tooltip=tooltip)
    if now is None:
        return alt.layer(line)
    ink, _ = inks()
    own = alt.Chart(frame[now : now + 1])
    return line + own.mark_point(size=90, filled=True, opacity=1, color=ink).encode(x=x, y=y, tooltip=tooltip)


def by_category(
    column: str, values: Sequence[str | None], answers: Sequence[float], now: int, title: str, *, share: bool
) -> Drawing:
    """Draw the answer for each category of a column, the row's own in ink."""
    names = [label(value) if value is not None else t("row.missing") for value in values]
    frame = pl.DataFrame({"value": names, "answer": answers, "own": [at == now for at in range(len(names))]})
    ink, _ = inks()
    return (
        alt.Chart(frame, height=alt.Step(24))
        .mark_point(size=90, filled=True, opacity=1)
        .encode(
            x=_answers(title, share=share, axis="x"),
            y=alt.Y("value:N", title=column, sort=names, axis=alt.Axis(labelLimit=180, labelOverlap=False)),
            color=alt.condition(alt.datum.own, alt.value(ink), alt.value("#0B7285")),
            tooltip=[
                alt.Tooltip("value:N", title=column),
                alt.Tooltip("answer:Q", title=title, format=written(EXACT, share=share)),
            ],
        )
    )


def _answers(title: str, *, share: bool, axis: str = "y") -> alt.X | alt.Y:
    scale = alt.Scale(domain=[0, 1]) if share else alt.Scale(zero=False)
    kind = alt.X if axis == "x" else alt.Y
    return kind("answer:Q", title=title, scale=scale, axis=alt.Axis(format=ticks(share=share), tickCount=5))
