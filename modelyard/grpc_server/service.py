"""The methods of the service: each decodes, calls one verb of the core and encodes. What all share is in `gate`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

from modelyard import calls
from modelyard.errors import FieldError, InvalidRequest
from modelyard.grpc_server import codec, messages
from modelyard.grpc_server.access_service import AccessService
from modelyard.grpc_server.chunks_on_disk import Spool
from modelyard.grpc_server.gate import RpcCall
from modelyard.grpc_server.labelled_tables import Labelled, Order, read_labelled
from modelyard.grpc_server.outcome_service import OutcomeService
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.stream_parts import chunk_of, counted_from, header_of
from modelyard.grpc_server.table_messages import Sent, opened, read_rows
from modelyard.ml_core.desk import SMALL_BYTES, Desk
from modelyard.ml_core.serving.keeping import Part, new_prediction_id
from modelyard.ml_core.yard import Yard
from modelyard.schemas import (
    MOST_PROBABLE,
    ExplainRequest,
    Job,
    ModelMetadata,
    Predictions,
    PredictRequest,
    ResolvedDecision,
    check_idempotency_key,
)

ARTIFACT_CHUNK_BYTES = 2**20


class ModelService(AccessService, OutcomeService):
    """One method for each of `modelyard.v1.ModelService`, named alike in snake case."""

    def __init__(self, desk: Desk, *, max_body_bytes: int) -> None:
        self._desk = desk
        self._max_body_bytes = max_body_bytes

    async def train(self, call: RpcCall) -> pb.Model:
        """Train a model, as a job that goes on when the caller leaves."""
        key, message = idempotency_key(call), call.message()
        return _trained(await self._desk.train(partial(self._opened, message), key, wait=_waits(message)))

    async def retrain(self, call: RpcCall) -> pb.Model:
        """Retrain a model, as a job that goes on when the caller leaves."""
        key, message = idempotency_key(call), call.message()
        return _trained(await self._desk.retrain(partial(self._opened, message), key, wait=_waits(message)))

    async def search(self, call: RpcCall) -> pb.Model:
        """Find the best model, as a job that goes on when the caller leaves."""
        key, message = idempotency_key(call), call.message()
        return _trained(await self._desk.search(partial(self._opened, message), key, wait=_waits(message)))

    async def train_stream(self, call: RpcCall) -> pb.Model:
        """Keep the chunks on disk until all are there, then train or search."""
        key, received = idempotency_key(call), call.messages()
        header = await header_of(received, ("train", "retrain", "search"))
        order = self._order_of(header)
        await self._desk.wait(self._read, header, Sent(None), ())  # what is wrong there need not wait for the table
        spool = await self._spooled(received)
        return _trained(await order(partial(self._opened_spool, header, spool), key, wait=_waits(header)))

    def predict_at_once(self, call: RpcCall) -> bytes | None:
        """Predict for a few rows, if the model is loaded and answers without delay."""
        read = None if call.size > SMALL_BYTES else _few_rows(call.message())
        return None if read is None else self._desk.predict_at_once(call.size, read, codec.write_predictions)

    async def predict(self, call: RpcCall) -> bytes:
        """Predict: few rows on the loop, all other tables in a thread."""
        message = call.message()
        read = _few_rows(message)
        if read is None:
            return (await self._predict(message, partial(opened, message.X))).data
        return (await self._desk.predict(call.size, read, codec.write_predictions)).content

    async def explain(self, call: RpcCall) -> bytes:
        """Explain, in a thread."""
        message = call.message()

        @contextmanager
        def read_request() -> Iterator[ExplainRequest]:
            with opened(message.X) as sent:
                yield codec.read_explain(message, sent)

        return (await self._desk.explain(read_request, codec.write_explanations)).content

    async def predict_stream(self, call: RpcCall) -> None:
        """Answer each chunk before the next one is read; pieces of a file are put together on disk first."""
        received = call.messages()
        header = await header_of(received, ("predict",))
        calls.name_verb("predict")
        model = self._desk.get_model(header.model_id)
        part = Part(new_prediction_id(), header.model_id, 0)
        header.model_id = model.model_id
        pinned = None if header.HasField("decision") else model.decision or MOST_PROBABLE
        async for message in received:
            chunk = chunk_of(message)
            if chunk.WhichOneof("data") == "file":
                with await self._spooled(received, pb.TrainChunk(X=chunk)) as spool:
                    answer = await self._predict(header, lambda: nullcontext(spool.table()[0]), pinned, part)
                return await call.send(answer.data)
            with counted_from(part.first_row):
                answer = await self._predict(header, partial(opened, chunk), pinned, part)
            part = part._replace(first_row=part.first_row + answer.rows)
            calls.note(rows=part.first_row)
            await call.send(answer.data)
            call.hand_over()
        return None

    async def check_table(self, call: RpcCall) -> pb.CheckTableResponse:
        """Check a table, in a thread."""
        found = await self._desk.check_table(partial(self._opened, call.message()))
        return messages.write(pb.CheckTableResponse, found)

    async def evaluate(self, call: RpcCall) -> pb.EvaluateResponse:
        """Judge models by a labelled table, in a thread."""
        return messages.write(pb.EvaluateResponse, await self._desk.evaluate(partial(self._opened, call.message())))

    async def list_evaluations(self, call: RpcCall) -> pb.ListEvaluationsResponse:
        """List the evaluations of a model, newest first."""
        message = call.message()
        page = await self._desk.ask(Yard.list_evaluations, _reference(message), codec.read_evaluation_query(message))
        return messages.write(pb.ListEvaluationsResponse, page)

    async def get_drift(self, call: RpcCall) -> pb.Drift:
        """Tell how far what a model is asked is from its training."""
        message = call.message()
        found = await self._desk.ask(Yard.get_drift, _reference(message), codec.read_drift_query(message))
        return messages.write(pb.Drift, found)

    async def list_available_models(self, call: RpcCall) -> pb.ListAvailableModelsResponse:
        """List the algorithms there are."""
        call.message()
        found = await self._desk.ask(Yard.list_model_classes)
        return pb.ListAvailableModelsResponse(model_classes=map(codec.write_model_class, found))

    async def list_trained_models(self, call: RpcCall) -> pb.ListTrainedModelsResponse:
        """List models, newest first."""
        page = await self._desk.ask(Yard.list_models, codec.read_query(call.message()))
        return messages.write(pb.ListTrainedModelsResponse, page)

    async def list_names(self, call: RpcCall) -> pb.ListNamesResponse:
        """List models by their names."""
        page = await self._desk.ask(Yard.list_names, codec.read_name_query(call.message()))
        return messages.write(pb.ListNamesResponse, page)

    async def get_model_info(self, call: RpcCall) -> pb.Model:
        """Return what is known of a model."""
        return messages.write(pb.Model, self._desk.get_model(_reference(call.message())))

    async def get_report(self, call: RpcCall) -> pb.Report:
        """Return what the evaluation of a model showed."""
        return messages.write(pb.Report, await self._desk.ask(Yard.get_report, _reference(call.message())))

    async def set_decision(self, call: RpcCall) -> pb.Model:
        """Have a model's answers obey a decision."""
        message = call.message()
        decision = codec.read_decision(message)
        return messages.write(pb.Model, await self._desk.ask(Yard.set_decision, _reference(message), decision))

    async def get_decision(self, call: RpcCall) -> pb.DecisionReport:
        """Return the decision of a model, and what it does."""
        message = call.message()
        label = messages.read_fields(message).get("class")
        return messages.write(pb.DecisionReport, await self._desk.ask(Yard.get_decision, _reference(message), label))

    async def get_history(self, call: RpcCall) -> pb.ModelHistory:
        """Return what happened to a model."""
        return messages.write(pb.ModelHistory, await self._desk.ask(Yard.get_history, _reference(call.message())))

    async def get_artifact(self, call: RpcCall) -> None:
        """Send a model's file in chunks."""
        model, content = await self._desk.get_artifact(_reference(call.message()))
        call.trailers = (("sha256", model.artifact.sha256),)
        for start in range(0, len(content), ARTIFACT_CHUNK_BYTES):
            await call.send(pb.ArtifactChunk(content=content[start : start + ARTIFACT_CHUNK_BYTES]))

    async def delete_model(self, call: RpcCall) -> pb.Model:
        """Retire a model; after a hard deletion there is nothing left to tell of it but its id."""
        message = call.message()
        model_id, deleted = await self._desk.delete(_reference(message), hard=message.hard)
        if deleted is not None:
            return messages.write(pb.Model, deleted)
        return pb.Model(model_id=model_id, status="deleted", message="deleted for good")

    async def restore_model(self, call: RpcCall) -> pb.Model:
        """Make a soft-deleted model active again."""
        return messages.write(pb.Model, await self._desk.ask(Yard.restore, _reference(call.message())))

    async def update_model(self, call: RpcCall) -> pb.Model:
        """Replace the tags or the description of a model."""
        message = call.message()
        changes = codec.read_update(message)
        return messages.write(pb.Model, await self._desk.ask(Yard.update_model, _reference(message), changes))

    async def get_job(self, call: RpcCall) -> pb.Job:
        """Return a job as it is now."""
        return messages.write(pb.Job, await self._desk.ask(Yard.get_job, call.message().job_id))

    async def list_jobs(self, call: RpcCall) -> pb.ListJobsResponse:
        """List jobs, newest first."""
        page = await self._desk.ask(Yard.list_jobs, codec.read_job_query(call.message()))
        return messages.write(pb.ListJobsResponse, page)

    async def cancel_job(self, call: RpcCall) -> pb.Job:
        """Cancel a job."""
        return messages.write(pb.Job, await self._desk.ask(Yard.cancel_job, call.message().job_id))

    async def watch_job(self, call: RpcCall) -> None:
        """Send a job whenever it has changed, until it has ended."""
        async with aclosing(await self._desk.watch_job(call.message().job_id)) as states:
            async for job in states:
                if job is not None:
                    await call.send(messages.write(pb.Job, job))

    async def health_check(self, call: RpcCall) -> pb.HealthCheckResponse:
        """Say how the yard is."""
        call.message()
        return messages.write(pb.HealthCheckResponse, await self._desk.health())

    @contextmanager
    def _opened(self, message: Any) -> Iterator[Any]:
        needs_none = isinstance(message, pb.EvaluateRequest) and not message.HasField("X")
        with nullcontext(Sent(None)) if needs_none else opened(message.X) as sent:
            yield self._read(message, sent, message.y)

    @contextmanager
    def _opened_spool(self, header: Any, spool: Spool) -> Iterator[Any]:
        with spool:
            sent, labels = spool.table()
            yield self._read(header, sent, labels)

    def _read(self, message: Labelled, sent: Sent, y: Iterable[pb.Value]) -> Any:
        return read_labelled(message, sent, y, self._desk.get_model)

    def _order_of(self, header: Order) -> Callable[..., Awaitable[ModelMetadata | Job]]:
        if isinstance(header, pb.SearchRequest):
            return self._desk.search
        return self._desk.train if isinstance(header, pb.TrainRequest) else self._desk.retrain

    async def _spooled(self, received: AsyncIterator[Any], *first: pb.TrainChunk) -> Spool:
        """Return the chunks that are still to come, on disk, after those that came before."""
        spool = await self._desk.wait(Spool, self._max_body_bytes)
        try:
            for chunk in first:
                await self._desk.wait(spool.append, chunk)
            async for message in received:
                chunk = chunk_of(message)
                await self._desk.wait(spool.append, pb.TrainChunk(X=chunk) if isinstance(chunk, pb.Table) else chunk)
        except BaseException:
            spool.close()
            raise
        return spool

    async def _predict(
        self,
        message: pb.PredictRequest,
        read: Callable[[], AbstractContextManager[Sent]],
        pinned: ResolvedDecision | None = None,
        part: Part | None = None,
    ) -> _Answer:
        @contextmanager
        def read_request() -> Iterator[PredictRequest]:
            with read() as sent:
                request = codec.read_predict(message, sent)
                yield request if pinned is None else request.model_copy(update={"decision": pinned})

        let_in = part is not None and part.first_row > 0
        return (await self._desk.predict_many(read_request, _Answer.of, let_in=let_in, part=part)).content


