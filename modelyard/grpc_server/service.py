"""The methods of the service: each decodes, calls one verb of the core and encodes. What all share is in `gate`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

from modelyard import logs
from modelyard.errors import FieldError, InvalidArgument, InvalidRequest
from modelyard.grpc_server import codec, messages
from modelyard.grpc_server.gate import Call
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.spool import Spool
from modelyard.grpc_server.tables_in import Sent, opened, read_rows
from modelyard.ml_core.workers import Workers
from modelyard.ml_core import following
from modelyard.ml_core.yard import Yard
from modelyard.schemas import (
    Job,
    ModelMetadata,
    Predictions,
    PredictRequest,
    RetrainRequest,
    TrainRequest,
    check_idempotency_key,
)

Order: TypeAlias = pb.TrainRequest | pb.RetrainRequest

SMALL_BYTES = 16 * 1024
"""Below it a prediction takes less time than handing it to a thread and back saves."""

ARTIFACT_CHUNK_BYTES = 2**20


class ModelService:
    """One method for each of `modelyard.v1.ModelService`, named alike in snake case."""

    def __init__(self, yard: Yard, workers: Workers, *, max_body_bytes: int) -> None:
        self._yard = yard
        self._workers = workers
        self._max_body_bytes = max_body_bytes

    async def train(self, call: Call) -> pb.Model:
        """Train a model, as a job that goes on when the caller leaves."""
        key, message = idempotency_key(call), call.message()
        return await self._ended(message, await self._workers.begin(self._order, message, key))

    async def retrain(self, call: Call) -> pb.Model:
        """Retrain a model, as a job that goes on when the caller leaves."""
        key, message = idempotency_key(call), call.message()
        return await self._ended(message, await self._workers.begin(self._order, message, key))

    async def train_stream(self, call: Call) -> pb.Model:
        """Keep the chunks on disk until all are there, then train."""
        key = idempotency_key(call)
        received = call.messages()
        header = await _header(received, ("train", "retrain"))
        await self._workers.run(self._read, header, Sent(None), ())  # what is wrong there need not wait for the table
        spool = await self._workers.run(Spool, self._max_body_bytes)
        try:
            async for message in received:
                await self._workers.run(spool.append, _chunk(message))
        except BaseException:
            spool.close()
            raise
        return await self._ended(header, await self._workers.begin(self._order_spooled, header, spool, key))

    def predict_at_once(self, call: Call) -> bytes | None:
        """Predict for a few rows, where the model is loaded and answers without delay."""
        few = None if call.size > SMALL_BYTES else _few_rows(call.message())
        found = None if few is None else self._yard.predict_at_once(few)
        return None if found is None else codec.write_predictions(found)

    async def predict(self, call: Call) -> bytes:
        """Predict: few rows here, along with those of other calls where a model gains by it, many in a thread."""
        message = call.message()
        few = None if call.size > SMALL_BYTES else _few_rows(message)
        found = None if few is None else await self._yard.predict_soon(few)
        if found is not None:
            return codec.write_predictions(found)
        return (await self._predict(message, message.X)).data

    async def predict_stream(self, call: Call) -> None:
        """Answer each chunk before the next one is read; pieces of a file are put together on disk first."""
        received = call.messages()
        header = await _header(received, ("predict",))
        header.model_id = self._yard.get_model(header.model_id).model_id
        first_row = 0
        async for message in received:
            chunk = _chunk(message)
            if chunk.WhichOneof("data") == "file":
                await self._predict_file(call, header, chunk, received)
                return
            with _counted_from(first_row):
                found = await self._predict(header, chunk)
            first_row += found.rows
            logs.note(rows=first_row)
            await call.send(found.data)

    async def list_available_models(self, call: Call) -> pb.ListAvailableModelsResponse:
        """List the algorithms there are."""
        call.message()
        found = await self._workers.run(self._yard.list_model_classes)
        return pb.ListAvailableModelsResponse(model_classes=map(codec.write_model_class, found))

    async def list_trained_models(self, call: Call) -> pb.ListTrainedModelsResponse:
        """List models, newest first."""
        page = await self._workers.run(self._yard.list_models, codec.read_query(call.message()))
        return messages.write(pb.ListTrainedModelsResponse, page)

    async def get_model_info(self, call: Call) -> pb.Model:
        """Return what is known of a model."""
        return _model(self._yard.get_model(_reference(call.message())))

    async def get_report(self, call: Call) -> pb.Report:
        """Return what the evaluation of a model showed."""
        return messages.write(pb.Report, await self._workers.run(self._yard.get_report, _reference(call.message())))

    async def get_history(self, call: Call) -> pb.ModelHistory:
        """Return what happened to a model."""
        found = await self._workers.run(self._yard.get_history, _reference(call.message()))
        return messages.write(pb.ModelHistory, found)

    async def get_artifact(self, call: Call) -> None:
        """Send a model's file in chunks."""
        model = self._yard.get_model(_reference(call.message()))
        content = await self._workers.run(self._yard.get_artifact, model.model_id)
        call.trailers = (("sha256", model.artifact.sha256),)
        for start in range(0, len(content), ARTIFACT_CHUNK_BYTES):
            await call.send(pb.ArtifactChunk(content=content[start : start + ARTIFACT_CHUNK_BYTES]))

    async def delete_model(self, call: Call) -> pb.Model:
        """Retire a model; after a hard deletion there is nothing left to tell of it but its id."""
        message = call.message()
        wanted = _reference(message)
        if message.hard:
            wanted = self._yard.get_model(wanted).model_id
        deleted = await self._workers.run(self._yard.delete, wanted, hard=message.hard)
        if deleted is not None:
            return _model(deleted)
        return pb.Model(model_id=wanted, status="deleted", message="deleted for good")

    async def restore_model(self, call: Call) -> pb.Model:
        """Make a soft-deleted model active again."""
        return _model(await self._workers.run(self._yard.restore, _reference(call.message())))

    async def get_job(self, call: Call) -> pb.Job:
        """Return a job as it is now."""
        return _job(await self._workers.run(self._yard.get_job, call.message().job_id))

    async def list_jobs(self, call: Call) -> pb.ListJobsResponse:
        """List jobs, newest first."""
        page = await self._workers.run(self._yard.list_jobs, codec.read_job_query(call.message()))
        return messages.write(pb.ListJobsResponse, page)

    async def cancel_job(self, call: Call) -> pb.Job:
        """Cancel a job."""
        return _job(await self._workers.run(self._yard.cancel_job, call.message().job_id))

    async def watch_job(self, call: Call) -> None:
        """Send a job whenever it has changed, until it has ended."""
        async with contextlib.aclosing(following.states(self._yard, call.message().job_id)) as states:
            async for job in states:
                if job is not None:
                    await call.send(_job(job))

    async def health_check(self, call: Call) -> pb.HealthCheckResponse:
        """Say how the yard is."""
        call.message()
        return messages.write(pb.HealthCheckResponse, await self._workers.run(self._yard.health))

    def _order(self, message: Order, key: str | None) -> Job:
        with opened(message.X) as sent:
            return self._order_on(message, sent, message.y, key)

    def _order_spooled(self, header: Order, spool: Spool, key: str | None) -> Job:
        with spool:
            sent, labels = spool.table()
            return self._order_on(header, sent, labels, key)

    def _order_on(self, message: Order, sent: Sent, y: Iterable[pb.Value], key: str | None) -> Job:
        request = self._read(message, sent, y)
        if isinstance(request, TrainRequest):
            return self._yard.submit_training(request, idempotency_key=key)
        return self._yard.submit_retraining(request, idempotency_key=key)

    def _read(self, message: Order, sent: Sent, y: Iterable[pb.Value]) -> TrainRequest | RetrainRequest:
        if isinstance(message, pb.TrainRequest):
            return codec.read_train(message, sent, y)
        return codec.read_retrain(message, sent, y, self._yard)

    async def _ended(self, message: Order, job: Job) -> pb.Model:
        """Return the model of a job at its end, or the job itself where its caller does not wait."""
        if message.HasField("wait") and not message.wait:
            return pb.Model(job=_job(job))
        return _model(self._yard.trained(job, await following.end_of(self._yard, job.job_id)))

    async def _predict(self, message: pb.PredictRequest, table: pb.Table) -> _Answer:
        """Predict in a thread, a step at a time: what its caller has left goes no further."""
        with contextlib.ExitStack() as files:
            found: _Answer = await self._workers.run_steps(
                lambda _: files.enter_context(opened(table)),
                lambda sent: self._yard.predict(codec.read_predict(message, sent)),
                _Answer.of,
            )
        return found

    async def _predict_file(
        self, call: Call, header: pb.PredictRequest, first: pb.Table, received: AsyncIterator[Any]
    ) -> None:
        with Spool(self._max_body_bytes) as spool:
            await self._workers.run(spool.append, pb.TrainChunk(X=first))
            async for message in received:
                await self._workers.run(spool.append, pb.TrainChunk(X=_chunk(message)))
            sent, _ = spool.table()
            request = codec.read_predict(header, sent)
            found = await self._workers.run_steps(lambda _: self._yard.predict(request), _Answer.of)
        await call.send(found.data)


