"""The desk: the core as the doors ask for it, on an event loop.

A door decodes a request, makes one call here and encodes the answer. The desk decides what is answered at once on the
loop, what goes to a thread, and what shares a call of a library with others. A door hands over its decoding and its
encoding as functions (`read`, `write`), because they run wherever the verb runs. All methods raise what the verbs of
`modelyard.verbs.Verbs` raise.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import nullcontext, suppress
from functools import partial
from time import perf_counter
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar

from modelyard import calls
from modelyard.calls import Call
from modelyard.errors import ModelyardError
from modelyard.ml_core import following
from modelyard.ml_core.answering import Answer, Answering, Opened, submit, written
from modelyard.ml_core.sentences import model_of
from modelyard.ml_core.serving.keeping import Part
from modelyard.ml_core.serving.loaded import LoadedModel
from modelyard.ml_core.serving.process import collect_garbage_less_often, keep_freed_memory, switch_threads_sooner
from modelyard.ml_core.serving.turns import LookUp, Turns, looked_up_by
from modelyard.ml_core.serving.warming import FIRST_CALLERS_S
from modelyard.ml_core.workers import Workers, begin
from modelyard.ml_core.yard import Yard
from modelyard.schemas import (
    AddedOutcomes,
    CheckRequest,
    EvaluateRequest,
    ExplainRequest,
    Explanations,
    Health,
    Job,
    ModelMetadata,
    ModelQuery,
    OutcomesRequest,
    Predictions,
    PredictRequest,
    RetrainRequest,
    SearchRequest,
    TableCheck,
    TableEvaluation,
    TrainRequest,
)

log = logging.getLogger(__name__)

SMALL_BYTES = 16 * 1024
"""A request of at most this size is answered on the loop: handing it to a thread and back would take longer."""

AFTER_TRAININGS_S = 2.0
"""How much longer than trainings calls may go on after SIGTERM: those that wait for one are told how it ended."""

_WAITING_AT_ONCE = 40
"""Other verbs mostly wait, for the disk or for the folder's lock."""

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F")
Write: TypeAlias = Callable[[Predictions], T]
Told: TypeAlias = "Callable[[Answer[T] | None], None]"


