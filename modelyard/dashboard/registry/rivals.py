"""A champion and its challenger: what each was measured at, both on the same rows, and the alias to be moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from modelyard.dashboard import access, address, formats, notices
from modelyard.dashboard.evaluated import show_evaluation
from modelyard.dashboard.listing import class_title, entry, title
from modelyard.dashboard.paired import by_usual_loss, verdict
from modelyard.dashboard.places import kept_place
from modelyard.dashboard.registry.aliases import move
from modelyard.dashboard.registry.line import Line
from modelyard.dashboard.report import judged_by, metric_title, most_telling, say_undecided
from modelyard.dashboard.texts import t
from modelyard.schemas import ModelMetadata


def show_rivals(line: Line) -> None:
    """Show the tab."""
    if len(line.active) < 2:
        st.info(t("rivals.one"), icon=":material/info:")
        return
    champion, challenger = _pick(line)
    if champion.model_id == challenger.model_id:
        st.info(t("rivals.same"), icon=":material/info:")
        return
    with kept_place():
        _show_metrics(champion, challenger)
    pairs = by_usual_loss(show_evaluation([champion, challenger]), champion.task)
    st.caption(t("rivals.same_rows"))
    if access.may("set_alias"):
        is_worse = any(verdict(pair, challenger.model_id) == "worse" for pair in pairs)
        _offer_promotion(line, champion, challenger, is_worse=is_worse)


def _pick(line: Line) -> tuple[ModelMetadata, ModelMetadata]:
    """Ask for both; they begin with the version that the first alias points to, and the newest other one."""
    first = line.at(line.aliases[0].alias) if line.aliases else None
    if first is None or first.status != "active":
        first = line.active[1]
    other = next(one for one in line.active if one.version != first.version)
    left, right = st.columns(2)
    with left:
        champion = _ask(line, t("rivals.champion"), "champion", first)
    with right:
        challenger = _ask(line, t("rivals.challenger"), "challenger", other)
    return champion, challenger


def _ask(line: Line, label: str, parameter: str, usual: ModelMetadata) -> ModelMetadata:
    by_number = {str(one.version): one for one in line.active}
    chosen = st.selectbox(
        label,
        list(by_number),
        format_func=lambda number: entry(by_number[number]),
        **address.bound(parameter, str(usual.version), allowed=list(by_number)),
    )
    return by_number[chosen]


def _show_metrics(champion: ModelMetadata, challenger: ModelMetadata) -> None:
    pair = (champion, challenger)
    first, rest = most_telling(pair)
    rows = {
        t("column.class"): [formats.escaped(class_title(one.model_class_key)) for one in pair],
        t("column.rows"): [formats.count(one.n_rows) for one in pair],
        t("registry.target"): [formats.escaped(one.target or formats.NOTHING) for one in pair],
        **_written(first, pair),
    }
    _show_table(rows, pair)
    say_undecided(pair)
    with st.expander(t("report.all_metrics"), key="all-metrics"):
        _show_table(_written(rest, pair), pair)
    if champion.fingerprint != challenger.fingerprint:
        st.caption(t("rivals.other_tables"))
    else:
        st.caption(judged_by(champion))


def _written(names: Sequence[str], pair: Sequence[ModelMetadata]) -> dict[str, list[str]]:
    return {metric_title(name): [formats.metric_with_interval(name, one.metrics) for one in pair] for name in names}


def _show_table(rows: Mapping[str, list[str]], pair: Sequence[ModelMetadata]) -> None:
    columns = {formats.escaped(title(one)): [cells[place] for cells in rows.values()] for place, one in enumerate(pair)}
    st.table({t("report.metric"): list(rows), **columns}, hide_index=True, border="horizontal")


def _offer_promotion(line: Line, champion: ModelMetadata, challenger: ModelMetadata, *, is_worse: bool) -> None:
    """Offer to point one of the champion's aliases at the challenger; with a warning if it was just judged worse."""
    if not champion.aliases:
        st.caption(t("rivals.no_alias", model=formats.escaped(title(champion))))
        return
    if is_worse:
        st.warning(t("rivals.worse", version=challenger.version, champion=champion.version), icon=":material/warning:")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for alias in champion.aliases:
            key = f"promote-{alias}-{champion.model_id}-{challenger.model_id}"
            words = t("rivals.promote", alias=alias, version=challenger.version)
            if st.button(words, type="secondary" if is_worse else "primary", icon=":material/trending_up:", key=key):
                with notices.errors_in_place():
                    move(line.name, alias, challenger.version, champion.version)
                    address.say("champion", None)
                    address.say("challenger", str(champion.version))
                    st.rerun()
