"""The mistakes of a judged table, row by row, the surest or the largest first; each can be opened in the form."""

from __future__ import annotations

import polars as pl
import streamlit as st

from modelyard.dashboard import access, session
from modelyard.dashboard.formats import NOTHING, PERCENT, SHORT, count, escaped
from modelyard.dashboard.judged import Judged
from modelyard.dashboard.listing import height_of_rows, selection_key
from modelyard.dashboard.texts import t
from modelyard.dashboard.what_if import open_row
from modelyard.schemas import ModelMetadata

SHOWN_ROWS = 100
_SEEN_ROWS = 7
"""So many rows are seen at once."""


def show_mistakes(model: ModelMetadata, judged: Judged, picked: tuple[str, str] | None) -> None:
    """Show the mistakes, or the rows of the cell that was picked: true class, predicted class."""
    found = _chosen(judged, picked)
    if picked is not None:
        actual, predicted = map(escaped, picked)
        st.header(t("errors.rows_of", actual=actual, predicted=predicted, n=count(found.height)), anchor=False)
    else:
        st.header(t("errors.rows" if judged.scores else "errors.largest"), anchor=False)
    if found.is_empty():
        st.caption(t("errors.none"))
        return
    shown = found.head(SHOWN_ROWS)
    st.caption(t("errors.rows_help", shown=count(shown.height), all=count(found.height)))
    place = _pick(judged, shown, picked)
    if access.may("predict") and st.button(
        t("errors.open"), icon=":material/troubleshoot:", disabled=place is None, key="mistake-open"
    ):
        assert place is not None
        open_row(model, judged.table, place)
        session.go("predict", id=model.model_id, way="row")


def _chosen(judged: Judged, picked: tuple[str, str] | None) -> pl.DataFrame:
    frame = judged.frame
    if picked is not None:
        actual, predicted = picked
        frame = frame.filter((pl.col("actual") == actual) & (pl.col("predicted") == predicted))
    elif judged.scores:
        frame = frame.filter(pl.col("actual") != pl.col("predicted"))
    order = pl.col("sure") if judged.scores else pl.col("error").abs()
    return frame.sort(order, descending=True)


def _pick(judged: Judged, shown: pl.DataFrame, picked: tuple[str, str] | None) -> int | None:
    """Show rows beside their cells and return the number of the one that was picked."""
    table, rows = judged.table, shown["row"].to_list()
    first = table.first_line or 1
    cells = table.rows_at(rows) if table.rows is not None else pl.DataFrame()
    shown = shown.with_columns(pl.col("row") + first, pl.col("^sure$") * 100)
    own = shown.rename({name: _own(name) for name in shown.columns})
    beside = cells.drop([judged.target], strict=False)
    frame = pl.concat([own, beside], how="horizontal")
    config = st.column_config
    event = st.dataframe(
        frame,
        key=selection_key("mistakes", [judged.table.path.name, *(picked or ())]),
        hide_index=True,
        height=height_of_rows(frame.height, _SEEN_ROWS),
        placeholder=NOTHING,
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            _own("row"): config.NumberColumn(t("errors.line" if table.first_line else "errors.row"), width=90),
            _own("actual"): t("errors.actual"),
            _own("predicted"): t("errors.predicted"),
            _own("sure"): config.ProgressColumn(
                t("errors.sure"), format=PERCENT, min_value=0, max_value=100, color="primary", width=110
            ),
            _own("error"): config.NumberColumn(t("errors.error"), format=SHORT),
        },
    )
    at = next((place for place in event.selection.rows if place < len(rows)), None)
    return None if at is None or table.rows is None else int(rows[at])


def _own(name: str) -> str:
    """Return a name that no column of a table has."""
    return f"{name}\N{ZERO WIDTH SPACE}"
