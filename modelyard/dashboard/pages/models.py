"""Models: all of them, to filter, sort, open and compare."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from modelyard.dashboard import session
from modelyard.dashboard.formats import escaped
from modelyard.dashboard.listing import class_title, classes, every_model, models_table
from modelyard.dashboard.texts import t
from modelyard.schemas import ModelMetadata, StatusFilter

MOST_COMPARED = 4
_STATUSES: tuple[StatusFilter, ...] = ("active", "deleted", "all")


def show() -> None:
    """Show the page."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title(t("page.models"), anchor=False)
        st.button(t("shell.refresh"), icon=":material/refresh:", key="refresh")
    gone = session.current().kept.pop("gone", None)
    if gone is not None:
        st.success(t("models.gone", model=escaped(gone)), icon=":material/delete_forever:")
    models = _filtered()
    if not models:
        st.info(t("models.none"), icon=":material/inventory_2:")
        return
    st.caption(t("models.pick"))
    picked = models_table(models, key="models", selection="multi-row", status=True)
    _offer(picked)


def _filtered() -> Sequence[ModelMetadata]:
    grid = st.grid(3, min_column_width=220)
    words = grid.text_input(
        t("models.search"), key="models-search", placeholder=t("models.search_hint"), icon=":material/search:"
    )
    model_class = grid.selectbox(
        t("column.class"),
        [None, *(info.key for info in classes())],
        format_func=lambda key: t("models.any_class") if key is None else class_title(key),
        key="models-class",
        persist_state="session",
    )
    status = grid.segmented_control(
        t("column.status"),
        _STATUSES,
        default="active",
        required=True,
        format_func=lambda name: t(f"status.{name}"),
        key="models-status",
        persist_state="session",
    )
    return [
        model
        for model in every_model(status)
        if (not words or words.lower() in " ".join([model.name, *model.tags]).lower())
        and model_class in (None, model.model_class_key)
    ]


def _offer(picked: Sequence[ModelMetadata]) -> None:
    with st.container(horizontal=True):
        if st.button(
            t("models.open"),
            type="primary",
            icon=":material/open_in_new:",
            disabled=len(picked) != 1,
            key="open-model",
        ):
            session.go("model", id=picked[0].model_id)
        if st.button(
            t("models.compare"),
            icon=":material/compare_arrows:",
            disabled=not 2 <= len(picked) <= MOST_COMPARED,
            key="compare-models",
        ):
            session.current().compared = [model.model_id for model in picked]
            session.go("compare")
