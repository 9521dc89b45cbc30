"""Predict: for a table or for one row typed in; with the true labels in the table, how often it was right.

`?id=` in the address is the model; a name there becomes its id.
"""

from __future__ import annotations

import streamlit as st

from modelyard.dashboard import access, notices, session, uploads
from modelyard.dashboard.charts import bars, draw
from modelyard.dashboard.decision import in_words
from modelyard.dashboard.formats import escaped, label, number, percent
from modelyard.dashboard.listing import every_model, pick_model, title
from modelyard.dashboard.predicted import Predicted, predict_table, show_predicted
from modelyard.dashboard.row_form import ask_row
from modelyard.dashboard.texts import t
from modelyard.dashboard.why import show_why_in_table, show_why_row
from modelyard.schemas import ModelMetadata, Predictions, PredictRequest, are_validated

PURPOSE = "predict"
_INTERVALS = (0.8, 0.9, 0.95)


def show() -> None:
    """Show the page."""
    st.title(t("page.predict"), anchor=False)
    if not access.may("predict"):
        access.say_needed("predict")
        return
    models = every_model()
    if not models:
        st.info(t("models.none"), icon=":material/inventory_2:")
        if access.may("submit_training") and st.button(
            t("overview.train"), type="primary", icon=":material/add:", key="predict-train"
        ):
            session.go("train")
        return
    model = pick_model(t("predict.model"), "predict-model", models)
    if model is None:
        return
    way = st.segmented_control(
        t("predict.way"),
        ["table", "row"],
        default="table",
        required=True,
        format_func=lambda name: t(f"predict.{name}"),
        key="predict-way",
        label_visibility="collapsed",
        persist_state="session",
    )
    with notices.errors_in_place():
        if way == "table":
            _for_table(model)
        else:
            _for_row(model)


def _for_table(model: ModelMetadata) -> None:
    st.caption(t("predict.table_help", columns=", ".join(escaped(name) for name in model.feature_names[:12])))
    table = uploads.ask_for_table(PURPOSE, model.reading, sample=True)
    if table is None:
        return
    interval = _ask_interval(model)
    if st.button(t("predict.go"), type="primary", icon=":material/play_arrow:", key="predict-go"):
        with notices.errors_in_place(), st.spinner(t("predict.asking")):
            session.current().kept["predicted"] = predict_table(model, table, interval)
    predicted = session.current().kept.get("predicted")
    if isinstance(predicted, Predicted) and predicted.belongs_to(model, table):
        show_predicted(predicted, model)
        show_why_in_table(predicted, model)


def _ask_interval(model: ModelMetadata) -> float | None:
    """Ask how sure the interval around each number shall be; not of classifiers, nor without rows held out."""
    if model.task != "regression" or not are_validated(model.metrics):
        return None
    chosen: float | None = st.selectbox(
        t("predict.interval"),
        _INTERVALS,
        None,
        format_func=lambda share: f"{share * 100:g} %",
        placeholder=t("predict.no_interval"),
        key="predict-interval",
        help=t("predict.interval_help"),
    )
    return chosen


def _ends(intervals: list[tuple[float, float]] | None) -> str | None:
    return None if intervals is None else f"{number(intervals[0][0])} … {number(intervals[0][1])}"


def _for_row(model: ModelMetadata) -> None:
    yard = session.yard()
    interval = _ask_interval(model)
    row = ask_row(model, yard.get_report(model.model_id))
    if row is None:
        return
    request = PredictRequest(model_id=model.model_id, X=[row], probabilities=True, interval=interval)
    answer = yard.predict(request)
    notices.show_warnings(answer.warnings)
    shares = (answer.probabilities or [[]])[0]
    with st.container(border=True):
        left, right = st.columns([1, 2], vertical_alignment="center")
        target = escaped(model.target or t("predict.prediction"))
        left.metric(
            target,
            label(answer.predictions[0]),
            percent(_share_of(answer)) if shares else _ends(answer.intervals),
            delta_color="off",
            delta_arrow="off",
        )
        left.caption(t("predict.by", model=escaped(title(model))))
        if answer.decision is not None:
            left.caption(t("decision.obeyed", decision=in_words(answer.decision)))
        if answer.classes is not None:
            with right:
                draw(bars.probabilities([label(name) for name in answer.classes], shares), t("chart.probability"))
    show_why_row(model, row)


def _share_of(answer: Predictions) -> float | None:
    """Return the probability of the label that was answered for the one row."""
    if answer.classes is None or answer.probabilities is None:
        return None
    return answer.probabilities[0][answer.classes.index(answer.predictions[0])]  # type: ignore[arg-type]
