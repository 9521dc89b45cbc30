"""The sections of a report: each a title, how to read it, and a chart or a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from modelyard.dashboard import formats
from modelyard.dashboard.model_details import typical
from modelyard.dashboard.report import by_f1, curve_help, full_title, metric_title, worst_first
from modelyard.dashboard.report_file import drawings
from modelyard.dashboard.report_file.elements import Markup, element, plain, table
from modelyard.dashboard.texts import said, t
from modelyard.schemas import ConfusionMatrix, Curve, LeaderboardEntry, LearningCurve, ModelMetadata, Report, meaning

_MOST_BARS = 25
_MOST_LINES = 8
_MOST_CLASSES = 30
_SHADES = (0.04, 0.62)
"""How dark a cell of the confusion matrix is at a share of 0 and of 1: text on it stays readable."""


def charts(report: Report) -> Iterator[Markup]:
    """Yield what the evaluation showed, as far as there is something of it."""
    if report.confusion_matrix is not None and len(report.confusion_matrix.labels) <= _MOST_CLASSES:
        yield _figure(t("report.confusion"), t("report.confusion_help"), _confusion(report.confusion_matrix))
    if (found := report.predicted_against_actual) is not None:
        titles = (t("chart.actual_number"), t("chart.predicted_number"))
        yield _figure(
            t("report.against"), t("report.against_help"), drawings.points(found.actual, found.predicted, *titles)
        )
    if report.feature_importances:
        yield _figure(t("report.importances"), t("report.importances_help"), _importances(report.feature_importances))
    if report.residuals is not None:
        drawn = drawings.bins(report.residuals.edges, report.residuals.counts, t("chart.residual"), t("chart.rows"))
        yield _figure(t("report.residuals"), t("report.residuals_help"), drawn)
    if report.roc_curves:
        titles = (t("chart.false_positive_rate"), t("chart.true_positive_rate"))
        yield _figure(
            t("report.roc"),
            plain(curve_help("roc", report.roc_curves)),
            drawings.lines(_drawn(report, report.roc_curves), *titles, diagonal=True),
        )
    if report.precision_recall_curves:
        titles = (t("chart.recall"), t("chart.precision"))
        yield _figure(
            t("report.pr"),
            plain(curve_help("pr", report.precision_recall_curves)),
            drawings.lines(_drawn(report, report.precision_recall_curves), *titles),
        )
    if report.calibration_curve:
        titles = (t("chart.predicted_probability"), t("chart.actual_share"))
        drawn = drawings.lines(_drawn(report, report.calibration_curve), *titles, diagonal=True)
        hint = plain(curve_help("calibration", report.calibration_curve))
        yield _figure(t("report.calibration"), hint, drawn)
    if report.learning_curve is not None:
        yield _figure(t("report.learning"), t("report.learning_help"), _learning(report.learning_curve))


def tables(model: ModelMetadata, report: Report) -> Iterator[Markup]:
    """Yield what is told in numbers: classes, trials of a search, metrics, columns."""
    if report.per_class:
        yield _figure(t("report.per_class"), t("report.per_class_help"), _classes(report))
    if report.leaderboard:
        yield _figure(t("search.leaderboard"), t("search.leaderboard_help"), _leaderboard(report.leaderboard))
    named = [name for name in report.metrics if meaning(name).kind in ("value", "std")]
    rows = [[full_title(name), formats.metric_with_interval(name, report.metrics)] for name in named]
    yield _titled(t("report.all_metrics"), table([t("report.metric"), t("report.value")], rows))
    yield _titled(t("model.columns"), _columns(model, report))


def _figure(title: str, hint: str, drawn: Markup) -> Markup:
    """Return a drawing under its title, with how to read it."""
    return element("figure", element("h2", title), element("figcaption", hint), element("div", drawn, class_="wide"))


def _titled(title: str, drawn: Markup) -> Markup:
    return element("section", element("h2", title), element("div", drawn, class_="wide"))


def _confusion(matrix: ConfusionMatrix) -> Markup:
    names = [formats.label(value) for value in matrix.labels]
    head = element("tr", element("th", f"{t('chart.actual')} ↓ {t('chart.predicted')} →"), *_cells("th", names))
    rows = []
    for name, counts in zip(names, matrix.matrix, strict=True):
        whole = sum(counts) or 1
        shades = [_SHADES[0] + (_SHADES[1] - _SHADES[0]) * cell / whole for cell in counts]
        cells = [
            element("td", formats.number(cell), style=f"background: rgb(11 114 133 / {shade:.2f})")
            for cell, shade in zip(counts, shades, strict=True)
        ]
        rows.append(element("tr", element("th", name), *cells))
    return element("table", element("thead", head), element("tbody", *rows), class_="matrix")


def _cells(kind: str, texts: Sequence[str]) -> Iterator[Markup]:
    return (element(kind, text) for text in texts)


def _importances(values: Mapping[str, float]) -> Markup:
    whole = sum(map(abs, values.values())) or 1.0
    top = sorted(values, key=lambda name: -abs(values[name]))
    most = abs(values[top[0]]) or 1.0
    rows = [
        element(
            "tr",
            element("td", name),
            element("td", element("span", class_="bar", style=f"width: {100 * abs(values[name]) / most:.1f}%")),
            element("td", formats.percent(abs(values[name]) / whole), class_="number"),
        )
        for name in top[:_MOST_BARS]
    ]
    if len(top) > _MOST_BARS:
        rows.append(element("tr", element("td", t("report.more_features", n=len(top) - _MOST_BARS), colspan=3)))
    return element("table", element("tbody", *rows), class_="bars")


def _drawn(report: Report, curves: Mapping[str, Curve]) -> dict[str, list[drawings.Point]]:
    """Return the points of the first curves, of many classes of those that the model is worst at."""
    chosen = list(worst_first(report, curves).items())[:_MOST_LINES]
    return {
        name: [(x, y) for x, y in zip(curve.x, curve.y, strict=True) if x is not None and y is not None]
        for name, curve in chosen
    }


def _learning(curve: LearningCurve) -> Markup:
    series = {t("chart.training_rows"): curve.train}
    if curve.validation:
        series[t("chart.held_out_rows")] = curve.validation
    steps = {name: [(float(at), loss) for at, loss in enumerate(one, start=1)] for name, one in series.items()}
    return drawings.lines(steps, t("chart.iteration"), metric_title(curve.metric), unit=False)


def _classes(report: Report) -> Markup:
    shares = ("precision", "recall", "f1")
    head = [t("report.class"), *map(metric_title, shares), t("chart.rows")]
    rows = [
        [formats.label(row["label"]), *(formats.percent(row[name]) for name in shares), formats.number(row["support"])]
        for row in by_f1(report)
    ]
    return table(head, rows)


def _leaderboard(entries: Sequence[LeaderboardEntry]) -> Markup:
    head = [t("search.class"), t("search.words"), t("report.metric"), t("search.weight")]
    rows = [
        [
            entry.model_class_key,
            said(entry.words),
            formats.number(entry.metric, 4),
            formats.percent(entry.weight) if entry.weight else "",
        ]
        for entry in entries
    ]
    return table(head, rows, numbers_from=2)


def _columns(model: ModelMetadata, report: Report) -> Markup:
    head = [t("columns.column"), t("columns.type"), t("columns.typical"), t("columns.missing")]
    rows = []
    for name in model.feature_names:
        profile = report.columns.get(name, {})
        missing = formats.percent(profile.get("missing", 0) / max(1, model.n_rows))
        rows.append([name, t(f"columns.{model.feature_types[name]}"), typical(profile), missing])
    return table(head, rows, numbers_from=3)
