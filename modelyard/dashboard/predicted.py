"""Predictions for a whole table: rows with their labels, how they are distributed, how often they are right."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import streamlit as st

from modelyard.dashboard import notices, session
from modelyard.dashboard.charts import bars, draw, side_by_side
from modelyard.dashboard.decision import in_words
from modelyard.dashboard.formats import count, label, percent
from modelyard.dashboard.predicted_numbers import show_errors, show_spread
from modelyard.dashboard.report import metric_title
from modelyard.dashboard.tables import Table
from modelyard.dashboard.texts import t
from modelyard.schemas import (
    ConfusionMatrix,
    ModelMetadata,
    ModelWarning,
    Predictions,
    PredictRequest,
    ResolvedDecision,
    parse,
)

SHOWN_ROWS = 1_000
_PREDICTION = "prediction"
_ENDS = ("low", "high")


@dataclass(frozen=True, slots=True)
class Predicted:
    """The predictions for a table: `frame` holds the label and each class's probability, a row each.

    Without classes (regression) it holds the number, and `low` and `high` around it if an interval was asked for.
    `ids` has one column, or none if the rows have no ids.
    """

    model_id: str
    table: Table
    frame: pl.DataFrame
    classes: tuple[str, ...]
    warnings: tuple[ModelWarning, ...]
    ids: pl.DataFrame
    decision: ResolvedDecision | None = None

    def belongs_to(self, model: ModelMetadata, table: Table) -> bool:
        """Whether this is what that model said of that table."""
        return self.model_id == model.model_id and (self.table.path, self.table.said) == (table.path, table.said)

    @property
    def certainty(self) -> pl.Series:
        """The probability of the class that was chosen, a row each."""
        chosen = [
            pl.when(pl.col(_PREDICTION) == name).then(pl.col(column))
            for name, column in zip(self.classes, self.frame.columns[1:], strict=True)
        ]
        return self.frame.select(pl.coalesce(chosen)).to_series().rename("certainty")


def predict_table(model: ModelMetadata, table: Table, interval: float | None = None) -> Predicted:
    """Send a table as a file and keep the answer as columns."""
    fields = {"model_id": model.model_id, "X": table.path, "probabilities": True, "interval": interval, **table.said}
    request = parse(PredictRequest, fields)
    answer = session.yard().predict(request)
    if answer.classes is None:
        numbers = pl.DataFrame({_PREDICTION: answer.predictions}, schema={_PREDICTION: pl.Float64})
        if answer.intervals is not None:
            ends = pl.DataFrame(answer.intervals, schema=dict.fromkeys(_ENDS, pl.Float64), orient="row")
            numbers = pl.concat([numbers, ends], how="horizontal")
        return Predicted(answer.model_id, table, numbers, (), tuple(answer.warnings), _ids(answer))
    classes = tuple(label(name) for name in answer.classes)
    labels = pl.Series(_PREDICTION, [label(value) for value in answer.predictions], dtype=pl.String)
    shares = pl.DataFrame(
        answer.probabilities or [], schema=[(f"probability {name}", pl.Float64) for name in classes], orient="row"
    )
    frame = pl.concat([labels.to_frame(), shares], how="horizontal")
    return Predicted(answer.model_id, table, frame, classes, tuple(answer.warnings), _ids(answer), answer.decision)


def _ids(answer: Predictions) -> pl.DataFrame:
    """Return the ids as texts, as they came; the table's own column may have lost zeros at the beginning."""
    if answer.ids is None or answer.id_column is None:
        return pl.DataFrame()
    texts = [label(cell) if isinstance(cell, bool) else None if cell is None else str(cell) for cell in answer.ids]
    return pl.DataFrame({answer.id_column: texts}, schema={answer.id_column: pl.String})


def show_predicted(predicted: Predicted, model: ModelMetadata) -> None:
    """Show predictions: warnings, the truth if it is known, the distribution, the rows."""
    notices.show_warnings(
        [warning for warning in predicted.warnings if not _only_the_target(warning, predicted, model)]
    )
    _show_truth(predicted, model)
    if predicted.decision is not None:
        st.caption(t("decision.obeyed", decision=in_words(predicted.decision)))
    if predicted.classes:
        _show_labels(predicted)
    else:
        show_spread(predicted.frame[_PREDICTION])
    _show_rows(predicted)


def _show_labels(predicted: Predicted) -> None:
    pair = side_by_side()
    counts = predicted.frame[_PREDICTION].value_counts(sort=True, name="rows")
    with pair.cell():
        st.subheader(t("predict.distribution"), anchor=False)
        draw(
            bars.counts_of_labels(dict(zip(counts[_PREDICTION], counts["rows"], strict=True))),
            t("predict.distribution"),
        )
    with pair.cell():
        st.subheader(t("predict.certainty"), anchor=False)
        draw(bars.histogram_of_certainty(predicted.certainty), t("predict.certainty"))


def _only_the_target(warning: ModelWarning, predicted: Predicted, model: ModelMetadata) -> bool:
    """Whether the one column that was dropped is the one of the labels, which is no news."""
    extra = [name for name in predicted.table.names if name not in (*model.feature_names, *model.roles)]
    return warning.code == "extra_columns" and extra == [model.target]


