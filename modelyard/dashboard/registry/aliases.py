"""The aliases of a name: where each points, to move it from where it is seen, to roll it back, and who moved it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from modelyard.dashboard import access, formats, notices, session
from modelyard.dashboard.formats import escaped
from modelyard.dashboard.listing import entry
from modelyard.dashboard.registry.line import Line
from modelyard.dashboard.texts import t
from modelyard.schemas import Alias, AliasMove, AliasRequest, ModelMetadata, parse, parse_alias

_MOVED = "moved-alias"


def show_aliases(line: Line) -> None:
    """Show the tab."""
    st.caption(_meaning(line))
    for alias in line.aliases:
        with st.container(border=True):
            _show_alias(line, alias)
    if access.may("set_alias"):
        _offer_new(line)
    access.say_needed("set_alias")


def move(name: str, alias: str, version: int, expected: int | None) -> None:
    """Point an alias at a version if it still is where the visitor sees it; the page drawn anew says so."""
    request = parse(AliasRequest, {"version": version, "expected": expected})
    moved = session.yard().set_alias(name, parse_alias(alias), request)
    session.current().kept[_MOVED] = moved


def say_moved() -> None:
    """Say which alias was moved just now, if one was."""
    moved = session.current().kept.pop(_MOVED, None)
    if moved is not None:
        st.success(
            t("aliases.moved", name=moved.name, alias=moved.alias, version=moved.version), icon=":material/check:"
        )


def _meaning(line: Line) -> str:
    """Say what the name alone means."""
    default = session.yard().get_default_alias().alias
    if default is not None and any(one.alias == default for one in line.aliases):
        return t("aliases.name_means_alias", name=line.name, alias=default)
    return t("aliases.name_means_newest", name=line.name)


def _show_alias(line: Line, alias: Alias) -> None:
    moves = session.yard().get_alias_history(line.name, alias.alias).moves
    said = t("aliases.since", ago=formats.ago(alias.since), by=escaped(formats.caller(alias.by)))
    st.markdown(f"**{line.name}@{alias.alias}** → **v{alias.version}** &nbsp; :small[{said}]")
    if access.may("set_alias"):
        with st.container(horizontal=True):
            _offer_move(line, alias)
            _offer_roll_back(line, alias, moves)
            _offer_removal(line, alias)
    with st.expander(t("aliases.history", n=len(moves)), icon=":material/history:", key=f"moves-{alias.alias}"):
        _show_moves(moves)


def _offer_move(line: Line, alias: Alias) -> None:
    key = f"{line.name}-{alias.alias}-{alias.version}"
    others = [one for one in line.active if one.version != alias.version]
    with st.popover(t("aliases.move"), icon=":material/move_down:", key=f"move-{key}", disabled=not others):
        if not others:
            return
        chosen = _ask_version(others, f"move-to-{key}")
        st.caption(t("aliases.move_help", alias=alias.alias, version=alias.version))
        if st.button(t("aliases.move_now"), type="primary", icon=":material/check:", key=f"move-now-{key}"):
            with notices.errors_in_place():
                move(line.name, alias.alias, chosen.version, alias.version)
                st.rerun()


def _offer_roll_back(line: Line, alias: Alias, moves: Sequence[AliasMove]) -> None:
    """Offer to move the alias to where it stood before its last move."""
    before = moves[-2].version if len(moves) > 1 else None
    if before is None:
        return
    there = any(one.version == before for one in line.active)
    if st.button(
        t("aliases.roll_back", version=before),
        icon=":material/undo:",
        key=f"back-{line.name}-{alias.alias}-{alias.version}-{len(moves)}",
        disabled=not there,
        help=None if there else t("aliases.cannot_roll_back", version=before),
    ):
        with notices.errors_in_place():
            move(line.name, alias.alias, before, alias.version)
            st.rerun()


def _offer_removal(line: Line, alias: Alias) -> None:
    key = f"{line.name}-{alias.alias}-{alias.version}"
    with st.popover(t("aliases.remove"), icon=":material/label_off:", key=f"remove-{key}"):
        st.markdown(t("aliases.remove_help", name=line.name, alias=alias.alias))
        if st.button(t("aliases.remove_now"), icon=":material/label_off:", key=f"remove-now-{key}"):
            with notices.errors_in_place():
                session.yard().delete_alias(line.name, alias.alias)
                st.rerun()


def _show_moves(moves: Sequence[AliasMove]) -> None:
    """Show the moves, the latest first."""
    latest = moves[::-1]
    st.table(
        {
            t("history.when"): [f"{move.at:%Y-%m-%d %H:%M} UTC" for move in latest],
            t("aliases.to"): [t("aliases.nowhere") if move.version is None else f"v{move.version}" for move in latest],
            t("aliases.by"): [escaped(formats.caller(move.by)) for move in latest],
            t("history.ago"): [formats.ago(move.at) for move in latest],
        },
        hide_index=True,
        border="horizontal",
    )


def _offer_new(line: Line) -> None:
    if not line.active:
        return
    key = f"{line.name}-{len(line.aliases)}"  # the next one begins with an empty field
    with st.popover(t("aliases.new"), icon=":material/add:", key=f"new-alias-{key}"):
        alias = st.text_input(
            t("registry.alias"), placeholder=t("registry.alias_hint"), max_chars=64, key=f"new-alias-name-{key}"
        )
        chosen = _ask_version(line.active, f"new-alias-version-{key}")
        if st.button(t("aliases.make"), type="primary", icon=":material/check:", key=f"new-alias-go-{key}"):
            with notices.errors_in_place():
                move(line.name, alias.strip(), chosen.version, None)
                st.rerun()


def _ask_version(versions: Sequence[ModelMetadata], key: str) -> ModelMetadata:
    by_number = {one.version: one for one in versions}
    chosen = st.selectbox(
        t("column.version"), list(by_number), format_func=lambda number: entry(by_number[number]), key=key
    )
    return by_number[chosen]
