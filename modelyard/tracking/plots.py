"""What a report shows, as curves, plots and a table, named as ClearML's own logging names them. Pure values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from modelyard.tracking.experiment import Record, label_text

Scalar = tuple[str, str, int, float]
"""A point of a curve: title, series, iteration, value."""

MAX_IMPORTANCES = 100

_CURVES = (
    ("roc_curves", "ROC", "false positive rate", "true positive rate", "chance"),
    ("precision_recall_curves", "Precision-recall", "recall", "precision", None),
    ("calibration_curve", "Calibration", "mean probability", "share of the class", "ideal"),
)
"""Where the report has each kind of curve, its title, its axes, and what a diagonal through it means."""


@dataclass(frozen=True, slots=True)
class _Names:
    """How ClearML's own logging names the losses of a library: by set, then by loss (for two classes, for more)."""

    train: str = "train"
    validation: str = "validation"
    first_iteration: int = 0
    losses: dict[str, tuple[str, str]] = field(default_factory=dict)


_NAMES = {
    "CatBoost": _Names("learn", "validation", 1, {"log_loss": ("Logloss", "MultiClass"), "rmse": ("RMSE", "RMSE")}),
    "LightGBM": _Names("training", "valid_1", 0, {"log_loss": ("binary_logloss", "multi_logloss")}),
}
"""By framework. Of scikit-learn ClearML logs no losses, only the model."""


def scalars(report: Record, framework: str | None, n_classes: int) -> Iterator[Scalar]:
    """Yield the points of the learning curve, the first iteration first."""
    curve = report["learning_curve"]
    if curve is None:
        return
    names = _NAMES.get(framework or "", _Names())
    binary, multiclass = names.losses.get(curve["metric"], (curve["metric"], curve["metric"]))
    series = binary if n_classes == 2 else multiclass
    for title, values in ((names.train, curve["train"]), (names.validation, curve["validation"])):
        for iteration, value in enumerate(values or (), start=names.first_iteration):
            yield title, series, iteration, value


def figures(report: Record) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the plots of a report: a title and a Plotly figure each."""
    for key, title, x, y, diagonal in _CURVES:
        lines = [_line(label, curve) for label, curve in (report[key] or {}).items()]
        if any(line["x"] for line in lines):
            if diagonal is not None:
                dashed = {"mode": "lines", "line": {"dash": "dash", "color": "grey"}}
                lines.append({"type": "scatter", "name": diagonal, "x": [0, 1], "y": [0, 1], **dashed})
            yield title, _figure(lines, x, y)
    if (confusion := report["confusion_matrix"]) is not None:
        labels = [label_text(label) for label in confusion["labels"]]
        matrix = confusion["matrix"]
        heat = {"type": "heatmap", "x": labels, "y": labels, "z": matrix, "colorscale": "Blues"}
        figure = _figure([{**heat, "text": matrix, "texttemplate": "%{text}"}], "predicted", "actual")
        # Labels that are numbers are names all the same, not places on an axis.
        figure["layout"]["xaxis"]["type"] = "category"
        figure["layout"]["yaxis"] |= {"type": "category", "autorange": "reversed"}
        yield "Confusion matrix", figure
    yield from _of_numbers(report)
    if (entries := report.get("leaderboard")) is not None:
        yield "Leaderboard", _leaderboard(entries)
    if found := report["feature_importances"]:
        top = sorted(found.items(), key=lambda item: -abs(item[1]))[:MAX_IMPORTANCES]
        bars = {"type": "bar", "x": [name for name, _ in top], "y": [value for _, value in top]}
        figure = _figure([bars], "feature", "importance")
        figure["layout"]["xaxis"]["type"] = "category"
        yield "Feature importances", figure


def _of_numbers(report: Record) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the plots of a regression. Reports of releases before it say nothing of them."""
    if (points := report.get("predicted_against_actual")) is not None:
        ends = [pick(*points["actual"], *points["predicted"]) for pick in (min, max)]
        rows = {"type": "scatter", "name": "validation", "mode": "markers"}
        rows |= {"x": points["actual"], "y": points["predicted"]}
        dashed = {"mode": "lines", "line": {"dash": "dash", "color": "grey"}}
        ideal = {"type": "scatter", "name": "ideal", "x": ends, "y": ends, **dashed}
        yield "Predicted against actual", _figure([rows, ideal], "actual", "predicted")
    if (residuals := report.get("residuals")) is not None:
        middles = [(low + high) / 2 for low, high in pairwise(residuals["edges"])]
        bars = {"type": "bar", "x": middles, "y": residuals["counts"]}
        yield "Residuals", _figure([bars], "actual minus predicted", "rows")


def per_class(report: Record) -> list[list[Any]] | None:
    """Return the table of classes, its header first; None if there is none."""
    rows = report["per_class"]
    if not rows:
        return None
    columns = list(rows[0])
    return [columns, *([_cell(row[column]) for column in columns] for row in rows)]


def leaderboard(report: Record) -> list[list[Any]] | None:
    """Return the trials of the search that made the model, a header first; None if there was none."""
    entries = report.get("leaderboard")
    if not entries:
        return None
    columns = ["model_class_key", "metric", "low", "high", "weight", "seconds", "status", "words", "hyperparams"]
    rows = [{**entry, "hyperparams": _spoken(entry["hyperparams"])} for entry in entries]
    return [columns, *([_cell(row[column]) for column in columns] for row in rows)]


def _leaderboard(entries: Sequence[Record]) -> dict[str, Any]:
    """Return the metric of each trial with its interval, the best first, a colour for each model class."""
    points: dict[str, dict[str, Any]] = {}
    for place, entry in enumerate(entries, start=1):
        key, metric = entry["model_class_key"], entry["metric"]
        if metric is None:
            continue
        ends = {"type": "data", "symmetric": False, "array": [], "arrayminus": []}
        line = points.setdefault(
            key, {"type": "scatter", "mode": "markers", "name": key, "x": [], "y": [], "error_y": ends}
        )
        line["x"].append(place)
        line["y"].append(metric)
        line["error_y"]["array"].append(0.0 if entry["high"] is None else entry["high"] - metric)
        line["error_y"]["arrayminus"].append(0.0 if entry["low"] is None else metric - entry["low"])
    return _figure(list(points.values()), "place", "metric")


def _spoken(hyperparams: Record) -> str:
    return ", ".join(f"{name}={label_text(value)}" for name, value in hyperparams.items() if value is not None)


def _line(label: str, curve: Record) -> dict[str, Any]:
    points = [(x, y) for x, y in zip(curve["x"], curve["y"], strict=True) if x is not None and y is not None]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return {"type": "scatter", "mode": "lines", "name": label, "x": xs, "y": ys}


def _figure(data: Sequence[dict[str, Any]], x: str, y: str) -> dict[str, Any]:
    return {"data": list(data), "layout": {"xaxis": {"title": x}, "yaxis": {"title": y}}}


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    return label_text(value) if isinstance(value, bool | str) else value
