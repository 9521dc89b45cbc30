"""The page of one model, with a tab for each question, and buttons to predict, retrain, delete and restore it.

`?tab=` in the address is the tab: report, decision, errors, drift, versions or details.
"""

from __future__ import annotations

from functools import partial

import streamlit as st

from modelyard.dashboard import access, address, formats, notices, session
from modelyard.dashboard.as_decided import as_decided, decided_by
from modelyard.dashboard.deciding import show_deciding
from modelyard.dashboard.drifted import show_drift
from modelyard.dashboard.editing import offer_edit
from modelyard.dashboard.errors_found import show_errors_found
from modelyard.dashboard.formats import escaped
from modelyard.dashboard.head import show_title, show_worth
from modelyard.dashboard.lineage import show_versions
from modelyard.dashboard.listing import class_title, report_of, title
from modelyard.dashboard.model_details import show_details
from modelyard.dashboard.pages import train
from modelyard.dashboard.report import show_report
from modelyard.dashboard.report_file import html_report
from modelyard.dashboard.texts import LANGUAGES, t
from modelyard.schemas import DecisionReport, ModelMetadata, Report
from modelyard.verbs import Verbs

_TABS = ("report", "decision", "errors", "drift", "versions", "details")


def show() -> None:
    """Show the page."""
    here = session.current()
    if "id" not in st.query_params:
        if here.model is None:
            session.go("models")
            return
        st.query_params["id"] = here.model
    model = None
    with notices.errors_in_place(title=t("page.model")):
        model = session.resolved("id")
    if model is None:
        return
    here.model = model.model_id
    address.entitle(title(model))
    decided = decided_by(session.yard(), model)
    report = as_decided(report_of(model), decided)
    with st.container(gap="xsmall"):
        show_title(model)
        _show_actions(model, decided)
        show_worth(model, report, decided)
    _show_tab(model, report, decided)


def _show_tab(model: ModelMetadata, report: Report, decided: DecisionReport | None) -> None:
    """Show the tab that the address names, the first one without one; only its content is asked for."""
    names = {word: t(f"model.{word}") for word in _TABS if word != "decision" or model.classes}
    word, tab = address.tabs(names)
    with tab, notices.errors_in_place():
        _show_content(word, model, report, decided)


def _show_content(word: str, model: ModelMetadata, report: Report, decided: DecisionReport | None) -> None:
    match word:
        case "report":
            show_report(report)
        case "decision":
            show_deciding(model, report, decided)
        case "errors":
            show_errors_found(model)
        case "drift":
            show_drift(model)
        case "versions":
            show_versions(model)
        case _:
            show_details(model)


def _show_actions(model: ModelMetadata, decided: DecisionReport | None) -> None:
    """Offer what can be done with the model.

    The keys carry its id: a second click, meant for this model, can never become one on another.
    """
    key = model.model_id
    if model.status == "deleted":
        st.warning(t("model.is_deleted", model=escaped(title(model))), icon=":material/delete:")
    with st.container(horizontal=True, gap="xsmall"):
        notices.offer_way_back()
        if model.status == "active":
            if access.may("predict") and st.button(
                t("model.predict"), type="primary", icon=":material/online_prediction:", key=f"predict-{key}"
            ):
                session.go("predict", id=model.model_id)
            if access.may("submit_retraining") and st.button(
                t("model.retrain"), icon=":material/replay:", key=f"retrain-{key}"
            ):
                train.begin_again(parent=model.model_id)
        elif access.may("restore") and st.button(
            t("model.restore"), type="primary", icon=":material/restore_from_trash:", key=f"restore-{key}"
        ):
            with notices.errors_in_place():
                session.yard().restore(model.model_id)
                st.rerun()
        if access.may("update_model"):
            offer_edit(model)
        _offer_downloads(model, decided)
        if model.status == "active" and access.may("delete"):
            _offer_deletion(model)
        elif access.may("delete_for_good"):
            with st.popover(t("model.delete_hard"), icon=":material/delete_forever:", key=f"end-{model.model_id}"):
                _ask_for_end(model)
    access.say_needed("predict", "submit_retraining", "get_artifact")


def _offer_downloads(model: ModelMetadata, decided: DecisionReport | None) -> None:
    yard = session.yard()
    stem = f"{model.name}-v{model.version}"
    with st.popover(t("head.downloads"), icon=":material/download:", key=f"downloads-{model.model_id}"):
        if access.may("get_artifact"):
            st.download_button(
                t("model.artifact", size=formats.size(model.artifact.bytes)),
                lambda: yard.get_artifact(model.model_id),
                f"{stem}.pkl",
                on_click="ignore",
                icon=":material/download:",
                key=f"artifact-{model.model_id}",
                disabled=model.status == "deleted",
            )
        for code, language in LANGUAGES.items():
            st.download_button(
                t("model.report_html", language=language),
                partial(_html_report, yard, model, class_title(model.model_class_key), code, decided),
                f"{stem}-report-{code}.html",
                "text/html",
                on_click="ignore",
                icon=":material/print:",
                key=f"report-{code}-{model.model_id}",
            )
        st.download_button(
            t("model.report_json"),
            lambda: yard.get_report(model.model_id).model_dump_json(indent=2),
            f"{stem}-report.json",
            on_click="ignore",
            icon=":material/data_object:",
            key=f"report-json-{model.model_id}",
        )


def _html_report(yard: Verbs, model: ModelMetadata, kind: str, code: str, decided: DecisionReport | None) -> str:
    return html_report(model, yard.get_report(model.model_id), kind=kind, language=code, decided=decided)


def _offer_deletion(model: ModelMetadata) -> None:
    with st.popover(t("model.delete"), icon=":material/delete:", key=f"delete-{model.model_id}"):
        st.markdown(t("model.delete_soft_help"))
        if st.button(t("model.delete_soft"), icon=":material/delete:", key=f"delete-soft-{model.model_id}"):
            with notices.errors_in_place():
                session.yard().delete(model.model_id)
                st.rerun()
        if access.may("delete_for_good"):
            st.divider()
            _ask_for_end(model)


def _ask_for_end(model: ModelMetadata) -> None:
    st.markdown(t("model.delete_hard_help", name=escaped(model.name)))
    typed = st.text_input(t("model.type_name"), key=f"typed-name-{model.model_id}", live=True)
    if st.button(
        t("model.delete_hard"),
        icon=":material/delete_forever:",
        key=f"delete-hard-{model.model_id}",
        disabled=typed != model.name,
    ):
        with notices.errors_in_place():
            here = session.current()
            here.yard.delete(model.model_id, hard=True)
            here.model, here.kept["gone"] = None, title(model)
            session.go("models")
