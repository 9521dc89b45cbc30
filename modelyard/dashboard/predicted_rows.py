"""The rows of a table with their predictions: shown, opened one by one, and downloaded with their main reasons."""

from __future__ import annotations

import polars as pl
import streamlit as st

from modelyard.dashboard.formats import NOTHING, PERCENT, count
from modelyard.dashboard.listing import height_of_rows, selection_key
from modelyard.dashboard.predicted import ENDS, PREDICTION, Predicted
from modelyard.dashboard.predicted_file import ask_wanted, offer_file
from modelyard.dashboard.texts import t
from modelyard.dashboard.what_if import open_row
from modelyard.dashboard.why import can_give_reasons
from modelyard.schemas import ModelMetadata

SHOWN_ROWS = 1_000
_SEEN_ROWS = 7
"""So many rows are seen at once."""


def show_rows(predicted: Predicted, model: ModelMetadata) -> None:
    """Show the first rows, and offer each row to be opened in the form, and all of them as a file."""
    table, frame = predicted.table, predicted.frame
    with_reasons = can_give_reasons(predicted, model)
    st.header(t("predict.rows"), anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = ask_wanted(predicted)
        offer_file(predicted, wanted, with_reasons=with_reasons)
    st.caption(t("predict.with_reasons" if with_reasons else "predict.without_reasons"))
    places = wanted.places(frame)
    picked = _show_table(predicted, places.head(SHOWN_ROWS).to_list(), (wanted.order, str(wanted.most)))
    if len(places) > SHOWN_ROWS:
        st.caption(t("predict.first_rows", shown=count(SHOWN_ROWS), rows=count(len(places))))
    if table.rows == frame.height:
        _offer_row(predicted, model, picked)


def _show_table(predicted: Predicted, places: list[int], said: tuple[str, str]) -> int | None:
    """Show some rows by their numbers, which follow from what was `said`; return the number of the one picked."""
    table, frame = predicted.table, predicted.frame
    ids = predicted.ids.drop(frame.columns, strict=False)
    shares = [f"probability {name}" for name in predicted.classes]
    shown = pl.concat([ids, frame.with_columns(pl.col(shares) * 100)], how="horizontal")[places]
    if table.rows == frame.height:
        own = table.rows_at(places)
        taken = [name for name in own.columns if name in shown.columns]
        shown = pl.concat([shown, own.drop(taken)], how="horizontal")
    config = st.column_config
    event = st.dataframe(
        shown,
        hide_index=True,
        height=height_of_rows(shown.height, _SEEN_ROWS),
        placeholder=NOTHING,
        key=selection_key("predicted-rows", (predicted.model_id, table.path.name, *said)),
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            PREDICTION: (config.TextColumn if predicted.classes else config.NumberColumn)(t("predict.prediction")),
            **{end: config.NumberColumn(t(f"predict.{end}")) for end in ENDS if end in frame.columns},
            **{
                share: config.ProgressColumn(
                    t("predict.probability", name=name), format=PERCENT, min_value=0, max_value=100, color="primary"
                )
                for share, name in zip(shares, predicted.classes, strict=True)
            },
        },
    )
    return next((places[row] for row in event.selection.rows if row < len(places)), None)


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
