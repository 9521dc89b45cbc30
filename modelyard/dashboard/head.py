"""The head of a model's page: what it predicts from what, how good that is beside the simplest answer, what it misses.

It says in a few lines what a person must know before they trust the model; the report says the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import streamlit as st

from modelyard.dashboard import formats
from modelyard.dashboard.decision import in_words
from modelyard.dashboard.formats import escaped, percent
from modelyard.dashboard.listing import class_title, title
from modelyard.dashboard.report import judged_by
from modelyard.dashboard.texts import known, t
from modelyard.schemas import DecisionReport, ModelMetadata, Report, are_validated, headline, meaning

_ALIKE = 1e-9
_CARD = 168
"""The width of a card in pixels: two stand side by side on a phone, too."""

_MOST_VALUE, _MOST_BELOW = 10, 20
"""So many characters have room in such a card; more widen it, because a number cut off looks like another one."""

_MADE_TO_DOUBT = ("overfitted", "no_better_than_baseline", "worse_than_baseline", "few_rows_held_out")


def show_title(model: ModelMetadata) -> None:
    """Show the name, the status and the tags, and what is predicted from what."""
    color = "green" if model.status == "active" else "gray"
    badges = [f":{color}-badge[{t(f'status.{model.status}')}]"]
    badges += [f":gray-badge[:material/sell: {escaped(tag)}]" for tag in model.tags]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(escaped(title(model)), anchor=False, width="content")
        st.markdown(" ".join(badges), width="content")
    st.markdown(
        t(
            "head.predicts",
            target=escaped(model.target or t("predict.prediction")),
            columns=len(model.feature_names),
            kind=escaped(class_title(model.model_class_key)),
            made=t("model.made", ago=formats.ago(model.created_at), took=formats.duration(model.training_seconds)),
        )
    )
    if model.description:
        st.text(model.description)


def show_worth(model: ModelMetadata, report: Report, decided: DecisionReport | None) -> None:
    """Show the metric that tells most beside the simplest answer, and in words what the model finds and misses.

    `decided` is what the model's decision does, None if it has none; the report is counted by it.
    """
    name = headline(model.task, report.metrics)
    if name is None:
        return
    cards, words = st.columns([4, 5], gap="medium", vertical_alignment="center")
    with cards.container(horizontal=True):
        _show_card(t("head.rmse" if model.task == "regression" else "head.right"), name, model, report)
        baseline = baseline_of(model, report)
        if baseline is not None:
            _show_card(always(model, report), baseline, model, report)
    with words.container(gap="xsmall"):
        for line in told_of(model, report, decided):
            st.markdown(line)
    st.caption(judged_by(model))


def _show_card(label: str, name: str, model: ModelMetadata, report: Report) -> None:
    between = formats.metric_interval(name, report.metrics)
    below = None if between is None else t("head.interval", interval=between)
    if meaning(name).rows == "baseline":
        below = t("head.same_for_all")
    value = formats.metric_value(name, report.metrics[name])
    fits = len(value) <= _MOST_VALUE and len(below or "") <= _MOST_BELOW
    st.metric(
        label,
        value,
        below,
        delta_color="off",
        delta_arrow="off",
        border=True,
        width=_CARD if fits else "content",
        help=t("head.in_unit", target=escaped(model.target or "")) if meaning(name).is_loss and model.target else None,
    )


def baseline_of(model: ModelMetadata, report: Report) -> str | None:
    """Return the metric that tells most, of the simplest answer; None if the model was not validated."""
    name = headline(model.task, report.metrics)
    baseline = None if name is None else f"baseline_{meaning(name).measure}"
    return baseline if baseline in report.metrics and are_validated(report.metrics) else None


def always(model: ModelMetadata, report: Report) -> str:
    """Name the baseline in Markdown; its class only if the rows held out show beyond doubt which it is."""
    if model.task == "regression":
        return t("head.always_mean")
    rows = sum(row["support"] for row in report.per_class or [])
    share = model.metrics["baseline_accuracy"] or 0.0
    meant = [row for row in report.per_class or [] if rows and abs(row["support"] / rows - share) < _ALIKE]
    if len(meant) == 1 and len(str(meant[0]["label"])) <= 12:
        return t("head.always_label", label=escaped(formats.label(meant[0]["label"])))
    return t("head.always_frequent")


def told_of(model: ModelMetadata, report: Report, decided: DecisionReport | None) -> Iterator[str]:
    """Say as Markdown why the numbers may flatter, and what the model finds and misses."""
    name = headline(model.task, model.metrics)
    if name is not None:
        yield from _doubted(model, name)
        yield from _found(model, report, decided)


def _doubted(model: ModelMetadata, name: str) -> Iterator[str]:
    """Say why the numbers may flatter."""
    for warning in model.warnings:
        if warning.code in _MADE_TO_DOUBT and known(f"head.{warning.code}"):
            train = f"train_{meaning(name).measure}"
            told = t(
                f"head.{warning.code}",
                train=formats.metric_value(train, model.metrics.get(train)),
                held_out=formats.metric_value(name, model.metrics[name]),
                n=warning.count,
            )
            yield f":material/warning: **{told}**"


def _found(model: ModelMetadata, report: Report, decided: DecisionReport | None) -> Iterator[str]:
    """Say what the model finds of the class that matters, or how far off its numbers are; and how it decides."""
    if model.task == "regression":
        mae, r2 = (model.metrics.get(f"validation_{measure}") for measure in ("mae", "r2"))
        if mae is not None and r2 is not None:
            target = escaped(model.target or t("predict.prediction"))
            yield t("head.off_by", mae=formats.number(mae, 3), r2=percent(max(r2, 0.0)), target=target)
        return
    if decided is not None and decided.metrics is not None and decided.label is not None:
        yield _finds(decided.label, decided.metrics.recall, decided.metrics.precision)
    else:
        yield from _weakest([row for row in report.per_class or [] if row["support"]])
    if decided is not None:
        key = "head.not_counted" if decided.confusion_matrix is None else "head.decides"
        yield t(key, decision=in_words(decided.decision))


def _weakest(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Say what is found of the rarer of two classes, or of the one of many of which least is found."""
    if len(rows) == 2:
        rarer = min(rows, key=lambda row: row["support"])
        yield _finds(formats.label(rarer["label"]), rarer["recall"], rarer["precision"])
    elif rows:
        least = min(rows, key=lambda row: row["recall"])
        yield t("head.weakest", label=escaped(formats.label(least["label"])), recall=percent(least["recall"]))


def _finds(label: str, recall: float | None, precision: float | None) -> str:
    if not recall and not precision:
        return t("head.finds_none", label=escaped(label))
    return t("head.finds", label=escaped(label), recall=percent(recall), precision=percent(precision))
