"""Models, their metrics and their reports as tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from modelyard.cli import promoting, screen
from modelyard.schemas import (
    ConfusionMatrix,
    Histogram,
    LeaderboardEntry,
    ModelMetadata,
    Report,
    Tracking,
    interval_of,
    meaning,
)

_MEASURES = (
    "accuracy",
    "balanced_accuracy",
    "roc_auc",
    "f1",
    "precision",
    "recall",
    "average_precision",
    "log_loss",
    "brier",
    "rmse",
    "mae",
    "r2",
    "median_absolute_error",
    "mape",
)
"""The order of reading: what is looked at first comes first."""

_COLUMNS = (
    ("validation", "validation_{}"),
    ("± std", "validation_{}_std"),
    ("baseline", "baseline_{}"),
    ("train", "train_{}"),
)
_HEADLINES = ("accuracy", "rmse")
_BAR = 24
_TOP = 20


def describe(model: ModelMetadata) -> Table:
    """Return what is known of a model, a line for each fact."""
    sheet = screen.sheet()
    for label, value in _facts(model):
        sheet.add_row(screen.text(label), screen.text(value))
    return sheet


def _facts(model: ModelMetadata) -> Iterator[tuple[str, object]]:
    yield "model", f"{model.name}:{model.version}" + (" (deleted)" if model.status == "deleted" else "")
    yield "model id", model.model_id
    if model.parent_id:
        yield "parent", model.parent_id
    yield "model class", model.model_class_key
    yield "hyperparams", ", ".join(f"{name}={_plain(value)}" for name, value in model.hyperparams.items())
    labels = [_plain(label) for label in model.classes or ()]
    yield "target", f"{model.target or 'y'}: " + (_listed(labels, 10) if labels else "a number")
    counts = Counter(model.feature_types.values())
    kinds = [
        f"{counts[kind]} {kind}"
        for kind in ("numeric", "categorical", "datetime")
        if counts[kind] or kind != "datetime"
    ]
    features = "1 feature" if len(model.feature_names) == 1 else f"{len(model.feature_names)} features"
    yield "table", f"{model.n_rows:,} rows, {features} ({', '.join(kinds)})"
    if model.roles:
        yield "column roles", ", ".join(f"{name}: {role}" for name, role in model.roles.items())
    if model.monotone:
        said = {1: "rises", -1: "falls"}
        yield "monotone", ", ".join(f"{said[way]} with {name}" for name, way in model.monotone.items())
    yield "evaluation", _spoken_evaluation(model)
    yield from _what_was_asked(model)
    if model.description:
        yield "description", model.description
    if model.tags:
        yield "tags", ", ".join(model.tags)
    yield "trained", f"{screen.age(model.created_at)}, in {model.training_seconds:.1f} s"
    yield "artifact", f"{screen.size(model.artifact.bytes)}, sha256 {model.artifact.sha256}"
    if model.tracking.status != "off":
        yield "tracking", spoken_tracking(model.tracking)


def _what_was_asked(model: ModelMetadata) -> Iterator[tuple[str, object]]:
    if model.search is not None:
        found = model.search
        yield "found by", f"a search of {found.trials} trials in {found.seconds:.1f} s, by {metric_title(found.metric)}"
    if model.calibrate is not None:
        yield "calibrated", f"by {model.calibrate} curves"
    if model.decision is not None:
        yield "answers", model.decision.in_words
    if model.promotion is not None:
        yield "promotion", promoting.in_words(model.promotion)


def spoken_tracking(tracking: Tracking) -> str:
    """Say whether the tracker knows of a training, where it shows it, or why it never will."""
    return ": ".join(filter(None, (tracking.status, tracking.url or tracking.reason)))


def _spoken_evaluation(model: ModelMetadata) -> str:
    done = model.evaluation
    if done.method == "holdout":
        return f"{done.fraction:.0%} of the rows held out (seed {done.seed})"
    if done.method == "time":
        return f"the latest {done.fraction:.0%} of the rows held out"
    if done.method == "cv":
        return f"cross-validation in {done.folds} folds (seed {done.seed})"
    return "none: the training score only"


def metrics(values: Mapping[str, float | None]) -> Table:
    """Return metrics as measures by where they were taken, the ones most looked at first.

    Values have their 90 % intervals in parentheses.
    """
    measures = {meaning(name).measure: meaning(name) for name in values}
    known = [name for name in _MEASURES if name in measures]
    columns = [column for column in _COLUMNS if any(column[1].format(name) in values for name in measures)]
    made = screen.table("metric", *(title for title, _ in columns), right=[title for title, _ in columns])
    for name in [*known, *sorted(measures.keys() - set(known))]:
        cells = [with_interval(key, values) if (key := form.format(name)) in values else "" for _, form in columns]
        screen.add_row(made, metric_title(name), *cells, style="bold" if name in _HEADLINES else None)
    return made


def metric_title(name: str) -> str:
    """Write a metric's name in words; a mean over the classes says so."""
    return name.replace("_", " ") + (" (macro)" if meaning(name).is_macro else "")


