"""The task of a run in ClearML, written by its own library: in the child alone.

Everything told is keyed (a parameter by its name, a point by its curve and iteration, an artifact by its name), so
telling it again replaces it. Only the console's lines are not; they are told last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from clearml import OutputModel, StorageManager, Task
from clearml.backend_api.services import models, tasks
from clearml.storage.helper import StorageHelper

from modelyard.tracking import experiment, plots
from modelyard.tracking.clearml_bounds import Refusals
from modelyard.tracking.experiment import TAG_PREFIX, TOLD_TAGS, Experiment, Record
from modelyard.tracking.protocol import Kind

_REPORT = "report"
_GONE = "deleted for good"
_STATE_TAGS = {TAG_PREFIX + state for state in ("deleted", "restored", _GONE)}


class NotTold(Exception):
    """A run was not told; `kind` is the answer that says so."""

    kind: ClassVar[Kind]


class Refused(NotTold):
    """The server will never take this run; its words are why."""

    kind = "refused"


class Gone(NotTold):
    """The task is not in ClearML any more."""

    kind = "gone"


class Failed(NotTold):
    """Something was not done, and it is not known whose fault it is."""

    kind = "ill"


def tell(said: Record, refusals: Refusals, began: Callable[[str], None]) -> dict[str, str]:
    """Carry out an instruction; return the task's id and its address. Raises Refused, Gone, Failed."""
    refusals.take()
    record = said.get("record")
    told = None if record is None else experiment.of_record(record, said.get("metrics", {}))
    if record is None or told is None:
        task = _known_task(said["task_id"])
        if task is None:
            raise Gone(f"task {said['task_id']} was deleted in ClearML")
    elif "live" in said:
        task = _show_live(said, told, began)
    else:
        task = _tell_whole(said, record, told, began)
    if said["edited"] is not None:
        _show_edited(task, said["edited"])
    if said["state"] is not None:
        _show_state(task, said["state"])
    if said["parent_task_id"] is not None:
        _link_parent(task, said["parent_task_id"])
    refused = refusals.take()
    if refused is not None:
        raise Refused(refused)
    if told is not None:
        _set_times(task, told)
        refusals.take()  # a server that does not let them be set shows those of the telling
    return {"task_id": task.id, "url": _address(task)}


def _show_live(said: Record, told: Experiment, began: Callable[[str], None]) -> Task:
    """Show how a run is that goes on."""
    task = _begin(said, told, began)
    if said["task_id"] is None:
        _describe(task, told)
        _say(task, [told.comment])
    _say(task, said["live"]["lines"])
    task.set_progress(said["live"]["percent"])
    task.get_logger().flush(wait=True)
    return task


def _tell_whole(said: Record, record: Record, told: Experiment, began: Callable[[str], None]) -> Task:
    task = _begin(said, told, began)
    _describe(task, told)
    report = record.get("report")
    if report is not None:
        _report(task, report, said["framework"], len(told.labels))
        if said["state"] != _GONE:
            metrics = "\n".join(f"{name}: {value:.6g}" for name, value in told.metrics.items())
            if not task.upload_artifact(_REPORT, report, preview=metrics, wait_on_upload=True):
                raise Failed("ClearML's files server did not take the report")
    if said.get("artifact") is not None:
        _upload_model(task, told, said["artifact"], said["framework"])
    _say(task, [*said["words"].splitlines(), *told.console])
    task.get_logger().flush(wait=True)
    task.flush(wait_for_uploads=True)
    if told.ending == "completed":
        task.mark_completed(force=True)
    elif told.ending == "failed":
        task.mark_failed(status_reason=told.reason[:200], status_message=told.reason, force=True)
    else:
        task.mark_stopped(force=True, status_message=told.reason)
    return task


def _begin(said: Record, told: Experiment, began: Callable[[str], None]) -> Task:
    """Return the run's task, a new one if there is none, ready to be edited."""
    task = None if said["task_id"] is None else _known_task(said["task_id"])
    if task is None:
        project = experiment.project(said["project"], told.folder)
        task = _unused_task(project, told.name) or Task.create(
            project_name=project, task_name=told.name, task_type="training", detect_repository=False
        )
    began(task.id)
    task.mark_started(force=True)
    return task


def _known_task(task_id: str) -> Task | None:
    return Task.get_task(task_id=task_id) if Task.query_tasks(task_filter={"id": [task_id]}) else None


def _unused_task(project: str, name: str) -> Task | None:
    """Return a task that was made for such a run and never used, because its maker was killed before it had its id."""
    found: list[Task] = Task.get_tasks(
        project_name=project,
        task_name=f"^{re.escape(name)}$",
        task_filter={"status": ["created"], "type": ["training"]},
    )
    return found[0] if found else None


def _describe(task: Task, told: Experiment) -> None:
    script = tasks.Script(
        binary=f"python{told.python or ''}",
        entry_point=told.command,
        working_dir=".",
        requirements={"pip": "\n".join(told.packages)},
    )
    edit = tasks.EditRequest(task=task.id, force=True, name=told.name, comment=told.comment, script=script)
    task.send(edit)
    task.set_tags(list(dict.fromkeys([*told.tags, *(task.get_tags() or [])])))
    task.set_parameters(told.parameters)
    task.set_user_properties(**told.properties)
    if told.feature_types:
        task.set_configuration_object("Feature types", config_dict=told.feature_types)
    logger = task.get_logger()
    for name, value in told.metrics.items():
        logger.report_single_value(name, value)


