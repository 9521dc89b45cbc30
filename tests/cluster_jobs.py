"""A replica of a yard as tests of clusters start it: a process on a host of its own, which does what lines say."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from modelyard.errors import Unavailable
from modelyard.jobs import Jobs, Limits
from modelyard.jobs.ray import RayRunner
from modelyard.schemas import Job
from modelyard.storage.opening import open_storage
from modelyard.storage.servers import Servers
from tests import job_runs
from tests.waiting import wait_until


class Replica:
    """One such process, on a network namespace, with some more in its environment."""

    def __init__(
        self,
        host: str,
        root: Path,
        yard: dict[str, str],
        environment: Mapping[str, str] = MappingProxyType({}),
        **limits: float,
    ) -> None:
        said = orjson.dumps({"root": str(root), "yard": yard, "limits": limits}).decode()
        self.log = root.with_suffix(".log")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", host, sys.executable, "-m", __name__, said],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **environment},
            )

    def order(self, what: str, kind: str = "train") -> str:
        """Order a run, or a search; return the job's id."""
        return str(self._ask("order", what, kind))

    def get(self, job_id: str) -> Job:
        """Return a job."""
        return Job.model_validate(self._ask("get", job_id))

    def cancel(self, job_id: str) -> None:
        """Cancel a job."""
        self._ask("cancel", job_id)

    def models(self) -> int:
        """Return how many models there are."""
        return int(self._ask("models"))

    def told(self, job_id: str) -> int:
        """Return how many runs of a search have told something."""
        return int(self._ask("told", job_id))

    def bridge(self) -> int:
        """Return the process of the bridge."""
        return int(self._ask("bridge"))

    def wait(self, job_id: str) -> Job:
        """Return a job when it has ended."""

        def ended() -> Job | None:
            job = self.get(job_id)
            return job if job.ended else None

        return wait_until(ended)

    def close(self) -> None:
        """Stop it as a server is stopped."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.close()

    def _ask(self, *what: str) -> Any:
        """Ask until there is an answer: a busy database is no fault of the replica's."""
        return wait_until(lambda: self._answer(*what))[0]

    def _answer(self, *what: str) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(orjson.dumps(what) + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.log.read_text()[-3000:]
        return orjson.loads(line)


def _serve(root: str, yard: dict[str, str], limits: dict[str, float]) -> None:
    with ExitStack() as stack:
        servers = Servers(
            yard["database_url"], Path(root), artifacts_url=yard["artifacts_url"], s3_endpoint=yard["s3_endpoint"]
        )
        storage = open_storage(servers)
        stack.callback(storage.close)
        bounds = Limits(**{"workers": 100, "niceness": 0, "grace_s": 0.0, **limits})  # type: ignore[arg-type]
        runner = RayRunner(bounds, yard["ray_address"], storage.spools.depot, target=job_runs.TARGET, preload=())
        jobs = Jobs(storage, runner, servers.owners(), bounds, planner=job_runs.Planned())
        stack.callback(jobs.close)
        jobs.serve()
        for line in sys.stdin:
            verb, *given = orjson.loads(line)
            said: list[Any] = []
            with suppress(Unavailable):
                said.append(_answer(jobs, storage, runner, verb, given))
            sys.stdout.buffer.write(orjson.dumps(said) + b"\n")
            sys.stdout.flush()


def _answer(jobs: Jobs, storage: Any, runner: RayRunner, verb: str, given: list[str]) -> Any:
    match verb:
        case "order":
            return job_runs.order(jobs, given[0], kind=given[1]).job_id  # type: ignore[arg-type]
        case "get":
            return jobs.get(given[0]).model_dump(mode="json")
        case "cancel":
            return jobs.cancel(given[0]).status
        case "models":
            return storage.models.count_active()
        case "told":
            return len(storage.jobs.get(given[0]).told)
        case "bridge":
            assert runner._bridge is not None
            return runner._bridge._process.pid
    raise ValueError(verb)


if __name__ == "__main__":
    import logging

    logging.basicConfig(level=logging.INFO)
    _serve(**orjson.loads(sys.argv[1]))
