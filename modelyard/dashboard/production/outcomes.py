"""Answers that are kept, and what really happened to them: the switch, and the upload."""

from __future__ import annotations

import streamlit as st

from modelyard.dashboard import access, formats, notices, session, uploads
from modelyard.dashboard.places import kept_place
from modelyard.dashboard.texts import said, t
from modelyard.schemas import AddedOutcomes, KeepAnswersRequest, OutcomesRequest, Performance, parse

_PURPOSE = "outcomes"


def offer_keeping(found: Performance) -> None:
    """Show whether all answers by the name are kept, and let it be changed."""
    key = f"keep-{found.name}"
    st.session_state[key] = found.keep_answers
    st.toggle(
        t("life.keep"),
        key=key,
        help=t("life.keep_help"),
        disabled=not access.may("set_keep_answers"),
        on_change=lambda: _keep(found.name, keep=st.session_state[key]),
    )
    refused = session.current().kept.pop("keep-refused", None)
    if refused is not None:
        notices.show_error(refused)
    access.say_needed("set_keep_answers", "add_outcomes")


def _keep(name: str, *, keep: bool) -> None:
    with notices.errors_kept("keep-refused"):
        session.yard().set_keep_answers(name, KeepAnswersRequest(keep=keep))


def offer_outcomes(name: str) -> None:
    """Take a table of what really happened."""
    if not access.may("add_outcomes"):
        return
    with kept_place():
        _say_added(name)
    is_open = _PURPOSE in session.current().tables
    with st.expander(t("life.upload"), icon=":material/upload_file:", expanded=is_open, key="outcomes"):
        st.caption(t("life.upload_help"))
        table = uploads.ask_for_table(_PURPOSE)
        if table is None or not st.button(
            t("life.upload_go", name=name), type="primary", icon=":material/check:", key=f"outcomes-{name}"
        ):
            return
        with notices.errors_in_place(table), st.spinner(t("life.uploading")):
            request = parse(OutcomesRequest, {"model_id": name, "X": table.path, **table.said})
            here = session.current()
            here.kept["outcomes"] = here.yard.add_outcomes(request)
            del here.tables[_PURPOSE]
            st.rerun()


def _say_added(name: str) -> None:
    added: AddedOutcomes | None = session.current().kept.get("outcomes")
    if added is None or added.name != name:
        return
    del session.current().kept["outcomes"]
    counts = {key: formats.count(getattr(added, key)) for key in ("outcomes", "matched", "replaced", "unknown")}
    st.success(t("life.added", **counts), icon=":material/check_circle:")
    if added.unknown:
        examples = ", ".join(formats.escaped(said(one)) for one in added.unknown_examples)
        st.warning(t("life.unknown_outcomes", unknown=counts["unknown"], examples=examples), icon=":material/info:")
