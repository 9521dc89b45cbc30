"""RestClient: the core's verbs on a server, raising the core's own errors."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote

import httpx
import orjson
from pydantic import TypeAdapter, ValidationError

from modelyard.errors import (
    DataLoss,
    DeadlineExceeded,
    Internal,
    InvalidRequest,
    InvalidTable,
    ModelyardError,
    Unavailable,
)
from modelyard.references import check_job_id, parse_reference
from modelyard.rest_api import json_out
from modelyard.rest_api.problems import MEDIA_TYPE, from_problem
from modelyard.rest_api.stand_ins import as_given
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

if TYPE_CHECKING:  # a quarter of a second, which many calls can do without
    import polars as pl

AnswerT = TypeVar("AnswerT")

_TEXT_FIELDS = frozenset({"model_class_key", "model_id", "target", "name"})


class RestClient:
    """A yard behind a REST server at `url`. It satisfies `modelyard.verbs.Verbs`, where the verbs are described.

    `timeout_s` bounds the wait for an answer (default: an hour, for a training); connecting may take 5 seconds.
    Beside the core's errors it raises Unavailable where no server answers, DeadlineExceeded where one answers too late.
    """

    def __init__(self, url: str, *, timeout_s: float = 3600.0) -> None:
        self._http = httpx.Client(base_url=url.rstrip("/"), timeout=httpx.Timeout(timeout_s, connect=5.0))
        self._url = url

    def train(self, request: TrainRequest, *, idempotency_key: str | None = None) -> ModelMetadata:
        """Train a new model."""
        return self._read(ModelMetadata, self._order("/train", request, idempotency_key, wait=True))

    def retrain(self, request: RetrainRequest, *, idempotency_key: str | None = None) -> ModelMetadata:
        """Train the next version of a model."""
        return self._read(ModelMetadata, self._order("/retrain", request, idempotency_key, wait=True))

    def submit_training(self, request: TrainRequest, *, idempotency_key: str | None = None) -> Job:
        """Order a new model and return its job at once."""
        return self._read(Job, self._order("/train", request, idempotency_key, wait=False))

    def submit_retraining(self, request: RetrainRequest, *, idempotency_key: str | None = None) -> Job:
        """Order the next version of a model and return its job at once."""
        return self._read(Job, self._order("/retrain", request, idempotency_key, wait=False))

    def get_job(self, job_id: str) -> Job:
        """Return a job as it is now."""
        return self._read(Job, self._call("GET", _job_path(job_id)))

    def list_jobs(self, query: JobQuery | None = None) -> JobPage:
        """List jobs, newest first."""
        params = (query or JobQuery()).model_dump(exclude_none=True)
        return self._read(JobPage, self._call("GET", "/jobs", params=params))

    def cancel_job(self, job_id: str) -> Job:
        """Cancel a job that has not ended."""
        return self._read(Job, self._call("DELETE", _job_path(job_id)))

    def watch_job(self, job_id: str) -> Iterator[Job]:
        """Yield a job whenever it has changed, until it has ended. Raises Unavailable where the server ends before."""
        job: Job | None = None
        with self._translated(), self._http.stream("GET", _job_path(job_id) + "/events") as answer:
            if not answer.is_success:
                answer.read()
                raise self._error(answer)
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    job = Job.model_validate_json(line.removeprefix("data:"))
                    yield job
        if job is None or not job.ended:
            raise Unavailable(f"{self._url} ended before job {job_id}")

    def predict(self, request: PredictRequest) -> Predictions:
        """Predict the label of each row."""
        return self._read(Predictions, self._send("/predict", request))

    def delete(self, reference: str, *, hard: bool = False) -> ModelMetadata | None:
        """Retire a model; None comes back where it was deleted for good."""
        answer = self._call("DELETE", _path(reference), params={"hard": "true" if hard else "false"})
        return None if answer.status_code == httpx.codes.NO_CONTENT else self._read(ModelMetadata, answer)

    def restore(self, reference: str) -> ModelMetadata:
        """Make a soft-deleted model active again."""
        return self._read(ModelMetadata, self._call("POST", _path(reference, "/restore")))

    def list_models(self, query: ModelQuery | None = None) -> ModelPage:
        """List models, newest first."""
        params = (query or ModelQuery()).model_dump(exclude_none=True)
        return self._read(ModelPage, self._call("GET", "/models", params=params))

    def get_model(self, reference: str) -> ModelMetadata:
        """Return what is known of a model."""
        return self._read(ModelMetadata, self._call("GET", _path(reference)))

    def list_model_classes(self) -> list[ModelClassInfo]:
        """List the algorithms there are."""
        return self._read(list[ModelClassInfo], self._call("GET", "/model-classes"))

    def get_report(self, reference: str) -> Report:
        """Return what the evaluation of a model showed."""
        return self._read(Report, self._call("GET", _path(reference, "/report")))

    def get_history(self, reference: str) -> ModelHistory:
        """Return what happened to a model."""
        return self._read(ModelHistory, self._call("GET", _path(reference, "/history")))

    def get_artifact(self, reference: str) -> bytes:
        """Return a model's `.pkl`. Raises DataLoss where it was damaged on the way."""
        answer = self._call("GET", _path(reference, "/artifact"))
        digest = answer.headers.get("repr-digest", "")
        if digest != f"sha-256=:{_base64_sha256(answer.content)}:":
            raise DataLoss(
                f"the artifact of {reference!r} arrived with another SHA-256 than the server sent ({digest})"
            )
        return answer.content

    def health(self) -> Health:
        """Say whether the yard can serve."""
        return self._read(Health, self._call("GET", "/health"))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _order(
        self, path: str, request: TrainRequest | RetrainRequest, idempotency_key: str | None, *, wait: bool
    ) -> httpx.Response:
        check_idempotency_key(idempotency_key)
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return self._send(path, request, params={} if wait else {"wait": "false"}, headers=headers)

    def _send(self, path: str, request: json_out.AnyRequest, **options: Any) -> httpx.Response:
        fields = json_out.fields_of(request)
        X = request.X if isinstance(request.X, Path) else _frame(request.X)
        try:
            if X is None:
                content = json_out.write(fields, request.X, training=not isinstance(request, PredictRequest))
                headers = {**options.pop("headers", {}), "Content-Type": "application/json"}
                return self._call("POST", path, content=content, headers=headers, **options)
            with _as_file(X) as file:
                form = {name: _form_field(value) for name, value in fields.items() if value is not None}
                return self._call("POST", path + "/file", data=form, files={"file": file}, **options)
        except ModelyardError as error:
            raise as_given(error) from error.__cause__

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        with self._translated():
            answer = self._http.request(method, path, **options)
        if answer.is_success:
            return answer
        raise self._error(answer)

    def _read(self, kind: type[AnswerT], answer: httpx.Response) -> AnswerT:
        try:
            return TypeAdapter(kind).validate_json(answer.content)
        except ValidationError as error:
            raise self._not_ours(answer) from error

    def _error(self, answer: httpx.Response) -> ModelyardError:
        if not answer.headers.get("content-type", "").startswith(MEDIA_TYPE):
            return self._not_ours(answer)
        return from_problem(orjson.loads(answer.content))

    def _not_ours(self, answer: httpx.Response) -> Internal:
        return Internal(f"{self._url} answered {answer.status_code} in no way of ours; is it a Modelyard server?")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectTimeout as error:
            raise Unavailable(f"no server answers at {self._url}: {error}") from error
        except httpx.TimeoutException as error:
            raise DeadlineExceeded(f"{self._url} did not answer in time") from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise Unavailable(f"no server answers at {self._url}: {error}") from error
        except UnicodeEncodeError as error:
            raise InvalidRequest(f"{error.object[:120]!r} is not valid Unicode text") from error


def _path(reference: str, rest: str = "") -> str:
    parse_reference(reference)
    return "/models/" + quote(reference, safe="") + rest


def _job_path(job_id: str) -> str:
    return "/jobs/" + check_job_id(job_id)


def _form_field(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _frame(X: Any) -> pl.DataFrame | None:
    if isinstance(X, list | tuple) or json_out.is_plain(X):
        return None
    from modelyard.rest_api import cells_out

    return cells_out.frame(X)


@contextlib.contextmanager
def _as_file(X: Path | pl.DataFrame) -> Iterator[tuple[str, Any]]:
    if not isinstance(X, Path):
        stream = io.BytesIO()
        X.write_ipc_stream(stream)
        stream.seek(0)
        yield "table.arrow", stream
        return
    try:
        file = X.open("rb")
    except (OSError, ValueError) as error:  # a name with a null character is no OSError
        why = error.strerror if isinstance(error, OSError) else error
        raise InvalidTable(f"file {X.name or str(X)!r} cannot be read: {why}") from error
    with file:
        yield X.name.encode("utf-8", "replace").decode(), file


def _base64_sha256(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()
