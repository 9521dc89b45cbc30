"""Where a model is wrong in a labelled table: its weak groups, what it takes for what, its surest mistakes."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import streamlit as st

from modelyard.dashboard import access, notices, session, uploads
from modelyard.dashboard.charts import draw, groups, pick, side_by_side
from modelyard.dashboard.formats import between, count, escaped, number, percent
from modelyard.dashboard.judged import JUDGED, PURPOSE, Judged, is_too_large, judge
from modelyard.dashboard.mistakes import show_mistakes
from modelyard.dashboard.tables import Table
from modelyard.dashboard.texts import t
from modelyard.schemas import Condition, ModelMetadata, RowGroup

_OTHERS = ("train", "predict")
"""The purposes for which a table may have been given before."""


def show_errors_found(model: ModelMetadata) -> None:
    """Ask for a labelled table, and show where the model is wrong in it."""
    st.caption(t("errors.help"))
    if not access.may("evaluate"):
        access.say_needed("evaluate")
        return
    if model.status == "deleted":
        st.info(t("errors.deleted"), icon=":material/info:")
        return
    _offer_tables()
    table = uploads.ask_for_table(PURPOSE, model)
    if table is None:
        return
    if is_too_large(model, table):
        st.info(t("errors.too_large", rows=count(table.rows or 0)), icon=":material/info:")
        return
    target = _ask_target(model, table)
    if target is None:
        return
    kept = session.current().kept
    if st.button(t("errors.go"), type="primary", icon=":material/troubleshoot:", key="errors-go"):
        with notices.errors_in_place(table), st.spinner(t("errors.asking")):
            kept[JUDGED] = judge(model, table, target)
    judged = kept.get(JUDGED)
    if isinstance(judged, Judged) and judged.belongs_to(model, table, target):
        _show(model, judged)


def _offer_tables() -> None:
    """Offer the tables that the visitor gave before, for other purposes."""
    tables = session.current().tables
    if PURPOSE in tables:
        return
    given = {tables[purpose].path: tables[purpose] for purpose in _OTHERS if purpose in tables}
    with st.container(horizontal=True):
        for table in given.values():
            if st.button(
                t("errors.take", table=escaped(table.name)), icon=":material/table:", key=f"take-{table.path.name}"
            ):
                tables[PURPOSE] = table
                st.rerun()


def _ask_target(model: ModelMetadata, table: Table) -> str | None:
    """Return the column with the answers: the model's own target, or one that is chosen."""
    if model.target is not None and (not table.names or model.target in table.names):
        return model.target
    others = [name for name in table.names if name not in model.feature_names] or table.names
    target: str | None = st.selectbox(t("errors.target"), others, None, key=f"errors-target-{table.path.name}")
    return target


@st.fragment
def _show(model: ModelMetadata, judged: Judged) -> None:
    with notices.errors_in_place():
        _say_whole(judged)
        _show_segments(judged)
        pair = side_by_side()
        with pair.cell():
            _show_column(model, judged)
        with pair.cell():
            picked = _ask_cell(model, judged)
        show_mistakes(model, judged, picked)


def _say_whole(judged: Judged) -> None:
    found = judged.found
    key = "errors.right" if found.measure == "accuracy" else "errors.off"
    told = {"value": _written(judged, found.value), "interval": _between(judged, found.low, found.high)}
    st.markdown(t(key, rows=count(judged.frame.height), **told))
    if judged.held_out:
        st.caption(t("errors.held_out"))
    notices.show_warnings([warning for warning in judged.warnings if warning.code != "training_table"])


def _written(judged: Judged, value: float) -> str:
    return percent(value) if judged.found.measure == "accuracy" else number(value, 3)


def _between(judged: Judged, low: float, high: float) -> str:
    return between(_written(judged, low), _written(judged, high))


def _show_segments(judged: Judged) -> None:
    st.header(t("errors.segments"), anchor=False)
    segments = judged.found.segments
    if not segments:
        st.caption(t("errors.no_segments"))
        return
    st.caption(t("errors.segments_help"))
    title = t(f"chart.{judged.found.measure}")
    st.table(
        {
            t("errors.group"): [escaped(in_words(segment.where)) for segment in segments],
            t("chart.rows"): [count(segment.n_rows) for segment in segments],
            title: [
                f"**{_written(judged, segment.value)}** ({_between(judged, segment.low, segment.high)})"
                for segment in segments
            ],
        },
        hide_index=True,
        border="horizontal",
    )


def in_words(where: Sequence[Condition]) -> str:
    """Say which rows meet conditions."""
    one, *rest = [_condition(condition) for condition in where]
    for other in rest:
        one = t("errors.and", one=one, other=other)
    return one


def _condition(condition: Condition) -> str:
    if condition.kind == "range" and condition.low == condition.high:
        return t("errors.value", column=condition.column, value=number(condition.low))
    low, high = number(condition.low), number(condition.high)
    return t(f"errors.{condition.kind}", column=condition.column, value=condition.value, low=low, high=high)


def _show_column(model: ModelMetadata, judged: Judged) -> None:
    st.header(t("errors.by_column"), anchor=False)
    st.caption(t("errors.by_column_help"))
    columns = judged.found.columns
    worst = judged.found.segments[0].where[0].column if judged.found.segments else next(iter(columns))
    names = list(columns)
    column = st.selectbox(t("errors.column"), names, names.index(worst), key=f"errors-column-{model.model_id}")
    shown = columns[column]
    draw(groups.by_value([_group_name(group) for group in shown], shown, judged.found), t("errors.by_column"))


def _group_name(group: RowGroup) -> str:
    (condition,) = group.where
    return in_words([condition]).removeprefix(f"{condition.column} = ").removeprefix(condition.column).strip(" :")


def _ask_cell(model: ModelMetadata, judged: Judged) -> tuple[str, str] | None:
    """Show what was taken for what, and return the true and the predicted class of the cell that was picked."""
    if "error" in judged.frame.columns:
        return None
    st.header(t("errors.confusion"), anchor=False)
    st.caption(t("errors.confusion_help"))
    names = [*judged.scores, *sorted(set(judged.frame["actual"]) - judged.scores.keys())]
    chart = groups.confusion(judged.frame.select(pl.col("actual"), pl.col("predicted")), names)
    key = f"errors-cell-{model.model_id}-{judged.table.path.name}"
    cells = pick(chart, t("errors.confusion"), key, groups.PICKED)
    return (cells[0]["actual"], cells[0]["predicted"]) if cells else None
