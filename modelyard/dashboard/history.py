"""A model's history: what happened to it, when, and what that made of it."""

from __future__ import annotations

import streamlit as st

from modelyard.dashboard import formats, session
from modelyard.dashboard.texts import known, t
from modelyard.schemas import ModelEvent, ModelMetadata


def show_history(model: ModelMetadata) -> None:
    """Show every event, the latest first."""
    events = session.yard().get_history(model.model_id).events[::-1]
    st.table(
        {
            t("history.when"): [f"{event.at:%Y-%m-%d %H:%M} UTC" for event in events],
            t("history.what"): [_in_words(event) for event in events],
            t("history.ago"): [formats.ago(event.at) for event in events],
        },
        hide_index=True,
        border="horizontal",
    )


def _in_words(event: ModelEvent) -> str:
    key = f"history.{event.verb}"
    return t(key) if known(key) else formats.escaped(event.verb)
