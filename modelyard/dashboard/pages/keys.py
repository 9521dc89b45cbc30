"""Keys: who may call; to make one, rotate one, revoke one. For administrators."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl
import streamlit as st

from modelyard.dashboard import notices, session
from modelyard.dashboard.formats import escaped
from modelyard.dashboard.listing import pick_rows
from modelyard.dashboard.texts import t
from modelyard.schemas import BOOTSTRAP, ROLES, Key, KeyRequest, NewKey, parse

_MADE = "made-key"


def show() -> None:
    """Show the page."""
    st.title(t("page.keys"), anchor=False)
    keys = session.yard().list_keys().keys  # first, because who may not is told so here
    made: NewKey | None = session.current().kept.get(_MADE)
    if made is not None:
        _show_made(made)
        return
    _offer_new()
    picked = _show_keys(keys)
    if picked is not None:
        _offer_changes(picked)


def _show_made(made: NewKey) -> None:
    """Show a new key, and nothing else until it is put away: the servers never show it again."""
    with st.container(border=True):
        st.markdown(t("keys.made", name=escaped(made.name)))
        st.code(made.key, language=None, wrap_lines=True)
        if st.button(t("keys.put_away"), icon=":material/check:", key="key-put-away"):
            del session.current().kept[_MADE]
            st.rerun()


def _offer_new() -> None:
    with st.expander(t("keys.new"), icon=":material/add:", key="keys-new"), st.form("new-key", border=False):
        left, right = st.columns(2)
        name = left.text_input(t("keys.name"), key="new-key-name", max_chars=64)
        role = right.selectbox(t("keys.role"), ROLES, format_func=lambda one: t(f"role.{one}"), key="new-key-role")
        models = left.text_input(
            t("keys.models"), placeholder=t("keys.models_hint"), help=t("keys.models_help"), key="new-key-models"
        )
        days = right.number_input(t("keys.days"), 1, 36_500, None, placeholder=t("keys.for_ever"), key="new-key-days")
        pressed = st.form_submit_button(t("keys.make"), type="primary", icon=":material/key:", key="new-key-go")
    if pressed:
        with notices.errors_in_place():
            patterns = [pattern.strip() for pattern in models.split(",") if pattern.strip()]
            fields = {"name": name.strip(), "role": role, "models": patterns, "expires_in_days": days}
            _keep(session.yard().create_key(parse(KeyRequest, fields)))


def _show_keys(keys: Sequence[Key]) -> Key | None:
    frame = pl.DataFrame(
        {
            "name": [key.name for key in keys],
            "role": [t(f"role.{key.role}") for key in keys],
            "models": [", ".join(key.models) or t("keys.all_models") for key in keys],
            "made": [f"{key.created_at:%Y-%m-%d}" for key in keys],
            "expires": [_expires(key) for key in keys],
            "old": [key.old_valid_until and f"{key.old_valid_until:%Y-%m-%d %H:%M} UTC" for key in keys],
            "used": [key.last_used_on or t("keys.never") for key in keys],
        },
        schema_overrides={"old": pl.String},
    )
    config = st.column_config
    picked = pick_rows(
        frame if any(key.old_valid_until for key in keys) else frame.drop("old"),
        "keys",
        [key.name for key in keys],
        {
            "name": config.TextColumn(t("column.name"), width=120),
            "role": config.TextColumn(t("keys.role"), width=190),
            "models": config.TextColumn(t("keys.models"), width=90),
            "made": config.TextColumn(t("keys.made_on"), width=90),
            "expires": config.TextColumn(t("keys.expires"), width=105),
            "old": config.TextColumn(t("keys.old"), width=150),
            "used": config.TextColumn(t("keys.used"), width=95),
        },
    )
    st.caption(t("keys.pick"))
    return keys[picked[0]] if picked else None


def _expires(key: Key) -> str:
    if key.expires_at is None:
        return t("keys.never")
    day = f"{key.expires_at:%Y-%m-%d}"
    return day if key.expires_at > datetime.now(UTC) else t("keys.expired", day=day)


def _offer_changes(key: Key) -> None:
    """Offer to rotate or revoke a key. The widgets' keys carry its name: a late second click can be on no other one."""
    name = escaped(key.name)
    with st.container(horizontal=True):
        with st.popover(t("keys.rotate", name=name), icon=":material/autorenew:", key=f"rotate-{key.name}"):
            _ask_to_rotate(key)
        with st.popover(t("keys.revoke", name=name), icon=":material/block:", key=f"revoke-{key.name}"):
            st.markdown(t("keys.revoke_help"))
            if st.button(t("keys.revoke_now"), icon=":material/block:", key=f"revoke-now-{key.name}"):
                with notices.errors_in_place():
                    session.yard().revoke_key(key.name)
                    st.rerun()


def _ask_to_rotate(key: Key) -> None:
    if key.name == BOOTSTRAP:
        st.markdown(t("keys.bootstrap"))
        return
    hours = st.number_input(t("keys.grace"), 0.0, 720.0, 24.0, step=1.0, format="%g", key=f"grace-{key.name}")
    if st.button(t("keys.rotate_now"), icon=":material/autorenew:", key=f"rotate-now-{key.name}"):
        with notices.errors_in_place():
            made = session.yard().rotate_key(key.name, grace_s=hours * 3600)
            owner = session.current().owner
            if owner is not None and made.name == owner.name:
                session.sign_in(made.key)  # the one before may not be valid any more
            _keep(made)


def _keep(made: NewKey) -> None:
    session.current().kept[_MADE] = made
    st.rerun()
