"""Whom to act on first: how much of a class a part of the rows holds, and exactly those rows as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl
import streamlit as st

from modelyard.dashboard import session
from modelyard.dashboard.charts import cuts as charts
from modelyard.dashboard.charts import draw, side_by_side
from modelyard.dashboard.cuts import Cut, found_in
from modelyard.dashboard.formats import count, escaped, number, percent
from modelyard.dashboard.judged import JUDGED, Judged
from modelyard.dashboard.predicted import Predicted
from modelyard.dashboard.tables import Table, stem
from modelyard.dashboard.texts import t
from modelyard.dashboard.written import MEDIA, format_like, write
from modelyard.schemas import ModelMetadata

_STEPS = [step / 100 for step in (1, 2, 3, 4, 5, *range(10, 101, 5))]
_AT_FIRST = 0.1
_ROW = "\N{ZERO WIDTH SPACE}row"
"""No column of a table is called so."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Rows of a table by their numbers, with the probability of a class.

    `held_out`: it is a training table, and these are its rows that were held out.
    """

    table: Table
    rows: pl.Series
    scores: pl.Series
    held_out: bool = False

    def first(self, share: float) -> pl.DataFrame:
        """Return the numbers and probabilities of a share of the rows, at least one, the most probable first."""
        ranked = pl.DataFrame({"row": self.rows, "probability": self.scores}).sort(
            "probability", descending=True, maintain_order=True
        )
        return ranked.head(max(1, round(share * ranked.height)))


def show_gain(model: ModelMetadata, cuts: Sequence[Cut], label: str) -> None:
    """Show what acting on a share of the rows finds, and offer these rows of a table that is at hand."""
    st.header(t("gain.title"), anchor=False)
    pair = side_by_side()
    with pair.cell():
        share = ask_share(model.model_id)
        found = found_in(cuts, share)
        if found is not None:
            told = {"share": percent(share), "found": percent(found), "lift": number(found / share, 2)}
            st.markdown(t("gain.says", label=escaped(label), **told))
        ranked = _at_hand(model, label)
        if ranked is None:
            st.caption(t("gain.no_table", errors=t("model.errors")))
        else:
            offer_rows(ranked, share, label, model.model_id)
    with pair.cell():
        st.caption(t("gain.curve_help"))
        draw(charts.gain(cuts, share), t("gain.curve"))


def ask_share(key: str) -> float:
    """Ask on which part of the rows to act."""
    share: float = st.select_slider(
        t("gain.share"), _STEPS, _AT_FIRST, format_func=percent, key=f"gain-share-{key}", persist_state="session"
    )
    return share


def offer_rows(ranked: Ranked, share: float, label: str, key: str) -> None:
    """Offer a share of a table's rows as a file like its own, with the probability of the class."""
    first, kind = ranked.first(share), format_like(ranked.table)
    st.caption(t("gain.held_out" if ranked.held_out else "gain.of_table", table=escaped(ranked.table.name)))
    st.download_button(
        t("gain.download", rows=count(first.height)),
        partial(as_file, ranked.table, first, label, session.current().scratch),
        f"{stem(ranked.table.name)}-first.{kind}",
        MEDIA[kind],
        on_click="ignore",
        icon=":material/download:",
        key=f"gain-download-{key}",
    )


def as_file(table: Table, first: pl.DataFrame, label: str, folder: Path) -> bytes:
    """Write rows of a table, by their numbers, after the probability of a class, in the format of the table."""
    name = f"probability {label}"
    own = table.scan().drop(name, strict=False).with_row_index(_ROW).cast({_ROW: pl.Int64})
    wanted = first.lazy().cast({"row": pl.Int64}).rename({"row": _ROW, "probability": name})
    joined = wanted.join(own, on=_ROW, how="left", maintain_order="left").drop(_ROW)
    return write(joined, format_like(table), folder, table)


def _at_hand(model: ModelMetadata, label: str) -> Ranked | None:
    """Return the rows of the table that this session judged the model by, or predicted for by it; None without one."""
    kept = session.current().kept
    judged, predicted = kept.get(JUDGED), kept.get("predicted")
    if isinstance(judged, Judged) and judged.model_id == model.model_id and label in judged.scores:
        return Ranked(judged.table, judged.rows, judged.scores[label], held_out=judged.held_out)
    if isinstance(predicted, Predicted) and predicted.model_id == model.model_id:
        return ranked_of(predicted, label)
    return None


def ranked_of(predicted: Predicted, label: str) -> Ranked | None:
    """Return the rows of a table that was predicted for; None if they cannot be lined up with its own."""
    if predicted.table.rows != predicted.frame.height or label not in predicted.classes:
        return None
    rows = pl.Series("row", range(predicted.frame.height), dtype=pl.Int64)
    return Ranked(predicted.table, rows, predicted.frame[f"probability {label}"])
