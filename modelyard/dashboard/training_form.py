"""The form of a training: the table, its target and columns, what to train, how to judge it, its name."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from modelyard.dashboard import notices, session, uploads
from modelyard.dashboard.algorithms import Algorithm, ask_algorithms
from modelyard.dashboard.checked import show_check
from modelyard.dashboard.columns import Mapping, ask_target, map_columns
from modelyard.dashboard.formats import with_unit
from modelyard.dashboard.judging import ask_calibration, ask_evaluation
from modelyard.dashboard.monotone import ask_monotone
from modelyard.dashboard.naming import ask_naming
from modelyard.dashboard.order import Order
from modelyard.dashboard.places import kept_place
from modelyard.dashboard.tables import Table
from modelyard.dashboard.targets import ask_task, show_target
from modelyard.dashboard.texts import t
from modelyard.schemas import Job, ModelMetadata

_ORDERED = "ordered"
"""What was ordered together, by the ids of the jobs: the table and its target."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """The table that jobs were ordered with, and its target."""

    table: Table
    target: str | None


def ordered_with(jobs: Sequence[Job]) -> Ordered | None:
    """Return the table that these jobs were ordered with together in this session; None if they were not."""
    found: Ordered | None = session.current().kept.get(_ORDERED, {}).get(tuple(job.job_id for job in jobs))
    return found


def show_form(parent: ModelMetadata | None, *, alone: bool) -> list[Job] | None:
    """Ask for all that a training needs; return the jobs once they are ordered.

    The button stays in reach at the bottom of the page while the form is `alone` on it.
    """
    table = uploads.ask_for_table(uploads.TRAINING, parent, training=True, sample=True)
    if table is None:
        return None
    left, right = st.columns(2, gap="medium")
    with left:
        target = ask_target(table, parent)
        task = ask_task(table, target, parent)
    with right:
        learnable = target is not None and show_target(table, target, task, parent)
    mapping = Mapping()
    with kept_place():
        if target is not None and table.columns:
            st.header(t("columns.title"), anchor=False)
            mapping = map_columns(table, target, parent)
        if target is not None and learnable:
            show_check(table, target, task, mapping, parent)
    with notices.errors_in_place():
        with kept_place():
            algorithms = ask_algorithms(parent, task)
        orders = _ask_how(algorithms, mapping, target, task, parent)
        wrong = _missing(orders, target, learnable=learnable)
        return _offer(orders, table, parent, wrong, alone=alone)
    return None


def _ask_how(
    algorithms: Sequence[Algorithm], mapping: Mapping, target: str | None, task: str, parent: ModelMetadata | None
) -> list[Order]:
    """Ask for what all algorithms share: the name, the evaluation, and what is folded away beside it."""
    is_search = any(one.search is not None for one in algorithms)
    naming = ask_naming(parent, promotes=len(algorithms) == 1)
    with st.expander(t("train.evaluation"), icon=":material/fact_check:", key="evaluation"):
        evaluation = ask_evaluation(parent, is_search=is_search)
        calibrate = ask_calibration(parent) if task == "classification" else None
    takes_monotone = any(one.takes_monotone for one in algorithms)
    monotone = ask_monotone(mapping.numeric, parent) if takes_monotone and mapping.numeric else {}
    return [Order(one, evaluation, naming, mapping, target, monotone, calibrate) for one in algorithms]


def _missing(orders: Sequence[Order], target: str | None, *, learnable: bool) -> str:
    """Say what keeps the training from being ordered; nothing if nothing does."""
    if target is None:
        return t("train.choose_target")
    if not learnable:
        return t("train.choose_other")
    if not orders:
        return t("train.none_ticked")
    return "" if orders[0].naming.is_valid else t("train.correct_name")


def _offer(
    orders: Sequence[Order], table: Table, parent: ModelMetadata | None, wrong: str, *, alone: bool
) -> list[Job] | None:
    words = t("train.go_retrain") if parent else t("train.go") if len(orders) < 2 else t("train.go_all", n=len(orders))
    with st.bottom if alone else st.container(), st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(words, type="primary", icon=":material/play_arrow:", disabled=bool(wrong), key="train-go")
        st.caption(wrong or _summary(orders), width="stretch")
    if not pressed:
        return None
    with notices.errors_in_place(table), st.spinner(t("train.sending")):
        jobs = [order.submit(table, parent, uuid.uuid4().hex) for order in orders]
        kept = session.current().kept
        kept[_ORDERED] = {**kept.get(_ORDERED, {}), tuple(job.job_id for job in jobs): Ordered(table, orders[0].target)}
        kept.pop("names", None)
        return jobs
    return None


def _summary(orders: Sequence[Order]) -> str:
    """Say in a line what will be ordered."""
    evaluation = orders[0].evaluation
    how = t(f"evaluation.{evaluation.method}")
    if evaluation.method in ("holdout", "time"):
        how = f"{how} {with_unit(f'{evaluation.fraction * 100:.0f}')}"
    elif evaluation.method == "cv":
        how = f"{how}: {evaluation.folds}"
    return t("train.summary", target=orders[0].target, how=how)
