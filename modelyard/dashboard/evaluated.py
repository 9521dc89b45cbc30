"""Models judged by a labelled table that the visitor gives: their metrics with intervals, and what each pair shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from modelyard.dashboard import access, formats, notices, session, uploads
from modelyard.dashboard.listing import title
from modelyard.dashboard.report import metric_title
from modelyard.dashboard.tables import Table
from modelyard.dashboard.texts import said, t
from modelyard.schemas import (
    EvaluateRequest,
    ModelMetadata,
    PairDifference,
    TableEvaluation,
    are_validated,
    meaning,
    parse,
)

PURPOSE = "evaluate"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for: the models by their ids, the table's file, and the other fields of the request."""

    model_ids: list[str]
    path: Path
    fields: dict[str, Any]


def show_evaluation(models: Sequence[ModelMetadata]) -> Sequence[PairDifference]:
    """Ask for a labelled table and show what it says of models that can be compared by one.

    Returns the differences shown; none while nothing has been judged.
    """
    st.header(t("evaluate.title"), anchor=False)
    st.caption(t("evaluate.help"))
    if not access.may("evaluate"):
        access.say_needed("evaluate")
        return ()
    if len({model.task for model in models}) > 1 or any(model.status == "deleted" for model in models):
        st.info(t("evaluate.cannot"), icon=":material/info:")
        return ()
    table = uploads.ask_for_table(PURPOSE, models[0])
    if table is None:
        return _show_held_out(models)
    asked = _ask(models, table)
    is_told = asked.fields["target"] is not None
    if st.button(t("evaluate.go"), type="primary", icon=":material/balance:", key="evaluate-go", disabled=not is_told):
        with notices.errors_in_place(table), st.spinner(t("evaluate.asking")):
            request = parse(EvaluateRequest, {"model_ids": asked.model_ids, "X": asked.path, **asked.fields})
            session.current().kept["evaluated"] = asked, session.yard().evaluate(request)
    before = session.current().kept.get("evaluated")
    if before is None or before[0] != asked:
        return ()
    found: TableEvaluation = before[1]
    _show(found, {model.model_id: title(model) for model in models})
    return found.pairs


def _show_held_out(models: Sequence[ModelMetadata]) -> Sequence[PairDifference]:
    """Show what the rows held out of all of them say of each pair, asked for once; nothing of several tables."""
    tables = {model.fingerprint for model in models}
    if None in tables or len(tables) > 1 or not all(are_validated(model.metrics) for model in models):
        return ()
    ids = [model.model_id for model in models]
    kept: dict[str, Any] = session.current().kept
    with notices.errors_in_place():
        if kept.get("held_out", (None,))[0] != ids:
            with st.spinner(t("evaluate.asking")):
                kept["held_out"] = ids, session.yard().evaluate(EvaluateRequest(model_ids=ids))
        found: TableEvaluation = kept["held_out"][1]
        st.caption(t("evaluate.held_out", rows=found.n_rows))
        _show_pairs(found.pairs, {model.model_id: title(model) for model in models})
        return found.pairs
    return ()


def _ask(models: Sequence[ModelMetadata], table: Table) -> _Asked:
    """Ask for the column of labels, which nobody guesses, and what the table is."""
    usual = models[0].target
    left, right = st.columns(2)
    with left:
        names = table.names or ([usual] if usual else [])
        target = st.selectbox(
            t("evaluate.target"),
            names,
            names.index(usual) if usual in names else None,
            placeholder=t("columns.target_hint"),
            key=f"evaluate-target-{table.path.name}",
            persist_state="session",
        )
    with right:
        said = st.text_input(t("evaluate.label"), key="evaluate-label", max_chars=200, persist_state="session").strip()
    fields = {**table.said, "target": target, "label": said or None}
    return _Asked([model.model_id for model in models], table.path, fields)


def _show(found: TableEvaluation, titles: dict[str, str]) -> None:
    for model in found.models:
        if model.warnings:
            st.caption(formats.escaped(titles[model.model_id]))
            notices.show_warnings(model.warnings)
    names = dict.fromkeys(name for model in found.models for name in model.metrics if meaning(name).is_value)
    columns = {t("report.metric"): [metric_title(name) for name in names]}
    for model in found.models:
        written = [formats.metric_with_interval(name, model.metrics) for name in names]
        columns[formats.escaped(titles[model.model_id])] = written
    st.table(columns, hide_index=True, border="horizontal")
    st.caption(t("evaluate.intervals", rows=formats.count(found.n_rows)))
    if found.pairs:
        _show_pairs(found.pairs, titles)


def _show_pairs(pairs: Sequence[PairDifference], titles: dict[str, str]) -> None:
    metrics = list(dict.fromkeys(pair.metric for pair in pairs))
    metric = st.selectbox(t("evaluate.by"), metrics, format_func=metric_title, key="evaluate-metric")
    shown = [pair for pair in pairs if pair.metric == metric]
    st.table(
        {
            t("evaluate.pair"): [
                f"{formats.escaped(titles[pair.a])} {formats.NOTHING} {formats.escaped(titles[pair.b])}"
                for pair in shown
            ],
            t("evaluate.difference"): [_difference(pair) for pair in shown],
            t("evaluate.shows"): [formats.escaped(said(pair.words)) for pair in shown],
        },
        hide_index=True,
        border="horizontal",
    )


def _difference(pair: PairDifference) -> str:
    value, low, high = map(_signed, (pair.difference, pair.low, pair.high))
    return f"{value} ({low} … {high})"


def _signed(number: float) -> str:
    sign = "+" if number > 0 else "\N{MINUS SIGN}" if number < 0 else ""
    return sign + formats.number(abs(number), 3)
