"""Jobs among processes: servers that are killed, several on one folder, cancelling from elsewhere, and no orphans."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from modelyard.jobs import Jobs
from modelyard.jobs.local import locks
from tests.job_runs import opened, order
from tests.processes import descendants, held_by, wait_until_gone
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


class Server:
    """A process that owns jobs; at the end of the block it is killed."""

    def __init__(self, folder: Path, workers: int = 1, preload: str = "", rehearsal: str = "") -> None:
        command = [sys.executable, "-c", "import sys; from tests.job_runs import serve; serve(*sys.argv[1:])"]
        self.process = subprocess.Popen(
            [*command, str(folder), str(workers), preload, rehearsal],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def order(self, what: str, key: str = "") -> str:
        """Order a job and return its id."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what}|{key}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        """Kill it as the system would."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.process:
            self.process.kill()


@pytest.fixture
def jobs(storage_dir: Path) -> Iterator[Jobs]:
    """The jobs of the folder as this process sees them."""
    with opened(storage_dir) as made:
        yield made


def until_status(jobs: Jobs, job_id: str, status: str) -> None:
    wait_until(lambda: jobs.get(job_id).status == status)


def until_at_work(jobs: Jobs, job_id: str) -> None:
    wait_until(lambda: jobs.get(job_id).progress.step is not None)


def test_nothing_outlives_a_server_that_is_killed(jobs: Jobs, storage_dir: Path) -> None:
    with Server(storage_dir) as server:
        job_id = server.order("child")
        queued = server.order("finish")
        until_at_work(jobs, job_id)
        family = descendants(server.process.pid)
        assert len(family) == 3  # the fork server, the run, and what the run has started
        server.kill()
        wait_until_gone(family)
    ended = jobs.get(job_id)
    assert (ended.status, ended.model_id) == ("interrupted", None)
    assert ended.progress.step == 1
    assert not (storage_dir / "jobs" / job_id).exists()
    assert jobs.get(queued).status == "queued"
    jobs.serve()
    assert jobs.wait(queued).status == "succeeded"
    assert len(list((storage_dir / "jobs").glob("owner-*.lock"))) == 1


def test_a_fork_server_that_is_still_getting_ready_ends_with_its_owner(storage_dir: Path) -> None:
    with Server(storage_dir, preload="tests.slow_to_import") as server:
        wait_until(lambda: descendants(server.process.pid) != set())
        family = descendants(server.process.pid)
        server.kill()
        wait_until_gone(family)


def test_a_slot_is_taken_as_long_as_its_run_is_alive(jobs: Jobs, storage_dir: Path) -> None:
    slots = locks.Slots(storage_dir / "jobs", 1)
    with Server(storage_dir) as server:
        until_at_work(jobs, server.order("wait"))
        assert slots.take() is None
        # It is the run's, so that it outlives the server if the run does.
        wait_until(lambda: not any(name.endswith("slot-0.lock") for name in held_by(server.process.pid)))
        server.kill()
        wait_until(lambda: _is_one_free(slots))


def _is_one_free(slots: locks.Slots) -> bool:
    slot = slots.take()
    if slot is not None:
        os.close(slot)
    return slot is not None


def test_a_job_is_cancelled_from_another_process(jobs: Jobs, storage_dir: Path) -> None:
    with Server(storage_dir) as server:
        running, queued = server.order("spin"), server.order("spin")
        until_status(jobs, running, "running")
        wait_until(lambda: len(descendants(server.process.pid)) == 2)
        fork_server = min(descendants(server.process.pid))
        assert jobs.cancel(queued).status == "cancelled"
        assert jobs.cancel(running).status == "cancelled"
        wait_until(lambda: descendants(server.process.pid) == {fork_server})
        assert jobs.wait(server.order("finish")).status == "succeeded"
        wait_until(lambda: not any(path.is_dir() for path in (storage_dir / "jobs").iterdir()))


def test_two_servers_share_the_slots_and_the_queue(jobs: Jobs, storage_dir: Path, tmp_path: Path) -> None:
    passed = tmp_path / "passed"
    with Server(storage_dir) as first, Server(storage_dir) as second:
        blocking = first.order(f"meet {tmp_path}")
        wait_until((tmp_path / blocking).exists)
        ordered = [server.order(f"pass {passed}") for server in (second, first, second, second, first)]
        assert [jobs.get(job_id).status for job_id in ordered] == ["queued"] * 5
        (tmp_path / "go").touch()
        assert [jobs.wait(job_id).status for job_id in ordered] == ["succeeded"] * 5
    assert passed.read_text().split() == ordered


def test_a_server_that_was_killed_blocks_nobodys_turn(jobs: Jobs, storage_dir: Path) -> None:
    with Server(storage_dir) as first, Server(storage_dir) as second:
        running, queued = first.order("wait"), first.order("wait")
        until_at_work(jobs, running)
        behind = second.order("finish")
        first.kill()
        jobs.cancel(queued)
        assert jobs.wait(behind).status == "succeeded"
        until_status(jobs, running, "interrupted")


def test_one_key_trains_once_on_two_servers_and_again_after_a_crash(jobs: Jobs, storage_dir: Path) -> None:
    with Server(storage_dir) as second:
        with Server(storage_dir) as first:
            job_id = first.order("wait", key="k")
            assert second.order("wait", key="k") == job_id
            until_at_work(jobs, job_id)
            first.kill()
        until_status(jobs, job_id, "interrupted")
        again = second.order("wait", key="k")
        assert again != job_id
        assert order(jobs, "wait", key="k").job_id == again
        jobs.cancel(again)


def test_a_crash_after_the_model_was_stored_loses_nothing(jobs: Jobs, storage_dir: Path) -> None:
    with Server(storage_dir) as server:
        done = jobs.wait(server.order("finish", key="k"))
        server.kill()
    assert order(jobs, "finish", key="k") == done
    assert done.model_id is not None
