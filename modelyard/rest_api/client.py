"""RestClient: the core's verbs on a server, raising the core's own errors."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import math
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import orjson
import polars as pl

from modelyard.errors import DataLoss, DeadlineExceeded, FieldError, Internal, InvalidTable, ModelyardError, Unavailable
from modelyard.rest_api.problems import from_problem
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
    ModelWarning,
    Predictions,
    PredictRequest,
    Report,
    RetrainRequest,
    TrainRequest,
)

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
        return ModelMetadata.model_validate(self._send_table("/train", request, idempotency_key))

    def retrain(self, request: RetrainRequest, *, idempotency_key: str | None = None) -> ModelMetadata:
        """Train the next version of a model."""
        return ModelMetadata.model_validate(self._send_table("/retrain", request, idempotency_key))

    def submit_training(self, request: TrainRequest, *, idempotency_key: str | None = None) -> Job:
        """Order a new model and return its job at once."""
        return Job.model_validate(self._send_table("/train", request, idempotency_key, wait=False))

    def submit_retraining(self, request: RetrainRequest, *, idempotency_key: str | None = None) -> Job:
        """Order the next version of a model and return its job at once."""
        return Job.model_validate(self._send_table("/retrain", request, idempotency_key, wait=False))

    def get_job(self, job_id: str) -> Job:
        """Return a job as it is now."""
        return Job.model_validate_json(self._call("GET", _job_path(job_id)).content)

    def list_jobs(self, query: JobQuery | None = None) -> JobPage:
        """List jobs, newest first."""
        params = (query or JobQuery()).model_dump(exclude_none=True)
        return JobPage.model_validate_json(self._call("GET", "/jobs", params=params).content)

    def cancel_job(self, job_id: str) -> Job:
        """Cancel a job that has not ended."""
        return Job.model_validate_json(self._call("DELETE", _job_path(job_id)).content)

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
        answer = self._send_table("/predict", request, None)
        warnings = [ModelWarning.model_validate(item) for item in answer.pop("warnings")]
        return Predictions(**answer, warnings=warnings)

    def delete(self, reference: str, *, hard: bool = False) -> ModelMetadata | None:
        """Retire a model; None comes back where it was deleted for good."""
        answer = self._call("DELETE", _path(reference), params={"hard": str(hard).lower()})
        return (
            None if answer.status_code == httpx.codes.NO_CONTENT else ModelMetadata.model_validate_json(answer.content)
        )

    def restore(self, reference: str) -> ModelMetadata:
        """Make a soft-deleted model active again."""
        return ModelMetadata.model_validate_json(self._call("POST", _path(reference, "/restore")).content)

    def list_models(self, query: ModelQuery | None = None) -> ModelPage:
        """List models, newest first."""
        params = (query or ModelQuery()).model_dump(exclude_none=True)
        return ModelPage.model_validate_json(self._call("GET", "/models", params=params).content)

    def get_model(self, reference: str) -> ModelMetadata:
        """Return what is known of a model."""
        return ModelMetadata.model_validate_json(self._call("GET", _path(reference)).content)

    def list_model_classes(self) -> list[ModelClassInfo]:
        """List the algorithms there are."""
        return [
            ModelClassInfo.model_validate(item) for item in orjson.loads(self._call("GET", "/model-classes").content)
        ]

    def get_report(self, reference: str) -> Report:
        """Return what the evaluation of a model showed."""
        return Report.model_validate_json(self._call("GET", _path(reference, "/report")).content)

    def get_history(self, reference: str) -> ModelHistory:
        """Return what happened to a model."""
        return ModelHistory.model_validate_json(self._call("GET", _path(reference, "/history")).content)

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
        return Health.model_validate_json(self._call("GET", "/health").content)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send_table(
        self,
        path: str,
        request: TrainRequest | RetrainRequest | PredictRequest,
        idempotency_key: str | None,
        *,
        wait: bool = True,
    ) -> dict[str, Any]:
        params = {} if wait else {"wait": "false"}
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        fields = {name: value for name, value in request if name != "X" and name in request.model_fields_set}
        if isinstance(request.X, Path | pl.DataFrame):
            with _as_file(request.X) as file:
                answer = self._call(
                    "POST", path + "/file", params=params, headers=headers, data=_form(fields), files={"file": file}
                )
        else:
            _refuse_infinite(request.X)
            body = _dumps({**fields, "X": request.X})
            headers["Content-Type"] = "application/json"
            answer = self._call("POST", path, params=params, headers=headers, content=body)
        loaded: dict[str, Any] = orjson.loads(answer.content)
        return loaded

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        with self._translated():
            answer = self._http.request(method, path, **options)
        if answer.is_success:
            return answer
        raise self._error(answer)

    def _error(self, answer: httpx.Response) -> ModelyardError:
        if answer.headers.get("content-type", "").startswith("application/problem+json"):
            return from_problem(orjson.loads(answer.content))
        return Internal(
            f"{self._url} answered {answer.status_code} without a problem document; is it a Modelyard server?"
        )

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectTimeout as error:
            raise Unavailable(f"no server answers at {self._url}: {error}") from error
        except httpx.TimeoutException as error:
            raise DeadlineExceeded(f"{self._url} did not answer in time") from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise Unavailable(f"no server answers at {self._url}: {error}") from error


def _path(reference: str, rest: str = "") -> str:
    return "/models/" + quote(reference, safe="") + rest


def _job_path(job_id: str) -> str:
    return "/jobs/" + quote(job_id, safe="")


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(exclude_unset=True)
    if isinstance(value, pl.Series) or hasattr(value, "tolist"):
        return value.to_list() if isinstance(value, pl.Series) else value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def _form(fields: dict[str, Any]) -> dict[str, str]:
    return {
        name: value if name in _TEXT_FIELDS else _dumps(value).decode()
        for name, value in fields.items()
        if value is not None
    }


@contextlib.contextmanager
def _as_file(X: Path | pl.DataFrame) -> Iterator[tuple[str, Any]]:
    if isinstance(X, pl.DataFrame):
        stream = io.BytesIO()
        X.write_ipc_stream(stream)
        stream.seek(0)
        yield "table.arrow", stream
        return
    try:
        file = X.open("rb")
    except OSError as error:
        raise InvalidTable(f"file '{X}' cannot be read: {error.strerror}") from error
    with file:
        yield X.name, file


def _refuse_infinite(X: Any) -> None:
    """JSON knows no infinity, and writing null instead would turn it into a missing cell."""
    wrong = [
        FieldError(("X", *where), f"column {where[1]!r}, row {where[0]}: must be a finite number, got {value}", value)
        for where, value in _cells(X)
        if isinstance(value, float) and math.isinf(value)
    ]
    if wrong:
        raise InvalidTable.of(wrong)


def _cells(X: Any) -> Iterator[tuple[tuple[int, str | int], Any]]:
    if isinstance(X, dict):
        for name, column in X.items():
            for row, value in enumerate(column if isinstance(column, list | tuple) else ()):
                yield (row, name), value
    elif isinstance(X, list | tuple):
        for row, cells in enumerate(X):
            pairs = cells.items() if isinstance(cells, dict) else enumerate(cells) if isinstance(cells, list) else ()
            for column, value in pairs:
                yield (row, column), value


def _base64_sha256(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()
