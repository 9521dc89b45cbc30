"""The effect of one column: what the model would say of a row with other cells there.

It asks for explanations, not for predictions, because these are counted as what the model was really asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import streamlit as st

from modelyard.dashboard import notices, session
from modelyard.dashboard.charts import draw, effects
from modelyard.dashboard.formats import escaped, label
from modelyard.dashboard.row_form import focus_of
from modelyard.dashboard.texts import t
from modelyard.schemas import ExplainRequest, Explanations, ModelMetadata, Prediction, Report

_POINTS = 25
_MOST_CATEGORIES = 12


def show_effect(model: ModelMetadata, report: Report, row: Mapping[str, Any], said: Prediction) -> None:
    """Show how the answer, of classes the probability of the one that was `said`, changes with the column in focus."""
    focus = focus_of(model)
    st.session_state["effect-column"] = focus
    st.selectbox(
        t("what_if.column"),
        model.feature_names,
        key="effect-column",
        on_change=lambda: session.current().kept.update(focus=st.session_state["effect-column"]),
    )
    st.header(t("what_if.effect", column=escaped(focus)), anchor=False)
    st.caption(t("what_if.effect_help"))
    values = _values(model, focus, report.columns.get(focus, {}), row[focus])
    if len(values) < 2:
        st.caption(t("what_if.no_range"))
        return
    with notices.errors_in_place():
        asked = [{**row, focus: value} for value in values]
        found = session.yard().explain(ExplainRequest(model_id=model.model_id, X=asked, top=1, probabilities=True))
        _draw(model, focus, values, row[focus], _answers(model, found, said))


def _draw(model: ModelMetadata, focus: str, values: list[Any], own: Any, found: tuple[list[float], str]) -> None:
    answers, title = found
    share = model.classes is not None
    now = values.index(own)
    if model.feature_types[focus] == "categorical":
        chart = effects.by_category(focus, values, answers, now, title, share=share)
    elif own is None:  # which has no place on an axis
        chart = effects.along(focus, values[:-1], answers[:-1], None, title, share=share)
    else:
        chart = effects.along(focus, values, answers, now, title, share=share)
    draw(chart, t("what_if.effect", column=focus))


def _answers(model: ModelMetadata, found: Explanations, said: Prediction) -> tuple[list[float], str]:
    """Return the probabilities of the class that was said, or the numbers, and what they are."""
    if found.probabilities is None or model.classes is None:
        return [float(value) for value in found.predictions], model.target or t("predict.prediction")
    place = model.classes.index(said)  # type: ignore[arg-type]
    return [shares[place] for shares in found.probabilities], t("what_if.probability", label=label(said))


def _values(model: ModelMetadata, name: str, profile: Mapping[str, Any], own: Any) -> list[Any]:
    """Return the cells to try, the row's own among them: of numbers and moments along the range of training."""
    if model.feature_types[name] == "categorical":
        known = [item["value"] for item in profile.get("top", [])][:_MOST_CATEGORIES]
        return known if own in known else [*known, own]
    ends = ("earliest", "latest") if model.feature_types[name] == "datetime" else ("min", "max")
    low, high = (profile.get(end) for end in ends)
    if low is None or high is None:
        return [own]
    if model.feature_types[name] == "datetime":
        low, high = (datetime.fromisoformat(end).replace(tzinfo=None) for end in (low, high))
    inner = [low + (high - low) * (step / _POINTS) for step in range(_POINTS + 1)] if low != high else [low]
    if own is None:
        return [*inner, None]
    return sorted({*inner, own})
