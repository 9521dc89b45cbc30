"""The tags and the description of a model, to be changed."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from modelyard.dashboard import formats, notices, session
from modelyard.dashboard.texts import t
from modelyard.schemas import ModelMetadata, UpdateRequest, parse


@dataclass(frozen=True, slots=True)
class _Words:
    """What is said of a model."""

    tags: list[str]
    description: str


def offer_edit(model: ModelMetadata) -> None:
    """Offer to change what is said of a model; the keys carry its id, so that a late click is on no other one."""
    with st.popover(t("model.edit"), icon=":material/edit:", key=f"edit-{model.model_id}"):
        began = _begin(model)
        tags = st.multiselect(
            t("train.tags"),
            list(dict.fromkeys([*began.tags, *model.tags])),
            accept_new_options=True,
            placeholder=t("train.tags_hint"),
            key=_tags(model),
        )
        description = st.text_area(
            t("model.description"),
            max_chars=2000,
            placeholder=t("model.description_hint"),
            key=_description(model),
        )
        if st.button(t("model.save"), type="primary", icon=":material/check:", key=f"edit-save-{model.model_id}"):
            with notices.errors_in_place():
                _save(model, began, _Words(tags, description))


def _begin(model: ModelMetadata) -> _Words:
    """Return the words that the form began with: the model's as they are, until the visitor changes one of them."""
    kept, state, now = session.current().kept, st.session_state, _Words(model.tags, model.description)
    tags, description = _tags(model), _description(model)
    began: _Words | None = kept.get(tags)
    if began is None or tags not in state or (began != now and _Words(state[tags], state[description]) == began):
        began = kept[tags] = now
        state[tags], state[description] = now.tags, now.description
    return began


def _save(model: ModelMetadata, began: _Words, words: _Words) -> None:
    """Save what the visitor has changed, so that what others have changed meanwhile stays.

    Tags are added and removed one by one. A description that both have changed is shown first, and saved the next time.
    """
    kept, now = session.current().kept, _Words(model.tags, model.description)
    if began.description != now.description != words.description != began.description:
        kept[_tags(model)] = _Words(began.tags, now.description)
        st.warning(t("model.edited_meanwhile", description=formats.escaped(now.description)), icon=":material/warning:")
        return
    tags = [tag for tag in now.tags if tag in words.tags or tag not in began.tags]
    tags += [tag for tag in words.tags if tag not in began.tags and tag not in tags]
    description = now.description if words.description == began.description else words.description
    session.yard().update_model(model.model_id, parse(UpdateRequest, {"tags": tags, "description": description}))
    del kept[_tags(model)]
    st.rerun()


def _tags(model: ModelMetadata) -> str:
    return f"edit-tags-{model.model_id}"


def _description(model: ModelMetadata) -> str:
    return f"edit-description-{model.model_id}"
