"""What the child is told to do for each run, put together from the folder and from the outbox's records."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import orjson

from modelyard import models_registry
from modelyard.errors import DataLoss, ModelyardError
from modelyard.schemas import Tracking, meaning
from modelyard.storage import ESTIMATOR_FILE, REPORT_FILE, ModelStore, Told, TrackedRun, TrackedRuns
from modelyard.tracking import experiment
from modelyard.tracking.live_runs import LiveRuns, News
from modelyard.tracking.outbox import Outbox

log = logging.getLogger("modelyard.tracking")


@dataclass(frozen=True, slots=True)
class Instruction:
    """What the child is to do for one run, as JSON, and what its parent has to know of it.

    `told` is the state of the run that the child is told of, `bytes` the size of the artifact to be uploaded, `job_id`
    the job that made the model.
    """

    key: str
    said: dict[str, Any]
    told: Told | None
    bytes: int = 0
    job_id: str | None = None


class Instructions:
    """The instructions of a folder."""

    def __init__(self, store: ModelStore, runs: TrackedRuns, live: LiveRuns, outbox: Outbox, project: str) -> None:
        self._store = store
        self._runs = runs
        self._live = live
        self._outbox = outbox
        self._project = project

    def keep(self, key: str) -> None:
        """Write the record of a run into the outbox, if there is something to tell and no record yet."""
        if not self._outbox.has(key):
            self._write_record(key)

    def of(self, key: str) -> Instruction | None:
        """Return what is to be done for a run. None if nothing is; then nothing is left in the outbox."""
        run = self._runs.find(key)
        if run is None:  # a job that was pruned; its record knows all
            record = self._record(key)
            return None if record is None else self._whole(key, record, None)
        tracking = run.tracking
        if tracking.status != "pending":
            self._outbox.remove(key)
            return None
        record = self._record(key)
        if record is None and tracking.task_id is None:
            record = self._write_record(key)
        if record is not None:
            return self._whole(key, record, run, tracking.task_id)
        if tracking.task_id is None:  # deleted for good, and it has neither a record nor a task any more
            self._runs.settle(key, run.told, Tracking())
            return None
        return Instruction(key, {**self._state(key, tracking.task_id), "parent_id": run.parent_id}, run.told)

    def of_live(self, job_id: str, news: News) -> Instruction | None:
        """Return how a running job is shown; None if it has ended meanwhile."""
        run = self._runs.find(job_id)
        if run is None or run.said["status"] != "running":
            return None
        said = {
            **self._state(job_id, self._outbox.task_id(job_id)),
            "record": {"kind": "job", "job": run.said, "details": run.details},
            "live": {"lines": news.lines, "percent": news.percent},
        }
        return Instruction(job_id, said, None)

    def with_parent(self, instruction: Instruction) -> dict[str, Any]:
        """Return what the child is told, with the task of its parent if ClearML knows that."""
        said = dict(instruction.said)
        parent_id = said.pop("parent_id", None)
        parent = None if parent_id is None else self._runs.find(parent_id)
        said["parent_task_id"] = None if parent is None else parent.tracking.task_id
        return said

    def _record(self, key: str) -> dict[str, Any] | None:
        try:
            return self._outbox.get(key)
        except DataLoss as error:
            log.warning("%s; it is made anew from what the folder knows", error.detail)
            self._outbox.remove(key)
            return None

    def _write_record(self, key: str) -> dict[str, Any] | None:
        run = self._runs.find(key)
        if run is None or run.is_gone or run.tracking.status != "pending" or run.tracking.task_id is not None:
            return None
        job = run if run.is_job else self._job_of(key)
        record: dict[str, Any] = {"kind": "job"} if run.is_job else self._model_record(key)
        if job is not None:
            words, end = self._live.whole_log(job.said["job_id"])
            record |= {"job": job.said, "details": job.details, "words": words, "words_end": end}
        self._outbox.put(key, record)
        return self._outbox.get(key)

    def _job_of(self, model_id: str) -> TrackedRun | None:
        job_id = self._runs.job_of(model_id)
        return None if job_id is None else self._runs.find(job_id)

    def _model_record(self, model_id: str) -> dict[str, Any]:
        record = self._store.get(model_id)
        report = None
        try:
            report = orjson.loads(self._store.read_file(record, REPORT_FILE))
        except ModelyardError as error:
            log.warning("model %s is tracked without its report: %s", model_id, error.detail)
        model = record.metadata.model_dump(mode="json", exclude={"message", "tracking", "status", "updated_at"})
        return {"kind": "model", "model": model, "report": report}

    def _whole(
        self, key: str, record: dict[str, Any], run: TrackedRun | None, task_id: str | None = None
    ) -> Instruction:
        job_id: str | None = (record.get("job") or {}).get("job_id")
        begun = self._outbox.task_id(key) or (None if job_id is None else self._outbox.task_id(job_id))
        said = self._state(key, task_id or begun)
        said["record"] = record
        said["parent_id"] = (record.get("model") or record.get("job") or {}).get("parent_id")
        said["words"] = "" if job_id is None else _unseen(record, self._live.said_to(job_id))
        size = 0
        if record["kind"] == "model":
            said["framework"] = models_registry.framework_of(record["model"]["environment"])
            said["metrics"] = _shown(record["model"]["metrics"])
            artifact = self._artifact(key)
            if artifact is not None:
                said["artifact"], size = artifact
        return Instruction(key, said, None if run is None else run.told, size, job_id)

    def _state(self, key: str, task_id: str | None) -> dict[str, Any]:
        edited = self._edited(key)
        return {
            "key": key,
            "project": self._project,
            "task_id": task_id,
            "state": self._state_of(key),
            "edited": edited,
        }

    def _edited(self, key: str) -> dict[str, Any] | None:
        """Return what people say of a model since it was edited, None if it was not or is gone."""
        run = self._runs.find(key)
        if run is None or run.is_job or run.is_gone:
            return None
        if not any(event.verb == "edit" for event in self._store.history(key).events):
            return None
        tags = list(run.said["tags"])
        return {"tags": tags, "ours": experiment.tags_of(run.said), "comment": experiment.comment_of(run.said)}

    def _state_of(self, key: str) -> str | None:
        """Return what became of a model, None if nothing has."""
        run = self._runs.find(key)
        if run is None or run.is_job:
            return None
        if run.is_gone:
            return "deleted for good"
        last = self._store.history(key).events[-1]
        if last.status == "deleted":
            return "deleted"
        return "restored" if last.verb == "restore" else None

    def _artifact(self, model_id: str) -> tuple[str, int] | None:
        try:
            path = self._store.file_path(self._store.get(model_id), ESTIMATOR_FILE)
            return str(path.absolute()), path.stat().st_size
        except (ModelyardError, OSError) as error:
            log.warning("model %s is tracked without its artifact: %s", model_id, error)
            return None


def _shown(metrics: dict[str, float | None]) -> dict[str, float]:
    """Return the metrics as they are shown: without the ends of intervals, which would crowd out the values."""
    return {
        name.removeprefix("validation_"): value
        for name, value in metrics.items()
        if value is not None and meaning(name).kind in ("value", "std")
    }


def _unseen(record: dict[str, Any], said_to: int) -> str:
    """Return the end of what a run has said, which its task does not show yet."""
    count = max(0, record.get("words_end", 0) - said_to)
    words: str = record.get("words", "")
    return words.encode()[-count:].decode(errors="replace") if count else ""
