"""Train: a table, its columns, algorithms, how to judge them; then the jobs as they run, and what came of them.

With `?parent=` in the address it is a retraining: the parent's choices are the start. `?job=` names the trainings that
are shown, several with commas between, so a refresh or another visitor's link shows them, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from modelyard.dashboard import access, contest, jobs_under_way, notices, session
from modelyard.dashboard.as_decided import as_decided, decided_by
from modelyard.dashboard.formats import escaped
from modelyard.dashboard.listing import title
from modelyard.dashboard.order import is_choice
from modelyard.dashboard.report import show_metrics, show_report
from modelyard.dashboard.texts import said, t
from modelyard.dashboard.training_form import ordered_with, show_form
from modelyard.schemas import Job, ModelMetadata


def show() -> None:
    """Show the page."""
    here = session.current()
    _recall(here)
    head, jobs = st.container(), _jobs()
    parent = _parent(jobs)
    with head:
        _show_title(parent)
        if not jobs:
            _show_others()
    if not access.may("submit_training"):
        access.say_needed("submit_training")
    elif jobs:
        with st.expander(t("train.form"), icon=":material/tune:", key="train-form"):
            _order(parent, alone=False)
    else:
        _order(parent, alone=True)
    with notices.errors_in_place():
        if len(jobs) > 1:
            contest.show(jobs, _put_jobs_away)
        elif jobs:
            _show_job(jobs[0])


def begin_again(**query: str) -> None:
    """Turn to this page for another training."""
    session.current().job_id = None
    session.go("train", **query)


def _order(parent: ModelMetadata | None, *, alone: bool) -> None:
    jobs = show_form(parent, alone=alone)
    if jobs:
        st.query_params["job"] = ",".join(job.job_id for job in jobs)
        st.rerun()


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


def _jobs() -> list[Job]:
    ids = dict.fromkeys(filter(None, st.query_params.get("job", "").split(",")))
    with notices.errors_in_place():
        return [session.yard().get_job(job_id) for job_id in ids]
    return []


def _parent(jobs: Sequence[Job]) -> ModelMetadata | None:
    if jobs and jobs[0].parent_id is not None:
        st.query_params.setdefault("parent", jobs[0].parent_id)
    with notices.errors_in_place():
        return session.resolved("parent")
    return None


def _put_jobs_away() -> None:
    """Go on with the form alone."""
    session.current().job_id = None
    st.query_params.pop("job", None)
    st.rerun()


def _show_others() -> None:
    """Show the trainings that are under way, whoever ordered them, with links."""
    with notices.errors_in_place():
        under_way = jobs_under_way.under_way()
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


def _show_job(job: Job) -> None:
    if not job.ended:
        jobs_under_way.watch(job)
    elif job.model_id is not None:
        _show_model(job.model_id)
    else:
        _show_failure(job)


def _show_model(model_id: str) -> None:
    here = session.current()
    model = here.yard.get_model(model_id)
    here.model = model_id
    st.success(t("train.done", model=escaped(title(model))), icon=":material/check_circle:")
    if model.promotion is not None:
        icon = ":material/move_up:" if model.promotion.moved else ":material/pan_tool:"
        st.caption(f"{icon} **@{model.promotion.alias}**: {escaped(said(model.promotion.reason))}")
    with st.container(horizontal=True):
        if access.may("predict") and st.button(
            t("train.predict"), type="primary", icon=":material/online_prediction:", key="predict-with-it"
        ):
            session.go("predict", id=model_id)
        if st.button(t("train.open"), icon=":material/inventory_2:", key="open-it"):
            session.go("model", id=model_id)
        if st.button(t("train.another"), icon=":material/add:", key="train-another"):
            _put_jobs_away()
    report = as_decided(here.yard.get_report(model_id), decided_by(here.yard, model))
    show_metrics(model, report)
    show_report(report)


def _show_failure(job: Job) -> None:
    with st.container(border=True):
        st.markdown(jobs_under_way.job_head(job))
        if job.error is not None and job.status != "cancelled":
            ordered = ordered_with([job])
            notices.show_error(job.error.exception(), None if ordered is None else ordered.table)
        if st.button(t("train.change"), icon=":material/tune:", key="train-change"):
            _put_jobs_away()
