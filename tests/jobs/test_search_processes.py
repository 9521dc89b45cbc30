"""The process of a search's run: it is there for the next one and for no other job, and goes when nobody needs it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modelyard.jobs import Jobs
from modelyard.jobs.local import launcher
from tests import job_runs
from tests.job_runs import NO_GRACE, opened, order
from tests.jobs.test_processes import Server
from tests.jobs.test_searches import lines, search, told
from tests.processes import descendants, wait_until_gone
from tests.waiting import wait_until


@pytest.fixture(scope="module", autouse=True)
def patient_fork_server() -> Iterator[None]:
    """Keep one fork server for all tests of this module, whose processes wait as long as tests do."""
    launcher.share(job_runs.TARGET, [f"{job_runs.__name__}:be_patient_with_searches()"]).prepare(0)
    yield
    launcher.release(job_runs.TARGET)


@pytest.fixture
def jobs(storage_dir: Path) -> Iterator[Jobs]:
    with opened(storage_dir) as made:
        yield made


def pid_of(name: str, folder: Path) -> int:
    """Return the process that a run of the kind `pid` ran in."""
    return int((folder / name).read_text())


def test_runs_of_a_search_share_a_process(jobs: Jobs, tmp_path: Path) -> None:
    job = search(jobs, f"pid {tmp_path}", "wrong", f"pid {tmp_path}", f"pid {tmp_path}")
    assert jobs.wait(job.job_id).status == "succeeded"
    assert pid_of("0", tmp_path) == pid_of("2", tmp_path) == pid_of("last", tmp_path)


def test_no_other_job_has_it(jobs: Jobs, tmp_path: Path) -> None:
    """A search's runs and a training have the only place in turn, then another search."""
    searched = search(jobs, f"pid {tmp_path}", f"meet {tmp_path}", f"pid {tmp_path}", f"pid {tmp_path}")
    wait_until((tmp_path / "1").exists)
    shared = pid_of("0", tmp_path)
    trained = order(jobs, f"pid {tmp_path}")
    (tmp_path / "go").touch()
    assert jobs.wait(searched.job_id).status == "succeeded"
    assert pid_of(trained.job_id, tmp_path) != shared
    assert pid_of("2", tmp_path) == pid_of("last", tmp_path) == shared
    assert jobs.wait(search(jobs, f"pid {tmp_path}", "finish").job_id).status == "succeeded"
    assert pid_of("0", tmp_path) != shared


def test_it_is_let_go_if_the_search_has_ended_or_waits(storage_dir: Path, tmp_path: Path) -> None:
    with Server(storage_dir, preload="tests.job_runs:be_impatient_with_searches()") as server:
        server.order(f"meet {tmp_path};pid {tmp_path};finish")
        wait_until((tmp_path / "0").exists)
        trained = server.order(f"meet {tmp_path / 'more'}")
        shared = descendants(server.process.pid)
        (tmp_path / "more").mkdir()
        (tmp_path / "go").touch()
        wait_until((tmp_path / "more" / trained).exists)
        wait_until(lambda: len(descendants(server.process.pid) & shared) == 1)  # the fork server
        (tmp_path / "more" / "go").touch()
        wait_until((tmp_path / "1").exists)
        wait_until(lambda: len(descendants(server.process.pid)) == 1)


def test_one_that_dies_between_two_runs_is_missed_by_nobody(jobs: Jobs, tmp_path: Path) -> None:
    searched = search(jobs, f"pid {tmp_path}", f"meet {tmp_path}", f"pid {tmp_path}", f"pid {tmp_path}")
    wait_until((tmp_path / "1").exists)
    shared = pid_of("0", tmp_path)
    (tmp_path / "more").mkdir()
    trained = order(jobs, f"meet {tmp_path / 'more'}")
    (tmp_path / "go").touch()
    wait_until((tmp_path / "more" / trained.job_id).exists)
    os.kill(shared, signal.SIGKILL)
    wait_until_gone({shared})
    (tmp_path / "more" / "go").touch()
    assert jobs.wait(searched.job_id).status == "succeeded"
    assert pid_of("2", tmp_path) == pid_of("last", tmp_path) != shared


def test_what_runs_before_left_in_memory_is_not_held_against_a_run(storage_dir: Path, tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    with opened(storage_dir, replace(NO_GRACE, memory_bytes=400 << 20)) as jobs:
        job = search(jobs, "hoard", f"hoard {tried}", "hog", "finish")
        assert jobs.wait(job.job_id).status == "succeeded"
        assert [one.get("error") for one in told(jobs, job)] == [None, None, "resource-exhausted"]
    assert lines(tried) == ["1", "1"]


def test_a_run_has_its_own_log(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    job = search(jobs, "unexpected", "unexpected", "finish")
    assert jobs.wait(job.job_id).status == "succeeded"
    said = [record.getMessage() for record in caplog.records if record.name == "modelyard.jobs"]
    assert [text.count("unexpected error") for text in said if "something went wrong" in text] == [1, 1]
