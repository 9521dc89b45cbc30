"""One model: how good it is, its line of versions, its metadata; download, predict, retrain, delete, restore."""

from __future__ import annotations

import streamlit as st

from modelyard.dashboard import access, address, formats, notices, session
from modelyard.dashboard.decision import show_decision
from modelyard.dashboard.drifted import show_drift
from modelyard.dashboard.editing import offer_edit
from modelyard.dashboard.formats import escaped
from modelyard.dashboard.lineage import show_versions
from modelyard.dashboard.listing import class_title, title
from modelyard.dashboard.model_details import show_details
from modelyard.dashboard.pages import train
from modelyard.dashboard.report import show_metrics, show_report
from modelyard.dashboard.texts import t
from modelyard.schemas import ModelMetadata


def show() -> None:
    """Show the page."""
    here = session.current()
    if "id" not in st.query_params:
        if here.model is None:
            session.go("models")
            return
        st.query_params["id"] = here.model
    model = session.resolved("id")
    assert model is not None
    here.model = model.model_id
    address.entitle(title(model))
    _show_head(model)
    _show_actions(model)
    show_metrics(model)
    decides = [t("model.decision")] if model.classes else []
    report_tab, *decision_tab, drift_tab, versions_tab, details_tab = st.tabs(
        [t("model.report"), *decides, t("model.drift"), t("model.versions"), t("model.details")], key="model-tabs"
    )
    with report_tab, notices.errors_in_place():
        show_report(model, here.yard.get_report(model.model_id))
    for tab in decision_tab:
        with tab, notices.errors_in_place():
            show_decision(model)
    with drift_tab, notices.errors_in_place():
        show_drift(model)
    with versions_tab, notices.errors_in_place():
        show_versions(model)
    with details_tab, notices.errors_in_place():
        show_details(model)


def _show_head(model: ModelMetadata) -> None:
    if st.button(t("page.models"), type="tertiary", icon=":material/arrow_back:", key="back"):
        session.go("models")
    st.title(escaped(title(model)), anchor=False)
    kind = class_title(model.model_class_key)
    color = "green" if model.status == "active" else "gray"
    badges = [f":{color}-badge[{t(f'status.{model.status}')}]", f":primary-badge[{escaped(kind)}]"]
    badges += [f":gray-badge[:material/sell: {escaped(tag)}]" for tag in model.tags]
    made = t("model.made", ago=formats.ago(model.created_at), took=formats.duration(model.training_seconds))
    st.markdown(" ".join(badges) + f" &nbsp; :small[{made}]")
    if model.description:
        st.text(model.description)


def _show_actions(model: ModelMetadata) -> None:
    """Offer what can be done with the model.

    The keys carry its id: a second click, meant for this model, can never become one on another.
    """
    key = model.model_id
    if model.status == "deleted":
        st.warning(t("model.is_deleted", model=escaped(title(model))), icon=":material/delete:")
    with st.container(horizontal=True):
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
        _offer_downloads(model)
        if model.status == "active" and access.may("delete"):
            _offer_deletion(model)
        elif access.may("delete_for_good"):
            with st.popover(t("model.delete_hard"), icon=":material/delete_forever:", key=f"end-{model.model_id}"):
                _ask_for_end(model)
    access.say_needed("predict", "submit_retraining", "get_artifact")


def _offer_downloads(model: ModelMetadata) -> None:
    yard = session.yard()
    stem = f"{model.name}-v{model.version}"
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
    st.download_button(
        t("model.report_json"),
        lambda: yard.get_report(model.model_id).model_dump_json(indent=2),
        f"{stem}-report.json",
        on_click="ignore",
        icon=":material/data_object:",
        key=f"report-json-{model.model_id}",
    )


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
