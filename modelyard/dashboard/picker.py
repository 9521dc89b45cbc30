"""Models picked for a comparison: by their ids in the address, offered from the newest ones, or named by a reference.

Never are all models fetched. A text that is typed is a reference: an id, `name`, `name:3`, `name@alias`.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from modelyard.dashboard import notices, session
from modelyard.dashboard.listing import entry
from modelyard.dashboard.texts import t
from modelyard.errors import ModelyardError
from modelyard.schemas import ModelMetadata, ModelQuery

_PARAMETER = "ids"
_KEY = "compared"
_OFFERED = 50
MOST_COMPARED = 4


def pick_models() -> list[ModelMetadata]:
    """Let up to MOST_COMPARED models be picked; their ids stand in the address.

    Without any there, those that were picked last are taken, or the newest model and one of its name or its table.
    """
    here = session.current()
    offered = {model.model_id: model for model in here.yard.list_models(_newest()).models}
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
    problem: ModelyardError | None = here.kept.pop("compare-problem", None)
    if problem is not None:
        notices.show_error(problem)
    return chosen


def _newest() -> ModelQuery:
    return ModelQuery(status="all", limit=_OFFERED)


def _found(references: Sequence[str], offered: dict[str, ModelMetadata]) -> list[ModelMetadata]:
    """Return the models that references mean, each once; they are offered from now on."""
    found: dict[str, ModelMetadata] = {}
    for reference in references:
        try:
            model = offered.get(reference) or session.yard().get_model(reference)
        except ModelyardError as error:
            session.current().kept.setdefault("compare-problem", error)
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
