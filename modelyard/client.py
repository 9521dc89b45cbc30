"""Client: what the clients of all doors have in common. A door adds how it sends a call and reads the answer."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, TypeVar

from modelyard.errors import DataLoss, InvalidRequest, InvalidTable
from modelyard.references import check_job_id, parse_reference
from modelyard.schemas import (
    AddedOutcomes,
    AliasHistory,
    AliasList,
    AliasRequest,
    AuditPage,
    AuditQuery,
    CheckRequest,
    Decision,
    DecisionReport,
    DefaultAlias,
    Drift,
    DriftQuery,
    EvaluateRequest,
    EvaluationPage,
    EvaluationQuery,
    Health,
    Job,
    JobPage,
    JobQuery,
    KeepAnswersRequest,
    KeptName,
    KeyList,
    KeyRequest,
    ModelClassInfo,
    ModelHistory,
    ModelMetadata,
    ModelPage,
    ModelQuery,
    MovedAlias,
    NamePage,
    NameQuery,
    NewKey,
    OutcomesRequest,
    Performance,
    PerformanceQuery,
    Report,
    Request,
    RetrainRequest,
    RotateRequest,
    SearchRequest,
    TableCheck,
    TableEvaluation,
    TrainRequest,
    UpdateRequest,
    Whoami,
    check_idempotency_key,
    check_sent_key_name,
    check_unicode,
    parse,
    parse_alias,
)
from modelyard.verbs import Verbs

AnswerT = TypeVar("AnswerT")

WAIT_S = 3600.0
"""How long a call waits for its answer unless told otherwise: a training may take that long."""


class Client(Verbs, ABC):
    """A yard on a server. `modelyard.verbs.Verbs` describes the verbs.

    Beside the core's errors they raise Unavailable if no server answers, and DeadlineExceeded if one answers too late.
    An error that the server sent has the id of the request in its log as `request_id`.
    """

    def train(self, request: TrainRequest, *, idempotency_key: str | None = None) -> ModelMetadata:
        return self._read(ModelMetadata, self._checked_order(request, idempotency_key, wait=True))

    def retrain(self, request: RetrainRequest, *, idempotency_key: str | None = None) -> ModelMetadata:
        return self._read(ModelMetadata, self._checked_order(request, idempotency_key, wait=True))

    def submit_training(self, request: TrainRequest, *, idempotency_key: str | None = None) -> Job:
        return self._read(Job, self._checked_order(request, idempotency_key, wait=False))

    def submit_retraining(self, request: RetrainRequest, *, idempotency_key: str | None = None) -> Job:
        return self._read(Job, self._checked_order(request, idempotency_key, wait=False))

    def search(self, request: SearchRequest, *, idempotency_key: str | None = None) -> ModelMetadata:
        return self._read(ModelMetadata, self._checked_order(request, idempotency_key, wait=True))

    def submit_search(self, request: SearchRequest, *, idempotency_key: str | None = None) -> Job:
        return self._read(Job, self._checked_order(request, idempotency_key, wait=False))

    def get_job(self, job_id: str) -> Job:
        return self._read(Job, self._call("get_job", job_id=check_job_id(job_id)))

    def list_jobs(self, query: JobQuery | None = None) -> JobPage:
        return self._read(JobPage, self._call("list_jobs", **_fields(query or JobQuery())))

    def cancel_job(self, job_id: str) -> Job:
        return self._read(Job, self._call("cancel_job", job_id=check_job_id(job_id)))

    def delete(self, reference: str, *, hard: bool = False) -> ModelMetadata | None:
        answer = self._call("delete", model_id=_checked(reference), hard=hard)
        return None if hard else self._read(ModelMetadata, answer)

    def restore(self, reference: str) -> ModelMetadata:
        return self._read(ModelMetadata, self._call("restore", model_id=_checked(reference)))

    def update_model(self, reference: str, changes: UpdateRequest) -> ModelMetadata:
        return self._read(ModelMetadata, self._update(_checked(reference), _fields(changes)))

    def list_models(self, query: ModelQuery | None = None) -> ModelPage:
        return self._read(ModelPage, self._call("list_models", **_fields(query or ModelQuery())))

    def list_names(self, query: NameQuery | None = None) -> NamePage:
        return self._read(NamePage, self._call("list_names", **_fields(query or NameQuery())))

    def get_model(self, reference: str) -> ModelMetadata:
        return self._read(ModelMetadata, self._call("get_model", model_id=_checked(reference)))

    def list_model_classes(self) -> list[ModelClassInfo]:
        return self._read(list[ModelClassInfo], self._call("list_model_classes"))

    def get_report(self, reference: str) -> Report:
        return self._read(Report, self._call("get_report", model_id=_checked(reference)))

    def set_decision(self, reference: str, decision: Decision) -> ModelMetadata:
        check_unicode(decision=decision.model_dump())
        return self._read(ModelMetadata, self._call("set_decision", model_id=_checked(reference), decision=decision))

    def get_decision(self, reference: str, label: str | None = None) -> DecisionReport:
        check_unicode(label=label)
        fields = {} if label is None else {"class": label}
        return self._read(DecisionReport, self._call("get_decision", model_id=_checked(reference), **fields))

    def get_history(self, reference: str) -> ModelHistory:
        return self._read(ModelHistory, self._call("get_history", model_id=_checked(reference)))

    def evaluate(self, request: EvaluateRequest) -> TableEvaluation:
        for reference in request.model_ids:
            parse_reference(reference)
        return self._read(TableEvaluation, self._evaluate(request))

    def check_table(self, request: CheckRequest) -> TableCheck:
        return self._read(TableCheck, self._check(request))

    def list_evaluations(self, reference: str, query: EvaluationQuery | None = None) -> EvaluationPage:
        fields = _fields(query or EvaluationQuery())
        return self._read(EvaluationPage, self._call("list_evaluations", model_id=_checked(reference), **fields))

    def get_drift(self, reference: str, query: DriftQuery | None = None) -> Drift:
        fields = _fields(query or DriftQuery())
        return self._read(Drift, self._call("get_drift", model_id=_checked(reference), **fields))

    def get_artifact(self, reference: str) -> bytes:
        """Return a model's `.pkl`. Raises DataLoss if it was damaged on the way."""
        content, sha256 = self._artifact(_checked(reference))
        if hashlib.sha256(content).hexdigest() != sha256:
            raise DataLoss(
                f"the artifact of {reference!r} arrived with another SHA-256 than the server sent ({sha256})"
            )
        return content

    def set_alias(self, name: str, alias: str, request: AliasRequest) -> MovedAlias:
        fields = {"name": _checked(name), "alias": parse_alias(alias)}
        return self._read(MovedAlias, self._call("set_alias", **fields, request=request))

    def delete_alias(self, name: str, alias: str) -> None:
        self._call("delete_alias", name=_checked(name), alias=parse_alias(alias))

    def list_aliases(self, name: str) -> AliasList:
        return self._read(AliasList, self._call("list_aliases", name=_checked(name)))

    def get_alias_history(self, name: str, alias: str) -> AliasHistory:
        return self._read(AliasHistory, self._call("get_alias_history", name=_checked(name), alias=parse_alias(alias)))

    def get_default_alias(self) -> DefaultAlias:
        return self._read(DefaultAlias, self._call("get_default_alias"))

    def set_default_alias(self, default: DefaultAlias) -> DefaultAlias:
        return self._read(DefaultAlias, self._call("set_default_alias", request=default))

    def set_keep_answers(self, name: str, request: KeepAnswersRequest) -> KeptName:
        return self._read(KeptName, self._call("set_keep_answers", name=_checked(name), request=request))

    def add_outcomes(self, request: OutcomesRequest) -> AddedOutcomes:
        parse_reference(request.model_id)
        return self._read(AddedOutcomes, self._outcomes(request))

    def get_performance(self, reference: str, query: PerformanceQuery | None = None) -> Performance:
        fields = _fields(query or PerformanceQuery())
        return self._read(Performance, self._call("get_performance", model_id=_checked(reference), **fields))

    def create_key(self, request: KeyRequest) -> NewKey:
        return self._read(NewKey, self._call("create_key", request=request))

    def list_keys(self) -> KeyList:
        return self._read(KeyList, self._call("list_keys"))

    def revoke_key(self, name: str) -> None:
        self._call("revoke_key", name=check_sent_key_name(name))

    def rotate_key(self, name: str, *, grace_s: float = 0.0) -> NewKey:
        request = parse(RotateRequest, {"grace_s": grace_s})
        return self._read(NewKey, self._call("rotate_key", name=check_sent_key_name(name), request=request))

    def list_audit(self, query: AuditQuery | None = None) -> AuditPage:
        return self._read(AuditPage, self._call("list_audit", **_fields(query or AuditQuery())))

    def whoami(self) -> Whoami:
        return self._read(Whoami, self._call("whoami"))

    def health(self) -> Health:
        return self._read(Health, self._call("health"))

    def _checked_order(
        self, request: TrainRequest | SearchRequest | RetrainRequest, idempotency_key: str | None, *, wait: bool
    ) -> Any:
        check_idempotency_key(idempotency_key)
        if isinstance(request, RetrainRequest):
            parse_reference(request.model_id)
        return self._order(request, idempotency_key, wait=wait)

    @abstractmethod
    def _call(self, verb: str, /, **fields: Any) -> Any:
        """Make the call of a verb without a table, and return the answer as it came."""

    @abstractmethod
    def _read(self, kind: type[AnswerT], answer: Any) -> AnswerT:
        """Read an answer as a `kind`."""

    @abstractmethod
    def _order(
        self, request: TrainRequest | SearchRequest | RetrainRequest, idempotency_key: str | None, *, wait: bool
    ) -> Any:
        """Order a training or a search and return the answer as it came: the model's or, without `wait`, the job's."""

    @abstractmethod
    def _evaluate(self, request: EvaluateRequest) -> Any:
        """Ask for an evaluation and return the answer as it came."""

    @abstractmethod
    def _check(self, request: CheckRequest) -> Any:
        """Ask for a check of a table and return the answer as it came."""

    @abstractmethod
    def _outcomes(self, request: OutcomesRequest) -> Any:
        """Hand outcomes over and return the answer as it came."""

    @abstractmethod
    def _update(self, reference: str, changes: dict[str, Any]) -> Any:
        """Ask for changes of a model and return the answer as it came."""

    @abstractmethod
    def _artifact(self, reference: str) -> tuple[bytes, str | None]:
        """Return a `.pkl` as it came, and the SHA-256 in hexadecimal that the server says it has."""


def unreadable(path: Path, error: OSError | ValueError) -> InvalidTable:
    """Say why a table's file cannot be read. A name with a null character raises ValueError."""
    why = error.strerror if isinstance(error, OSError) else error
    return InvalidTable(f"file {path.name or str(path)!r} cannot be read: {why}")


def authorization(key: str | None) -> dict[str, str]:
    """Return the header that shows a key to a server, none without a key. Raises InvalidRequest, never with the key."""
    if key is None:
        return {}
    if not key or not all("!" <= char <= "~" for char in key):
        raise InvalidRequest("a key must be visible ASCII characters, without blanks")
    return {"authorization": f"Bearer {key}"}


def _checked(reference: str) -> str:
    parse_reference(reference)
    return reference


def _fields(query: Request) -> dict[str, Any]:
    fields = query.model_dump(exclude_none=True)
    check_unicode(**fields)
    return fields
