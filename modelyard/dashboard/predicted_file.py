"""The answers for a table as people want them: in which order, how many, in which format; with ids and reasons."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl
import streamlit as st

from modelyard.dashboard import session
from modelyard.dashboard.formats import count
from modelyard.dashboard.predicted import PREDICTION, Predicted
from modelyard.dashboard.tables import stem
from modelyard.dashboard.texts import t
from modelyard.dashboard.why import reasons_of
from modelyard.dashboard.written import FORMATS, MEDIA, MOST_SHEET_ROWS, Written, format_like, write
from modelyard.verbs import Verbs

_NO_ORDER = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which answers are wanted: sorted by a column, the largest first (empty: as in the table), the first `most`."""

    order: str = _NO_ORDER
    most: int | None = None

    def places(self, frame: pl.DataFrame) -> pl.Series:
        """Return the numbers of the rows that are wanted, in their order."""
        rows = pl.Series("row", range(frame.height), dtype=pl.Int64)
        if self.order:
            by = frame.select(self.order).with_columns(rows)
            rows = by.sort(self.order, descending=True, nulls_last=True, maintain_order=True)["row"]
        return rows if self.most is None else rows.head(self.most)


def ask_wanted(predicted: Predicted) -> Wanted:
    """Ask for an order and how many rows."""
    orders = {_NO_ORDER: t("predict.order_table")}
    if predicted.classes:
        orders |= {f"probability {one}": t("predict.order_class", label=one) for one in predicted.classes}
    else:
        orders[PREDICTION] = t("predict.order_number")
    order = st.selectbox(
        t("predict.order"),
        list(orders),
        format_func=lambda one: orders.get(one, one),
        key=f"order-{predicted.model_id}",
        width=260,
    )
    most = st.number_input(
        t("predict.most"),
        1,
        max(1, predicted.frame.height),
        None,
        placeholder=t("predict.all_rows"),
        key=f"most-{predicted.model_id}-{predicted.table.path.name}",
        width=150,
    )
    return Wanted(order or _NO_ORDER, None if most is None else int(most))


def offer_file(predicted: Predicted, wanted: Wanted, *, with_reasons: bool) -> None:
    """Offer the answers as a file, in the format in which the table came or in any other."""
    table, rows = predicted.table, min(predicted.frame.height, wanted.most or predicted.frame.height)
    offered = [kind for kind in FORMATS if kind != "xlsx" or rows <= MOST_SHEET_ROWS]
    usual = format_like(table)
    kind: Written = st.selectbox(
        t("predict.format"),
        offered,
        offered.index(usual) if usual in offered else 0,
        format_func=lambda one: t(f"format.{one}"),
        key=f"format-{table.path.name}",
        width=170,
    )
    yard = session.yard() if with_reasons else None
    st.download_button(
        t("predict.download", rows=count(rows)),
        partial(as_file, predicted, session.current().scratch, kind, wanted, yard),
        f"{stem(table.name)}-predictions.{kind}",
        MEDIA[kind],
        on_click="ignore",
        icon=":material/download:",
        key="download-predictions",
    )


def as_file(
    predicted: Predicted, folder: Path, kind: Written = "csv", wanted: Wanted | None = None, yard: Verbs | None = None
) -> bytes:
    """Write the table with its keys, its predictions and, if there is a yard to ask, their reasons."""
    table, frame = predicted.table, predicted.typed
    keys = predicted.keys.drop(frame.columns, strict=False)
    answers = frame if yard is None else pl.concat([frame, reasons_of(yard, predicted)], how="horizontal")
    parts = [answers.lazy()]
    if table.rows == frame.height:
        taken = [name for name in table.names if name in (*keys.columns, *answers.columns)]
        parts.insert(0, table.scan().drop(taken))
    if keys.width:
        parts.insert(0, keys.lazy())
    whole = pl.concat(parts, how="horizontal")
    if wanted is not None and wanted.order:
        whole = whole.sort(wanted.order, descending=True, nulls_last=True, maintain_order=True)
    if wanted is not None and wanted.most is not None:
        whole = whole.head(wanted.most)
    return write(whole, kind, folder, table)
