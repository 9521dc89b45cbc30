"""The tags and the description of a model, to be changed."""

from __future__ import annotations

import streamlit as st

from modelyard.dashboard import notices, session
from modelyard.dashboard.texts import t
from modelyard.schemas import ModelMetadata, UpdateRequest, parse


def offer_edit(model: ModelMetadata) -> None:
    """Offer to change what is said of a model; the keys carry its id, so that a late click is on no other one."""
    with st.popover(t("model.edit"), icon=":material/edit:", key=f"edit-{model.model_id}"):
        tags = st.multiselect(
            t("train.tags"),
            model.tags,
            model.tags,
            accept_new_options=True,
            placeholder=t("train.tags_hint"),
            key=f"edit-tags-{model.model_id}",
        )
        description = st.text_area(
            t("model.description"),
            model.description,
            max_chars=2000,
            placeholder=t("model.description_hint"),
            key=f"edit-description-{model.model_id}",
        )
        if st.button(t("model.save"), type="primary", icon=":material/check:", key=f"edit-save-{model.model_id}"):
            with notices.errors_in_place():
                changes = parse(UpdateRequest, {"tags": tags, "description": description})
                session.yard().update_model(model.model_id, changes)
                st.rerun()