def _show_truth(predicted: Predicted, model: ModelMetadata) -> None:
    table = predicted.table
    others = [name for name in table.names if name not in model.feature_names]
    if not others:
        return
    known = others.index(model.target) if model.target in others else None
    column = st.selectbox(
        t("predict.truth"),
        others,
        known,
        placeholder=t("predict.truth_hint"),
        key=f"truth-{table.path.name}",
        help=t("predict.truth_help"),
    )
    if column is None:
        return
    truth = _as_labels(table, column) if predicted.classes else _as_numbers(table, column)
    if len(truth) != predicted.frame.height:
        st.caption(t("predict.truth_rows"))
    elif predicted.classes:
        _show_hits(predicted, truth)
    else:
        show_errors(truth, predicted.frame[_PREDICTION])


def _show_hits(predicted: Predicted, truth: pl.Series) -> None:
    pairs = pl.DataFrame({"actual": truth, "predicted": predicted.frame[_PREDICTION]}).drop_nulls()
    left, right = st.columns([1, 2], gap="large", vertical_alignment="center")
    right_ones = pairs.filter(pl.col("actual") == pl.col("predicted")).height
    with left:
        st.metric(metric_title("accuracy"), percent(right_ones / pairs.height if pairs.height else None), border=True)
        st.caption(t("predict.right_ones", right=count(right_ones), rows=count(pairs.height)))
    with right:
        draw(bars.confusion(_confusion(pairs, predicted.classes)), t("report.confusion"))


def _as_numbers(table: Table, column: str) -> pl.Series:
    """Read a column as numbers, null for a cell that holds none."""
    return table.scan().select(pl.col(column).cast(pl.Float64, strict=False)).collect().to_series()


def _as_labels(table: Table, column: str) -> pl.Series:
    """Read a column as labels are written: whole numbers without a point, null if missing."""
    values = table.scan().select(column).collect().to_series().rename("actual")
    if values.dtype.is_float():
        values = values.cast(pl.Int64, strict=False)
    text = values.cast(pl.String).str.strip_chars()
    return text.str.replace(r"^([+-]?\d+)\.0+$", "$1").replace({"": None, "NA": None, "?": None})


def _confusion(pairs: pl.DataFrame, classes: tuple[str, ...]) -> ConfusionMatrix:
    counted = pairs.group_by("actual", "predicted").len().rows()
    labels = [*classes, *sorted({actual for actual, _, _ in counted if actual not in classes})]
    cells = {(actual, predicted): number for actual, predicted, number in counted}
    matrix = [[cells.get((actual, predicted), 0) for predicted in labels] for actual in labels]
    return ConfusionMatrix(labels=list(labels), matrix=matrix)


def _show_rows(predicted: Predicted) -> None:
    table, frame = predicted.table, predicted.frame
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(t("predict.rows"), anchor=False)
        st.download_button(
            t("predict.download"),
            lambda: _as_csv(predicted, session_folder),
            f"{Path(table.name).stem}-predictions.csv",
            "text/csv",
            on_click="ignore",
            icon=":material/download:",
            key="download-predictions",
        )
    session_folder = session.current().scratch
    ids = predicted.ids.drop(frame.columns, strict=False).head(SHOWN_ROWS)
    shown = pl.concat([ids, frame.head(SHOWN_ROWS)], how="horizontal")
    head = table.head.head(SHOWN_ROWS)
    if head.height == shown.height:
        taken = [name for name in head.columns if name in shown.columns]
        shown = pl.concat([shown, head.drop(taken)], how="horizontal")
    config = st.column_config
    st.dataframe(
        shown,
        hide_index=True,
        column_config={
            _PREDICTION: (config.TextColumn if predicted.classes else config.NumberColumn)(t("predict.prediction")),
            **{end: config.NumberColumn(t(f"predict.{end}")) for end in _ENDS if end in frame.columns},
            **{
                f"probability {name}": config.ProgressColumn(
                    t("predict.probability", name=name), format="percent", min_value=0, max_value=1, color="primary"
                )
                for name in predicted.classes
            },
        },
    )
    if frame.height > SHOWN_ROWS:
        st.caption(t("predict.first_rows", shown=count(SHOWN_ROWS), rows=count(frame.height)))


def _as_csv(predicted: Predicted, folder: Path) -> bytes:
    """Write the table with its predictions, streamed through a file."""
    table, frame = predicted.table, predicted.frame
    ids = predicted.ids.drop(frame.columns, strict=False)
    path = folder / f"{uuid.uuid4().hex}.csv"
    try:
        if table.rows == frame.height:
            own = table.scan()
            taken = [name for name in table.names if name in (*ids.columns, *frame.columns)]
            parts = [ids.lazy(), own.drop(taken), frame.lazy()]
            pl.concat(parts if ids.width else parts[1:], how="horizontal").sink_csv(path)
        else:
            pl.concat([ids, frame], how="horizontal").write_csv(path)
        return path.read_bytes()
    finally:
        path.unlink(missing_ok=True)
