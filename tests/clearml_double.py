"""A double of ClearML's API and files server, as its library calls them, with the ways in which a server fails.

It refuses what the real server (2.3) refuses: short names, wrong keys, completing what has failed, unknown tasks.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

ACCESS_KEY, SECRET_KEY = "THE-ACCESS-KEY", "the-secret-key"
_SCALAR, _PLOT = "training_stats_scalar", "plot"
_SUMMARY_ITERATION = -(2**31)


class Refusal(Exception):
    """What the server answers with a code that is not 200."""

    def __init__(self, code: int, message: str, subcode: int = 0) -> None:
        super().__init__(message)
        self.code, self.subcode = code, subcode


@dataclass
class Double:
    """The server's state, and its knobs.

    `frozen`: it takes calls and never answers. `down`: it answers 503. `wrong_keys`: nobody gets in. `vanish_at`: from
    the so-manieth call on the connection is closed without an answer. `refuses`: a task whose name matches gets 400.
    `fails_at`: calls of this endpoint get 500. `keeps_files`: files cannot be removed.
    `keeps_times`: when a task was started and completed cannot be set.
    """

    frozen: bool = False
    down: bool = False
    wrong_keys: bool = False
    vanish_at: int | None = None
    refuses: str | None = None
    fails_at: str | None = None
    keeps_files: bool = False
    keeps_times: bool = False
    frozen_at: str | None = None
    projects: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    times: Counter[str] = field(default_factory=Counter)
    port: int = 0

    @property
    def url(self) -> str:
        """Where it listens; API, files and web share one port here."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self, home: Path) -> dict[str, str]:
        """Return the variables by which ClearML's library finds it, and finds nothing else."""
        return {
            "MODELYARD_TRACKING": "clearml",
            "HOME": str(home),
            "CLEARML_API_HOST": self.url,
            "CLEARML_WEB_HOST": self.url,
            "CLEARML_FILES_HOST": self.url,
            "CLEARML_API_ACCESS_KEY": ACCESS_KEY,
            "CLEARML_API_SECRET_KEY": SECRET_KEY,
        }

    # What arrived.

    def by_name(self) -> dict[str, dict[str, Any]]:
        """Return the tasks by name; there must not be two of one name."""
        names = [task["name"] for task in self.tasks.values()]
        assert len(set(names)) == len(names), names
        return {task["name"]: task for task in self.tasks.values()}

    def names(self) -> list[str]:
        """Return the names of the tasks, in the order in which they were made."""
        return [task["name"] for task in self.tasks.values()]

    def single_values(self, task: dict[str, Any]) -> dict[str, float]:
        """Return what was reported as single values."""
        return {
            event["variant"]: event["value"]
            for event in self._events(task, _SCALAR)
            if event["iter"] == _SUMMARY_ITERATION
        }

    def curve(self, task: dict[str, Any], title: str, series: str) -> list[tuple[int, float]]:
        """Return the iterations and values of a curve."""
        found = [
            (event["iter"], event["value"])
            for event in self._events(task, _SCALAR)
            if (event["metric"], event["variant"]) == (title, series) and event["iter"] != _SUMMARY_ITERATION
        ]
        return sorted(found)

    def plots(self, task: dict[str, Any]) -> dict[tuple[str, str], Any]:
        """Return the plots by title and series."""
        return {
            (event["metric"], event["variant"]): json.loads(event["plot_str"]) for event in self._events(task, _PLOT)
        }

    def console(self, task: dict[str, Any]) -> str:
        """Return what was written to the console of a task."""
        return "\n".join(event["msg"] for event in self.log if event["task"] == task["id"])

    def _events(self, task: dict[str, Any], kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events.values() if event["task"] == task["id"] and event["type"] == kind]

    # The endpoints.

    def call(self, endpoint: str, said: dict[str, Any]) -> dict[str, Any]:
        if endpoint == self.fails_at:
            raise Refusal(500, "General data error")
        handler = getattr(self, "_" + endpoint.replace(".", "_"), None)
        if handler is None:
            raise Refusal(400, f"no such endpoint in this double: {endpoint}")
        answer: dict[str, Any] = handler(said)
        return answer

    def _projects_get_all(self, said: dict[str, Any]) -> dict[str, Any]:
        found = [{"id": key, "name": name} for key, name in self.projects.items() if _matches(said.get("name"), name)]
        return {"projects": found}

    def _projects_get_by_id(self, said: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"id": said["project"], "name": self.projects[said["project"]]}}

    def _projects_create(self, said: dict[str, Any]) -> dict[str, Any]:
        _require_name(said["name"].rpartition("/")[2])
        if said["name"] in self.projects.values():
            raise Refusal(400, "Value combination already exists", 801)
        self.projects[key := uuid.uuid4().hex] = said["name"]
        return {"id": key}

    def _tasks_create(self, said: dict[str, Any]) -> dict[str, Any]:
        _require_name(said["name"])
        if self.refuses is not None and re.search(self.refuses, said["name"]):
            raise Refusal(400, f"Validation error: {said['name']}", 12)
        key = uuid.uuid4().hex
        self.tasks[key] = {
            "id": key,
            "status": "created",
            "company": "c",
            "user": "u",
            "tags": [],
            "hyperparams": {},
            "configuration": {},
            "execution": {"artifacts": []},
            "models": {"input": [], "output": []},
            "output": {"destination": ""},
            **said,
        }
        return {"id": key}

    def _task(self, said: dict[str, Any]) -> dict[str, Any]:
        task = self.tasks.get(said["task"])
        if task is None:
            raise Refusal(400, f"Invalid task id: id={said['task']}, company=c", 100)
        return task

    def _tasks_get_by_id(self, said: dict[str, Any]) -> dict[str, Any]:
        return {"task": self._task(said)}

    def _tasks_get_all(self, said: dict[str, Any]) -> dict[str, Any]:
        found = [
            task
            for task in self.tasks.values()
            if _in(said.get("id"), task["id"])
            and _in(said.get("project"), task["project"])
            and _in(said.get("status"), task["status"])
            and _matches(said.get("name"), task["name"])
        ]
        return {"tasks": found[: said.get("page_size", 500)] if not said.get("page") else []}

    def _tasks_edit(self, said: dict[str, Any]) -> dict[str, Any]:
        task = self._task(said)
        if task["status"] != "created" and not said.get("force"):
            raise Refusal(400, "Invalid task status", 110)
        if self.keeps_times and "started" in said:
            raise Refusal(400, "Validation error: started", 12)
        changed = {key: value for key, value in said.items() if key not in ("task", "force")}
        task.update(changed | {key: {**task[key], **said[key]} for key in ("execution", "models") if key in said})
        return {"updated": 1, "fields": changed}

    def _tasks_edit_hyper_params(self, said: dict[str, Any]) -> dict[str, Any]:
        task = self._task(said)
        for item in said["hyperparams"]:
            task["hyperparams"].setdefault(item["section"], {})[item["name"]] = item
        return {"updated": 1}

    def _tasks_get_hyper_params(self, said: dict[str, Any]) -> dict[str, Any]:
        found = [(key, self._task({"task": key})["hyperparams"]) for key in said["tasks"]]
        items = {key: [item for section in sections.values() for item in section.values()] for key, sections in found}
        return {"params": [{"task": key, "hyperparams": listed} for key, listed in items.items()]}

    def _tasks_edit_configuration(self, said: dict[str, Any]) -> dict[str, Any]:
        task = self._task(said)
        for item in said["configuration"]:
            task["configuration"][item["name"]] = item
        return {"updated": 1}

    def _turn(self, said: dict[str, Any], status: str, allowed: tuple[str, ...]) -> dict[str, Any]:
        task = self._task(said)
        if task["status"] not in allowed and not said.get("force"):
            raise Refusal(400, f"Invalid status change: {task['status']} to {status}", 110)
        fields = {"status": status} | {key: said[key] for key in ("status_reason", "status_message") if key in said}
        task.update(fields)
        return {"updated": 1, "fields": fields}

    def _tasks_started(self, said: dict[str, Any]) -> dict[str, Any]:
        return {**self._turn(said, "in_progress", ("created", "completed", "stopped")), "started": 1}

    def _tasks_completed(self, said: dict[str, Any]) -> dict[str, Any]:
        return self._turn(said, "completed", ("in_progress", "stopped"))

    def _tasks_failed(self, said: dict[str, Any]) -> dict[str, Any]:
        return self._turn(said, "failed", ("in_progress",))

    def _tasks_stopped(self, said: dict[str, Any]) -> dict[str, Any]:
        return self._turn(said, "stopped", ("in_progress",))

    def _tasks_add_or_update_artifacts(self, said: dict[str, Any]) -> dict[str, Any]:
        if self._task(said)["status"] not in ("created", "in_progress"):
            raise Refusal(400, "Invalid task status", 110)
        execution = self._task(said)["execution"]
        new = [item["key"] for item in said["artifacts"]]
        kept = [item for item in execution["artifacts"] if item["key"] not in new]
        execution["artifacts"] = kept + said["artifacts"]
        return {"updated": 1}

    def _tasks_add_or_update_model(self, said: dict[str, Any]) -> dict[str, Any]:
        if self._task(said)["status"] not in ("created", "in_progress"):
            raise Refusal(400, "Invalid task status", 110)
        models = self._task(said)["models"][said["type"]]
        models[:] = [item for item in models if item["name"] != said["name"]]
        models.append({"name": said["name"], "model": said["model"]})
        return {"updated": 1}

    def _models_create(self, said: dict[str, Any]) -> dict[str, Any]:
        _require_name(said["name"])
        key = uuid.uuid4().hex
        self.models[key] = {"id": key, "company": "c", "user": "u", "ready": False, "tags": [], **said}
        return {"id": key, "created": True}

    def _models_get_by_id(self, said: dict[str, Any]) -> dict[str, Any]:
        return {"model": self.models[said["model"]]}

    def _models_get_all(self, said: dict[str, Any]) -> dict[str, Any]:
        found = [
            model
            for model in self.models.values()
            if _matches(said.get("name"), model["name"])
            and _in(said.get("id"), model["id"])
            and _in(said.get("task"), model.get("task"))
        ]
        return {"models": found if not said.get("page") else []}

    def _models_edit(self, said: dict[str, Any]) -> dict[str, Any]:
        changed = {key: value for key, value in said.items() if key != "model"}
        self.models[said["model"]].update(changed)
        return {"updated": 1, "fields": changed}

    def _models_add_or_update_metadata(self, said: dict[str, Any]) -> dict[str, Any]:
        metadata = self.models[said["model"]].setdefault("metadata", {})
        metadata.update({item["key"]: item for item in said["metadata"]})
        return {"updated": 1}

    def _auth_create_credentials(self, said: dict[str, Any]) -> dict[str, Any]:
        return {"credentials": {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY, **said}}

    def _users_get_current_user(self, said: dict[str, Any]) -> dict[str, Any]:
        return {"user": {"id": "u", "name": "u"}}

    def add_events(self, lines: list[dict[str, Any]]) -> dict[str, Any]:
        if self.fails_at == "events.add_batch":
            raise Refusal(500, "General data error")
        for event in lines:
            if event["task"] not in self.tasks:
                raise Refusal(400, "Invalid task id", 100)
            if event["type"] == "log":  # the real server gives each line an id of its own
                self.log.append(event)
                continue
            key = (event["task"], event["type"], event.get("metric"), event.get("variant"), event.get("iter"))
            self.events[key] = event
        return {"added": len(lines), "errors": 0}


