"""A run as an experiment: what is told of it, in which words. Pure values, without ClearML's library.

What its report shows stands in `plots`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

Record = Mapping[str, Any]
Ending = Literal["running", "completed", "failed", "stopped"]

TAG_PREFIX = "modelyard:"
"""Tags of ours begin so; all others are people's own."""

TOLD_TAGS = "tags"
"""The property that holds the model's tags as a task shows them, to tell those that go from people's own."""

_ENDINGS: dict[str, Ending] = {"running": "running", "failed": "failed"}
_APPLIES = {"holdout": ("fraction", "seed"), "time": ("fraction",), "cv": ("folds", "seed"), "none": ()}
"""What each method of evaluation obeys."""

_MADE_UP = re.compile(r"-[0-9a-f]{12}$")
"""How a name ends that the store made up of the model class and the id."""

_MIN_NAME = 3
"""ClearML refuses shorter names."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is told of one run.

    `folder` is the sub-project, None for a run without a name of its own. `parameters` are by `Section/name`; `reason`
    is why there is no model; `console` ends the console's log. `started` and `ended` are UTC, without an offset.
    """

    name: str
    folder: str | None
    comment: str
    tags: list[str]
    parameters: dict[str, Any]
    properties: dict[str, str]
    command: str
    started: str | None
    ended: str | None
    ending: Ending = "completed"
    reason: str = ""
    console: list[str] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    python: str | None = None
    feature_types: dict[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)


def of_record(record: Record, metrics: Mapping[str, float]) -> Experiment:
    """Return the experiment of a record of the outbox; `metrics` are those that are shown of a model."""
    if record["kind"] == "model":
        warnings = (record["report"] or {}).get("warnings") or []
        return _of_model(record["model"], metrics, record.get("job"), warnings)
    return _of_job(record["job"], record["details"])


