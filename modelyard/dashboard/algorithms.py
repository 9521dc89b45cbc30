"""Which algorithms are to be trained, one or several side by side, or a search among all; and their hyperparams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from modelyard.dashboard.formats import escaped
from modelyard.dashboard.forms import ask_hyperparams
from modelyard.dashboard.listing import classes
from modelyard.dashboard.searching import ask_search
from modelyard.dashboard.texts import t
from modelyard.errors import ModelClassNotFound
from modelyard.schemas import AUTO, ENSEMBLE, ModelClassInfo, ModelMetadata

_BOX = "class-"


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A model class and the hyperparams that differ from the form's start, or what a search may take to find them."""

    key: str
    hyperparams: dict[str, Any]
    takes_monotone: bool = False
    search: dict[str, Any] | None = None


def ask_algorithms(parent: ModelMetadata | None, task: str) -> list[Algorithm]:
    """Ask for model classes of the task, a card each, and for their hyperparams; a retraining keeps its parent's class.

    Returns nothing if none is ticked. Raises ModelClassNotFound if the server has none.
    """
    st.header(t("train.algorithm"), anchor=False)
    infos = {info.key: info for info in classes()}
    if parent is not None:
        return [_of_parent(parent, infos)]
    infos = {key: info for key, info in infos.items() if info.task == task}
    if not infos:
        raise ModelClassNotFound(t("train.no_class", task=t(f"task.{task}")))
    st.caption(t("train.algorithm_help"))
    ticked = _tick(infos)
    if AUTO in ticked:
        return [Algorithm(AUTO, {}, any(info.takes_monotone for info in infos.values()), ask_search())]
    return [_ask_hyperparams(infos[key], None) for key in ticked]


def _of_parent(parent: ModelMetadata, infos: Mapping[str, ModelClassInfo]) -> Algorithm:
    if parent.model_class_key == ENSEMBLE:
        members = ", ".join(one.title for one in infos.values() if one.key in parent.hyperparams)
        st.markdown(t("search.ensemble_kept", members=escaped(members)))
        return Algorithm(ENSEMBLE, {})
    info = infos.get(parent.model_class_key)
    if info is None:
        raise ModelClassNotFound(t("train.class_gone", algorithm=parent.model_class_key))
    st.markdown(t("train.algorithm_kept", title=escaped(info.title)))
    return _ask_hyperparams(info, parent)


def _tick(infos: Mapping[str, ModelClassInfo]) -> list[str]:
    """Show a card with a box for each, and one for a search; return the keys of those that are ticked."""
    keys = [*infos, AUTO]
    if not st.session_state.get(f"{_BOX}{AUTO}") and not any(f"{_BOX}{key}" in st.session_state for key in infos):
        st.session_state[f"{_BOX}{keys[0]}"] = True
    for key in keys:  # the browser is told each time, because it misses what a page says whose drawing it cuts short
        st.session_state[f"{_BOX}{key}"] = bool(st.session_state.get(f"{_BOX}{key}"))
    cards = st.grid(min(4, len(keys)), min_column_width=195, border=True)
    for key in keys:
        with cards.cell():
            info = infos.get(key)
            first, _, rest = (info.description if info else t("search.lead")).partition(". ")
            st.checkbox(
                escaped(info.title if info else t("search.title")),  # plain, because screen readers read labels raw
                key=f"{_BOX}{key}",
                on_change=_untick,
                args=([AUTO] if info else list(infos), key),
                help=escaped(rest) or None,
            )
            st.caption(f":small[{escaped(first.rstrip('.'))}.]")
    return [key for key in keys if st.session_state[f"{_BOX}{key}"]]


def _untick(others: list[str], key: str) -> None:
    """Untick what does not go with what was ticked just now."""
    if st.session_state[f"{_BOX}{key}"]:
        for other in others:
            st.session_state[f"{_BOX}{other}"] = False


def _ask_hyperparams(info: ModelClassInfo, parent: ModelMetadata | None) -> Algorithm:
    key = f"hyperparams-{info.key}-{parent.model_id if parent else ''}"
    start = parent.hyperparams if parent else None
    words = t("train.hyperparams_of", title=escaped(info.title))
    with st.expander(words, icon=":material/tune:", key=f"open-{key}"):
        return Algorithm(info.key, ask_hyperparams(key, info.hyperparams, start), info.takes_monotone)
