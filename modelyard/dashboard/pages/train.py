"""Train: a table, its columns, an algorithm, how to judge it; then the job as it runs, and what came of it.

With `?parent=` in the address it is a retraining: the parent's choices are the start. `?job=` is the training that is
shown, so a refresh or another visitor's link shows it, too.
"""

from __future__ import annotations

import uuid

import streamlit as st

from modelyard.dashboard import access, jobs_under_way, notices, session, uploads
from modelyard.dashboard.checked import show_check
from modelyard.dashboard.columns import Mapping, ask_target, map_columns
from modelyard.dashboard.formats import escaped
from modelyard.dashboard.listing import title
from modelyard.dashboard.monotone import ask_monotone
from modelyard.dashboard.order import Order, ask_algorithm, ask_calibration, ask_evaluation, ask_name, is_choice
from modelyard.dashboard.report import show_metrics, show_report
from modelyard.dashboard.tables import Table
from modelyard.dashboard.targets import ask_task, show_target
from modelyard.dashboard.texts import t
from modelyard.schemas import Job, ModelMetadata

PURPOSE = "train"


def show() -> None:
    """Show the page."""
    here = session.current()
    _recall(here)
    head, job = st.container(), _job()
    parent = _parent(job)
    with head:
        _show_title(parent)
        if job is None:
            _show_others()
    if not access.may("submit_training"):
        access.say_needed("submit_training")
    else:
        with st.expander(t("train.form"), expanded=job is None, icon=":material/tune:"):
            _show_form(parent)
    if job is not None:
        with notices.errors_in_place():
            _show_job(job)


def begin_again(**query: str) -> None:
    """Turn to this page for another training."""
    session.current().job_id = None
    session.go("train", **query)


def _recall(here: session.Session) -> None:
    """Bring back what was shown and chosen here last, and keep what is now.

    Streamlit forgets what a form says when its page is left, and the browser forgets the address.
    """
    if "job" in st.query_params or "parent" in st.query_params:
        here.job_id = st.query_params.get("job")
    if here.job_id is not None:  # written anew even if it is there: a link from this page to itself does not show it
        st.query_params["job"] = here.job_id
    for key, value in here.choices.items():
        st.session_state.setdefault(key, value)
    here.choices |= {str(key): value for key, value in st.session_state.items() if is_choice(str(key))}


def _job() -> Job | None:
    job_id = st.query_params.get("job")
    if job_id is not None:
        with notices.errors_in_place():
            return session.yard().get_job(job_id)
    return None


def _parent(job: Job | None) -> ModelMetadata | None:
    if job is not None and job.parent_id is not None:
        st.query_params.setdefault("parent", job.parent_id)
    with notices.errors_in_place():
        return session.resolved("parent")
    return None


def _put_job_away() -> None:
    """Go on with the form alone."""
    session.current().job_id = None
    st.query_params.pop("job", None)
    st.rerun()


def _show_others() -> None:
    """Show the trainings that are under way, whoever ordered them, with links."""
    with notices.errors_in_place():
        under_way = [job.job_id for job in jobs_under_way.recent_jobs() if not job.ended]
        if under_way:
            st.caption(t("train.under_way"))
            jobs_under_way.show_under_way(under_way)


def _show_title(parent: ModelMetadata | None) -> None:
    if parent is None:
        st.title(t("page.train"), anchor=False)
        st.caption(t("train.lead"))
        return
    st.title(t("train.retrain_title", model=escaped(parent.name)), anchor=False)
    st.caption(t("train.retrain_lead", model=escaped(title(parent))))
    if st.button(t("train.new_instead"), type="tertiary", icon=":material/arrow_back:", key="new-instead"):
        begin_again()


def _show_form(parent: ModelMetadata | None) -> None:
    st.subheader(t("train.table"), anchor=False)
    table = uploads.ask_for_table(PURPOSE, parent.reading if parent else None, training=True, sample=True)
    if table is None:
        return
    target = ask_target(table, parent)
    task = ask_task(table, target, parent)
    learnable = target is not None and show_target(table, target, task)
    mapping = map_columns(table, target, parent) if target and table.columns else Mapping()
    if target is not None and learnable:
        show_check(table, target, task, mapping, parent)
    with notices.errors_in_place():
        algorithm = ask_algorithm(parent, task)
        monotone = ask_monotone(mapping.numeric, parent) if algorithm.takes_monotone and mapping.numeric else {}
        evaluation = ask_evaluation(parent, is_search=algorithm.search is not None)
        calibrate = ask_calibration(parent) if task == "classification" else None
        name, tags = ask_name(parent)
        order = Order(algorithm, evaluation, name, tags, mapping, target, monotone, calibrate)
        _offer_to_train(order, table, parent, learnable=learnable)


def _offer_to_train(order: Order, table: Table, parent: ModelMetadata | None, *, learnable: bool) -> None:
    st.divider()
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(
            t("train.go") if parent is None else t("train.go_retrain"),
            type="primary",
            icon=":material/play_arrow:",
            disabled=not learnable,
            key="train-go",
        )
        if not learnable:
            st.caption(t("train.choose_other") if order.target else t("train.choose_target"))
    if pressed:
        with notices.errors_in_place(), st.spinner(t("train.sending")):
            _submit(order, table, parent)


def _submit(order: Order, table: Table, parent: ModelMetadata | None) -> None:
    here, key = session.current(), uuid.uuid4().hex
    if order.algorithm.search is not None:
        job = here.yard.submit_search(order.searching(table), idempotency_key=key)
    elif parent is None:
        job = here.yard.submit_training(order.training(table), idempotency_key=key)
    else:
        job = here.yard.submit_retraining(order.retraining(table, parent), idempotency_key=key)
    st.query_params["job"] = job.job_id
    st.rerun()


def _show_job(job: Job) -> None:
    if not job.ended:
        jobs_under_way.watch(job.job_id)
    elif job.model_id is not None:
        _show_model(job.model_id)
    else:
        _show_failure(job)


def _show_model(model_id: str) -> None:
    here = session.current()
    model = here.yard.get_model(model_id)
    here.model = model_id
    st.success(t("train.done", model=escaped(title(model))), icon=":material/check_circle:")
    with st.container(horizontal=True):
        if access.may("predict") and st.button(
            t("train.predict"), type="primary", icon=":material/online_prediction:", key="predict-with-it"
        ):
            session.go("predict", id=model_id)
        if st.button(t("train.open"), icon=":material/inventory_2:", key="open-it"):
            session.go("model", id=model_id)
        if st.button(t("train.another"), icon=":material/add:", key="train-another"):
            _put_job_away()
    show_metrics(model)
    show_report(model, here.yard.get_report(model_id))


def _show_failure(job: Job) -> None:
    with st.container(border=True):
        st.markdown(f"**{escaped(jobs_under_way.job_title(job))}** {jobs_under_way.badge(job)}")
        if job.error is not None and job.status != "cancelled":
            notices.show_error(job.error.exception())
        if st.button(t("train.change"), icon=":material/tune:", key="train-change"):
            _put_job_away()
