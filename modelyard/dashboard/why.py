"""Why a model says what it says of a row: how far each column moved the score away from the base."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from modelyard.dashboard import notices, session
from modelyard.dashboard.charts import bars, draw
from modelyard.dashboard.formats import count, escaped, label, number
from modelyard.dashboard.predicted import Predicted
from modelyard.dashboard.texts import t
from modelyard.errors import FailedPrecondition
from modelyard.schemas import ExplainRequest, Explanations, ModelMetadata, parse

MOST_NUMBERS = 500_000
"""The most contributions that a session keeps of a table; one row of a larger one is asked for in the form."""

_KEPT = "explained"


def show_why_row(model: ModelMetadata, row: Mapping[str, Any]) -> None:
    """Explain a row that was typed in."""
    found = _explain(model, {"X": [row]})
    if found is not None:
        _show(found, 0, row)


def show_why_in_table(predicted: Predicted, model: ModelMetadata) -> None:
    """Ask for a row of a table that was predicted for, and explain it. The table is explained once, whole."""
    st.subheader(t("why.title"), anchor=False)
    rows, outputs = predicted.frame.height, len(predicted.classes) if len(predicted.classes) > 2 else 1
    if rows * outputs * len(model.feature_names) > MOST_NUMBERS:
        st.caption(t("why.too_large", rows=count(rows)))
        return
    row = st.number_input(
        t("why.row"),
        min_value=0,
        max_value=rows - 1,
        value=None,
        placeholder=t("why.row_hint"),
        help=t("why.row_help"),
        key=f"why-{model.model_id}-{predicted.table.path.name}",
    )
    if row is None:
        return
    with notices.errors_in_place(), st.spinner(t("predict.asking")):
        kept = session.current().kept.get(_KEPT)
        if kept is None or kept[0] is not predicted:
            kept = predicted, _explain(model, {"X": predicted.table.path, **predicted.table.said})
            session.current().kept[_KEPT] = kept
        if kept[1] is not None:
            _show(kept[1], row, predicted.table.head.row(row, named=True) if row < predicted.table.head.height else {})


def _explain(model: ModelMetadata, fields: dict[str, Any]) -> Explanations | None:
    """Return the explanation; None, after words that say why, if the model's class cannot explain."""
    try:
        return session.yard().explain(parse(ExplainRequest, {"model_id": model.model_id, **fields}))
    except FailedPrecondition as error:
        st.caption(escaped(error.detail))
        return None


def _show(found: Explanations, row: int, cells: Mapping[str, Any]) -> None:
    """Show base, contributions and score of what was predicted for a row, whose cells name the bars."""
    at = found.output_of(row)
    shares = found.contributions[row][at]
    named = {_named(name, cells): share for name, share in zip(found.feature_names, shares, strict=True)}
    with st.container(border=True):
        st.markdown(f"**{t('why.of', prediction=escaped(label(found.predictions[row])))}**")
        base, columns, score = st.columns(3)
        base.metric(t("why.base"), number(found.base[at]), help=t("why.base_help"))
        columns.metric(t("why.columns"), number(sum(shares)))
        score.metric(t("why.score"), number(found.score(row, at)))
        draw(bars.contributions(named), t("why.title"))
        if found.unit == "log_odds":
            st.caption(t("why.log_odds", output=escaped(label(found.outputs[at]))))
        else:
            st.caption(t("why.target"))


def _named(name: str, cells: Mapping[str, Any]) -> str:
    """Return a column's name with the row's cell, if that is known."""
    return f"{name} = {label(cells[name])}" if name in cells else name