class Desk:
    """The desk of one core.

    At most `most_predictions` (0: any number) are under way or wait for a thread or a model; one more is refused.
    """

    def __init__(self, yard: Yard, most_predictions: int = 0) -> None:
        self.calls = yard.calls
        self.guard = yard.guard
        self._yard = yard
        self._turns = Turns(yard.loaded)
        self._answering = Answering(most_predictions)
        self._waiting = Workers(_WAITING_AT_ONCE)
        self._loading: dict[LookUp, asyncio.Task[LoadedModel]] = {}
        self._preparing = threading.Timer(FIRST_CALLERS_S, self._prepare)
        self._preparing.daemon = True

    def open(self) -> None:
        """Serve: load the latest models in a thread, and get ready to train. To be called once the door listens."""
        collect_garbage_less_often()
        keep_freed_memory()
        switch_threads_sooner()
        self._yard.warm_up()
        self._preparing.start()

    def leave(self) -> None:
        """Say from now on that this server is not ready, so that a balancer sends nobody here any more."""
        self._yard.leave()

    def drain(self) -> None:
        """Start no more trainings; those that run get their grace period. Safe in a signal handler."""
        self._yard.drain()

    async def close(self) -> None:
        """Close the core."""
        self._preparing.cancel()
        await begin(self._yard.close)
        self._answering.close()
        self._waiting.close()

    async def predict(self, size: int, read: Callable[[], PredictRequest], write: Write[T]) -> Answer[T]:
        """Predict for a request of `size` bytes: a small one on the loop, together with others of this turn."""
        if size > SMALL_BYTES:
            return await self.predict_many(lambda: nullcontext(read()), write)
        calls.name_verb("predict")
        began = perf_counter()
        request = read()
        read_at = perf_counter()
        found = await self._turns.predict(request)
        if found is None:
            with self._answering.place():
                model = await self._load(request)
            found = self._yard.predict_by(model, request)
        else:
            calls.note(rows=len(found.predictions))
            self._yard.keep(found)
        return written(found, write, began, read_at)

    def predict_soon(self, call: Call, read: Callable[[], PredictRequest], write: Write[T], told: Told[T]) -> None:
        """Predict for a small request of a call on the loop, without a coroutine: `told` is called with the answer.

        It is called with None if only `predict` can answer, or say what is wrong; and if `write` raises, before
        anything is kept. What is wrong with the request as such is raised here.
        """
        call.ask("predict")
        began = perf_counter()
        with calls.on_behalf_of(call):  # it may look at a model
            request = read()
        read_at = perf_counter()

        def tell(found: Predictions | Exception | None) -> None:
            answer = None
            if isinstance(found, Predictions):
                call.facts["rows"] = len(found.predictions)
                with suppress(Exception), calls.on_behalf_of(call):  # `predict` meets it again
                    in_words = written(found, write, began, read_at)
                    self._yard.keep(found)
                    answer = in_words
            told(answer)

        self._turns.ask(request, tell, call)

    def predict_at_once(self, size: int, read: Callable[[], PredictRequest], write: Write[T]) -> T | None:
        """Predict in the calling thread; None if that would take more than a moment, or `predict` does it better."""
        if size > SMALL_BYTES:
            return None
        calls.name_verb("predict")
        request = read()
        model = self._yard.loaded.get_loaded(request.model_id, request.decision)
        if model is None or model.model_class.gains_by_batching:
            return None
        return write(self._yard.predict_by(model, request))

    async def predict_many(
        self,
        read: Opened[PredictRequest],
        write: Write[T],
        again: Callable[[], PredictRequest] | None = None,
        *,
        let_in: bool = False,
        part: Part | None = None,
    ) -> Answer[T]:
        """Predict in a thread; if the caller hangs up, the steps that have not begun are left out.

        If a request is refused and `again` is given, `again` reads it once more, and what comes of that counts.
        With `let_in` it belongs to a call that was let in already, and is not refused because too many are under way.
        `part` says which part of a larger table it is.
        """
        calls.name_verb("predict")
        find = partial(self._predict, again=again, part=part)
        return await self._answering.answer(read, find, write, let_in=let_in)

    async def explain(self, read: Opened[ExplainRequest], write: Callable[[Explanations], T]) -> Answer[T]:
        """Explain in a thread, as `predict_many` predicts."""
        calls.name_verb("explain")
        return await self._answering.answer(read, self._yard.explain, write)

    async def check_table(self, read: Opened[CheckRequest]) -> TableCheck:
        """Check a table in a thread, as `predict_many` predicts."""
        calls.name_verb("check_table")
        return (await self._answering.answer(read, self._yard.check_table, lambda found: found)).content

    async def evaluate(self, read: Opened[EvaluateRequest]) -> TableEvaluation:
        """Judge models by a labelled table, in a thread. It is kept even if its caller hangs up."""
        calls.name_verb("evaluate")
        return await self._answering.find(read, self._yard.evaluate)

    async def add_outcomes(self, read: Opened[OutcomesRequest]) -> AddedOutcomes:
        """Join outcomes to kept answers, in a thread. They are kept even if their caller hangs up."""
        calls.name_verb("add_outcomes")
        return await self._answering.find(read, self._yard.add_outcomes)

    async def train(
        self, read: Opened[TrainRequest], idempotency_key: str | None, *, wait: bool
    ) -> ModelMetadata | Job:
        """Train a model: return it at the end of its job, or with `wait` false the job at once.

        The training goes on after its caller has hung up.
        """
        calls.name_verb("train" if wait else "submit_training")
        return await self._ordered(await begin(submit, self._yard.submit_training, read, idempotency_key), wait)

    async def search(
        self, read: Opened[SearchRequest], idempotency_key: str | None, *, wait: bool
    ) -> ModelMetadata | Job:
        """Find the best model, as `train` trains one."""
        calls.name_verb("search" if wait else "submit_search")
        return await self._ordered(await begin(submit, self._yard.submit_search, read, idempotency_key), wait)

    async def retrain(
        self, read: Opened[RetrainRequest], idempotency_key: str | None, *, wait: bool
    ) -> ModelMetadata | Job:
        """Train the next version of a model, as `train` does."""
        calls.name_verb("retrain" if wait else "submit_retraining")
        return await self._ordered(await begin(submit, self._yard.submit_retraining, read, idempotency_key), wait)

    async def ask(self, verb: Callable[Concatenate[Yard, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a verb in a thread, such as `ask(Yard.get_report, reference)`: most verbs look or wait, and no more."""
        of_this_yard: Callable[P, T] = getattr(self._yard, verb.__name__)
        return await self._waiting.run(of_this_yard, *args, **kwargs)

    async def wait(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run in a thread what a door does with a request before it orders anything, such as keeping it on disk."""
        return await self._waiting.run(function, *args, **kwargs)

    async def watch_job(self, job_id: str) -> AsyncGenerator[Job | None, None]:
        """Return the states of a job until it has ended; None among them says that nothing has happened for a while.

        They end with Unauthenticated if the caller's key is not valid any more.
        """
        calls.name_verb("watch_job")
        await self.ask(Yard.get_job, job_id)
        return following.states(self._yard.jobs, job_id, may_go_on=calls.who().check)

    async def delete(self, reference: str, *, hard: bool) -> tuple[str, ModelMetadata | None]:
        """Retire a model. Returns its id if it is deleted for good, else what `reference` was; and what is left."""
        calls.name_verb("delete")
        if hard:
            calls.check_may("delete_for_good")
        meant = self._yard.get_model(reference).model_id if hard else reference
        return meant, await self._waiting.run(self._yard.delete, meant, hard=hard)

    def get_model(self, reference: str) -> ModelMetadata:
        """Return what is known of a model; it is known in memory, so no thread is asked."""
        return self._yard.get_model(reference)

    def get_active(self, reference: str) -> ModelMetadata:
        """Return what is known of a model that can be asked. Raises ModelNotFound if it is deleted, too."""
        calls.name_verb("get_model")
        return self._yard.loaded.get_metadata(reference)

    async def versions_of(self, name: str) -> list[int]:
        """Return the active versions of a name, ascending: the newest thousand."""
        page = await self.ask(Yard.list_models, ModelQuery(name=name, limit=1000))
        return sorted(model.version for model in page.models)

    def version_of(self, model_id: str) -> int:
        """Return the version of a model that has answered, in a moment."""
        return self._yard.loaded.version_of(model_id)

    async def get_artifact(self, reference: str) -> tuple[ModelMetadata, bytes]:
        """Return a model and its `.pkl`."""
        calls.name_verb("get_artifact")
        model = self._yard.get_model(reference)
        return model, await self._waiting.run(self._yard.get_artifact, model.model_id)

    async def health(self) -> Health:
        """Say whether the yard can serve. Other work that waits does not delay it."""
        return await begin(self._yard.health)

    def _predict(
        self, request: PredictRequest, again: Callable[[], PredictRequest] | None, part: Part | None
    ) -> Predictions:
        try:
            return self._yard.predict_by(self._yard.loaded.get(request.model_id, request.decision), request, part)
        except ModelyardError:
            if again is None:
                raise
            return self._yard.predict(again())

    async def _ordered(self, job: Job, wait: bool) -> ModelMetadata | Job:
        if not wait:
            return job
        return model_of(job, await following.end_of(self._yard.jobs, job.job_id), self._yard.get_model)

    async def _load(self, request: PredictRequest) -> LoadedModel:
        """Load a model with its decision in one thread, for whoever waits for it.

        Others may have begun to load it before its decision was set, so that is looked up again at the end.
        """
        loaded = self._yard.loaded
        model_id = loaded.resolve(request.model_id)  # what the reference means to others may be what it meant before
        key = (model_id, looked_up_by(request, calls.under_way()))
        loading = self._loading.get(key)
        if loading is None:
            begun = self._waiting.run(loaded.get, model_id, request.decision)
            loading = self._loading[key] = asyncio.ensure_future(begun)
            loading.add_done_callback(partial(self._loaded, key))
        model = await asyncio.shield(loading)
        return loaded.get_loaded(model_id, request.decision) or model

    def _loaded(self, key: LookUp, loading: asyncio.Future[LoadedModel]) -> None:
        del self._loading[key]
        if not loading.cancelled():
            loading.exception()  # otherwise the loop complains if nobody waits any more

    def _prepare(self) -> None:
        try:
            self._yard.serve()
        except ModelyardError as error:
            log.warning("not ready to train yet: %s", error.detail)
