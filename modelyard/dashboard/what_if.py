"""One row on the page Predict: the form beside the answer, anew with each change; why; and what if."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from modelyard.dashboard import notices, session
from modelyard.dashboard.charts import bars, draw
from modelyard.dashboard.decision import in_words
from modelyard.dashboard.effects import show_effect
from modelyard.dashboard.formats import escaped, label, number, percent
from modelyard.dashboard.listing import title
from modelyard.dashboard.row_form import ask_row, begin_with
from modelyard.dashboard.tables import Table
from modelyard.dashboard.texts import t
from modelyard.dashboard.typed import typed_row
from modelyard.dashboard.why import show_why
from modelyard.schemas import ModelMetadata, Prediction, Predictions, PredictRequest, Report

_UNREAD = "unread"
_TURN = "row-turn"


def show_what_if(model: ModelMetadata, report: Report, interval: float | None) -> None:
    """Show the form and what the model says of it; a change asks again for this part of the page alone."""
    kept = session.current().kept
    kept[_TURN] = kept.get(_TURN, 0) + 1
    _show_row(model, report, interval, kept[_TURN])


@st.fragment
def _show_row(model: ModelMetadata, report: Report, interval: float | None, turn: int) -> None:
    form, answer = st.columns([2, 3], gap="large")
    with form:
        unread = session.current().kept.get(_UNREAD, [])
        if unread:
            columns = ", ".join(escaped(name) for name in unread)
            st.warning(t("what_if.unread", columns=columns), icon=":material/info:")
        row = ask_row(model, report, turn)
    with answer, notices.errors_in_place():
        said = _show_answer(model, row, interval)
        if show_why(model, row):
            show_effect(model, report, row, said)


def open_row(model: ModelMetadata, table: Table, place: int) -> None:
    """Fill the form with a row of a table, by its number."""
    cells = table.rows_at([place]).row(0, named=True)
    row, session.current().kept[_UNREAD] = typed_row(model, cells, table.said)
    begin_with(model, row)


def _show_answer(model: ModelMetadata, row: Mapping[str, Any], interval: float | None) -> Prediction:
    request = PredictRequest(model_id=model.model_id, X=[row], probabilities=True, interval=interval)
    answer = session.yard().predict(request)
    notices.show_warnings(answer.warnings)
    shares = (answer.probabilities or [[]])[0]
    with st.container(border=True):
        if answer.classes is None:
            words = st.container()
        else:
            words, chart = st.columns([1, 2], vertical_alignment="center")
            with chart:
                draw(bars.probabilities([label(name) for name in answer.classes], shares), t("chart.probability"))
        words.metric(
            escaped(model.target or t("predict.prediction")),
            label(answer.predictions[0]),
            percent(_share_of(answer)) if shares else _ends(answer.intervals),
            delta_color="off",
            delta_arrow="off",
        )
        words.caption(t("predict.by", model=escaped(title(model))))
        if answer.decision is not None:
            words.caption(t("decision.obeyed", decision=in_words(answer.decision)))
    return answer.predictions[0]


def _ends(intervals: list[tuple[float, float]] | None) -> str | None:
    return None if intervals is None else f"{number(intervals[0][0])} … {number(intervals[0][1])}"


def _share_of(answer: Predictions) -> float | None:
    """Return the probability of the label that was answered for the one row."""
    if answer.classes is None or answer.probabilities is None:
        return None
    return answer.probabilities[0][answer.classes.index(answer.predictions[0])]  # type: ignore[arg-type]