class _Answer(NamedTuple):
    """Predictions as they are sent, and for how many rows."""

    data: bytes
    rows: int

    @classmethod
    def of(cls, found: Predictions) -> _Answer:
        return cls(codec.write_predictions(found), len(found.predictions))


def _few_rows(message: pb.PredictRequest) -> Callable[[], PredictRequest] | None:
    """Return what reads a request whose table is rows; None for any other form of a table."""
    if message.X.WhichOneof("data") != "rows":
        return None
    return lambda: codec.read_predict(message, read_rows(message.X.rows))


def _reference(message: Any) -> str:
    """Return the reference that a request names. Raises InvalidRequest if it names none."""
    wanted: str = message.model_id
    if not wanted:
        raise InvalidRequest.of([FieldError(("model_id",), "field 'model_id' is required")])
    return wanted


def idempotency_key(call: RpcCall) -> str | None:
    """Return the key that a call's metadata carries. Raises InvalidRequest."""
    key: str | None = call.metadata.get("idempotency-key")
    check_idempotency_key(key)
    return key


def _waits(message: Order) -> bool:
    return message.wait or not message.HasField("wait")


def _trained(found: ModelMetadata | Job) -> pb.Model:
    """Write the model of a job at its end, or the job itself if its caller does not wait."""
    return pb.Model(job=messages.write(pb.Job, found)) if isinstance(found, Job) else messages.write(pb.Model, found)