def with_interval(name: str, values: Mapping[str, float | None]) -> str:
    """Write a metric with its interval in parentheses."""
    found = interval_of(name, values)
    between = "" if found is None else f" ({screen.number(found[0])}\N{EN DASH}{screen.number(found[1])})"
    return screen.number(values.get(name)) + between


def report(found: Report) -> Iterator[RenderableType]:
    """Yield the parts of a report that a terminal can show."""
    yield metrics(found.metrics)
    if found.leaderboard:
        yield screen.text("\nLeaderboard (on rows that the trials had not seen)", "bold")
        yield leaderboard(found.leaderboard)
    if found.per_class:
        yield screen.text("\nPer class", "bold")
        yield _per_class(found.per_class)
    if found.confusion_matrix:
        yield screen.text("\nConfusion matrix (rows: true label; columns: predicted)", "bold")
        yield _confusion(found.confusion_matrix)
    if found.residuals:
        yield screen.text("\nResiduals (true number minus prediction)", "bold")
        yield _residuals(found.residuals)
    if found.coverage is not None:
        yield screen.text(f"\nIntervals of 90% held {found.coverage:.1%} of the rows held out")
    if found.feature_importances:
        yield screen.text("\nFeature importances", "bold")
        yield _importances(found.feature_importances)
    if found.learning_curve:
        curve = found.learning_curve
        held_out = f", held out {curve.validation[-1]:.4f}" if curve.validation else ""
        yield screen.text(
            f"\n{curve.metric} after {len(curve.train)} iterations: train {curve.train[-1]:.4f}{held_out}"
        )


def leaderboard(entries: Sequence[LeaderboardEntry]) -> Table:
    """Return the trials of a search, the best first."""
    made = screen.table("model class", "metric", "weight", "seconds", "", right=["metric", "weight", "seconds"])
    for entry in entries:
        ends = "" if entry.low is None else f" ({screen.number(entry.low)}\N{EN DASH}{screen.number(entry.high)})"
        metric = "" if entry.metric is None else screen.number(entry.metric) + ends
        weight = f"{entry.weight:.0%}" if entry.weight else ""
        screen.add_row(made, entry.model_class_key, metric, weight, f"{entry.seconds:.1f}", entry.words)
    return made


def _per_class(rows: list[dict[str, Any]]) -> Table:
    names = ("precision", "recall", "f1", "support")
    made = screen.table("label", *names, right=names)
    for row in rows:
        cells = [screen.number(row.get(name)) for name in names[:-1]]
        support = row.get("support", "")
        cells.append(screen.number(support) if isinstance(support, float) else support)
        screen.add_row(made, _plain(row.get("label")), *cells)
    return made


def _confusion(matrix: ConfusionMatrix) -> Table:
    labels = [_plain(label) for label in matrix.labels]
    made = screen.table("", *(screen.text(label).plain for label in labels))
    for column in made.columns[1:]:
        column.justify = "right"
    for label, counts in zip(labels, matrix.matrix, strict=True):
        screen.add_row(made, label, *(screen.number(sum_) if isinstance(sum_, float) else sum_ for sum_ in counts))
    return made


def _residuals(histogram: Histogram) -> Table:
    largest = max(histogram.counts)
    made = screen.table("from", "to", "rows", "", right=["from", "to", "rows"])
    for low, high, rows in zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False):
        screen.add_row(made, screen.number(low), screen.number(high), rows, "#" * round(_BAR * rows / largest))
    return made


def _importances(values: Mapping[str, float]) -> Table:
    ordered = sorted(values.items(), key=lambda pair: -pair[1])
    largest = max((value for _, value in ordered), default=0.0) or 1.0
    made = screen.table("feature", "importance", "", right=["importance"])
    for name, value in ordered[:_TOP]:
        screen.add_row(made, name, screen.number(value), "#" * round(_BAR * value / largest))
    if len(ordered) > _TOP:
        screen.add_row(made, f"and {len(ordered) - _TOP} more", "", "")
    return made


def _listed(texts: list[str], most: int) -> str:
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _plain(value: object) -> str:
    """Write a value as JSON has it, without quotes."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
