"""The verbs of trainings and of the jobs that they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from modelyard import calls
from modelyard.access.guard import Holder
from modelyard.calls import Calls, verb
from modelyard.errors import FailedPrecondition
from modelyard.jobs import Jobs, NewJob
from modelyard.ml_core.alias_verbs import AliasVerbs
from modelyard.ml_core.promoting import check_promote
from modelyard.ml_core.searching.orders import order_search, search_of, write_search
from modelyard.ml_core.sentences import model_of
from modelyard.ml_core.training.orders import TrainingOrder, order_training
from modelyard.ml_core.training.plan import check_plan
from modelyard.ml_core.training.runs import write_order
from modelyard.schemas import (
    AUTO,
    Job,
    JobPage,
    JobQuery,
    ModelMetadata,
    RetrainRequest,
    SearchRequest,
    TrainRequest,
    check_idempotency_key,
    plain_key,
)
from modelyard.storage import ModelStore, check_name_visible
from modelyard.tables import source_of


class TrainingVerbs(AliasVerbs):
    """The part of a yard that trains, and has new versions take aliases over. Its `jobs` are for the desk, too."""

    calls: Calls
    jobs: Jobs
    _store: ModelStore
    _missing_markers: tuple[str, ...]
    _max_file_bytes: int

    @verb
    def train(self, request: TrainRequest, *, idempotency_key: str | None = None) -> ModelMetadata:
        """Train a new model. See `Verbs.train`."""
        return self._wait_for_model(self.submit_training(request, idempotency_key=idempotency_key))

    @verb
    def retrain(self, request: RetrainRequest, *, idempotency_key: str | None = None) -> ModelMetadata:
        """Train the next version of a model. See `Verbs.retrain`."""
        return self._wait_for_model(self.submit_retraining(request, idempotency_key=idempotency_key))

    @verb
    def submit_training(self, request: TrainRequest, *, idempotency_key: str | None = None) -> Job:
        """Order a new model. See `Verbs.submit_training`."""
        if plain_key(request.model_class_key) == AUTO:
            return self.submit_search(search_of(request), idempotency_key=idempotency_key)
        check_idempotency_key(idempotency_key)
        order = order_training(request, self._missing_markers, self._max_file_bytes)
        return self._order(order, source_of(request.X), idempotency_key)

    @verb
    def submit_retraining(self, request: RetrainRequest, *, idempotency_key: str | None = None) -> Job:
        """Order the next version of a model. See `Verbs.submit_retraining`."""
        check_idempotency_key(idempotency_key)
        # Sent again, the same request has the parent it had, whatever became of that or of its name meanwhile.
        parent_id = self.jobs.parent_of_key(_of_caller(idempotency_key))
        parent = self._store.get_active(request.model_id) if parent_id is None else self._store.get(parent_id)
        self._store.check_signed(parent)
        order = order_training(request, self._missing_markers, self._max_file_bytes, parent=parent.metadata)
        return self._order(order, source_of(request.X), idempotency_key)

    @verb
    def search(self, request: SearchRequest, *, idempotency_key: str | None = None) -> ModelMetadata:
        """Find the best model. See `Verbs.search`."""
        return self._wait_for_model(self.submit_search(request, idempotency_key=idempotency_key))

    @verb
    def submit_search(self, request: SearchRequest, *, idempotency_key: str | None = None) -> Job:
        """Order a search. See `Verbs.submit_search`."""
        check_idempotency_key(idempotency_key)
        check_name_visible(request.name)
        found = order_search(request, self._missing_markers, self._max_file_bytes)
        calls.note(model_class=AUTO, rows=found.order.plan.table.frame.height)
        self._check_promote(found.order)
        new = NewJob(
            model_class_key=AUTO,
            kind="search",
            name=request.name,
            target=found.order.plan.table.target,
            source=source_of(request.X),
            idempotency_key=_of_caller(idempotency_key),
            request_sha256=None if idempotency_key is None else found.digest(),
            details=found.details(),
        )
        job = self.jobs.order(new, partial(write_search, order=found))
        calls.note(job_id=job.job_id)
        return job

    @verb
    def get_job(self, job_id: str) -> Job:
        """Return a job as it is now. See `Verbs.get_job`."""
        return self.jobs.get(job_id)

    @verb
    def list_jobs(self, query: JobQuery | None = None) -> JobPage:
        """List jobs, newest first. See `Verbs.list_jobs`."""
        return self.jobs.page(query or JobQuery())

    @verb
    def cancel_job(self, job_id: str) -> Job:
        """Cancel a job. See `Verbs.cancel_job`."""
        return self.jobs.cancel(job_id)

    @verb
    def watch_job(self, job_id: str) -> Iterator[Job]:
        """Follow a job to its end. See `Verbs.watch_job`."""
        return self.jobs.watch(job_id)

    def _order(self, order: TrainingOrder, source: str, idempotency_key: str | None) -> Job:
        check_name_visible(order.name)
        calls.note(model_class=order.plan.model_class.key, rows=order.plan.table.frame.height)
        check_plan(order.plan)
        self._check_promote(order)
        new = NewJob(
            model_class_key=order.plan.model_class.key,
            name=order.name,
            parent_id=order.parent_id,
            target=order.plan.table.target,
            source=source,
            idempotency_key=_of_caller(idempotency_key),
            request_sha256=None if idempotency_key is None else order.digest(),
            details=order.details(),
        )
        job = self.jobs.order(new, lambda folder: write_order(folder, order))
        calls.note(job_id=job.job_id)
        return job

    def _check_promote(self, order: TrainingOrder) -> None:
        check_promote(order)
        if order.promote is not None:
            self.check_may_move(order.promote.alias)

    def _wait_for_model(self, job: Job) -> ModelMetadata:
        try:
            return model_of(job, self.jobs.wait(job.job_id), self.get_model)
        except KeyboardInterrupt:  # who trains at a terminal and leaves wants no model any more
            with suppress(FailedPrecondition):
                self.jobs.cancel(job.job_id)
            raise


def _of_caller(idempotency_key: str | None) -> str | None:
    """Return an idempotency key as it is kept: each holder of a key has some of their own."""
    who = calls.who()
    return (
        idempotency_key if idempotency_key is None or not isinstance(who, Holder) else f"{who.name} {idempotency_key}"
    )
