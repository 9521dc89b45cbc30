"""RestClient: the core's verbs on a server, raising the core's own errors."""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx
import orjson
from pydantic import TypeAdapter, ValidationError

from modelyard.access.trust import USUAL, Trust
from modelyard.client import WAIT_S, Client, authorization, unreadable
from modelyard.errors import DeadlineExceeded, Internal, ModelyardError, TooManyRequests, Unavailable
from modelyard.references import check_job_id
from modelyard.rest_api.client import json_out
from modelyard.rest_api.problems import MEDIA_TYPE, PROBLEM_EVENT, from_problem
from modelyard.schemas import (
    CheckRequest,
    EvaluateRequest,
    ExplainRequest,
    Explanations,
    Job,
    OutcomesRequest,
    Predictions,
    PredictRequest,
    Request,
    RetrainRequest,
    SearchRequest,
    TrainRequest,
)

if TYPE_CHECKING:  # a quarter of a second, which many calls can do without
    import polars as pl

AnswerT = TypeVar("AnswerT")

_ROUTES = {
    "get_job": ("GET", "/jobs/{job_id}"),
    "list_jobs": ("GET", "/jobs"),
    "cancel_job": ("DELETE", "/jobs/{job_id}"),
    "watch_job": ("GET", "/jobs/{job_id}/events"),
    "delete": ("DELETE", "/models/{model_id}"),
    "restore": ("POST", "/models/{model_id}/restore"),
    "list_models": ("GET", "/models"),
    "list_names": ("GET", "/names"),
    "get_model": ("GET", "/models/{model_id}"),
    "list_model_classes": ("GET", "/model-classes"),
    "get_report": ("GET", "/models/{model_id}/report"),
    "set_decision": ("PUT", "/models/{model_id}/decision"),
    "get_decision": ("GET", "/models/{model_id}/decision"),
    "get_history": ("GET", "/models/{model_id}/history"),
    "get_drift": ("GET", "/models/{model_id}/drift"),
    "list_evaluations": ("GET", "/models/{model_id}/evaluations"),
    "get_artifact": ("GET", "/models/{model_id}/artifact"),
    "set_alias": ("PUT", "/models/{name}/aliases/{alias}"),
    "delete_alias": ("DELETE", "/models/{name}/aliases/{alias}"),
    "list_aliases": ("GET", "/models/{name}/aliases"),
    "get_alias_history": ("GET", "/models/{name}/aliases/{alias}/history"),
    "get_default_alias": ("GET", "/aliases/default"),
    "set_default_alias": ("PUT", "/aliases/default"),
    "set_keep_answers": ("PUT", "/models/{name}/keep-answers"),
    "get_performance": ("GET", "/models/{model_id}/performance"),
    "create_key": ("POST", "/keys"),
    "list_keys": ("GET", "/keys"),
    "revoke_key": ("DELETE", "/keys/{name}"),
    "list_audit": ("GET", "/audit"),
    "rotate_key": ("POST", "/keys/{name}/rotate"),
    "whoami": ("GET", "/whoami"),
    "health": ("GET", "/health"),
}
"""The calls without a table. A field that the path does not name goes into the query, a request into the body."""

_ORDERED_AT: dict[type[Request], str] = {TrainRequest: "/train", SearchRequest: "/search", RetrainRequest: "/retrain"}

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
"""To and from there nothing is so slow that compressing would pay."""


