"""A report in charts: metrics, confusion, curves, importances, learning, calibration, one class at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import streamlit as st

from modelyard.dashboard import formats, notices
from modelyard.dashboard.as_decided import is_decided
from modelyard.dashboard.charts import Drawing, bars, curves, draw, numbers, side_by_side
from modelyard.dashboard.searching import show_leaderboard
from modelyard.dashboard.texts import known, t
from modelyard.schemas import Curve, ModelMetadata, NameSummary, Report, are_validated, headline, meaning

_FEW = 3
_NARROW, _WIDE = 250, 340
"""The least widths of a chart in pixels, with few lines and with many."""

_HEADLINE = ("accuracy", "balanced_accuracy", "f1", "roc_auc", "log_loss", "rmse", "mae", "r2", "mape")


def show_metrics(model: ModelMetadata, report: Report) -> None:
    """Show what counts most, as numbers."""
    metrics = report.metrics
    with st.container(horizontal=True):
        for key in headlines(model):
            st.metric(
                metric_title(key),
                formats.metric_value(key, metrics.get(key)),
                formats.metric_interval(key, metrics),
                delta_color="off",
                delta_arrow="off",
                border=True,
                help=_explained(key),
            )
    st.caption(" ".join((judged_by(model), *_trusted_by(metrics))))


def headlines(model: ModelMetadata) -> list[str]:
    """Return the metrics that count most; of a model that was not validated the one of its training."""
    shown = [key for name in _HEADLINE if (key := f"validation_{name}") in model.metrics]
    trained = headline(model.task, model.metrics)
    return shown or ([] if trained is None else [trained])


def most_telling(models: Sequence[ModelMetadata]) -> tuple[list[str], list[str]]:
    """Return the metrics of models that count most, and all others."""
    names = list(dict.fromkeys(name for model in models for name in model.metrics if meaning(name).is_value))
    first = [key for key in dict.fromkeys(key for model in models for key in headlines(model)) if key in names]
    return first, [name for name in names if name not in first]


def say_undecided(models: Sequence[ModelMetadata | NameSummary]) -> None:
    """Say that the metrics are those of the most probable class, if one of the models decides otherwise."""
    if any(map(is_decided, models)):
        st.caption(t("report.undecided"))


def judged_by(model: ModelMetadata) -> str:
    """Say in a sentence where the metrics come from."""
    evaluation = model.evaluation
    if not are_validated(model.metrics):
        return t("report.by_none", rows=formats.count(model.n_rows))
    if evaluation.method == "cv":
        return t("report.by_cv", folds=evaluation.folds, rows=formats.count(model.n_rows))
    key = "report.by_time" if evaluation.method == "time" else "report.by_holdout"
    return t(key, share=formats.with_unit(f"{evaluation.fraction * 100:g}"), rows=formats.count(model.n_rows))


def _trusted_by(metrics: Mapping[str, float | None]) -> Iterator[str]:
    """Say what the intervals mean, and what the same answer for every row would get."""
    if any(meaning(name).kind == "low" for name in metrics):
        yield t("report.intervals")
    baselines = [name for name in metrics if meaning(name).rows == "baseline"]
    told = [f"{t(f'metric.{meaning(name).measure}')} {formats.metric_value(name, metrics[name])}" for name in baselines]
    if told:
        yield t("report.baseline", metrics=", ".join(told))


def show_report(report: Report) -> None:
    """Show a whole report."""
    pair = side_by_side()
    with pair.cell():
        _show_answers(report)
        if report.learning_curve is not None:
            _show_per_class(report)
    with pair.cell():
        _show_fit(report)
        if report.learning_curve is None:
            _show_per_class(report)
    notices.show_warnings(report.warnings)
    _show_curves(report)
    if report.leaderboard:
        show_leaderboard(report.leaderboard)
    _show_all_metrics(report)


def metric_title(metric: str) -> str:
    """Name a metric; without the rows it was measured on, that of one class."""
    named = meaning(metric)
    key = f"metric.{named.measure}"
    title = t(key) if known(key) else named.measure.replace("_", " ")
    if named.is_macro and named.rows:
        title = t("metric.macro", metric=title)
    return t(f"metric.of_{named.rows}", metric=title) if named.rows in ("train", "baseline") else title


def _explained(metric: str) -> str | None:
    named = meaning(metric)
    key = f"metric_help.{named.measure}"
    return t(key) if known(key) and named.rows == "validation" else None


def _show(title: str, hint: str, chart: Drawing) -> None:
    """Show a chart under its title and a hint on how to read it."""
    st.header(title, anchor=False)
    st.caption(hint)
    draw(chart, title)


def _show_answers(report: Report) -> None:
    """Show which classes are taken for which, or how far off numbers are."""
    if report.confusion_matrix is not None:
        _show(t("report.confusion"), t("report.confusion_help"), bars.confusion(report.confusion_matrix))
    if report.predicted_against_actual is not None:
        points = report.predicted_against_actual
        _show(t("report.against"), t("report.against_help"), numbers.against(points.actual, points.predicted))
    if report.residuals is not None:
        chart = numbers.histogram(report.residuals.edges, report.residuals.counts, t("chart.residual"))
        _show(t("report.residuals"), t("report.residuals_help"), chart)
        if report.coverage is not None:
            st.caption(t("report.coverage", share=formats.percent(report.coverage)))


def _show_fit(report: Report) -> None:
    """Show which columns count, and how the fit went."""
    if report.feature_importances:
        hidden = len(report.feature_importances) - bars.MOST_FEATURES
        hint = t("report.importances_help") + (" " + t("report.not_drawn", n=hidden) if hidden > 0 else "")
        _show(t("report.importances"), hint, bars.importances(report.feature_importances))
    if report.learning_curve is not None:
        _show(t("report.learning"), t("report.learning_help"), curves.learning(report.learning_curve))


def _show_curves(report: Report) -> None:
    """Show the curves of classes, three beside each other if their legends are short."""
    grid = st.grid(3, min_column_width=_NARROW if len(report.roc_curves or {}) <= _FEW else _WIDE, gap="small")
    for name, found, draw_curves in (
        ("roc", report.roc_curves, curves.roc),
        ("pr", report.precision_recall_curves, curves.precision_recall),
        ("calibration", report.calibration_curve, curves.calibration),
    ):
        if found:
            with grid.cell():
                _show(t(f"report.{name}"), curve_help(name, found), draw_curves(worst_first(report, found)))
    hidden = len(report.roc_curves or {}) - curves.MAX_LINES
    if hidden > 0:
        st.caption(t("report.more_classes", n=hidden))


def curve_help(kind: str, drawn: Mapping[str, Curve]) -> str:
    """Say in Markdown how curves are read, and of which class a single one is: it has no legend."""
    of_class = [t("report.of_class", label=formats.escaped(label)) for label in drawn if len(drawn) == 1]
    return " ".join((*of_class, t(f"report.{kind}_help")))


def worst_first(report: Report, drawn: Mapping[str, Curve]) -> Mapping[str, Curve]:
    """Return curves of more classes than are drawn with those in front that the model is worst at."""
    if len(drawn) <= curves.MAX_LINES:
        return drawn
    order = [formats.label(row["label"]) for row in by_f1(report)]
    return {name: drawn[name] for name in (*order, *drawn) if name in drawn}


def by_f1(report: Report) -> list[dict[str, Any]]:
    """Return the classes, the worst first; those without rows held out last."""
    return sorted(report.per_class or [], key=lambda row: (row["f1"] is None, row["f1"] or 0.0))


def _show_all_metrics(report: Report) -> None:
    with st.expander(t("report.all_metrics"), key="all-metrics"):
        shown = [name for name in report.metrics if meaning(name).kind in ("value", "std")]
        st.table(
            {
                t("report.metric"): [full_title(name) for name in shown],
                t("report.value"): [formats.metric_with_interval(name, report.metrics) for name in shown],
            },
            hide_index=True,
            border="horizontal",
        )


def full_title(metric: str) -> str:
    """Name a metric, or how it differs between folds."""
    title = metric_title(metric)
    return t("report.deviation", metric=title) if meaning(metric).kind == "std" else title


def _show_per_class(report: Report) -> None:
    if not report.per_class:
        return
    st.header(t("report.per_class"), anchor=False)
    st.caption(t("report.per_class_help"))
    rows = by_f1(report)
    shares = {
        name: [None if row[name] is None else 100 * row[name] for row in rows] for name in ("precision", "recall", "f1")
    }
    share_column = {
        metric_title(name): st.column_config.NumberColumn(format=formats.PERCENT, width=80) for name in shares
    }
    st.dataframe(
        {
            t("report.class"): [formats.label(row["label"]) for row in rows],
            **{metric_title(name): values for name, values in shares.items()},
            t("chart.rows"): [row["support"] for row in rows],
        },
        column_config=share_column,
        hide_index=True,
    )
