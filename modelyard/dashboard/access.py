"""What is shown to whom: a page to sign in if the servers ask for keys, and what a role may not is not offered."""

from __future__ import annotations

import streamlit as st

from modelyard.dashboard import notices, session
from modelyard.dashboard.formats import escaped
from modelyard.dashboard.texts import t
from modelyard.dashboard.visitor import role_for
from modelyard.errors import Unauthenticated, Unavailable


def is_let_in() -> bool:
    """Whether the servers know this visitor, or ask nobody for a key. A server that is down keeps nobody out.

    Raises what `whoami` raises, but for these two.
    """
    here = session.current()
    visitor = here.visitor
    if visitor.who is None and visitor.refused is None:
        try:
            visitor.who = here.yard.whoami()
        except Unauthenticated as error:
            visitor.refused = error
        except Unavailable:  # the page says so
            return True
    return visitor.refused is None


def show_sign_in() -> None:
    """Ask for a key, and say what became of the one before."""
    visitor = session.current().visitor
    with st.columns([1, 2, 1])[1]:
        st.title(t("sign_in.title"), anchor=False)
        st.caption(t("sign_in.lead"))
        with st.form("sign-in", clear_on_submit=True):
            key = st.text_input(t("sign_in.key"), type="password", autocomplete="current-password", key="sign-in-key")
            pressed = st.form_submit_button(t("sign_in.go"), type="primary", icon=":material/login:", key="sign-in-go")
        if pressed:
            _sign_in(key.strip())
        elif visitor.has_key and visitor.refused is not None:
            notices.show_error(visitor.refused)


def _sign_in(key: str) -> None:
    if not key:
        st.warning(t("sign_in.none"), icon=":material/info:")
        return
    try:
        session.sign_in(key)
    except Unauthenticated as error:
        notices.show_error(error)
        return
    st.rerun()


def show_visitor() -> None:
    """Show who is signed in, and offer to sign out."""
    visitor = session.current().visitor
    if visitor.who is None or not visitor.has_key:
        return
    who = visitor.who
    models = ", ".join(escaped(pattern) for pattern in who.models)
    limit = f" · {models}" if models else ""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="right"):
        st.caption(
            f":material/key: **{escaped(who.name)}** · {t(f'role.{who.role}')}{limit}",
            width="content",
            help=t(f"may.{who.role}"),
        )
        st.button(
            t("sign_in.out"), type="tertiary", icon=":material/logout:", key="sign-out", on_click=session.sign_out
        )


def may(verb: str) -> bool:
    """Whether the visitor may use a verb."""
    return session.current().visitor.may(verb)


def say_needed(*verbs: str) -> None:
    """Say which roles offer more here, if the visitor may not use all of these verbs."""
    roles = dict.fromkeys(t(f"role.{role_for(verb)}") for verb in verbs if not may(verb))
    if roles:
        st.caption(f":material/lock: {t('access.needed', roles=', '.join(roles))}")