def _require_name(name: str) -> None:
    if len(name.strip()) < 3:
        raise Refusal(400, f"Validation error: name must be at least 3 characters: {name!r}", 12)


def _matches(pattern: str | None, name: str) -> bool:
    return pattern is None or re.search(pattern, name) is not None


def _in(wanted: list[str] | None, value: Any) -> bool:
    return not wanted or value in wanted


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    double: Double
    closing: threading.Event

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        double = self.double
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        endpoint = unquote(self.path.partition("?")[0].strip("/"))
        endpoint = re.sub(r"^v[\d.]+/", "", endpoint)
        double.calls.append(endpoint)
        if double.vanish_at is not None and len(double.calls) >= double.vanish_at:
            self.close_connection = True
            return
        if double.frozen or endpoint == double.frozen_at:
            while (double.frozen or endpoint == double.frozen_at) and not self.closing.wait(0.02):
                pass
            self.close_connection = True
            return
        if double.down:
            self._send(503, b"Service Unavailable", "text/plain")
            return
        if self.headers.get_content_type() == "multipart/form-data":
            self._take_file(body)
        elif self.command == "DELETE":
            self._remove_file(endpoint)
        elif self.command in ("GET", "HEAD") and endpoint in double.files:
            self._send(200, double.files[endpoint], "application/octet-stream")
        elif endpoint == "":
            self._send(200, b"", "text/plain")
        else:
            self._call(endpoint, body)

    def _call(self, endpoint: str, body: bytes) -> None:
        try:
            if endpoint == "auth.login":
                data = self._log_in()
            elif endpoint == "events.add_batch":
                data = self.double.add_events([json.loads(line) for line in body.splitlines() if line.strip()])
            else:
                data = self.double.call(endpoint, json.loads(body or b"{}"))
        except Refusal as refusal:
            self._send_result(endpoint, refusal.code, refusal.subcode, str(refusal), {})
        else:
            self._send_result(endpoint, 200, 0, "OK", data)

    def _log_in(self) -> dict[str, Any]:
        given = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        if self.double.wrong_keys or given != f"{ACCESS_KEY}:{SECRET_KEY}":
            raise Refusal(401, "Unauthorized (invalid credentials) (failed to locate provided credentials)", 20)
        claims = {
            "exp": int(time.time()) + 3600,
            "api_version": "2.32",
            "server_version": "2.3.0",
            "feature_set": "basic",
        }
        parts = [_encoded({"alg": "HS256", "typ": "JWT"}), _encoded(claims), _encoded({"unsigned": True})]
        return {"token": ".".join(parts)}

    def _take_file(self, body: bytes) -> None:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        for part in BytesParser().parsebytes(head + body).walk():
            if part.get_content_maintype() != "multipart":
                name = str(part.get_param("name", header="content-disposition")).strip("/")
                content = part.get_payload(decode=True)
                assert isinstance(content, bytes)
                self.double.files[name] = content
        self._send(200, b"", "text/plain")

    def _remove_file(self, name: str) -> None:
        if self.double.keeps_files:
            self._send(403, b"", "text/plain")
        else:
            self._send(200 if self.double.files.pop(name, None) is not None else 404, b"", "text/plain")

    def _send_result(self, endpoint: str, code: int, subcode: int, message: str, data: dict[str, Any]) -> None:
        meta = {
            "id": uuid.uuid4().hex,
            "trx": uuid.uuid4().hex,
            "endpoint": {"name": endpoint, "requested_version": "2.23", "actual_version": "2.0"},
            "result_code": code,
            "result_subcode": subcode,
            "result_msg": message,
        }
        self._send(code, json.dumps({"meta": meta, "data": data}).encode(), "application/json")

    def _send(self, code: int, content: bytes, kind: str) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # its reader was killed
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)


def _encoded(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing where the other side was killed."""


@contextmanager
def listening(double: Double | None = None, port: int = 0) -> Iterator[Double]:
    """Serve a double, a new one or one that was there before, on a port of this machine."""
    double = Double() if double is None else double
    closing = threading.Event()
    handler = type("Handler", (_Handler,), {"double": double, "closing": closing})
    server = _Server(("127.0.0.1", port or double.port), handler)
    double.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield double
    finally:
        closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
