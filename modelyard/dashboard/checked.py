"""What the server finds in a table before a model is trained on it, and for each finding a button that mends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from modelyard.dashboard import notices, session
from modelyard.dashboard.columns import Mapping, use_as
from modelyard.dashboard.formats import count, size
from modelyard.dashboard.tables import Table
from modelyard.dashboard.targets import task_key, unanswered
from modelyard.dashboard.texts import t
from modelyard.dashboard.uploads import TRAINING, drop_rows, drop_twins, say_of_reading
from modelyard.errors import InvalidTable
from modelyard.schemas import (
    CheckRequest,
    ColumnRole,
    FeatureType,
    ModelMetadata,
    ModelWarning,
    Reading,
    TableCheck,
    parse,
)

ASKED_BYTES = 20 * 2**20
"""A larger file is only checked if the visitor asks for it, because each check sends it to the server."""

_FIRST = 4
"""So many findings are shown, the others on a click; a single other one is shown, too."""

_BY_HARM = (
    # the model will look better than it is
    "leak",
    "duplicate_rows",
    # the target cannot be learned as it stands
    "target_like_identifier",
    "labels_like_numbers",
    "numbers_like_labels",
    "labels_alike",
    "contradicting_rows",
    "rare_classes",
    # cells are lost, or mean something else than they say
    "header_like_data",
    "numbers_with_text",
    "numbers_in_another_spelling",
    "dates_in_another_spelling",
    "numbers_read_as",
    "integers_rounded",
    "categories_alike",
    # a column is of little use
    "identifier_like",
    "mostly_missing",
    "constant",
    # next to nothing is lost
    "index_columns",
    "blank_rows",
)
"""The codes of findings, those that do the most harm first; unknown ones, as of a newer server, come last."""

_KINDS: dict[str, FeatureType | ColumnRole] = {
    "identifier_like": "id",
    "constant": "ignore",
    "mostly_missing": "ignore",
    "leak": "ignore",
}
"""What a column is used as to mend a finding."""

_OTHER_TASKS = {"labels_like_numbers": "regression", "numbers_like_labels": "classification"}
"""What a target is predicted as to mend a finding."""

Fix = tuple[str, Callable[[], None]]
"""The words of a button, and what it does."""


def show_check(table: Table, target: str, task: str, mapping: Mapping, parent: ModelMetadata | None) -> None:
    """Show the findings, once for each choice of target, task and columns."""
    said = _said(table, target, task, mapping, parent)
    kept: dict[str, Any] = session.current().kept
    key = (table.path.name, said)
    with notices.errors_in_place(table):
        if kept.get("checked", (None,))[0] != key:
            if table.n_bytes > ASKED_BYTES and not st.button(
                t("check.go", size=size(table.n_bytes)), icon=":material/fact_check:", key="check-go"
            ):
                return
            try:
                with st.spinner(t("check.under_way")):
                    kept["checked"] = (key, session.yard().check_table(parse(CheckRequest, {**said, "X": table.sent})))
            except InvalidTable as error:
                _offer_answered(table, target, task)
                notices.show_error(error, table)
                _offer_left_out(error, table, target, parent)
                return
        found: TableCheck = kept["checked"][1]
        if found.warnings:
            _show(found.warnings, lambda warning: _fix(warning, table, target, mapping, parent))
        else:
            st.caption(f":material/check_circle: {t('check.nothing')}")


def _offer_answered(table: Table, target: str, task: str) -> None:
    """Show as a finding that a refused table has rows without an answer, if it has some, and offer to drop them."""
    if target not in table.names or not (n := int((missing := unanswered(table, target, task)).sum())):
        return
    words = t("fix.unanswered", n=count(n))
    finding = ModelWarning(code="target_missing", message=words, column=target, count=n)
    _show([finding], lambda _: (words, lambda: drop_rows(TRAINING, table, missing)))


def _offer_left_out(error: InvalidTable, table: Table, target: str, parent: ModelMetadata | None) -> None:
    """Offer to leave out the columns that are refused as a whole, such as empty ones, all at once."""
    places = [one.loc for one in error.errors if one.loc[:1] == ("X",) and len(one.loc) == 2]
    columns = [str(name) for _, name in places if name in table.names and name != target]
    if not columns:
        return

    def leave_out() -> None:
        for column in columns:
            use_as(table, parent, column, "ignore")

    words = t("fix.ignore") if len(columns) == 1 else t("fix.ignore_all", n=len(columns))
    st.button(words, key="fix-refused", icon=":material/auto_fix_high:", on_click=leave_out)


def _show(warnings: Sequence[ModelWarning], fix: Callable[[ModelWarning], Fix | None]) -> None:
    with st.container(border=True, key="findings", gap="xsmall"):
        st.markdown(f":material/info: **{t('warnings.title')}**")
        findings = list(enumerate(sorted(warnings, key=_harm)))
        first = len(findings) if len(findings) == _FIRST + 1 else _FIRST
        for place, warning in findings[:first]:
            _show_finding(place, warning, fix(warning))
        if rest := findings[first:]:
            with st.expander(t("check.more", n=len(rest)), key="more-findings"):
                for place, warning in rest:
                    _show_finding(place, warning, fix(warning))


def _harm(warning: ModelWarning) -> int:
    """Return the place of a finding by the harm that it does, 0 for the most."""
    return _BY_HARM.index(warning.code) if warning.code in _BY_HARM else len(_BY_HARM)


def _show_finding(place: int, warning: ModelWarning, fix: Fix | None) -> None:
    """Show a finding, and at its right what mends it."""
    words, button = st.columns([5, 2], gap="small", vertical_alignment="center")
    words.markdown(notices.in_words(warning))
    if fix is not None:
        label, mend = fix
        button.button(label, key=f"fix-{place}-{warning.code}", icon=":material/auto_fix_high:", on_click=mend)


def _fix(
    warning: ModelWarning, table: Table, target: str, mapping: Mapping, parent: ModelMetadata | None
) -> Fix | None:
    """Return what mends a finding, if one click can."""
    column = warning.column
    kind = _KINDS.get(warning.code)
    if column is not None and kind is not None:
        if kind == "id" and "id" in mapping.roles.values():
            kind = "ignore"  # one column alone can be the rows' id
        return t(f"fix.{kind}"), lambda: use_as(table, parent, column, kind)
    if parent is None and (task := _OTHER_TASKS.get(warning.code)) is not None:
        return t(f"fix.{task}"), lambda: st.session_state.update({task_key(table, target): task})
    if warning.code == "header_like_data":
        return t("fix.header"), lambda: say_of_reading(TRAINING, table, header=False)
    if warning.code == "duplicate_rows" and table.columns:
        return t("fix.twins"), lambda: drop_twins(TRAINING, table, list(mapping.roles))
    return None


def _said(table: Table, target: str, task: str, mapping: Mapping, parent: ModelMetadata | None) -> dict[str, Any]:
    """Return the fields of the request but X. What a retraining would take from its parent is said here."""
    fields: dict[str, Any] = {"target": target, "task": task}
    types: dict[str, str] = dict(mapping.feature_types)
    if parent is not None:
        inherited = {name: parent.feature_types[name] for name in table.names if name in parent.feature_types}
        types = {name: kind for name, kind in {**inherited, **types}.items() if name not in (*mapping.roles, target)}
        if parent.reading is not None:
            fields |= _read_as(table, parent.reading)
    fields |= {**table.said, "feature_types": types, "column_roles": dict(mapping.roles)}
    return {name: value for name, value in fields.items() if value not in (None, {})}


def _read_as(table: Table, usual: Reading) -> dict[str, Any]:
    """Return how a table is read that is read as its parent's, for a request that names no parent."""
    same = ("decimal", "thousands", "missing_markers", "delimiter", "skip_rows", "sheet")
    fields = {name: getattr(usual, name) for name in same}
    fields["encoding"] = usual.encoding if table.layout is None else table.layout.encoding
    if not table.said.get("header", usual.header):
        fields["names"] = table.names
    return fields
