"""What the server finds in a table before a model is trained on it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from modelyard.dashboard import notices, session
from modelyard.dashboard.columns import Mapping
from modelyard.dashboard.formats import size
from modelyard.dashboard.tables import Table
from modelyard.dashboard.texts import t
from modelyard.schemas import CheckRequest, ModelMetadata, TableCheck, parse

ASKED_BYTES = 20 * 2**20
"""A larger file is only checked if the visitor asks for it, because each check sends it to the server."""


def show_check(table: Table, target: str, task: str, mapping: Mapping, parent: ModelMetadata | None) -> None:
    """Show the findings, once for each choice of target, task and columns."""
    said = _said(table, target, task, mapping, parent)
    kept: dict[str, Any] = session.current().kept
    key = (table.path.name, said)
    with notices.errors_in_place():
        if kept.get("checked", (None,))[0] != key:
            if table.n_bytes > ASKED_BYTES and not st.button(
                t("check.go", size=size(table.n_bytes)), icon=":material/fact_check:", key="check-go"
            ):
                return
            with st.spinner(t("check.under_way")):
                kept["checked"] = (key, session.yard().check_table(parse(CheckRequest, {**said, "X": table.path})))
        found: TableCheck = kept["checked"][1]
        if found.warnings:
            notices.show_warnings(found.warnings)
        else:
            st.caption(f":material/check_circle: {t('check.nothing')}")


def _said(table: Table, target: str, task: str, mapping: Mapping, parent: ModelMetadata | None) -> dict[str, Any]:
    """Return the fields of the request but X. What a retraining would take from its parent is said here."""
    fields: dict[str, Any] = {"target": target, "task": task}
    types: dict[str, str] = dict(mapping.feature_types)
    if parent is not None:
        inherited = {name: parent.feature_types[name] for name in table.names if name in parent.feature_types}
        types = {name: kind for name, kind in {**inherited, **types}.items() if name not in (*mapping.roles, target)}
        if parent.reading is not None:
            names = ("decimal", "thousands", "missing_markers")
            fields |= {name: getattr(parent.reading, name) for name in names}
    fields |= {**table.said, "feature_types": types, "column_roles": dict(mapping.roles)}
    return {name: value for name, value in fields.items() if value not in (None, {})}