class RestClient(Client):
    """A yard behind a REST server at `url`. It satisfies `modelyard.verbs.Verbs`, which describes the verbs.

    `timeout_s` bounds the wait for an answer (default: an hour, for a training); connecting may take 5 seconds. `key`
    is shown to the server as `Authorization: Bearer`. `trust` says by whom an https:// server is known (default: by the
    usual authorities). Beside the core's errors it raises Unavailable if no server answers, DeadlineExceeded if one
    answers too late.
    """

    def __init__(self, url: str, *, key: str | None = None, trust: Trust = USUAL, timeout_s: float = WAIT_S) -> None:
        self._url = url
        with self._translated():
            address = httpx.URL(url.rstrip("/"))
            self._http = _opened(address, authorization(key), trust if address.scheme == "https" else USUAL, timeout_s)

    def watch_job(self, job_id: str) -> Iterator[Job]:
        """Yield a job whenever it has changed, until it has ended. Raises Unavailable if the server ends before."""
        job: Job | None = None
        method, path = _ROUTES["watch_job"]
        with self._translated(), self._http.stream(method, path.format(job_id=check_job_id(job_id))) as answer:
            if not answer.is_success:
                answer.read()
                raise self._error(answer)
            event = ""
            for line in answer.iter_lines():
                field, _, value = line.partition(":")
                if field == "event":
                    event = value.strip()
                elif field == "data" and event == PROBLEM_EVENT:
                    raise from_problem(orjson.loads(value))
                elif field == "data":
                    job = Job.model_validate_json(value)
                    yield job
        if job is None or not job.ended:
            raise Unavailable(f"{self._url} ended before job {job_id}")

    def predict(self, request: PredictRequest) -> Predictions:
        return self._read(Predictions, self._send("/predict", request))

    def explain(self, request: ExplainRequest) -> Explanations:
        return self._read(Explanations, self._send("/explain", request))

    def _evaluate(self, request: EvaluateRequest) -> httpx.Response:
        return self._send("/evaluate", request)

    def _check(self, request: CheckRequest) -> httpx.Response:
        return self._send("/tables/check", request)

    def _outcomes(self, request: OutcomesRequest) -> httpx.Response:
        return self._send("/outcomes", request)

    def _update(self, reference: str, changes: dict[str, Any]) -> httpx.Response:
        return self._request("PATCH", f"/models/{quote(reference, safe='')}", json=changes)

    def close(self) -> None:
        self._http.close()

    def _order(
        self, request: TrainRequest | SearchRequest | RetrainRequest, idempotency_key: str | None, *, wait: bool
    ) -> httpx.Response:
        path = _ORDERED_AT[type(request)]
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return self._send(path, request, params={} if wait else {"wait": "false"}, headers=headers)

    def _artifact(self, reference: str) -> tuple[bytes, str | None]:
        answer = self._call("get_artifact", model_id=reference)
        return answer.content, _hex_sha256(answer.headers.get("repr-digest", ""))

    def _send(self, path: str, request: json_out.AnyRequest, **options: Any) -> httpx.Response:
        fields = json_out.fields_of(request)
        X = request.X if isinstance(request.X, Path) else _frame(request.X)
        if X is None:
            headers = {**options.pop("headers", {}), "Content-Type": "application/json"}
            return self._request("POST", path, content=json_out.write(fields, request), headers=headers, **options)
        with _as_file(X) as file:
            form = {name: _form_field(value) for name, value in fields.items() if value is not None}
            return self._request("POST", path + "/file", data=form, files={"file": file}, **options)

    def _call(self, verb: str, /, **fields: Any) -> httpx.Response:
        method, path = _ROUTES[verb]
        bodies = [value for value in fields.values() if isinstance(value, Request)]
        query = {name: value for name, value in fields.items() if f"{{{name}}}" not in path and value not in bodies}
        quoted = {name: quote(str(value), safe="") for name, value in fields.items()}
        options: dict[str, Any] = {}
        if bodies:
            content = bodies[0].model_dump_json(exclude_unset=True).encode()
            options = {"content": content, "headers": {"Content-Type": "application/json"}}
        return self._request(method, path.format_map(quoted), params=query, **options)

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
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
        error = from_problem(orjson.loads(answer.content))
        retry_after = answer.headers.get("retry-after", "")
        if isinstance(error, TooManyRequests) and retry_after.isdecimal():
            error.retry_after_s = int(retry_after)
        return error

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


def _opened(url: httpx.URL, headers: dict[str, str], trust: Trust, timeout_s: float) -> httpx.Client:
    if url.host in _THIS_MACHINE:
        headers = {**headers, "Accept-Encoding": "identity"}
    try:
        client = httpx.Client(
            base_url=url, headers=headers, verify=_context(url, trust), timeout=httpx.Timeout(timeout_s, connect=5.0)
        )
    except (ImportError, ValueError) as error:  # as httpx says it of SOCKS, and of what it does not know
        names = "ALL_PROXY, HTTP_PROXY or HTTPS_PROXY"
        raise Unavailable(f"the proxy that {names} names cannot be used: {error}") from error
    if trust.server_name:
        client.event_hooks = {"request": [lambda sent: sent.extensions.update(sni_hostname=trust.server_name)]}
    return client


def _context(url: httpx.URL, trust: Trust) -> ssl.SSLContext | bool:
    if url.scheme != "https":  # an empty one, because the usual certificates take 25 ms to read
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trust == USUAL:
        return True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if trust.ca_file else httpx.create_ssl_context()
    trust.load_into(context)
    return context


def _form_field(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _frame(X: Any) -> pl.DataFrame | None:
    if isinstance(X, list | tuple) or json_out.is_plain(X):
        return None
    from modelyard.rest_api.client import cells_out

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
    except (OSError, ValueError) as error:
        raise unreadable(X, error) from error
    with file:
        yield X.name.encode("utf-8", "replace").decode(), file


def _hex_sha256(repr_digest: str) -> str | None:
    """Return the SHA-256 that a Repr-Digest header gives (RFC 9530), None if it gives none."""
    written = repr_digest.removeprefix("sha-256=:").removesuffix(":")
    try:
        return base64.b64decode(written, validate=True).hex() if written else None
    except binascii.Error:
        return None
