"""Deciding on a model's page: a threshold moved by hand, what it does with rows, what it brings, whom to act on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from modelyard.dashboard import access, notices, session
from modelyard.dashboard.charts import cuts as charts
from modelyard.dashboard.charts import draw, side_by_side
from modelyard.dashboard.cuts import Cut, Money, best_f1, best_profit, cuts_of, nearest
from modelyard.dashboard.decision import in_words, show_rules
from modelyard.dashboard.first_rows import show_gain
from modelyard.dashboard.formats import count, escaped, number, percent
from modelyard.dashboard.formats import label as label_text
from modelyard.dashboard.texts import t
from modelyard.schemas import MOST_PROBABLE, Decision, DecisionReport, ModelMetadata, Report, are_validated, parse


def show_deciding(model: ModelMetadata, report: Report, decided: DecisionReport | None) -> None:
    """Show what thresholds of a class would do, and let an active model have one.

    `decided` is what the model's decision does, None if it has none.
    """
    st.markdown(f"## {t('decision.says', decision=in_words(model.decision or MOST_PROBABLE))}")
    label = _ask_class(model, report)
    if decided is None or label not in (None, decided.label):
        decided = session.yard().get_decision(model.model_id, label)
    _show_thresholds(model, decided)


def _ask_class(model: ModelMetadata, report: Report) -> str | None:
    """Ask which class matters, the decision's first, else the rarest; None without rows that tell."""
    if not are_validated(model.metrics):
        return None
    own = None if model.decision is None else model.decision.label
    rows = sorted((row for row in report.per_class or [] if row["support"]), key=lambda row: row["support"])
    names = [label_text(row["label"]) for row in rows]
    at = names.index(own) if own in names else 0
    return st.selectbox(t("cut.class"), names, at, key=f"cut-class-{model.model_id}", persist_state="session")


@st.fragment
def _show_thresholds(model: ModelMetadata, found: DecisionReport) -> None:
    """Show what the thresholds of a class would do; to move one asks the server nothing."""
    with notices.errors_in_place():
        notices.show_warnings(found.warnings)
        cuts, label = cuts_of(found), found.label
        if not found.n_rows:
            st.caption(t("cut.no_rows"))
        if cuts and label is not None:
            _show_cut(model, found, cuts, label)
            show_gain(model, cuts, label)
        with st.expander(t("decision.other_rules"), expanded=not cuts, key="other-rules"):
            show_rules(model, found)


def _show_cut(model: ModelMetadata, found: DecisionReport, cuts: Sequence[Cut], label: str) -> None:
    key = f"cut-{model.model_id}-{label}"
    thresholds = [cut.threshold for cut in cuts]
    own = 0.5 if found.own_threshold is None else found.own_threshold
    chosen = st.session_state.get(key)
    st.session_state[key] = nearest(cuts, own if chosen is None else chosen).threshold
    pair = side_by_side()
    with pair.cell():
        marked = st.container(gap="xsmall")
        at = nearest(cuts, st.session_state[key])
        _show_counts(at, label)
        _offer_use(model, found, at, label)
        st.caption(t("cut.measured", rows=count(found.n_rows)))
    with pair.cell():
        money = _ask_money(model, found, label)
        marks = _marks(found, cuts, money)
        _show_profit(cuts, money, marks, at)
        if len(model.classes or ()) == 2 and _may_decide(model):
            _offer_amounts(model, label, money)
    with marked:
        st.select_slider(
            t("cut.threshold", label=escaped(label)),
            thresholds,
            format_func=_short,
            key=key,
        )
        with st.container(horizontal=True, gap="xsmall"):
            for name, threshold in marks.items():
                st.button(
                    name,
                    type="tertiary",
                    key=f"{key}-{threshold:.6f}-{name}",
                    on_click=lambda threshold=threshold: st.session_state.update({key: threshold}),
                )


def _marks(found: DecisionReport, cuts: Sequence[Cut], money: Money) -> dict[str, float]:
    """Return the thresholds that are worth a look, by their words."""
    half, f1, profit = nearest(cuts, 0.5), best_f1(cuts), best_profit(cuts, money)
    marks = {
        t("cut.at_half"): half.threshold,
        t("cut.at_f1", threshold=_short(f1.threshold)): f1.threshold,
        t("cut.at_profit", threshold=_short(profit.threshold)): profit.threshold,
    }
    if found.own_threshold is not None:
        own = nearest(cuts, found.own_threshold).threshold
        marks[t("cut.at_own", threshold=_short(own))] = own
    return marks


