"""What is shown of predicted numbers beyond the rows: how they are spread, and how far they are from the true ones."""

from __future__ import annotations

import polars as pl
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from modelyard.dashboard.charts import draw, numbers
from modelyard.dashboard.formats import count, number
from modelyard.dashboard.report import metric_title
from modelyard.dashboard.texts import t

_MOST_POINTS = 2_000


def show_spread(values: pl.Series) -> None:
    """Show how predicted numbers are spread."""
    st.header(t("predict.distribution"), anchor=False)
    if len(values):
        draw(numbers.spread(values, t("chart.predicted_number")), t("predict.distribution"))


def show_errors(actual: pl.Series, predicted: pl.Series, beside: DeltaGenerator) -> None:
    """Show how far predicted numbers are from the true ones, and beside it each pair.

    Rows whose truth is no number are left out.
    """
    pairs = pl.DataFrame({"actual": actual, "predicted": predicted}).drop_nulls()
    pairs = pairs.filter(pl.col("actual").is_finite())
    if pairs.is_empty():
        st.caption(t("predict.no_numbers"))
        return
    errors = pairs["actual"] - pairs["predicted"]
    mean_square, mean = float((errors**2).mean()), float(errors.abs().mean())  # type: ignore[arg-type]
    st.metric(metric_title("rmse"), number(mean_square**0.5, 3), border=True)
    st.metric(metric_title("mae"), number(mean, 3), border=True)
    st.caption(t("predict.measured_on", rows=count(pairs.height)))
    with beside:
        shown = pairs if pairs.height <= _MOST_POINTS else pairs.sample(_MOST_POINTS, seed=0)
        draw(numbers.against(shown["actual"].to_list(), shown["predicted"].to_list()), t("report.against"))
