"""A model's decision: in words, what it does, and a form for any rule."""

from __future__ import annotations

import streamlit as st

from modelyard.dashboard import access, decision_form, notices, session
from modelyard.dashboard.charts import draw, side_by_side, thresholds
from modelyard.dashboard.formats import NOTHING, count, escaped, number, percent, with_unit
from modelyard.dashboard.texts import said, t
from modelyard.schemas import Decision, DecisionMetrics, DecisionReport, ModelMetadata, ResolvedDecision, parse


def show_rules(model: ModelMetadata, found: DecisionReport) -> None:
    """Show what the decision of a model of classes does, and let an active one have any other rule."""
    if found.metrics is not None and found.most_probable is not None:
        st.markdown(_saving(found))
        st.caption(_measured(found))
    pair = side_by_side()
    if model.status == "active" and access.may("set_decision"):
        with pair.cell():
            _offer(model, found)
    with pair.cell():
        if found.metrics is not None and found.most_probable is not None:
            _show_metrics(found.metrics, found.most_probable, label=found.label, costs=found.decision.costs is not None)
    if found.curve:
        _show_curve(found)


def in_words(decision: ResolvedDecision) -> str:
    """Say as Markdown what a decision answers, as the end of a sentence."""
    if decision.rule == "most_probable":
        return t("decision.obeyed_most_probable")
    if decision.threshold is None:
        return t("decision.obeyed_least_cost")
    threshold = with_unit(number(decision.threshold * 100, 3))
    return t("decision.obeyed_threshold", label=escaped(str(decision.label)), threshold=threshold)


def _saving(found: DecisionReport) -> str:
    """Say what the decision saves, by its numbers: the server's own words are English."""
    if found.decision.rule == "most_probable":
        return t("decision.plain")
    key = "cost" if found.decision.costs is not None else "errors"
    saving, low, high = found.saving, found.saving_low, found.saving_high
    if saving is None or low is None or high is None:
        return escaped(said(found.words))
    if low <= 0 <= high:
        return t("decision.no_saving")
    if saving < 0:
        saving, low, high = -saving, -high, -low
        key += "_more"
    return t(f"decision.saves_{key}", saving=percent(saving), low=percent(low), high=percent(high))


def _measured(found: DecisionReport) -> str:
    told = t("decision.measured", rows=count(found.n_rows))
    return f"{told} {t('decision.cross_fitted')}" if found.cross_fitted else told


def _offer(model: ModelMetadata, found: DecisionReport) -> None:
    st.header(t("decision.change"), anchor=False)
    fields = decision_form.ask(model, found)
    if st.button(t("decision.save"), type="primary", icon=":material/save:", key=f"decision-save-{model.model_id}"):
        with notices.errors_in_place():
            session.yard().set_decision(model.model_id, parse(Decision, fields))
            st.rerun()


def _show_metrics(own: DecisionMetrics, plain: DecisionMetrics, *, label: str | None, costs: bool) -> None:
    st.header(t("decision.what_it_does"), anchor=False)
    names = ["precision", "recall", "share"] if label is not None else []
    rows = {t(f"decision.row_{name}", label=escaped(str(label))): name for name in names}
    rows[t("metric.accuracy")] = "accuracy"
    shown = {title: [percent(getattr(one, name)) for one in (own, plain)] for title, name in rows.items()}
    if costs:
        shown[t("decision.row_cost")] = [
            f"{number(one.cost, 3)} ({number(one.cost_low, 3)} {NOTHING} {number(one.cost_high, 3)})"
            for one in (own, plain)
        ]
    st.table(
        {
            " ": list(shown),
            t("decision.column_own"): [f"**{escaped(cells[0])}**" for cells in shown.values()],
            t("decision.column_plain"): [escaped(cells[1]) for cells in shown.values()],
        },
        hide_index=True,
        border="horizontal",
    )


def _show_curve(found: DecisionReport) -> None:
    label = escaped(str(found.label))
    pair = side_by_side()
    with pair.cell():
        st.header(t("decision.cost_curve"), anchor=False)
        counted = "cost" if found.decision.costs is not None else "errors"
        st.caption(t(f"decision.{counted}_curve_help", label=label))
        title = t(f"chart.{counted}")
        draw(thresholds.costs(found.curve, found.own_threshold, title), t("decision.cost_curve"))
    with pair.cell():
        st.header(t("decision.share_curve"), anchor=False)
        st.caption(t("decision.share_curve_help", label=label))
        draw(thresholds.shares(found.curve, found.own_threshold), t("decision.share_curve"))
