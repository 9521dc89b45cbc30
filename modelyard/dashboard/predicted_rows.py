"""The rows of a table with their predictions: shown, opened one by one, and downloaded with their main reasons."""

from __future__ import annotations

import uuid
from pathlib import Path

import polars as pl
import streamlit as st

from modelyard.dashboard import session
from modelyard.dashboard.formats import count
from modelyard.dashboard.listing import selection_key
from modelyard.dashboard.predicted import ENDS, PREDICTION, Predicted
from modelyard.dashboard.texts import t
from modelyard.dashboard.what_if import open_row
from modelyard.dashboard.why import can_give_reasons, reasons_of
from modelyard.schemas import ModelMetadata
from modelyard.verbs import Verbs

SHOWN_ROWS = 1_000


def show_rows(predicted: Predicted, model: ModelMetadata) -> None:
    """Show the first rows, and offer each row to be opened in the form, and all of them as a file."""
    table, frame = predicted.table, predicted.frame
    folder, yard, with_reasons = session.current().scratch, session.yard(), can_give_reasons(predicted, model)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(t("predict.rows"), anchor=False)
        st.download_button(
            t("predict.download"),
            lambda: as_csv(predicted, folder, yard if with_reasons else None),
            f"{Path(table.name).stem}-predictions.csv",
            "text/csv",
            on_click="ignore",
            icon=":material/download:",
            key="download-predictions",
        )
    st.caption(t("predict.with_reasons" if with_reasons else "predict.without_reasons"))
    picked = _show_table(predicted)
    if frame.height > SHOWN_ROWS:
        st.caption(t("predict.first_rows", shown=count(SHOWN_ROWS), rows=count(frame.height)))
    if table.rows == frame.height:
        _offer_row(predicted, model, picked)


def _show_table(predicted: Predicted) -> int | None:
    """Show the first rows and return the number of the one that was picked."""
    table, frame = predicted.table, predicted.frame
    ids = predicted.ids.drop(frame.columns, strict=False).head(SHOWN_ROWS)
    shown = pl.concat([ids, frame.head(SHOWN_ROWS)], how="horizontal")
    head = table.head.head(SHOWN_ROWS)
    if head.height == shown.height:
        taken = [name for name in head.columns if name in shown.columns]
        shown = pl.concat([shown, head.drop(taken)], how="horizontal")
    config = st.column_config
    event = st.dataframe(
        shown,
        hide_index=True,
        key=selection_key("predicted-rows", (predicted.model_id, table.path.name)),
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            PREDICTION: (config.TextColumn if predicted.classes else config.NumberColumn)(t("predict.prediction")),
            **{end: config.NumberColumn(t(f"predict.{end}")) for end in ENDS if end in frame.columns},
            **{
                f"probability {name}": config.ProgressColumn(
                    t("predict.probability", name=name), format="percent", min_value=0, max_value=1, color="primary"
                )
                for name in predicted.classes
            },
        },
    )
    return next((row for row in event.selection.rows if row < frame.height), None)


def _offer_row(predicted: Predicted, model: ModelMetadata, picked: int | None) -> None:
    """Offer the row that was picked, or any other by its line in the file, to be opened in the form."""
    table = predicted.table
    first = table.first_line or 1
    with st.container(horizontal=True, vertical_alignment="bottom"):
        typed = st.number_input(
            t("errors.line" if table.first_line else "errors.row"),
            min_value=first,
            max_value=first + predicted.frame.height - 1,
            value=None if picked is None else first + picked,
            placeholder=t("why.row_hint"),
            key=f"open-{model.model_id}-{table.path.name}-{picked}",
            width=180,
        )
        st.button(
            t("errors.open"),
            icon=":material/troubleshoot:",
            disabled=typed is None,
            key="open-row",
            on_click=lambda: _open(model, predicted, (typed or first) - first),
        )


def _open(model: ModelMetadata, predicted: Predicted, place: int) -> None:
    open_row(model, predicted.table, place)
    st.query_params["way"] = "row"


def as_csv(predicted: Predicted, folder: Path, yard: Verbs | None = None) -> bytes:
    """Write the table with its predictions and, if there is a yard to ask, their reasons, streamed through a file."""
    table, frame = predicted.table, predicted.frame
    ids = predicted.ids.drop(frame.columns, strict=False)
    if yard is not None:
        frame = pl.concat([frame, reasons_of(yard, predicted)], how="horizontal")
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
