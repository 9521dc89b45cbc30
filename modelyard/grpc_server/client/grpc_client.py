"""GrpcClient: the core's verbs on a server, raising the core's own errors."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from modelyard.access.trust import USUAL, Trust
from modelyard.client import WAIT_S, Client, authorization
from modelyard.errors import ModelyardError
from modelyard.grpc_server import faults
from modelyard.grpc_server.client import from_messages, table_chunks, to_messages
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.pb.modelyard_pb2_grpc import ModelServiceStub
from modelyard.references import check_job_id, parse_reference
from modelyard.schemas import (
    CheckRequest,
    Decision,
    EvaluateRequest,
    ExplainRequest,
    Explanations,
    Job,
    OutcomesRequest,
    Predictions,
    PredictRequest,
    RetrainRequest,
    SearchRequest,
    TrainRequest,
)

AnswerT = TypeVar("AnswerT")
Chunk = tuple[pb.Table, int]
Metadata = tuple[tuple[str, str], ...]

_ERROR_BYTES = 2**18
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 2 * _ERROR_BYTES),
    ("grpc.absolute_max_metadata_size", 2 * _ERROR_BYTES),
]
KEEPALIVE_MS = 60_000
"""How often a waiting call pings: routers that translate addresses forget quiet connections after a few minutes."""

_CALLS: dict[str, tuple[str, type[Message]]] = {
    "get_job": ("GetJob", pb.GetJobRequest),
    "list_jobs": ("ListJobs", pb.ListJobsRequest),
    "cancel_job": ("CancelJob", pb.CancelJobRequest),
    "delete": ("DeleteModel", pb.DeleteModelRequest),
    "restore": ("RestoreModel", pb.RestoreModelRequest),
    "list_models": ("ListTrainedModels", pb.ListTrainedModelsRequest),
    "list_names": ("ListNames", pb.ListNamesRequest),
    "get_model": ("GetModelInfo", pb.GetModelInfoRequest),
    "list_model_classes": ("ListAvailableModels", pb.ListAvailableModelsRequest),
    "get_report": ("GetReport", pb.GetReportRequest),
    "set_decision": ("SetDecision", pb.SetDecisionRequest),
    "get_decision": ("GetDecision", pb.GetDecisionRequest),
    "get_history": ("GetHistory", pb.GetHistoryRequest),
    "get_drift": ("GetDrift", pb.GetDriftRequest),
    "list_evaluations": ("ListEvaluations", pb.ListEvaluationsRequest),
    "set_alias": ("SetAlias", pb.SetAliasRequest),
    "delete_alias": ("DeleteAlias", pb.DeleteAliasRequest),
    "list_aliases": ("ListAliases", pb.ListAliasesRequest),
    "get_alias_history": ("GetAliasHistory", pb.GetAliasHistoryRequest),
    "get_default_alias": ("GetDefaultAlias", pb.GetDefaultAliasRequest),
    "set_default_alias": ("SetDefaultAlias", pb.DefaultAlias),
    "set_keep_answers": ("SetKeepAnswers", pb.SetKeepAnswersRequest),
    "get_performance": ("GetPerformance", pb.GetPerformanceRequest),
    "create_key": ("CreateKey", pb.CreateKeyRequest),
    "list_keys": ("ListKeys", pb.ListKeysRequest),
    "revoke_key": ("RevokeKey", pb.RevokeKeyRequest),
    "list_audit": ("ListAudit", pb.ListAuditRequest),
    "rotate_key": ("RotateKey", pb.RotateKeyRequest),
    "whoami": ("Whoami", pb.WhoamiRequest),
    "health": ("HealthCheck", pb.HealthCheckRequest),
}
"""The calls without a table that have one answer."""


class GrpcClient(Client):
    """A yard behind a gRPC server at `target`. It satisfies `modelyard.verbs.Verbs`, which describes the verbs.

    `target` is `host:port` or `grpc://host:port` in cleartext, `grpcs://host:port` over TLS by those whom `trust`
    names, by default the roots that gRPC trusts. `credentials` are gRPC's own and imply TLS. `key` is shown as
    `authorization: Bearer`. `timeout_s` bounds the wait for an answer (default: an hour, for a training). A table of
    more than `chunk_mb` goes in chunks of that size, by the streaming calls; it must stay below the server's limit of a
    message. Beside the core's errors it raises Unavailable if no server answers, DeadlineExceeded if one answers too
    late.
    """

    def __init__(
        self,
        target: str,
        *,
        key: str | None = None,
        trust: Trust = USUAL,
        credentials: grpc.ChannelCredentials | None = None,
        timeout_s: float = WAIT_S,
        chunk_mb: float = 4.0,
    ) -> None:
        self._target = target.removeprefix("grpcs://").removeprefix("grpc://").rstrip("/")
        if credentials is None and target.startswith("grpcs://"):
            credentials = _credentials(trust)
        self._metadata: Metadata = (*authorization(key).items(), (faults.ERROR_BYTES_KEY, str(_ERROR_BYTES)))
        self._timeout_s = timeout_s
        self._chunk_bytes = int(chunk_mb * 2**20)
        options = [
            *_OPTIONS,
            ("grpc.keepalive_time_ms", KEEPALIVE_MS),
            ("grpc.http2.max_pings_without_data", 0),  # without it gRPC stops after two
            *([("grpc.ssl_target_name_override", trust.server_name)] if trust.server_name and credentials else []),
        ]
        self._channel = (
            grpc.insecure_channel(self._target, options=options)
            if credentials is None
            else grpc.secure_channel(self._target, credentials, options=options)
        )
        self._stub: Any = ModelServiceStub(self._channel)  # type: ignore[no-untyped-call]

    def watch_job(self, job_id: str) -> Iterator[Job]:
        for message in self._receive("WatchJob", pb.WatchJobRequest(job_id=check_job_id(job_id))):
            yield from_messages.read(Job, message)

    def predict(self, request: PredictRequest) -> Predictions:
        parse_reference(request.model_id)
        header = to_messages.prediction_message(request)
        first, following = _one_or_more(table_chunks.chunks(request.X, self._chunk_bytes, request.feature_names))
        if following is None:
            header.X.CopyFrom(first)
            found: Iterable[pb.PredictResponse] = [self._send("Predict", header)]
        else:
            parts = (pb.PredictStreamRequest(chunk=chunk) for chunk, _ in following)
            found = self._receive("PredictStream", chain([pb.PredictStreamRequest(predict=header)], parts))
        return from_messages.joined(
            from_messages.read_predictions(answer, probabilities=request.probabilities) for answer in found
        )

    def explain(self, request: ExplainRequest) -> Explanations:
        """Explain each row. See `Verbs.explain`. The table goes in one message. Raises PayloadTooLarge."""
        parse_reference(request.model_id)
        message = to_messages.explanation_message(request)
        message.X.CopyFrom(table_chunks.whole(request.X, request.feature_names))
        return from_messages.read_explanations(self._send("Explain", message), other=request.top is not None)

    def _evaluate(self, request: EvaluateRequest) -> pb.EvaluateResponse:
        message = to_messages.evaluation_message(request)
        if request.X is not None:
            message.X.CopyFrom(table_chunks.whole(request.X, request.feature_names))
        message.y.extend(to_messages.labels(request))
        answer: pb.EvaluateResponse = self._send("Evaluate", message)
        return answer

    def _check(self, request: CheckRequest) -> Any:
        message = to_messages.check_message(request)
        message.X.CopyFrom(table_chunks.whole(request.X, request.feature_names))
        message.y.extend(to_messages.labels(request))
        return self._send("CheckTable", message)

    def _outcomes(self, request: OutcomesRequest) -> Any:
        message = to_messages.outcomes_message(request)
        message.X.CopyFrom(table_chunks.whole(request.X, None))
        return self._send("AddOutcomes", message)

    def _update(self, reference: str, changes: dict[str, Any]) -> Any:
        return self._send("UpdateModel", to_messages.update_message(reference, changes))

    def close(self) -> None:
        self._channel.close()

    def _call(self, verb: str, /, **fields: Any) -> Any:
        method, message = _CALLS[verb]
        decided = {name: to_messages.decision(value) for name, value in fields.items() if isinstance(value, Decision)}
        flat = fields.pop("request", None)
        asked = {} if flat is None else to_messages.flat_fields(flat)
        return self._send(method, message(**{**fields, **decided, **asked}))

    def _read(self, kind: type[AnswerT], answer: Any) -> AnswerT:
        return from_messages.read(kind, answer)

    def _order(
        self, request: TrainRequest | SearchRequest | RetrainRequest, idempotency_key: str | None, *, wait: bool
    ) -> Any:
        header = to_messages.training_message(request)
        header.wait = wait
        labels = to_messages.labels(request)
        key = () if idempotency_key is None else (("idempotency-key", idempotency_key),)
        first, following = _one_or_more(table_chunks.chunks(request.X, self._chunk_bytes, request.feature_names))
        if following is None:
            header.X.CopyFrom(first)
            header.y.extend(labels)
            answer = self._send(type(request).__name__.removesuffix("Request"), header, key)
        else:
            answer = self._send("TrainStream", to_messages.training_parts(header, following, labels), key)
        return answer if wait else answer.job

    def _artifact(self, reference: str) -> tuple[bytes, str | None]:
        with self._translated() as failed:
            call = self._begin("GetArtifact", pb.GetArtifactRequest(model_id=reference), failed)
            content = b"".join(chunk.content for chunk in call)
            return content, dict(call.trailing_metadata()).get("sha256")

    def _send(self, method: str, request: Any, metadata: Metadata = ()) -> Any:
        with self._translated() as failed:
            return self._begin(method, request, failed, metadata)

    def _receive(self, method: str, request: Any) -> Iterator[Any]:
        with self._translated() as failed:
            yield from self._begin(method, request, failed)

    def _begin(self, method: str, request: Any, failed: list[ModelyardError], metadata: Metadata = ()) -> Any:
        sent = request if isinstance(request, Message) else _remembering(request, failed)
        return getattr(self._stub, method)(sent, timeout=self._timeout_s, metadata=(*self._metadata, *metadata))

    @contextlib.contextmanager
    def _translated(self) -> Iterator[list[ModelyardError]]:
        """Raise what a call failed of; the list is for errors of our own while a stream was sent, which gRPC hides."""
        failed: list[ModelyardError] = []
        try:
            yield failed
        except grpc.RpcError as error:
            raise (failed[0] if failed else faults.from_call(error, self._target)) from error


def _credentials(trust: Trust) -> grpc.ChannelCredentials:
    authorities, pair = trust.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    return grpc.ssl_channel_credentials(authorities, pair and pair.key, pair and pair.chain)


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
