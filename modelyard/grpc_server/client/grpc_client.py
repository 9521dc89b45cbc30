"""GrpcClient: the core's verbs on a server, raising the core's own errors."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.message import Message

from modelyard.errors import DataLoss, ModelyardError
from modelyard.grpc_server import codec, faults, messages, tables_out
from modelyard.grpc_server.answers import joined
from modelyard.grpc_server.orders import (
    check_target,
    check_unicode,
    labels,
    training_message,
    training_parts,
    write_marks,
)
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.pb.modelyard_pb2_grpc import ModelServiceStub
from modelyard.references import check_job_id, parse_reference
from modelyard.schemas import (
    Health,
    Job,
    JobPage,
    JobQuery,
    ModelClassInfo,
    ModelHistory,
    ModelMetadata,
    ModelPage,
    ModelQuery,
    Predictions,
    PredictRequest,
    Report,
    RetrainRequest,
    TrainRequest,
    check_idempotency_key,
)

Chunk = tuple[pb.Table, int]

_ERROR_BYTES = 2**18
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 2 * _ERROR_BYTES),
    ("grpc.absolute_max_metadata_size", 2 * _ERROR_BYTES),
]


class GrpcClient:
    """A yard behind a gRPC server at `target`. It satisfies `modelyard.verbs.Verbs`; see there.

    `target` is `host:port` or `grpc://host:port` in cleartext, `grpcs://host:port` over TLS by the roots that gRPC
    trusts. `credentials` are for other roots, a client's certificate or tokens; they imply TLS.
    `timeout_s` bounds the wait for an answer (default: an hour, for a training). A table of more than `chunk_mb` goes
    in chunks of that size, by the streaming calls; it must stay below the server's limit of a message. Beside the
    core's errors it raises Unavailable where no server answers, DeadlineExceeded where one answers too late.
    """

    def __init__(
        self,
        target: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        timeout_s: float = 3600.0,
        chunk_mb: float = 4.0,
    ) -> None:
        self._target = target.removeprefix("grpcs://").removeprefix("grpc://").rstrip("/")
        if credentials is None and target.startswith("grpcs://"):
            credentials = grpc.ssl_channel_credentials()
        self._timeout_s = timeout_s
        self._chunk_bytes = int(chunk_mb * 2**20)
        self._channel = (
            grpc.insecure_channel(self._target, options=_OPTIONS)
            if credentials is None
            else grpc.secure_channel(self._target, credentials, options=_OPTIONS)
        )
        self._stub: Any = ModelServiceStub(self._channel)  # type: ignore[no-untyped-call]

    def train(self, request: TrainRequest, *, idempotency_key: str | None = None) -> ModelMetadata:
        """Train a new model."""
        return codec.read_model(self._order(request, idempotency_key, wait=True))

    def retrain(self, request: RetrainRequest, *, idempotency_key: str | None = None) -> ModelMetadata:
        """Train the next version of a model."""
        return codec.read_model(self._order(request, idempotency_key, wait=True))

    def submit_training(self, request: TrainRequest, *, idempotency_key: str | None = None) -> Job:
        """Order a new model and return its job at once."""
        return messages.read(Job, self._order(request, idempotency_key, wait=False).job)

    def submit_retraining(self, request: RetrainRequest, *, idempotency_key: str | None = None) -> Job:
        """Order the next version of a model and return its job at once."""
        return messages.read(Job, self._order(request, idempotency_key, wait=False).job)

    def get_job(self, job_id: str) -> Job:
        """Return a job as it is now."""
        return messages.read(Job, self._call("GetJob", pb.GetJobRequest(job_id=check_job_id(job_id))))

    def list_jobs(self, query: JobQuery | None = None) -> JobPage:
        """List jobs, newest first."""
        fields = (query or JobQuery()).model_dump(exclude_none=True)
        check_unicode(**fields)
        asked = pb.ListJobsRequest(**fields)
        return messages.read(JobPage, self._call("ListJobs", asked))

    def cancel_job(self, job_id: str) -> Job:
        """Cancel a job that has not ended."""
        return messages.read(Job, self._call("CancelJob", pb.CancelJobRequest(job_id=check_job_id(job_id))))

    def watch_job(self, job_id: str) -> Iterator[Job]:
        """Yield a job as it is now, and again whenever it has changed, until it has ended."""
        for message in self._receive("WatchJob", pb.WatchJobRequest(job_id=check_job_id(job_id))):
            yield messages.read(Job, message)

    def predict(self, request: PredictRequest) -> Predictions:
        """Predict the label of each row."""
        check_unicode(feature_names=request.feature_names)
        header = pb.PredictRequest(
            model_id=_checked(request.model_id),
            probabilities=request.probabilities,
            feature_names=request.feature_names,
        )
        write_marks(header, request)
        first, following = _one_or_more(tables_out.chunks(request.X, self._chunk_bytes, request.feature_names))
        if following is None:
            header.X.CopyFrom(first)
            answers: Iterable[pb.PredictResponse] = [self._call("Predict", header)]
        else:
            parts = (pb.PredictStreamRequest(chunk=chunk) for chunk, _ in following)
            answers = self._receive("PredictStream", chain([pb.PredictStreamRequest(predict=header)], parts))
        return joined(codec.read_predictions(answer, probabilities=request.probabilities) for answer in answers)

    def delete(self, reference: str, *, hard: bool = False) -> ModelMetadata | None:
        """Retire a model; None comes back where it was deleted for good."""
        deleted = self._call("DeleteModel", pb.DeleteModelRequest(model_id=_checked(reference), hard=hard))
        return None if hard else codec.read_model(deleted)

    def restore(self, reference: str) -> ModelMetadata:
        """Make a soft-deleted model active again."""
        return codec.read_model(self._call("RestoreModel", pb.RestoreModelRequest(model_id=_checked(reference))))

    def list_models(self, query: ModelQuery | None = None) -> ModelPage:
        """List models, newest first."""
        fields = (query or ModelQuery()).model_dump(exclude_none=True)
        check_unicode(**fields)
        asked = pb.ListTrainedModelsRequest(**fields)
        return messages.read(ModelPage, self._call("ListTrainedModels", asked))

    def get_model(self, reference: str) -> ModelMetadata:
        """Return what is known of a model."""
        return codec.read_model(self._call("GetModelInfo", pb.GetModelInfoRequest(model_id=_checked(reference))))

    def list_model_classes(self) -> list[ModelClassInfo]:
        """List the algorithms there are."""
        answer = self._call("ListAvailableModels", pb.ListAvailableModelsRequest())
        return [codec.read_model_class(message) for message in answer.model_classes]

    def get_report(self, reference: str) -> Report:
        """Return what the evaluation of a model showed."""
        return messages.read(Report, self._call("GetReport", pb.GetReportRequest(model_id=_checked(reference))))

    def get_history(self, reference: str) -> ModelHistory:
        """Return what happened to a model."""
        return messages.read(ModelHistory, self._call("GetHistory", pb.GetHistoryRequest(model_id=_checked(reference))))

    def get_artifact(self, reference: str) -> bytes:
        """Return a model's `.pkl`. Raises DataLoss where it was damaged on the way."""
        with self._translated() as failed:
            call = self._begin("GetArtifact", pb.GetArtifactRequest(model_id=_checked(reference)), failed)
            content = b"".join(chunk.content for chunk in call)
            sha256 = dict(call.trailing_metadata()).get("sha256")
        if hashlib.sha256(content).hexdigest() != sha256:
            raise DataLoss(
                f"the artifact of {reference!r} arrived with another SHA-256 than the server sent ({sha256})"
            )
        return content

    def health(self) -> Health:
        """Say whether the yard can serve."""
        return messages.read(Health, self._call("HealthCheck", pb.HealthCheckRequest()))

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _order(self, request: TrainRequest | RetrainRequest, idempotency_key: str | None, *, wait: bool) -> Any:
        check_idempotency_key(idempotency_key)
        header = training_message(request)
        check_target(request)
        header.wait = wait
        key = () if idempotency_key is None else (("idempotency-key", idempotency_key),)
        first, following = _one_or_more(tables_out.chunks(request.X, self._chunk_bytes, request.feature_names))
        if following is None:
            header.X.CopyFrom(first)
            header.y.extend(labels(request.y))
            name = "Train" if isinstance(header, pb.TrainRequest) else "Retrain"
            return self._call(name, header, key)
        return self._call("TrainStream", training_parts(header, following, request.y), key)

    def _call(self, method: str, request: Any, metadata: tuple[tuple[str, str], ...] = ()) -> Any:
        with self._translated() as failed:
            return self._begin(method, request, failed, metadata)

    def _receive(self, method: str, request: Any) -> Iterator[Any]:
        with self._translated() as failed:
            yield from self._begin(method, request, failed)

    def _begin(
        self, method: str, request: Any, failed: list[ModelyardError], metadata: tuple[tuple[str, str], ...] = ()
    ) -> Any:
        sent = request if isinstance(request, Message) else _remembering(request, failed)
        metadata = (*metadata, (faults.ERROR_BYTES_KEY, str(_ERROR_BYTES)))
        return getattr(self._stub, method)(sent, timeout=self._timeout_s, metadata=metadata)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[list[ModelyardError]]:
        """Raise what a call failed of; the list is for errors of our own while a stream was sent, which gRPC hides."""
        failed: list[ModelyardError] = []
        try:
            yield failed
        except grpc.RpcError as error:
            raise (failed[0] if failed else faults.from_call(error, self._target)) from error


def _checked(reference: str) -> str:
    parse_reference(reference)
    return reference


def _remembering(requests: Iterable[Message], failed: list[ModelyardError]) -> Iterator[Message]:
    try:
        yield from requests
    except ModelyardError as error:
        failed.append(error)
        raise


def _one_or_more(chunks: Iterator[Chunk]) -> tuple[pb.Table, Iterator[Chunk] | None]:
    """Return the first chunk and, if there is more than one, all of them."""
    first = next(chunks)
    second = next(chunks, None)
    return first[0], None if second is None else chain([first, second], chunks)
