"""A name in production: in a word how it fares, what it is asked, how good its answers were, and what to do."""

from __future__ import annotations

import streamlit as st

from modelyard.dashboard import access, address, formats
from modelyard.dashboard.drifted import show_drift
from modelyard.dashboard.pages import train
from modelyard.dashboard.production.evaluations import show_evaluations
from modelyard.dashboard.production.outcomes import offer_keeping, offer_outcomes
from modelyard.dashboard.production.performance import ask_performance, say_status, show_performance
from modelyard.dashboard.registry.line import Line
from modelyard.dashboard.texts import t
from modelyard.schemas import ModelMetadata


def show_life(line: Line) -> None:
    """Show the tab: of the name, and of one version of it or the one that an alias means."""
    found = ask_performance(line.name)
    reference, model = _choose(line)
    with st.container(border=True):
        say_status(found, model, reference.partition("@")[2] or None)
        if access.may("submit_retraining") and st.button(
            t("life.retrain", version=model.version), icon=":material/replay:", key=f"life-retrain-{model.model_id}"
        ):
            train.begin_again(parent=model.model_id)
    st.header(t("life.inputs"), anchor=False)
    show_drift(model, folded=True)
    st.header(t("life.performance"), anchor=False)
    show_performance(found, model)
    offer_keeping(found)
    offer_outcomes(line.name)
    with st.expander(t("life.evaluations"), icon=":material/fact_check:", key="evaluations"):
        show_evaluations(reference, model)


def _choose(line: Line) -> tuple[str, ModelMetadata]:
    """Ask which version is meant; it begins with that of an alias, because that is the one which answers."""
    references = {f"{line.name}@{one.alias}": found for one in line.aliases if (found := line.at(one.alias))}
    references |= {f"{line.name}:{one.version}": one for one in line.versions}
    chosen = st.selectbox(
        t("life.of"),
        list(references),
        format_func=lambda reference: (
            f"{formats.escaped(reference)} · v{references[reference].version}" if "@" in reference else reference
        ),
        **address.bound("of", next(iter(references)), allowed=list(references)),
    )
    return chosen, references[chosen]
