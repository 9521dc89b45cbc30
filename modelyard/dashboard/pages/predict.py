"""Predict: for a table, or for one row: why it is so, and what if; with the true labels, how often it was right.

`?id=` in the address is the model; a name there becomes its id. `?way=row` is one row.
"""

from __future__ import annotations

import streamlit as st

from modelyard.dashboard import access, address, notices, session, uploads
from modelyard.dashboard.formats import escaped, with_unit
from modelyard.dashboard.listing import report_of, title
from modelyard.dashboard.picker import offered_models, pick_model
from modelyard.dashboard.predicted import Predicted, predict_table
from modelyard.dashboard.predicted_shown import show_predicted
from modelyard.dashboard.texts import t
from modelyard.dashboard.what_if import show_what_if
from modelyard.schemas import ModelMetadata, are_validated

PURPOSE = "predict"
_INTERVALS = (0.8, 0.9, 0.95)
_WAYS = ("table", "row")
_FIRST_NAMES = 30


def show() -> None:
    """Show the page."""
    st.title(t("page.predict"), anchor=False)
    if not access.may("predict"):
        access.say_needed("predict")
        return
    models = offered_models("active", "predict-search")
    if not models:
        st.info(t("models.none"), icon=":material/inventory_2:")
        if access.may("submit_training") and st.button(
            t("overview.train"), type="primary", icon=":material/add:", key="predict-train"
        ):
            session.go("train")
        return
    which, how = st.columns([3, 1], gap="small", vertical_alignment="bottom")
    with which:
        model = pick_model(t("predict.model"), "predict-model", models)
    if model is None:
        return
    address.entitle(f"{t('page.predict')} · {title(model)}")
    way = how.segmented_control(
        t("predict.way"),
        _WAYS,
        required=True,
        format_func=lambda name: t(f"predict.{name}"),
        label_visibility="collapsed",
        **address.bound("way", "table", allowed=_WAYS),
    )
    with notices.errors_in_place():
        if way == "table":
            _for_table(model)
        else:
            show_what_if(model, report_of(model), _ask_interval(model))


def _for_table(model: ModelMetadata) -> None:
    if PURPOSE not in session.current().tables:
        _show_needed(model)
    table = uploads.ask_for_table(PURPOSE, model, sample=True)
    if table is None:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        interval = _ask_interval(model)
        pressed = st.button(t("predict.go"), type="primary", icon=":material/play_arrow:", key="predict-go")
    if pressed:
        with notices.errors_in_place(table), st.spinner(t("predict.asking")):
            session.current().kept["predicted"] = predict_table(model, table, interval)
    predicted = session.current().kept.get("predicted")
    if isinstance(predicted, Predicted) and predicted.belongs_to(model, table, interval):
        show_predicted(predicted, model)


def _show_needed(model: ModelMetadata) -> None:
    """Name the columns that a table needs; those beyond the first ones are folded away."""
    names = [escaped(name) for name in model.feature_names]
    first, rest = names[:_FIRST_NAMES], names[_FIRST_NAMES:]
    st.caption(t("predict.table_help", n=len(names), columns=", ".join(first) + (" …" if rest else "")))
    if rest:
        with st.expander(t("predict.more_columns", n=len(rest)), key="more-columns"):
            st.caption(", ".join(rest))


def _ask_interval(model: ModelMetadata) -> float | None:
    """Ask how sure the interval around each number shall be; not of classifiers, nor without rows held out."""
    if model.task != "regression" or not are_validated(model.metrics):
        return None
    chosen: float | None = st.selectbox(
        t("predict.interval"),
        _INTERVALS,
        None,
        format_func=lambda share: with_unit(f"{share * 100:g}"),
        placeholder=t("predict.no_interval"),
        key="predict-interval",
        help=t("predict.interval_help"),
        persist_state="session",
    )
    return chosen