class _Answer(NamedTuple):
    """Predictions as they are sent, and for how many rows."""

    data: bytes
    rows: int

    @classmethod
    def of(cls, found: Predictions) -> _Answer:
        return cls(codec.write_predictions(found), len(found.predictions))


def _few_rows(message: pb.PredictRequest) -> PredictRequest | None:
    """Read a small request whose table is rows; None for any other form. Raises InvalidTable, InvalidRequest."""
    if message.X.WhichOneof("data") != "rows":
        return None
    return codec.read_predict(message, read_rows(message.X.rows))


def _reference(message: Any) -> str:
    """Return the reference that a request names. Raises InvalidRequest where it names none."""
    wanted: str = message.model_id
    if not wanted:
        raise InvalidRequest.of([FieldError(("model_id",), "field 'model_id' is required")])
    return wanted


def idempotency_key(call: Call) -> str | None:
    """Return the key that a call's metadata carries. Raises InvalidRequest."""
    key: str | None = call.metadata.get("idempotency-key")
    check_idempotency_key(key)
    return key


def _model(model: ModelMetadata) -> pb.Model:
    return messages.write(pb.Model, model)


def _job(job: Job) -> pb.Job:
    return messages.write(pb.Job, job)


async def _header(received: AsyncIterator[Any], kinds: tuple[str, ...]) -> Any:
    """Return the request that a stream begins with."""
    due = " or ".join(kinds)
    message = await anext(received, None)
    if message is None:
        raise InvalidRequest(f"the stream is empty; its first message must be {due}, the others chunks of the table")
    kind = message.WhichOneof("part")
    if kind not in kinds:
        raise InvalidRequest(f"the first message must be {due}, got {kind or 'nothing'}")
    header = getattr(message, kind)
    if header.HasField("X") or (kind != "predict" and header.y):
        raise InvalidRequest("the first message must not hold X or y; they come in the chunks after it")
    return header


def _chunk(message: Any) -> Any:
    if message.WhichOneof("part") != "chunk":
        raise InvalidRequest(f"after the first message only chunks may come, got {message.WhichOneof('part')}")
    return message.chunk


@contextlib.contextmanager
def _counted_from(first_row: int) -> Iterator[None]:
    """Name wrong cells by their rows in the whole stream."""
    try:
        yield
    except InvalidArgument as error:
        if not first_row:
            raise
        note = f" (its row 0 is row {first_row} of the stream)"
        wrong = [replace(one, loc=_moved(one.loc, first_row), message=one.message + note) for one in error.errors]
        raise type(error)(error.detail + note, errors=wrong) from None


def _moved(loc: tuple[str | int, ...], first_row: int) -> tuple[str | int, ...]:
    if len(loc) > 1 and loc[0] == "X" and isinstance(loc[1], int):
        return ("X", loc[1] + first_row, *loc[2:])
    return loc
