"""What the new model is called, and which alias it takes over if it is good enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import streamlit as st

from modelyard.dashboard import access, session
from modelyard.dashboard.formats import escaped
from modelyard.dashboard.texts import t
from modelyard.errors import ModelyardError
from modelyard.schemas import ModelMetadata, ModelQuery, Promote, check_name

_CONDITIONS: tuple[str, ...] = get_args(Promote.model_fields["condition"].annotation)


@dataclass(frozen=True, slots=True)
class Naming:
    """The name, None if the server is to make one, and the tags; whether the name can be a model's; what to promote."""

    name: str | None
    tags: list[str]
    is_valid: bool = True
    promote: dict[str, Any] | None = None


def ask_naming(parent: ModelMetadata | None, *, promotes: bool) -> Naming:
    """Ask for a name, which a retraining keeps, for tags, and if the name has aliases whether one is to be moved."""
    name_cell, tags_cell = st.columns(2)
    key = parent.model_id if parent else ""
    given = name_cell.text_input(
        t("train.name"),
        parent.name if parent else "",
        disabled=parent is not None,
        placeholder=t("train.name_hint"),
        help=t("train.name_help"),
        key=f"name-{key}",
    ).strip()
    tags = tags_cell.multiselect(
        t("train.tags"),
        parent.tags if parent else [],
        parent.tags if parent else [],
        accept_new_options=True,
        placeholder=t("train.tags_hint"),
        key=f"tags-{key}",
        persist_state="session",
    )
    name, is_valid = (given or None), not given or _is_name(given)
    if not is_valid:
        name_cell.caption(f":red[:material/error: {t('train.name_wrong', n=len(given))}]")
        return Naming(name, list(tags), is_valid=False)
    aliases, newest = _known(name) if name else ([], None)
    if newest is not None:
        name_cell.caption(t("train.name_known", name=escaped(name or ""), version=newest + 1))
    return Naming(name, list(tags), promote=_ask_promote(aliases, key) if promotes and aliases else None)


def _is_name(text: str) -> bool:
    try:
        return bool(check_name(text))
    except ValueError:
        return False


def _known(name: str) -> tuple[list[str], int | None]:
    """Return the aliases of a name and its newest version, asked for once; nothing if the visitor may not see them."""
    here = session.current()
    known: dict[str, tuple[list[str], int | None]] = here.kept.setdefault("names", {})
    if name not in known:
        try:
            models = here.yard.list_models(ModelQuery(name=name, status="all", limit=1)).models
            aliases = [one.alias for one in here.yard.list_aliases(name).aliases] if models else []
        except ModelyardError:  # the server says what is wrong once the training is ordered
            return [], None
        known[name] = aliases, models[0].version if models else None
    return known[name]


def _ask_promote(aliases: Sequence[str], key: str) -> dict[str, Any] | None:
    if not access.may("set_alias"):
        return None
    alias_cell, condition_cell = st.columns(2)
    alias = alias_cell.selectbox(
        t("train.promote"),
        aliases,
        None,
        placeholder=t("train.promote_none"),
        help=t("train.promote_help"),
        key=f"promote-alias-{key}",
    )
    if alias is None:
        return None
    condition = condition_cell.selectbox(
        t("train.promote_if"),
        _CONDITIONS,
        format_func=lambda name: t(f"promote.{name}"),
        key=f"promote-if-{key}",
    )
    return {"alias": alias, "if": condition}
