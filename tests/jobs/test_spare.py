"""The process that waits for the next run: it is used and replaced, counts for nothing, and outlives nobody."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelyard.jobs import Jobs
from modelyard.storage import open_folder
from tests import job_runs
from tests.job_runs import NO_GRACE, REHEARSAL, opened, order
from tests.jobs.test_processes import Server
from tests.processes import children, descendants, held_by, runs, state, wait_until_gone
from tests.waiting import wait_until


@pytest.fixture
def jobs(storage_dir: Path) -> Iterator[Jobs]:
    with opened(storage_dir, rehearsal=REHEARSAL) as made:
        yield made


def fork_server() -> int:
    (found,) = children(os.getpid(), job_runs.TARGET)
    return found


def the_spare(server: int) -> int:
    """Return the spare when it is there and has rehearsed; a run that is just dying is none."""

    def found() -> int | None:
        ready = list(filter(is_ready, descendants(server) - runs(server)))
        return ready[0] if len(ready) == 1 else None

    return wait_until(found)


def is_ready(pid: int) -> bool:
    """Tell whether a spare has rehearsed and waits for its order."""
    has_rehearsed = Path(f"/proc/{pid}/fd/{job_runs.REHEARSED_FILE}").exists()
    return has_rehearsed and state(pid) == "S"


def did(job_id: str, folder: Path) -> int:
    """Return the process that a job of the kind `pid` ran in."""
    return int((folder / job_id).read_text())


def test_there_is_none_before_the_first_run(jobs: Jobs, storage_dir: Path) -> None:
    jobs.serve()
    running = order(jobs, "wait")
    wait_until(lambda: jobs.get(running.job_id).progress.step is not None)
    assert len(descendants(fork_server())) == 1
    jobs.cancel(running.job_id)
    assert the_spare(fork_server())


def test_it_is_the_next_run_and_then_there_is_another(jobs: Jobs, tmp_path: Path) -> None:
    jobs.wait(order(jobs, "finish").job_id)
    first = the_spare(fork_server())
    job = jobs.wait(order(jobs, f"pid {tmp_path}").job_id)
    assert did(job.job_id, tmp_path) == first
    second = the_spare(fork_server())
    assert second != first
    assert jobs.wait(order(jobs, "unexpected").job_id).status == "failed"
    third = the_spare(fork_server())
    assert len({first, second, third}) == 3


def test_it_holds_neither_slot_nor_files_and_counts_as_no_run(jobs: Jobs, storage_dir: Path) -> None:
    jobs.wait(order(jobs, "finish").job_id)
    waiting = the_spare(fork_server())
    assert {name for name in held_by(waiting) if name.startswith("/")} <= {os.devnull}
    assert Path(f"/proc/{waiting}/cwd").readlink() == Path("/")
    one, two = (order(jobs, "wait") for _ in range(2))
    wait_until(lambda: jobs.get(one.job_id).progress.step is not None)
    assert [jobs.get(job.job_id).status for job in (one, two)] == ["running", "queued"]
    wait_until(lambda: descendants(fork_server()) == {waiting})  # it is the run now, and nobody waits beside it


@pytest.mark.parametrize(
    ("what", "limits", "code"),
    [
        ("wait", {"timeout_s": 0.3}, "DEADLINE_EXCEEDED"),
        ("hog", {"memory_bytes": 300 << 20}, "RESOURCE_EXHAUSTED"),
    ],
)
def test_a_run_in_it_is_limited_like_any(storage_dir: Path, what: str, limits: dict[str, Any], code: str) -> None:
    with opened(storage_dir, replace(NO_GRACE, **limits), rehearsal=REHEARSAL) as jobs:
        jobs.wait(order(jobs, "finish").job_id)
        waiting = the_spare(fork_server())
        ended = jobs.wait(order(jobs, what).job_id)
        assert ended.error is not None
        assert ended.error.code == code
        wait_until_gone({waiting})


def test_a_run_in_it_is_cancelled_like_any(jobs: Jobs) -> None:
    jobs.wait(order(jobs, "finish").job_id)
    waiting = the_spare(fork_server())
    job = order(jobs, "child")
    wait_until(lambda: jobs.get(job.job_id).progress.step is not None)
    family = {waiting, *descendants(waiting)}
    assert len(family) == 2
    jobs.cancel(job.job_id)
    wait_until_gone(family)


def test_it_is_as_nice_as_the_run_before_and_no_other_run_takes_it(storage_dir: Path, tmp_path: Path) -> None:
    with opened(storage_dir, rehearsal=REHEARSAL) as jobs:
        jobs.wait(order(jobs, "finish").job_id)
        waiting = the_spare(fork_server())
        nicer = replace(NO_GRACE, niceness=7)
        with opened(storage_dir, nicer, rehearsal=REHEARSAL) as others:
            job = others.wait(order(others, f"pid {tmp_path}").job_id)
            assert did(job.job_id, tmp_path) != waiting
        os.kill(waiting, signal.SIGKILL)
        with opened(storage_dir, nicer, rehearsal=REHEARSAL) as others:
            others.wait(order(others, "finish").job_id)
            nice = the_spare(fork_server())
            assert {
                os.getpriority(os.PRIO_PROCESS, int(path.name)) for path in Path(f"/proc/{nice}/task").iterdir()
            } == {7}
            assert Path(f"/proc/{nice}/oom_score_adj").read_text().strip() == "1000"


def test_one_that_dies_is_missed_by_nobody(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    jobs.wait(order(jobs, "finish").job_id)
    os.kill(the_spare(fork_server()), signal.SIGKILL)
    assert jobs.wait(order(jobs, "finish").job_id).status == "succeeded"
    wait_until(lambda: "ended before its order: exit code -9" in caplog.text)
    assert the_spare(fork_server())


def handed_over(jobs: Jobs, what: str, spare: int, caplog: pytest.LogCaptureFixture) -> str:
    """Order a run while the spare is stopped; return the job's id when it is the spare's, which has not read it."""
    os.kill(spare, signal.SIGSTOP)
    with caplog.at_level(logging.DEBUG, "modelyard.jobs"):
        job_id = order(jobs, what).job_id
        wait_until(lambda: f"job {job_id} runs in process {spare}" in caplog.text)
    return job_id


def test_one_that_dies_before_it_reads_its_order_is_missed_by_nobody(
    jobs: Jobs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    jobs.wait(order(jobs, "finish").job_id)
    waiting = the_spare(fork_server())
    job_id = handed_over(jobs, f"pid {tmp_path}", waiting, caplog)
    os.kill(waiting, signal.SIGKILL)
    assert jobs.wait(job_id).status == "succeeded"
    assert did(job_id, tmp_path) != waiting
    assert "ended before its order: exit code -9" in caplog.text
    assert jobs.wait(order(jobs, "finish").job_id).status == "succeeded"  # its slot was let go


def test_one_that_dies_as_it_reads_its_order_is_missed_by_nobody(
    storage_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(storage_dir, rehearsal=f"{job_runs.__name__}:rehearse_to_die_reading") as jobs:
        jobs.wait(order(jobs, "finish").job_id)
        waiting = the_spare(fork_server())
        job_id = handed_over(jobs, f"pid {tmp_path}", waiting, caplog)
        os.kill(waiting, signal.SIGCONT)
        assert jobs.wait(job_id).status == "succeeded"
        assert did(job_id, tmp_path) != waiting


def test_one_that_dies_with_its_order_ends_the_job_which_is_not_done_twice(jobs: Jobs, tmp_path: Path) -> None:
    jobs.wait(order(jobs, "finish").job_id)
    the_spare(fork_server())
    assert jobs.wait(order(jobs, f"pass-and-die {tmp_path / 'lines'}").job_id).status == "failed"
    assert len((tmp_path / "lines").read_text().splitlines()) == 1


def test_one_that_is_cancelled_before_it_reads_its_order_is_not_replaced(
    jobs: Jobs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    jobs.wait(order(jobs, "finish").job_id)
    waiting = the_spare(fork_server())
    job_id = handed_over(jobs, f"pass {tmp_path / 'lines'}", waiting, caplog)
    jobs.cancel(job_id)
    assert jobs.wait(order(jobs, "finish").job_id).status == "succeeded"  # with the only slot, so the other is gone
    assert jobs.get(job_id).status == "cancelled"
    assert not (tmp_path / "lines").exists()


def test_a_rehearsal_that_fails_costs_no_run_and_is_told(storage_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened(storage_dir, rehearsal=f"{job_runs.__name__}:rehearse_badly") as jobs:
        for _ in range(2):
            assert jobs.wait(order(jobs, "finish").job_id).status == "succeeded"
            wait_until(lambda: "LookupError: stage fright" in caplog.text)
            caplog.clear()


def test_one_that_nobody_needs_goes(storage_dir: Path) -> None:
    with Server(storage_dir, preload="tests.job_runs:be_impatient()", rehearsal=REHEARSAL) as server:
        server.order("finish")
        wait_until(lambda: len(descendants(server.process.pid)) == 2)
        wait_until(lambda: len(descendants(server.process.pid)) == 1)


@pytest.mark.parametrize("ends", ["killed", "closed"])
def test_it_ends_with_its_server(storage_dir: Path, ends: str) -> None:
    with Server(storage_dir, rehearsal=REHEARSAL) as server:
        server.order("finish")
        wait_until(lambda: len(descendants(server.process.pid)) == 2)
        family = descendants(server.process.pid)
        if ends == "killed":
            server.kill()
        else:
            assert server.process.stdin is not None
            server.process.stdin.close()
        wait_until_gone(family)


def test_it_ends_with_its_fork_server(jobs: Jobs) -> None:
    jobs.wait(order(jobs, "finish").job_id)
    server = fork_server()
    family = {the_spare(server), server}
    os.kill(server, signal.SIGKILL)
    wait_until_gone(family)
    assert jobs.wait(order(jobs, "finish").job_id).status == "succeeded"


def test_without_a_rehearsal_there_is_none(storage_dir: Path, tmp_path: Path) -> None:
    """Had the first run left a spare at once, it would not do for the second, which is nicer, and stand beside it."""
    nicer = replace(NO_GRACE, niceness=7)
    with (
        closing(open_folder(storage_dir)) as storage,
        closing(job_runs.jobs_of(storage, NO_GRACE, [f"{job_runs.__name__}:leave_a_spare_at_once()"])) as jobs,
        opened(storage_dir, nicer) as others,
    ):
        jobs.wait(order(jobs, "finish").job_id)
        running = order(others, f"meet {tmp_path}")
        wait_until((tmp_path / running.job_id).exists)
        wait_until(lambda: len(descendants(fork_server())) == 1)  # the run before may be about to end
