"""Telling ClearML of one run, by its own library: in the child alone.

Everything told is keyed (a parameter by its name, a point by its curve and iteration, an artifact by its name), so
telling it again replaces it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from clearml import OutputModel, Task
from clearml.backend_api.services import models, tasks

from modelyard.tracking import experiment
from modelyard.tracking.bounds import Refusals
from modelyard.tracking.experiment import Experiment

_STATE_TAGS = {"deleted", "restored", "deleted for good"}


class Refused(Exception):
    """The server will never take this run; its words are why."""


class Failed(Exception):
    """Something was not done, and it is not known whose fault it is."""


def tell(order: dict[str, Any], refusals: Refusals, began: Callable[[str], None]) -> dict[str, str]:
    """Carry out an order; return the task's id and its address. Raises Refused, Failed."""
    refusals.take()
    record = order.get("record")
    if record is None:
        task = _task(order["task_id"])
        if task is None:
            raise Refused(f"task {order['task_id']} is not in ClearML any more")
    else:
        task = _tell_whole(order, record, began)
    _tag(task, order["state_tags"])
    if order["parent_task_id"] is not None:
        # `Task.set_parent` refuses what is completed, which the server does not mind.
        task.send(tasks.EditRequest(task=task.id, force=True, parent=order["parent_task_id"]))
    _check(refusals)
    return {"task_id": task.id, "url": task.get_output_log_web_page()}


def _tell_whole(order: dict[str, Any], record: dict[str, Any], began: Callable[[str], None]) -> Task:
    told = experiment.of_record(record)
    task = None if order["task_id"] is None else _task(order["task_id"])
    if task is None:
        task = _unused_task(order["project"], told.name) or Task.create(
            project_name=order["project"], task_name=told.name, task_type="training", detect_repository=False
        )
    began(task.id)
    task.mark_started(force=True)
    _describe(task, told, record)
    if record.get("report") is not None:
        _report(task, record["report"])
        metrics = "\n".join(f"{name}: {value:.6g}" for name, value in told.metrics.items())
        if not task.upload_artifact("report", record["report"], preview=metrics, wait_on_upload=True):
            raise Failed("ClearML's files server did not take the report")
    if order.get("artifact") is not None:
        _upload_model(task, told, order["artifact"], order["framework"])
    task.get_logger().flush(wait=True)
    task.flush(wait_for_uploads=True)
    if told.ending == "completed":
        task.mark_completed(force=True)
    elif told.ending == "failed":
        task.mark_failed(status_reason=told.reason[:200], status_message=told.reason, force=True)
    else:
        task.mark_stopped(force=True, status_message=told.reason)
    return task


def _task(task_id: str) -> Task | None:
    return Task.get_task(task_id=task_id) if Task.query_tasks(task_filter={"id": [task_id]}) else None


def _unused_task(project: str, name: str) -> Task | None:
    """Return a task that was made for such a run and never used: somebody was killed before he could write its id."""
    found: list[Task] = Task.get_tasks(
        project_name=project,
        task_name=f"^{re.escape(name)}$",
        task_filter={"status": ["created"], "type": ["training"]},
    )
    return found[0] if found else None


def _describe(task: Task, told: Experiment, record: dict[str, Any]) -> None:
    task.set_comment(told.comment)
    task.set_tags(told.tags)
    task.set_parameters(told.parameters)
    task.set_user_properties(**told.properties)
    if told.feature_types:
        task.set_configuration_object("Feature types", config_dict=told.feature_types)
    logger = task.get_logger()
    for name, value in told.metrics.items():
        logger.report_single_value(name, value)
    warnings = (record.get("report") or {}).get("warnings") or []
    if warnings:
        logger.report_text("\n".join(warning["message"] for warning in warnings), print_console=False)


def _report(task: Task, report: dict[str, Any]) -> None:
    logger = task.get_logger()
    for title, series, iteration, value in experiment.scalars(report):
        logger.report_scalar(title, series, value, iteration)
    for line in experiment.lines(report):
        logger.report_scatter2d(
            line.title,
            line.series,
            scatter=np.array(line.points),
            iteration=0,
            xaxis=line.x,
            yaxis=line.y,
            mode="lines",
        )
    if (confusion := experiment.confusion(report)) is not None:
        matrix, labels = confusion
        logger.report_confusion_matrix(
            "Confusion matrix",
            "validation",
            matrix=np.array(matrix),
            iteration=0,
            xaxis="predicted",
            yaxis="actual",
            xlabels=labels,
            ylabels=labels,
            yaxis_reversed=True,
        )
    if (importances := experiment.importances(report)) is not None:
        names, values = importances
        logger.report_histogram(
            "Feature importances", "importance", values=values, iteration=0, xlabels=names, xaxis="feature"
        )
    if (table := experiment.per_class(report)) is not None:
        logger.report_table("Classes", "validation", iteration=0, table_plot=table)


def _upload_model(task: Task, told: Experiment, artifact: str, framework: str | None) -> None:
    """Upload the artifact as the task's model, going on with the one that an earlier attempt began."""
    upload_uri = task.output_uri or _files_server()
    # Made here with its task: the library would make one without, which could not be found again after a kill.
    begun = _answer(task, models.GetAllRequest(task=[task.id], only_fields=["id"])).models
    model_id = begun[0].id if begun else _begin_model(task, told, upload_uri, framework)
    model = OutputModel(task=task, base_model_id=model_id)
    if not model.update_weights(
        artifact,
        upload_uri=upload_uri,  # without one the file would only be named, not uploaded
        target_filename="model.pkl",
        auto_delete_file=False,
        async_enable=False,
        update_comment=False,
    ):
        raise Failed("ClearML's files server did not take the model")


def _begin_model(task: Task, told: Experiment, upload_uri: str, framework: str | None) -> str:
    request = models.CreateRequest(
        uri=f"{upload_uri}/model.pkl",  # until it is uploaded; the task calls the model by this name
        name=told.name,
        task=task.id,
        project=task.project,
        framework=framework,
        labels=told.labels,
        tags=told.tags,
        comment=told.comment,
        ready=False,
    )
    model_id: str = _answer(task, request).id
    return model_id


def _answer(task: Task, request: Any) -> Any:
    result = task.send(request)
    assert result is not None  # only where the library is offline
    return result.response


def _files_server() -> str:
    from clearml.backend_api import Session

    host: str = Session.get_files_server_host()
    return host


def _tag(task: Task, state_tags: list[str]) -> None:
    """Let the task's tags say what became of the model, and leave people's own tags alone."""
    before = list(task.get_tags() or [])
    after = [tag for tag in before if tag not in _STATE_TAGS] + state_tags
    if after != before:
        task.set_tags(after)


def _check(refusals: Refusals) -> None:
    said = refusals.take()
    if said is not None:
        raise Refused(said)
