"""How often the predictions for a table are right, if the table has the answers; its training table is told apart."""

from __future__ import annotations

import polars as pl
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from modelyard.dashboard import access, formats, session
from modelyard.dashboard.as_decided import as_decided, decided_by
from modelyard.dashboard.charts import bars, draw
from modelyard.dashboard.formats import count, percent
from modelyard.dashboard.judged import PURPOSE
from modelyard.dashboard.listing import report_of
from modelyard.dashboard.predicted import PREDICTION, Predicted
from modelyard.dashboard.predicted_numbers import show_errors
from modelyard.dashboard.profiles import is_missing
from modelyard.dashboard.report import metric_title
from modelyard.dashboard.tables import Table
from modelyard.dashboard.texts import t
from modelyard.schemas import ConfusionMatrix, ModelMetadata, are_validated, headline


def show_truth(predicted: Predicted, model: ModelMetadata) -> bool:
    """Show how often the predictions are right by the column with the answers; one may be chosen.

    Returns whether it is shown.
    """
    table = predicted.table
    if predicted.is_of_training and are_validated(model.metrics):
        _show_held_out(predicted, model)
        return True
    others = [name for name in table.names if name not in model.feature_names]
    if not others:
        return False
    known = others.index(model.target) if model.target in others else None
    left, right = st.columns([1, 2], gap="large", vertical_alignment="center")
    column = left.selectbox(
        t("predict.truth"),
        others,
        known,
        placeholder=t("predict.truth_hint"),
        key=f"truth-{table.path.name}",
        help=t("predict.truth_help"),
    )
    if column is None:
        return False
    truth = as_labels(table, column, predicted.label_type) if predicted.classes else as_numbers(table, column)
    with left:
        if len(truth) != predicted.frame.height:
            st.caption(t("predict.truth_rows"))
            return False
        if predicted.classes:
            _show_hits(predicted, truth, right)
        else:
            show_errors(truth, predicted.frame[PREDICTION], right)
        st.caption(t("predict.if_learned"))
        _offer_errors(predicted, model)
    return True


def _show_held_out(predicted: Predicted, model: ModelMetadata) -> None:
    """Show how good the model was on the rows held out: to its own training table its answers flatter."""
    name = headline(model.task, model.metrics) or ""
    metrics = as_decided(report_of(model), decided_by(session.yard(), model)).metrics
    left, right = st.columns([1, 2], gap="large", vertical_alignment="center")
    left.metric(
        metric_title(name),
        formats.metric_value(name, metrics.get(name)),
        formats.metric_interval(name, metrics),
        delta_color="off",
        delta_arrow="off",
        border=True,
    )
    with right:
        st.markdown(t("predict.of_training"))
        _offer_errors(predicted, model)


def _offer_errors(predicted: Predicted, model: ModelMetadata) -> None:
    if access.may("evaluate") and st.button(
        t("model.errors"), icon=":material/troubleshoot:", key="predict-errors", type="tertiary"
    ):
        session.current().tables[PURPOSE] = predicted.table
        session.go("model", id=model.model_id, tab="errors")


def _show_hits(predicted: Predicted, truth: pl.Series, beside: DeltaGenerator) -> None:
    pairs = pl.DataFrame({"actual": truth, "predicted": predicted.frame[PREDICTION]}).drop_nulls()
    right_ones = pairs.filter(pl.col("actual") == pl.col("predicted")).height
    st.metric(metric_title("accuracy"), percent(right_ones / pairs.height if pairs.height else None), border=True)
    st.caption(t("predict.right_ones", right=count(right_ones), rows=count(pairs.height)))
    with beside:
        draw(bars.confusion(_confusion(pairs, predicted.classes)), t("report.confusion"))


def as_numbers(table: Table, column: str) -> pl.Series:
    """Read a column as numbers, null for a cell that holds none."""
    found = table.numerals.in_numbers(table.scan().select(column).collect())
    return found.to_series().cast(pl.Float64, strict=False)


def as_labels(table: Table, column: str, kind: type[pl.DataType]) -> pl.Series:
    """Read a column as labels of a kind (`Predicted.label_type`) are written, null if missing."""
    values = table.scan().select(column).collect().to_series().rename("actual")
    text = values.set(is_missing(values, table.markers), None).cast(pl.String).str.strip_chars()
    if kind == pl.Boolean:
        return text.str.to_lowercase()
    return text.str.replace(r"^([+-]?\d+)\.0+$", "$1") if kind == pl.Int64 else text


def _confusion(pairs: pl.DataFrame, classes: tuple[str, ...]) -> ConfusionMatrix:
    counted = pairs.group_by("actual", "predicted").len().rows()
    labels = [*classes, *sorted({actual for actual, _, _ in counted if actual not in classes})]
    cells = {(actual, predicted): number for actual, predicted, number in counted}
    matrix = [[cells.get((actual, predicted), 0) for predicted in labels] for actual in labels]
    return ConfusionMatrix(labels=list(labels), matrix=matrix)
