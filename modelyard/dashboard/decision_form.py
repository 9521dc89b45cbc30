"""The form that asks how a model's probabilities shall become answers."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

from modelyard.dashboard.formats import escaped, label
from modelyard.dashboard.texts import t
from modelyard.schemas import DecisionReport, ModelMetadata

WAYS = ("most_probable", "costs", "threshold", "f1", "balanced_accuracy", "min_precision", "capacity")
_MOST_CLASSES = 12
"""With more classes a table of costs fits no page; such costs are set by the other doors."""

_AT_FIRST = {"threshold": 0.5, "min_precision": 0.8, "share": 0.05}


def ask(model: ModelMetadata, found: DecisionReport) -> dict[str, Any]:
    """Ask for a decision, beginning with the one in force, and return its fields."""
    names = [label(name) for name in model.classes or ()]
    now = found.decision.model_dump()
    ways = [way for way in WAYS if way != "costs" or len(names) <= _MOST_CLASSES]
    way = st.radio(
        t("decision.ask"),
        ways,
        ways.index(_way(now)) if _way(now) in ways else 0,
        format_func=lambda name: t(f"decision.{name}"),
        captions=[t(f"decision_help.{name}") for name in ways],
        key=f"decision-way-{model.model_id}",
    )
    if way == "most_probable":
        return {"rule": way}
    if way == "costs":
        ask_costs = _two_costs if len(names) == 2 else _cost_table
        return {"rule": way, "costs": ask_costs(model.model_id, names, now.get("costs") or {})}
    fields = {"class": _class(model.model_id, names, now.get("class") or found.label)}
    if way in ("f1", "balanced_accuracy"):
        return {"rule": "threshold", **fields, "metric": way}
    field = "share" if way == "capacity" else way
    value = st.number_input(
        t(f"decision.{field}_field"),
        0.0 if field == "threshold" else 0.001,
        1.0,
        float(now.get(field, _AT_FIRST[field])),
        step=0.01,
        format="%.3f",
        key=f"decision-{field}-{model.model_id}",
    )
    return {"rule": "capacity" if way == "capacity" else "threshold", **fields, field: value}


def _way(now: dict[str, Any]) -> str:
    if "min_precision" in now:
        return "min_precision"
    return str(now.get("metric", now["rule"]))


def _class(key: str, names: list[str], chosen: str | None) -> str:
    at = names.index(chosen) if chosen in names else 1
    return str(st.selectbox(t("decision.class"), names, at, key=f"decision-class-{key}"))


def _two_costs(key: str, names: list[str], now: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Ask what the two wrong answers cost; what is said of right ones stays."""
    costs = {true: dict(now.get(true, {})) for true in names}
    for column, (true, answer), first in zip(st.columns(2), (names, names[::-1]), (1.0, 10.0), strict=True):
        costs[true][answer] = column.number_input(
            t("decision.cost_field", true=escaped(true), answer=escaped(answer)),
            value=float(now.get(true, {}).get(answer, first)),
            step=1.0,
            format="%g",
            key=f"decision-cost-{true == names[0]}-{key}",
        )
    return costs


def _cost_table(key: str, names: list[str], now: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Ask for the costs of all answers, a row for each true class."""
    st.caption(t("decision.cost_table"))
    head = t("chart.actual") + "\N{ZERO WIDTH SPACE}"  # no class is called so
    rows = [
        {head: true, **{answer: now.get(true, {}).get(answer, float(true != answer)) for answer in names}}
        for true in names
    ]
    edited = st.data_editor(pl.DataFrame(rows), hide_index=True, disabled=[head], key=f"decision-costs-{key}")
    return {row[head]: {answer: float(row[answer] or 0) for answer in names} for row in edited.to_dicts()}