def label_text(label: Any) -> str:
    """Return a label as JSON writes it, text without its quotes."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def _of_model(model: Record, metrics: Mapping[str, float], job: Record | None, warnings: list[Record]) -> Experiment:
    trained, comment = _trained(model), comment_of(model)
    started, ended = _times_of_model(model, job)
    environment = model["environment"]
    data = {
        "task": model.get("task", "classification"),  # a release before regression may have kept the record
        "rows": model["n_rows"],
        "features": len(model["feature_names"]),
        "classes": len(model["classes"]) if model["classes"] else None,
        "target": model["target"],
        "fingerprint": model.get("fingerprint"),
    }
    return Experiment(
        # It becomes part of addresses on the files server, where a `:` would be written in two ways.
        name=f"{model['name']}-v{model['version']}",
        folder=_folder(model["name"]),
        comment=comment,
        tags=tags_of(model),
        parameters=_parameters(model["hyperparams"], model["evaluation"], data, environment, model.get("search")),
        properties=_present(
            {
                "model_id": model["model_id"],
                "name": model["name"],
                "version": str(model["version"]),
                "parent_id": model["parent_id"],
                "created_at": model["created_at"],
                "artifact_sha256": model["artifact"]["sha256"],
                TOLD_TAGS: json.dumps(model["tags"]) if model["tags"] else None,
            }
        ),
        command=_command(model, model["name"], model),
        started=started,
        ended=ended,
        console=[*(warning["message"] for warning in warnings), trained],
        packages=[f"{name}=={version}" for name, version in environment.items() if name != "python"],
        python=environment.get("python"),
        feature_types=model["feature_types"],
        metrics=metrics,
        labels={label_text(label): number for number, label in enumerate(model["classes"] or ())},
    )


def comment_of(model: Record) -> str:
    """Return the comment of a model: what it is, and its description."""
    description = model.get("description")  # a release before it may have kept the record
    return f"{_trained(model)}\n\n{description}" if description else _trained(model)


def tags_of(model: Record) -> list[str]:
    """Return the tags of a model, ours first."""
    return _tags(model["model_class_key"], model["parent_id"], model["tags"])


def _trained(model: Record) -> str:
    called = f"{model['name']}:{model['version']} ({model['model_id']})"
    return f"Model {called}, trained by Modelyard in {model['training_seconds']:.1f} s"


def _of_job(job: Record, details: Record) -> Experiment:
    """Return the experiment of a job that made no model, or runs."""
    ending = _ENDINGS.get(job["status"], "stopped")
    error = job["error"] or {"code": "INTERNAL", "detail": "it is not known why"}
    comment = f"Job {job['job_id']} of Modelyard, {job['status']}"
    if ending != "running":
        comment += f": {error['detail']}"
    name = job["name"] or job["model_class_key"]
    hyperparams, evaluation = details.get("hyperparams", {}), details.get("evaluation", {})
    data = {what: details.get(f"n_{what}") for what in ("rows", "features", "classes")}
    data["target"] = details.get("target")
    return Experiment(
        name=f"{name} ({job['status']})",
        folder=_folder(job["name"]),
        comment=comment,
        tags=_tags(job["model_class_key"], job["parent_id"], details.get("tags", ())),
        parameters=_parameters(hyperparams, evaluation, data, {}),
        properties=_present({"job_id": job["job_id"], "parent_id": job["parent_id"], "created_at": job["created_at"]}),
        command=_command(job, job["name"], details),
        started=_moment(job["started_at"]),
        ended=_moment(job["ended_at"]),
        ending=ending,
        reason=f"{error['code']}: {error['detail']}",
        console=[comment],
    )


def project(root: str, folder: str | None) -> str:
    """Return the project of an experiment: a sub-project for each name."""
    if folder is None:
        return root
    return f"{root}/{folder if len(folder) >= _MIN_NAME else f'name {folder}'}"


def _folder(name: str | None) -> str | None:
    return None if name is None or _MADE_UP.search(name) else name


def _tags(model_class_key: str, parent_id: str | None, tags: Any) -> list[str]:
    ours = [TAG_PREFIX + model_class_key] + [TAG_PREFIX + "retrain"] * (parent_id is not None)
    return list(dict.fromkeys([*ours, *tags]))


def _applying(evaluation: Record) -> dict[str, Any]:
    """Return the fields of an evaluation that its method obeys."""
    names = ("method", *_APPLIES.get(evaluation.get("method", ""), ()))
    return {name: evaluation[name] for name in names if name in evaluation}


def _command(run: Record, name: str | None, order: Record) -> str:
    """Return the command line that does such a training; `order` is a model's metadata or a job's details."""
    is_search = bool(run.get("search")) or run.get("kind") == "search"
    words = _verb(run, name, is_search=is_search)
    words += ["--target", order.get("target") or "TARGET"]
    for column, role in order.get("column_roles", {}).items():
        words += ["--role", f"{column}={role}"]
    for column, direction in order.get("monotone", {}).items():
        words += ["--monotone", f"{column}={direction}"]
    if order.get("calibrate"):
        words += ["--calibrate", order["calibrate"]]
    evaluation = _applying(order.get("evaluation", {}))
    if is_search:  # its --seed is another one, and it has found the hyperparams itself
        evaluation.pop("seed", None)
    for key, value in evaluation.items():
        words += ["--evaluation" if key == "method" else f"--{key}", str(value)]
    for key, value in _present({} if is_search else order.get("hyperparams", {})).items():
        words += ["-p", f"{key}={label_text(value)}"]
    return shlex.join(words)


def _verb(run: Record, name: str | None, *, is_search: bool) -> list[str]:
    """Return how such a command line begins."""
    if run["parent_id"] is not None:
        return ["modelyard", "retrain", run["parent_id"], "TABLE"]
    called = [] if name is None else ["--name", name]
    if not is_search:
        return ["modelyard", "train", "TABLE", "--model-class", run["model_class_key"], *called]
    found = run.get("search") or {}
    options = [text for key in ("trials", "metric") if key in found for text in (f"--{key}", str(found[key]))]
    return ["modelyard", "search", "TABLE", *called, *options]


def _times_of_model(model: Record, job: Record | None) -> tuple[str | None, str | None]:
    if job is not None and job["started_at"] is not None:
        return _moment(job["started_at"]), _moment(job["ended_at"])
    ended = datetime.fromisoformat(model["created_at"])
    return _moment((ended - timedelta(seconds=model["training_seconds"])).isoformat()), _moment(ended.isoformat())


def _moment(said: str | None) -> str | None:
    return None if said is None else datetime.fromisoformat(said).replace(tzinfo=None).isoformat()


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _parameters(
    hyperparams: Record, evaluation: Record, data: Record, environment: Record, search: Record | None = None
) -> dict[str, Any]:
    sections = {
        "Hyperparams": hyperparams,
        "Evaluation": _applying(evaluation),
        "Data": _present(data),
        "Environment": environment,
        "Search": search or {},
    }
    return {f"{section}/{name}": value for section, values in sections.items() for name, value in values.items()}
