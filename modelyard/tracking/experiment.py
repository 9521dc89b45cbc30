"""A run as an experiment: what is told of it, and under which words. Pure values, without ClearML's library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Scalar = tuple[str, str, int, float]
"""A point of a curve: title, series, iteration, value."""

MAX_IMPORTANCES = 100
_CURVES = (
    ("roc_curves", "ROC", "false positive rate", "true positive rate"),
    ("precision_recall_curves", "Precision-recall", "recall", "precision"),
    ("calibration_curve", "Calibration", "mean probability", "share of the class"),
)

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A curve to be drawn: one series under a title, its points and its axes' names."""

    title: str
    series: str
    points: list[tuple[float, float]]
    x: str
    y: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is told of one run. `parameters` are by `Section/name`; `reason` is why there is no model."""

    name: str
    comment: str
    tags: list[str]
    parameters: dict[str, Any]
    properties: dict[str, str]
    ending: Literal["completed", "failed", "stopped"] = "completed"
    reason: str = ""
    feature_types: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)


def of_record(record: Record) -> Experiment:
    """Return the experiment of a record of the outbox."""
    return _of_model(record["model"]) if record["kind"] == "model" else _of_job(record["job"], record["details"])


def _of_model(model: Mapping[str, Any]) -> Experiment:
    reference = f"{model['name']}:{model['version']}"
    return Experiment(
        # It becomes part of addresses on the files server, where a `:` would be written in two ways.
        name=f"{model['name']}-v{model['version']}",
        comment=f"Model {reference} ({model['model_id']}), trained by Modelyard in {model['training_seconds']:.1f} s",
        tags=_tags(model["model_class_key"], model["parent_id"], model["tags"]),
        parameters={
            **_section("Hyperparams", model["hyperparams"]),
            **_section("Evaluation", model["evaluation"]),
            **_section("Data", _data(model)),
            **_section("Environment", model["environment"]),
        },
        properties={
            "model_id": model["model_id"],
            "name": model["name"],
            "version": str(model["version"]),
            "created_at": model["created_at"],
            "artifact_sha256": model["artifact"]["sha256"],
        },
        feature_types=model["feature_types"],
        metrics={name: value for name, value in model["metrics"].items() if value is not None},
        labels={label_text(label): number for number, label in enumerate(model["classes"])},
    )


def _data(model: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "rows": model["n_rows"],
        "features": len(model["feature_names"]),
        "classes": len(model["classes"]),
        "target": model["target"],
        "fingerprint": model.get("fingerprint"),
    }


def _of_job(job: Mapping[str, Any], details: Mapping[str, Any]) -> Experiment:
    error = job["error"] or {"code": "INTERNAL", "detail": "it is not known why"}
    data = {name: details.get(f"n_{name}") for name in ("rows", "features", "classes")} | {
        "target": details.get("target")
    }
    return Experiment(
        name=f"{job['name'] or job['model_class_key']} ({job['status']})",
        comment=f"Job {job['job_id']} of Modelyard, {job['status']}: {error['detail']}",
        tags=_tags(job["model_class_key"], job["parent_id"], details.get("tags", ())),
        parameters={
            **_section("Hyperparams", details.get("hyperparams", {})),
            **_section("Evaluation", details.get("evaluation", {})),
            **_section("Data", data),
        },
        properties={"job_id": job["job_id"], "created_at": job["created_at"]},
        ending="failed" if job["status"] == "failed" else "stopped",
        reason=f"{error['code']}: {error['detail']}",
    )


def _tags(model_class_key: str, parent_id: str | None, tags: Any) -> list[str]:
    own = [model_class_key] + ["retrain"] * (parent_id is not None)
    return [*own, *(tag for tag in tags if tag not in own)]


def _section(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{name}/{key}": value for key, value in values.items()}


# What the report shows.


def scalars(report: Record) -> Iterator[Scalar]:
    """Yield the points of the learning curve, the first iteration first."""
    curve = report["learning_curve"]
    if curve is None:
        return
    for series in ("train", "validation"):
        for iteration, value in enumerate(curve[series] or ()):
            yield curve["metric"], series, iteration, value


def lines(report: Record) -> Iterator[Line]:
    """Yield the curves of each class."""
    for key, title, x, y in _CURVES:
        for label, curve in (report[key] or {}).items():
            points = [(x, y) for x, y in zip(curve["x"], curve["y"], strict=True) if x is not None and y is not None]
            if points:
                yield Line(title, label, points, x, y)


def confusion(report: Record) -> tuple[list[list[int]], list[str]] | None:
    """Return the confusion matrix, a row an actual class, and the labels."""
    found = report["confusion_matrix"]
    return None if found is None else (found["matrix"], [label_text(label) for label in found["labels"]])


def importances(report: Record) -> tuple[list[str], list[float]] | None:
    """Return the features that matter most, and how much."""
    found = report["feature_importances"]
    if not found:
        return None
    top = sorted(found.items(), key=lambda item: -abs(item[1]))[:MAX_IMPORTANCES]
    return [name for name, _ in top], [value for _, value in top]


def per_class(report: Record) -> list[list[Any]] | None:
    """Return the table of classes, its header first."""
    rows = report["per_class"]
    if not rows:
        return None
    columns = list(rows[0])
    return [columns, *([_cell(row[column]) for column in columns] for row in rows)]


def label_text(label: Any) -> str:
    """Return a label as JSON writes it, text without its quotes."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    return label_text(value) if isinstance(value, bool | str) else value
