"""The runner of a Ray cluster, as jobs know it. It imports no Ray: a child process does, which is started when needed.

The child may end at any time, with the cluster or by itself. It is started again then, and adopts the runs.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from modelyard.jobs.local.line_process import LineProcess
from modelyard.jobs.ray.orders import PATIENCE_S, lost
from modelyard.jobs.runner import Limits, Place, RunEnd
from modelyard.jobs.spool import Spool
from modelyard.schemas import JobError, JobProgress

if TYPE_CHECKING:
    from modelyard.storage.artifacts.depot import Depot

log = logging.getLogger("modelyard.jobs")

_CODE = """
from modelyard.jobs.ray.bridge import main
main(channel, **{arguments!r})
"""
_TOKEN = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_BRIDGE_SETTINGS = {"RAY_gcs_server_request_timeout_seconds": "20"}
"""So long Ray looks for the node of this host. The bridge is more patient, so that Ray can say what is missing."""

_RESTART_S = 1.0
_RESERVE_S = 0.1
"""A place is waited for so long; one that comes later is there for the next run."""

_BYE_S = 3.0
"""So long the bridge may take to pass on what it was told before it ends."""

_HELD_S = 5.0
"""A place that came so long ago is given back."""


@dataclass(slots=True)
class _Run:
    """A run from its start, or its adoption, to its end; no bridge has known of it since `lost_at`, 0 if one does.

    `key` is None of one that was adopted.
    """

    spool: Path
    ended: Callable[[RunEnd], None]
    key: str | None = None
    is_killed: bool = False
    lost_at: float = 0.0


class RayRunner:
    """Runs of the function that `target` names, on the nodes of the cluster at `address` (`host:port`).

    This host has to be a node of the cluster, too. `depot` has what runs are given; None if all nodes share the folder
    of runs. `target`, `preload` and `rehearsal` are as for `LocalRunner`; they are looked up on the nodes.
    """

    outlived = True

    def __init__(
        self,
        limits: Limits,
        address: str,
        depot: Depot | None,
        *,
        target: str,
        preload: Sequence[str],
        rehearsal: str | None = None,
    ) -> None:
        self._limits = limits
        self._depot = depot
        self._arguments = {
            "address": address,
            "target": target,
            "preload": list(preload),
            "rehearsal": rehearsal,
            "memory": limits.memory_bytes,
        }
        self._said = threading.Condition()
        self._bridge: LineProcess | None = None
        self._runs: dict[str, _Run] = {}
        self._places: list[tuple[str, float]] = []
        self._asks = False
        self._complaint = ""
        self._closed = threading.Event()

    def prepare(self) -> None:
        with self._said:
            self._running()

    def reserve(self) -> Place | None:
        with self._said:
            if len(self._runs) >= self._limits.workers:
                return None
            while self._places and time.monotonic() - self._places[0][1] > _HELD_S:
                self._send({"free": self._places.pop(0)[0]})
            if not self._places:
                if not self._asks:
                    self._asks = True
                    self._send({"reserve": True})
                self._said.wait_for(lambda: not self._asks, _RESERVE_S)
            return _Place(self, self._places.pop()[0]) if self._places else None

    def adopt(self, job_id: str, spool: Path, ended: Callable[[RunEnd], None]) -> None:
        with self._said:
            self._runs[job_id] = _Run(spool, ended)
            self._send({"adopt": job_id, "key": None, "folder": str(spool.absolute())})

    def sweep(self, job_id: str) -> None:
        with self._said:
            self._send({"sweep": job_id})

    def kill(self, job_id: str) -> None:
        with self._said:
            run = self._runs.get(job_id)
            if run is not None:
                run.is_killed = True
                self._send({"kill": job_id})

    def close(self) -> None:
        self._closed.set()
        with self._said:
            bridge, self._bridge = self._bridge, None
        if bridge is not None:
            with suppress(OSError):
                bridge.send({"bye": True})
            bridge.close(after_s=_BYE_S)

    def start(self, place: str, job_id: str, spool: Path, key: bytes, ended: Callable[[RunEnd], None]) -> None:
        """Start a run in a place that was kept for it."""
        depot, limits = self._depot, self._limits
        order: dict[str, object] = {
            "run_id": job_id,
            "folder": str(spool.absolute()),
            "depot_url": None if depot is None else depot.bucket.url,
            "depot_endpoint": None if depot is None else depot.bucket.endpoint,
            "files": {},
            "key": key.hex(),
            "niceness": limits.niceness,
            "timeout_s": limits.timeout_s,
            "memory_bytes": limits.memory_bytes,
        }
        with self._said:
            self._runs[job_id] = _Run(spool, ended, key.hex())
            self._send({"start": order, "place": place})

    def free(self, place: str) -> None:
        """Give back a place that no run has."""
        with self._said:
            self._send({"free": place})

    def _send(self, message: dict[str, object]) -> None:
        """Tell the bridge; if it is gone by now, the next one adopts the runs there are."""
        with suppress(OSError):
            self._running().send(message)

    def _running(self) -> LineProcess:
        if self._bridge is None:
            token = {name: os.environ[name] for name in _TOKEN if name in os.environ}
            self._bridge = LineProcess(
                _CODE.format(arguments=self._arguments), self._hear, self._restart, {**_BRIDGE_SETTINGS, **token}
            )
        return self._bridge

    # In threads of bridges.

    def _hear(self, message: dict[str, Any]) -> None:
        """Note what the bridge says."""
        if "reserved" in message:
            with self._said:
                self._asks = False
                if message["reserved"] is not None:
                    self._places.append((message["reserved"], time.monotonic()))
                self._said.notify_all()
        elif "problem" in message:
            self._complain(message["problem"])
        elif "ended" in message:
            self._end(message["ended"], _run_end(message))
        else:
            self._note_progress(message["run_id"], message["progress"])

    def _note_progress(self, run_id: str, progress: str) -> None:
        run = self._runs.get(run_id)
        if run is None:
            return
        run.lost_at = 0.0
        if self._depot is not None and progress:
            with suppress(OSError, ValidationError):  # it is told again
                Spool(run.spool).write_progress(JobProgress.model_validate_json(progress))

    def _end(self, run_id: str, how: RunEnd) -> None:
        with self._said:
            run = self._runs.pop(run_id, None)
        if run is not None:
            run.ended(how)

    def _complain(self, text: str) -> None:
        """Tell the log, once as long as it is the same."""
        if text != self._complaint:
            self._complaint = text
            log.warning("%s", text)

    def _restart(self, bridge: LineProcess, exit_code: int) -> None:
        """Start another bridge after one that has ended, and let it adopt the runs."""
        with self._said:
            for run in self._runs.values():
                run.lost_at = run.lost_at or time.monotonic()
        if self._closed.wait(_RESTART_S):
            return
        now = time.monotonic()
        for run_id, run in list(self._runs.items()):
            if now - run.lost_at > PATIENCE_S:
                self._end(run_id, RunEnd(lost(f"the cluster was not there for {PATIENCE_S:g} s"), "interrupted"))
        with self._said:
            self._bridge = None
            self._places, self._asks = [], False  # also those of the moment without a bridge
            self._said.notify_all()
            for run_id, run in self._runs.items():
                self._send({"adopt": run_id, "key": run.key, "folder": str(run.spool.absolute())})
                if run.is_killed:
                    self._send({"kill": run_id})


@dataclass(slots=True)
class _Place:
    """A foreman's place, by its name."""

    runner: RayRunner
    name: str | None

    def start(self, job_id: str, spool: Path, key: bytes, ended: Callable[[RunEnd], None]) -> None:
        """Start the run on the cluster."""
        assert self.name is not None
        name, self.name = self.name, None
        self.runner.start(name, job_id, spool, key, ended)

    def free(self) -> None:
        if self.name is not None:
            self.runner.free(self.name)
            self.name = None


def _run_end(message: Mapping[str, Any]) -> RunEnd:
    """Read what the bridge says of a run's end."""
    key = None if message["key"] is None else bytes.fromhex(message["key"])
    return RunEnd(JobError.model_validate(message["error"]), message["status"], key)
