"""How to call a name from elsewhere: snippets with the model's own columns, to be copied."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from modelyard.dashboard import address, session
from modelyard.dashboard.registry.line import Line
from modelyard.dashboard.registry.snippets import Call, command_line, curl, grpcurl, python, typical_row
from modelyard.dashboard.texts import t

_WAYS: dict[str, tuple[Callable[[Call], str], str]] = {
    "curl": (curl, "bash"),
    "python": (python, "python"),
    "grpcurl": (grpcurl, "bash"),
    "cli": (command_line, "bash"),
}


def show_use(line: Line) -> None:
    """Show the tab."""
    references = {line.name: line.newest, **{f"{line.name}@{one.alias}": line.at(one.alias) for one in line.aliases}}
    references |= {f"{line.name}:{one.version}": one for one in line.active[:20]}
    usual = f"{line.name}@{line.aliases[0].alias}" if line.aliases else line.name
    chosen = st.selectbox(t("use.reference"), list(references), **address.bound("ref", usual, allowed=list(references)))
    st.caption(t("use.help"))
    model = references[chosen] or line.newest
    row = typical_row(model, session.yard().get_report(model.model_id).columns)
    here = session.current()
    call = Call(
        reference=chosen,
        rest_url=here.doors.rest_url,
        grpc_target=here.doors.grpc_target,
        row=row,
        probabilities=bool(model.classes),
        key=here.visitor.has_key,
    )
    for place, (write, language) in zip(st.tabs([t(f"use.{name}") for name in _WAYS]), _WAYS.values(), strict=True):
        place.code(write(call), language=language, wrap_lines=True)
    if call.key:
        st.caption(t("use.key"))
    st.caption(t("use.addresses"))
