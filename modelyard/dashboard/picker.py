"""Models picked from however many there are, one or several, which stand in the address by their ids.

Never are all models fetched: the newest are offered, or those that a word finds. A text that is typed into the list is
a reference: an id, `name`, `name:3`, `name@alias`.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from modelyard.dashboard import notices, session
from modelyard.dashboard.formats import escaped
from modelyard.dashboard.listing import entry, title
from modelyard.dashboard.places import kept_place
from modelyard.dashboard.texts import t
from modelyard.errors import ModelyardError
from modelyard.schemas import ModelMetadata, ModelPage, ModelQuery, StatusFilter

_PARAMETER = "ids"
_KEY = "compared"
_PROBLEM = "pick-problem"
_OFFERED = 50
MOST_COMPARED = 4


def offered_models(status: StatusFilter, key: str) -> list[ModelMetadata]:
    """List the newest models to choose from; if there are more, let a word find them."""
    word = st.session_state.get(key, "").strip()
    page = found = _newest(status, word)
    if word and not page.models:
        found = _newest(status)
    if word or page.next_cursor is not None:
        st.text_input(
            t("models.search"), placeholder=t("models.search_hint"), icon=":material/search:", max_chars=200, key=key
        )
        with kept_place():
            if word and not page.models:
                st.caption(t("models.none_found", word=escaped(word)))
            elif page.next_cursor is not None:
                st.caption(t("models.newest", n=_OFFERED))
    return found.models


def _newest(status: StatusFilter, word: str = "") -> ModelPage:
    return session.yard().list_models(ModelQuery(status=status, search=word or None, limit=_OFFERED))


def pick_model(label: str, key: str, models: Sequence[ModelMetadata]) -> ModelMetadata | None:
    """Let one of these models be picked, or named by a reference, the one in the address first.

    The choice is kept in the address, so that the page stays with its model. None if that model is deleted or gone.
    """
    here, by_id = session.current(), {model.model_id: model for model in models}
    asked: ModelMetadata | None = None
    with notices.errors_in_place():
        asked = session.resolved("id") or by_id.get(here.model or "", models[0])
        st.query_params["id"] = asked.model_id
    if asked is not None and asked.status == "active":
        by_id.setdefault(asked.model_id, asked)
    ids = list(by_id)
    at = None if asked is None or asked.model_id not in by_id else ids.index(asked.model_id)
    st.session_state[key] = None if at is None else ids[at]
    st.selectbox(
        label,
        ids,
        at,
        format_func=lambda model_id: entry(by_id[model_id]) if model_id in by_id else model_id,
        key=key,
        on_change=lambda: _open(st.session_state[key]),
        placeholder=t("predict.choose") if asked is None else title(asked),
        accept_new_options=True,
        help=t("compare.models_help"),
    )
    _show_problem()
    if asked is None:
        return None
    if asked.status == "deleted":
        st.warning(t("model.is_deleted", model=escaped(title(asked))), icon=":material/delete:")
        return None
    here.model = asked.model_id
    return asked


def _open(reference: str | None) -> None:
    """Write the id of the model that was picked, or named by a reference, into the address."""
    if reference is not None:
        with notices.errors_kept(_PROBLEM):
            st.query_params["id"] = session.yard().get_model(reference).model_id


def pick_models() -> list[ModelMetadata]:
    """Let up to MOST_COMPARED models be picked; their ids stand in the address.

    Without any there, those that were picked last are taken, or the newest model and one of its name or its table.
    """
    here = session.current()
    offered = {model.model_id: model for model in offered_models("all", "compare-search")}
    said = [one for one in st.query_params.get(_PARAMETER, "").split(",") if one]
    chosen = _found(said or here.compared or _start(list(offered.values())), offered)[:MOST_COMPARED]
    titles = {model_id: entry(model) for model_id, model in offered.items()}
    here.compared = [model.model_id for model in chosen]
    st.query_params[_PARAMETER] = ",".join(here.compared)
    st.session_state[_KEY] = here.compared
    st.multiselect(
        t("compare.models"),
        list(titles),
        format_func=lambda model_id: titles.get(model_id, model_id),
        max_selections=MOST_COMPARED,
        select_all=False,
        accept_new_options=True,
        placeholder=t("compare.models_hint"),
        help=t("compare.models_help"),
        key=_KEY,
        on_change=_take,
    )
    _show_problem()
    return chosen


def _show_problem() -> None:
    """Show why what was typed is no model."""
    problem: ModelyardError | None = session.current().kept.pop(_PROBLEM, None)
    if problem is not None:
        notices.show_error(problem)


def _found(references: Sequence[str], offered: dict[str, ModelMetadata]) -> list[ModelMetadata]:
    """Return the models that references mean, each once; they are offered from now on."""
    found: dict[str, ModelMetadata] = {}
    for reference in references:
        try:
            model = offered.get(reference) or session.yard().get_model(reference)
        except ModelyardError as error:
            session.current().kept.setdefault(_PROBLEM, error)
            continue
        offered.setdefault(model.model_id, model)
        found.setdefault(model.model_id, model)
    return list(found.values())


def _start(newest: Sequence[ModelMetadata]) -> list[str]:
    """Return two models that can be compared: the newest active one, and one before it of its name or its table."""
    active = [model for model in newest if model.status == "active"]
    if not active:
        return []
    first, *others = active
    of_name = [one for one in others if one.name == first.name]
    of_table = [one for one in others if _table(one) == _table(first)]
    return [first.model_id, *(one.model_id for one in [*of_name, *of_table][:1])]


def _table(model: ModelMetadata) -> tuple[str | None, str | None]:
    """Return what two models share only if they learned the same from equal tables."""
    return model.fingerprint, model.target


def _take() -> None:
    """Write what was picked, or typed, into the address."""
    picked = st.session_state[_KEY]
    session.current().compared = picked
    st.query_params[_PARAMETER] = ",".join(picked)


def offer_comparison(ticked: Sequence[str], key: str) -> None:
    """Offer to compare the models that were ticked, by their ids, if they are few enough."""
    if st.button(
        t("models.compare"),
        icon=":material/compare_arrows:",
        disabled=not 2 <= len(ticked) <= MOST_COMPARED,
        help=t("models.pick"),
        key=key,
    ):
        session.current().compared = list(ticked)
        session.go("compare")