def _report(task: Task, report: Record, framework: str | None, n_classes: int) -> None:
    logger = task.get_logger()
    for title, series, iteration, value in plots.scalars(report, framework, n_classes):
        logger.report_scalar(title, series, value, iteration)
    for title, figure in plots.figures(report):
        logger.report_plotly(title, "validation", figure, iteration=0)
    if (board := plots.leaderboard(report)) is not None:
        logger.report_table("Leaderboard", "trials", 0, table_plot=board)
    if (table := plots.per_class(report)) is not None:
        logger.report_table("Classes", "validation", iteration=0, table_plot=table)


def _say(task: Task, lines: list[str]) -> None:
    if lines:
        task.get_logger().report_text("\n".join(lines), print_console=False)


def _upload_model(task: Task, told: Experiment, artifact: str, framework: str | None) -> None:
    """Upload the artifact as the task's model, going on with the one that an earlier attempt began."""
    upload_uri = task.output_uri or _files_server()
    # Made here with its task: the library would make one without, which could not be found again after a kill.
    begun = _models(task)
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
    metadata = [{"key": name, "type": "float", "value": f"{value:.6g}"} for name, value in told.metrics.items()]
    task.send(models.AddOrUpdateMetadataRequest(model=model_id, metadata=metadata, replace_metadata=False))


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


def _models(task: Task, task_id: str | None = None) -> list[Any]:
    """Return the entries of the models that a task has made."""
    found: list[Any] = _answer(task, models.GetAllRequest(task=[task_id or task.id])).models
    return found


def _answer(task: Task, request: Any) -> Any:
    result = task.send(request)
    assert result is not None  # only if the library is offline
    return result.response


def _files_server() -> str:
    from clearml.backend_api import Session

    host: str = Session.get_files_server_host()
    return host


# What became of it.


def _show_edited(task: Task, edited: Record) -> None:
    """Show a model's tags and description as they are now, on the task and on the model's entry. Own tags stay."""
    before = json.loads(str(task.get_user_properties(value_only=True).get(TOLD_TAGS) or "[]"))

    def now(tags: Sequence[str] | None) -> list[str]:
        return list(dict.fromkeys([*edited["ours"], *(tag for tag in tags or () if tag not in before)]))

    task.send(tasks.EditRequest(task=task.id, force=True, comment=edited["comment"]))
    task.set_tags(now(task.get_tags()))
    for model in _models(task):
        task.send(models.EditRequest(model=model.id, tags=now(model.tags), comment=edited["comment"]))
    task.set_user_properties(**{TOLD_TAGS: json.dumps(edited["tags"])})


def _show_state(task: Task, state: str) -> None:
    """Show what became of the model, on the task and on the model's entry. People's own tags stay."""
    before = list(task.get_tags() or [])
    if (after := _with_state(before, state)) != before:
        task.set_tags(after)
    for model in _models(task):
        if state == _GONE:
            _remove_file(model.uri)
        before = list(model.tags or [])
        if (after := _with_state(before, state)) != before:
            task.send(models.EditRequest(model=model.id, tags=after))
    if state == _GONE and (artifact := task.artifacts.get(_REPORT)) is not None:
        _remove_file(artifact.url)
        left = [one for one in task.data.execution.artifacts or [] if one.key != _REPORT]
        # The request to delete artifacts is refused for a task that is completed.
        task.send(tasks.EditRequest(task=task.id, force=True, execution=tasks.Execution(artifacts=left)))


def _with_state(tags: list[str], state: str) -> list[str]:
    return [*(tag for tag in tags if tag not in _STATE_TAGS), TAG_PREFIX + state]


def _remove_file(url: str) -> None:
    helper: Any = StorageHelper
    if not helper.get(url).delete(url) and StorageManager.exists_file(url):
        raise Failed(f"ClearML's files server did not remove {url}")


def _link_parent(task: Task, parent_id: str) -> None:
    """Name the parent, and the model that it made as this task's input."""
    made_here = [tasks.TaskModelItem(name="model", model=model.id) for model in _models(task)]
    given = [tasks.TaskModelItem(name="parent", model=model.id) for model in _models(task, parent_id)]
    linked = tasks.TaskModels(input=given, output=made_here)
    # Both requests of the library for that refuse what is completed, which the server does not mind.
    task.send(tasks.EditRequest(task=task.id, force=True, parent=parent_id, models=linked))


def _set_times(task: Task, told: Experiment) -> None:
    """Set the task's times to those of the run; ClearML sets the times of the telling."""
    times = {name: at for name, at in (("started", told.started), ("completed", told.ended)) if at is not None}
    if times:
        request = tasks.EditRequest(task=task.id, force=True, _allow_extra_fields_=True, **times)
        task.send(request, raise_on_errors=False)


def _address(task: Task) -> str:
    """Return the address of the task's scalars; of its console's log if it has none."""
    address: str = task.get_output_log_web_page()
    return address.removesuffix("/log") + "/scalars" if task.get_status() == "completed" else address
