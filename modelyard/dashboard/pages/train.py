"""Train: a table, its columns, an algorithm, how to judge it; then the job as it runs, and what came of it.

With `?parent=` in the address it is a retraining: the parent's choices are the start.
"""

from __future__ import annotations

import uuid

import streamlit as st

from modelyard.dashboard import running, session, trouble, uploads
from modelyard.dashboard.columns import Mapping, ask_target, map_columns
from modelyard.dashboard.formats import escaped
from modelyard.dashboard.listing import title
from modelyard.dashboard.order import Order, ask_algorithm, ask_evaluation, ask_name
from modelyard.dashboard.report import show_metrics, show_report
from modelyard.dashboard.tables import Table
from modelyard.dashboard.texts import t
from modelyard.schemas import Job, ModelMetadata

PURPOSE = "train"


def show() -> None:
    """Show the page."""
    here = session.current()
    parent = _parent()
    _show_title(parent)
    with st.expander(t("train.form"), expanded=here.job_id is None, icon=":material/tune:"):
        _show_form(parent)
    if here.job_id is not None:
        with trouble.shown_in_place():
            _show_job(here.job_id)


def begin_again(**query: str) -> None:
    """Turn to this page for another training."""
    session.current().job_id = None
    session.go("train", **query)


def _parent() -> ModelMetadata | None:
    here = session.current()
    reference = st.query_params.get("parent")
    if reference is None:
        return None
    if here.parent != reference:
        here.parent, here.job_id = reference, None
    with trouble.shown_in_place():
        return session.yard().get_model(reference)
    return None


def _show_title(parent: ModelMetadata | None) -> None:
    if parent is None:
        st.title(t("page.train"), anchor=False)
        st.caption(t("train.lead"))
        return
    st.title(t("train.retrain_title", model=escaped(parent.name)), anchor=False)
    st.caption(t("train.retrain_lead", model=escaped(title(parent))))
    if st.button(t("train.new_instead"), type="tertiary", icon=":material/arrow_back:", key="new-instead"):
        session.current().parent = None
        begin_again()


def _show_form(parent: ModelMetadata | None) -> None:
    st.subheader(t("train.table"), anchor=False)
    table = uploads.ask_for_table(PURPOSE, sample=True)
    if table is None:
        return
    target = ask_target(table, parent)
    mapping = map_columns(table, target, parent) if target and table.columns else Mapping()
    with trouble.shown_in_place():
        algorithm = ask_algorithm(parent)
        evaluation = ask_evaluation(parent)
        name, tags = ask_name(parent)
        order = Order(algorithm, evaluation, name, tags, mapping, target)
        _offer_to_train(order, table, parent)


def _offer_to_train(order: Order, table: Table, parent: ModelMetadata | None) -> None:
    st.divider()
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(
            t("train.go") if parent is None else t("train.go_retrain"),
            type="primary",
            icon=":material/play_arrow:",
            disabled=not order.target,
            key="train-go",
        )
        if not order.target:
            st.caption(t("train.choose_target"))
    if pressed:
        with trouble.shown_in_place(), st.spinner(t("train.sending")):
            _submit(order, table, parent)


def _submit(order: Order, table: Table, parent: ModelMetadata | None) -> None:
    here, key = session.current(), uuid.uuid4().hex
    path = order.table_to_send(table, here.scratch)
    if parent is None:
        job = here.yard.submit_training(order.training(path), idempotency_key=key)
    else:
        job = here.yard.submit_retraining(order.retraining(path, parent), idempotency_key=key)
    here.job_id = job.job_id
    st.rerun()


def _show_job(job_id: str) -> None:
    job = session.yard().get_job(job_id)
    if not job.ended:
        running.watch(job_id)
    elif job.model_id is not None:
        _show_model(job.model_id)
    else:
        _show_failure(job)


def _show_model(model_id: str) -> None:
    here = session.current()
    model = here.yard.get_model(model_id)
    if here.model != model_id:
        here.model = model_id
    st.success(t("train.done", model=escaped(title(model))), icon=":material/check_circle:")
    with st.container(horizontal=True):
        if st.button(t("train.predict"), type="primary", icon=":material/online_prediction:", key="predict-with-it"):
            session.go("predict")
        if st.button(t("train.open"), icon=":material/inventory_2:", key="open-it"):
            session.go("model", id=model_id)
        if st.button(t("train.another"), icon=":material/add:", key="train-another"):
            here.job_id = None
            st.rerun()
    show_metrics(model)
    show_report(model, here.yard.get_report(model_id))


def _show_failure(job: Job) -> None:
    with st.container(border=True):
        st.markdown(f"**{escaped(running.job_title(job))}** {running.badge(job)}")
        if job.error is not None and job.status != "cancelled":
            trouble.show_error(job.error.exception())
        if st.button(t("train.change"), icon=":material/tune:", key="train-change"):
            session.current().job_id = None
            st.rerun()