def _short(threshold: float) -> str:
    return number(threshold, 2 if threshold >= 0.01 else 1) if threshold else "0"


def _show_counts(cut: Cut, label: str) -> None:
    shown = escaped(label)
    st.table(
        {
            " ": [t("cut.is", label=shown), t("cut.is_not")],
            t("cut.called", label=shown): [f"**{count(round(cut.hit))}**", count(round(cut.alarm))],
            t("cut.not_called"): [count(round(cut.miss)), f"**{count(round(cut.rest))}**"],
        },
        hide_index=True,
        border="horizontal",
    )
    with st.container(horizontal=True):
        for name in ("precision", "recall", "share"):
            st.metric(t(f"cut.{name}"), percent(getattr(cut, name)))


def _may_decide(model: ModelMetadata) -> bool:
    return model.status == "active" and access.may("set_decision")


def _offer_use(model: ModelMetadata, found: DecisionReport, cut: Cut, label: str) -> None:
    if not _may_decide(model):
        access.say_needed("set_decision")
        return
    is_own = found.own_threshold == cut.threshold
    if st.button(
        t("cut.used") if is_own else t("cut.use", threshold=_short(cut.threshold)),
        type="primary",
        icon=":material/check:",
        disabled=is_own,
        key=f"cut-use-{model.model_id}",
    ):
        _keep(model, {"rule": "threshold", "class": label, "threshold": cut.threshold})


def _keep(model: ModelMetadata, fields: dict[str, Any]) -> None:
    """Keep a decision with the model, and show the page anew: its head says how the model answers."""
    with notices.errors_in_place():
        session.yard().set_decision(model.model_id, parse(Decision, fields))
        st.rerun()


def _ask_money(model: ModelMetadata, found: DecisionReport, label: str) -> Money:
    """Ask what a row brings; the costs of the decision, if it has some, are where it begins."""
    st.header(t("money.title"), anchor=False)
    st.caption(t("money.help"))
    start = _known_money(model, found, label)
    amounts = {}
    grid = st.grid(2, min_column_width=120, gap="small")
    for name in ("hit", "alarm", "miss", "rest"):
        with grid.cell():
            amounts[name] = st.number_input(
                t(f"money.{name}", label=escaped(label)),
                value=getattr(start, name),
                step=1.0,
                format="%g",
                key=f"money-{name}-{model.model_id}-{label}",
                persist_state="session",
            )
    return Money(**{name: float(value or 0) for name, value in amounts.items()})


def _known_money(model: ModelMetadata, found: DecisionReport, label: str) -> Money:
    costs, names = found.decision.costs, [label_text(name) for name in model.classes or ()]
    if costs is None or len(names) != 2:
        return Money()
    (other,) = (name for name in names if name != label)

    def brings(true: str, answer: str) -> float:
        return -costs.get(true, {}).get(answer, 0.0) + 0.0

    return Money(brings(label, label), brings(other, label), brings(label, other), brings(other, other))


def _show_profit(cuts: Sequence[Cut], money: Money, marks: dict[str, float], at: Cut) -> None:
    draw(charts.profit(cuts, money, marks, at.threshold), t("money.title"))
    everyone, no_one = cuts[0].profit(money), _nobody(cuts[0]).profit(money)
    per_100 = {"profit": at.profit(money), "everyone": everyone, "no_one": no_one}
    told = {name: number(100 * value, 3) for name, value in per_100.items()}
    st.markdown(t("money.now", threshold=_short(at.threshold), **told))


def _nobody(cut: Cut) -> Cut:
    """Return what happens if no row is called the class."""
    return Cut(1.0, hit=0.0, alarm=0.0, miss=cut.hit + cut.miss, rest=cut.alarm + cut.rest)


def _offer_amounts(model: ModelMetadata, label: str, money: Money) -> None:
    (other,) = (text for name in model.classes or () if (text := label_text(name)) != label)
    costs = {label: {label: -money.hit, other: -money.miss}, other: {label: -money.alarm, other: -money.rest}}
    if st.button(t("money.decide"), icon=":material/payments:", help=t("money.decide_help"), key="money-decide"):
        _keep(model, {"rule": "costs", "costs": costs})
