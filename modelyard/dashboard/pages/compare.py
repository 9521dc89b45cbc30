"""Compare: two to four models side by side, their metrics, the hyperparams that differ, their curves in one chart.

A number is marked as the best only if all were judged by the same rows. Below, a labelled table judges them all alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from modelyard.dashboard import formats, session
from modelyard.dashboard.charts import curves, draw, side_by_side
from modelyard.dashboard.evaluated import show_evaluation
from modelyard.dashboard.forms import difference, shown
from modelyard.dashboard.listing import class_title, classes, title
from modelyard.dashboard.picker import pick_models
from modelyard.dashboard.places import kept_place
from modelyard.dashboard.report import metric_title, most_telling, say_undecided
from modelyard.dashboard.texts import t
from modelyard.schemas import ModelMetadata, meaning


def show() -> None:
    """Show the page."""
    st.title(t("page.compare"), anchor=False)
    with kept_place():
        models = pick_models()
        if len(models) < 2:
            st.info(t("compare.pick"), icon=":material/compare_arrows:")
            return
        _show_differences(models)
    show_evaluation(models)


def _show_differences(models: Sequence[ModelMetadata]) -> None:
    """Show what is known of the models without another table."""
    problem = _why_not_comparable(models)
    if problem is not None:
        st.warning(problem, icon=":material/info:")
    st.header(t("compare.metrics"), anchor=False)
    _show_metrics(models, comparable=problem is None)
    st.header(t("compare.hyperparams"), anchor=False)
    _show_hyperparams(models)
    _show_curves({model.model_id: model for model in models})


def _why_not_comparable(models: Sequence[ModelMetadata]) -> str | None:
    """Say why the models' own metrics do not compare; None if the same rows were held out of all."""
    if len({model.task for model in models}) > 1:
        return t("compare.other_tasks")
    if len({model.target for model in models}) > 1:
        return t("compare.other_targets")
    tables = {model.fingerprint for model in models}
    if len(tables) > 1 or None in tables:
        return t("compare.other_tables")
    return t("compare.other_evaluations") if len({repr(model.evaluation) for model in models}) > 1 else None


def _show_metrics(models: Sequence[ModelMetadata], *, comparable: bool) -> None:
    parts = most_telling(models)
    rows: list[tuple[str, list[str]]] = [
        (t("column.class"), [formats.escaped(class_title(model.model_class_key)) for model in models]),
        (t("column.rows"), [formats.count(model.n_rows) for model in models]),
    ]
    first, rest = ([(metric_title(one), _written(one, models, marks=comparable)) for one in part] for part in parts)
    _table(t("report.metric"), rows + first, models)
    say_undecided(models)
    with st.expander(t("report.all_metrics"), key="all-metrics"):
        _table(t("report.metric"), rest, models)


def _written(metric: str, models: Sequence[ModelMetadata], *, marks: bool) -> list[str]:
    """Write the models' values with their intervals; `marks`: the best one bold, none if all are as good."""
    named = meaning(metric)
    values = [model.metrics.get(metric) for model in models]
    present = {value for value in values if value is not None}
    best = (min if named.is_loss else max)(present, default=None)
    # To have learned by heart is no merit, nor is a baseline.
    marked = marks and len(present) > 1 and named.rows == "validation"
    written = [formats.metric_with_interval(metric, model.metrics) for model in models]
    return [f"**{text}**" if marked and value == best else text for value, text in zip(values, written, strict=True)]


def _show_hyperparams(models: Sequence[ModelMetadata]) -> None:
    names = _names_worth_showing(models)
    missing = object()
    rows = [
        (
            formats.escaped(name),
            [
                formats.escaped(shown(model.hyperparams[name])) if name in model.hyperparams else formats.NOTHING
                for model in models
            ],
        )
        for name in names
        if len({repr(model.hyperparams.get(name, missing)) for model in models}) > 1
    ]
    are_alike = len({model.model_class_key for model in models}) == 1
    if not rows:
        st.caption(t("compare.same_hyperparams" if are_alike else "compare.all_defaults"))
        return
    if not are_alike:
        st.caption(t("compare.other_classes"))
    _table(t("model.hyperparam"), rows, models)


def _names_worth_showing(models: Sequence[ModelMetadata]) -> list[str]:
    """Return all hyperparams of models of one class; of several, those that someone has set."""
    if len({model.model_class_key for model in models}) == 1:
        return list(dict.fromkeys(name for model in models for name in model.hyperparams))
    schemas = {info.key: info.hyperparams for info in classes()}
    return list(
        dict.fromkeys(
            name for model in models for name in difference(schemas.get(model.model_class_key, {}), model.hyperparams)
        )
    )


def _table(first: str, rows: Sequence[tuple[str, list[str]]], models: Sequence[ModelMetadata]) -> None:
    columns = {first: [name for name, _ in rows]}
    for index, model in enumerate(models):
        columns[formats.escaped(title(model))] = [values[index] for _, values in rows]
    st.table(columns, hide_index=True, border="horizontal")


def _show_curves(models: Mapping[str, ModelMetadata]) -> None:
    yard = session.yard()
    reports = {model_id: yard.get_report(model_id) for model_id in models}
    classes = dict.fromkeys(name for report in reports.values() for name in report.roc_curves or {})
    if not classes:
        return
    st.header(t("compare.curves"), anchor=False)
    of_class = st.selectbox(t("compare.class"), list(classes), key="compare-class")
    pair = side_by_side()
    roc = {key: report.roc_curves or {} for key, report in reports.items()}
    pr = {key: report.precision_recall_curves or {} for key, report in reports.items()}
    for words, found, drawing in (
        (t("report.roc"), roc, curves.roc),
        (t("report.pr"), pr, curves.precision_recall),
    ):
        with pair.cell():
            st.markdown(f"**{words}**")
            draw(drawing({title(models[key]): of[of_class] for key, of in found.items() if of_class in of}), words)
