"""With which columns the answer must only rise, or only fall: asked of the algorithms that can hold to it."""

from __future__ import annotations

import streamlit as st

from modelyard.dashboard.texts import t
from modelyard.schemas import ModelMetadata

_WAYS = {1: "rises", -1: "falls"}


def ask_monotone(numeric: list[str], parent: ModelMetadata | None) -> dict[str, int]:
    """Ask for the monotone ones of a table's numeric columns; 0 stands for one of the parent's that is no longer."""
    before = {name: way for name, way in (parent.monotone if parent else {}).items() if name in numeric}
    with st.expander(t("monotone.title"), expanded=bool(before), key="monotone"):
        st.caption(t("monotone.help"))
        chosen: dict[str, int] = {}
        for way, word in _WAYS.items():
            names = [name for name in numeric if name not in chosen]
            key = f"monotone-{word}-{parent.model_id if parent else ''}"
            start = st.session_state.get(key, [name for name in before if before[name] == way])
            st.session_state[key] = [name for name in start if name in names]  # another table may have no such numbers
            chosen |= dict.fromkeys(st.multiselect(t(f"monotone.{word}"), names, key=key), way)
    return {**dict.fromkeys(before, 0), **chosen}


def told_monotone(model: ModelMetadata) -> str:
    """Say with which columns a model's answer rises or falls; nothing if there are none."""
    words = []
    for way, word in _WAYS.items():
        names = [name for name, direction in model.monotone.items() if direction == way]
        if names:
            words.append(f"{t(f'monotone.{word}')}: {', '.join(names)}")
    return "; ".join(words)
