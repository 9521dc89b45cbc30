"""What there is to tell of a run, put together from the folder: the outbox's record, and the order for the child."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import orjson

from modelyard import models_registry
from modelyard.errors import DataLoss, ModelyardError
from modelyard.schemas import Tracking
from modelyard.storage import ESTIMATOR_FILE, REPORT_FILE, ModelStore, Told, TrackedRuns
from modelyard.tracking.outbox import Outbox

log = logging.getLogger("modelyard.tracking")


@dataclass(frozen=True, slots=True)
class Order:
    """What the child is to do for one run, as JSON; the run's state; the size of the artifact to be uploaded."""

    key: str
    said: dict[str, Any]
    told: Told | None
    bytes: int = 0


class Orders:
    """The orders of a folder."""

    def __init__(self, store: ModelStore, runs: TrackedRuns, outbox: Outbox, project: str) -> None:
        self._store = store
        self._runs = runs
        self._outbox = outbox
        self._project = project

    def keep(self, key: str) -> None:
        """Write the record of a run into the outbox, if the run is pending and has no record yet."""
        if not self._outbox.has(key):
            self._made_anew(key)

    def order(self, key: str) -> Order | None:
        """Return what is to be done for a key; None, and nothing left in the outbox, where nothing is."""
        run = self._runs.find(key)
        if run is None:  # a job that was pruned; its record knows all
            record = self._record(key)
            return None if record is None else self._full_order(key, record, None)
        tracking = run.tracking
        if tracking.status != "pending":
            self._outbox.remove(key)
            return None
        record = self._record(key)
        if record is None and tracking.task_id is None:
            record = self._made_anew(key)
        if record is not None:
            return self._full_order(key, record, run.told, tracking.task_id)
        if tracking.task_id is None:  # deleted for good in the moment between its commit and its record
            self._runs.settle(key, run.told, Tracking())
            return None
        return Order(key, {**self._bare_order(key, tracking.task_id), "parent_id": run.parent_id}, run.told)

    def _record(self, key: str) -> dict[str, Any] | None:
        try:
            return self._outbox.get(key)
        except DataLoss as error:
            log.warning("%s; it is made anew as far as the folder knows", error.detail)
            self._outbox.remove(key)
            return None

    def _made_anew(self, key: str) -> dict[str, Any] | None:
        run = self._runs.find(key)
        if run is None or run.is_gone or run.tracking.status != "pending" or run.tracking.task_id is not None:
            return None
        record = {"kind": "job", "job": run.said, "details": run.details} if run.is_job else self._model_record(key)
        self._outbox.put(key, record)
        return self._outbox.get(key)

    def _model_record(self, model_id: str) -> dict[str, Any]:
        record = self._store.get(model_id)
        report = None
        try:
            report = orjson.loads(self._store.read_file(record, REPORT_FILE))
        except ModelyardError as error:
            log.warning("model %s is tracked without its report: %s", model_id, error.detail)
        model = record.metadata.model_dump(mode="json", exclude={"message", "tracking", "status", "updated_at"})
        return {"kind": "model", "model": model, "report": report}

    def _full_order(self, key: str, record: dict[str, Any], told: Told | None, task_id: str | None = None) -> Order:
        said = self._bare_order(key, task_id or self._outbox.task_id(key))
        said["record"] = record
        said["parent_id"] = (record.get("model") or record.get("job") or {}).get("parent_id")
        size = 0
        if record["kind"] == "model":
            said["framework"] = models_registry.framework_of(record["model"]["environment"])
            path = self._artifact(key)
            if path is not None:
                said["artifact"], size = path
        return Order(key, said, told, size)

    def _bare_order(self, key: str, task_id: str | None) -> dict[str, Any]:
        return {"key": key, "project": self._project, "task_id": task_id, "state_tags": self._state_tags(key)}

    def with_parent(self, order: Order) -> dict[str, Any]:
        """Return what the child is told: with the task of the parent, if that was told of by now."""
        said = dict(order.said)
        parent_id = said.pop("parent_id", None)
        said["parent_task_id"] = None
        if parent_id is not None and (parent := self._runs.find(parent_id)) is not None:
            said["parent_task_id"] = parent.tracking.task_id
        return said

    def _artifact(self, model_id: str) -> tuple[str, int] | None:
        try:
            path = self._store.file_path(self._store.get(model_id), ESTIMATOR_FILE)
            return str(path.absolute()), path.stat().st_size
        except (ModelyardError, OSError) as error:
            log.warning("model %s is tracked without its artifact: %s", model_id, error)
            return None

    def _state_tags(self, key: str) -> list[str]:
        run = self._runs.find(key)
        if run is None or run.is_job:
            return []
        if run.is_gone:
            return ["deleted for good"]
        last = self._store.history(key).events[-1]
        if last.status == "deleted":
            return ["deleted"]
        return ["restored"] if last.verb == "restore" else []
