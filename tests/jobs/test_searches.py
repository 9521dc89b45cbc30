"""Searches: jobs of many runs, whose runs are told one by one, and which outlive the process that carries them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard import errors
from modelyard.jobs import Jobs, Limits
from modelyard.jobs.local import launcher
from modelyard.jobs.runner import UNEXPECTED
from modelyard.schemas import Job
from modelyard.storage import JobRecord
from tests import job_runs
from tests.job_runs import opened, order
from tests.waiting import PATIENCE_S, wait_until


@pytest.fixture(scope="module", autouse=True)
def fork_server() -> Iterator[None]:
    """Keep one fork server for all tests of this module."""
    launcher.share(job_runs.TARGET, ()).prepare(0)
    yield
    launcher.release(job_runs.TARGET)


@pytest.fixture
def storage_dir(tmp_path: Path) -> Path:
    return tmp_path / "models_storage"


@pytest.fixture
def jobs(storage_dir: Path) -> Iterator[Jobs]:
    with opened(storage_dir) as found:
        yield found


def search(jobs: Jobs, *steps: str) -> Job:
    return order(jobs, "\n".join(steps), kind="search")


def told(jobs: Jobs, job: Job) -> list[dict[str, object]]:
    return [{key: one[key] for key in one if key != "at_s"} for one in jobs._lifecycle.get(job.job_id).told]


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_a_search_makes_one_run_after_the_other_and_the_last_makes_the_model(jobs: Jobs, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    job = search(jobs, f"pass {seen}", f"pass {seen}", f"pass {seen}")
    ended = jobs.wait(job.job_id)
    assert (ended.kind, ended.status) == ("search", "succeeded")
    assert ended.model_id is not None
    assert lines(seen) == ["0", "1", "last"]
    assert told(jobs, job) == [{"name": "0"}, {"name": "1"}]
    assert (ended.progress.step, ended.progress.total, ended.progress.fraction) == (2, 9, 1.0)
    wait_until(lambda: not (jobs._folder / job.job_id).exists())


def test_a_run_that_fails_or_dies_is_told_and_the_search_goes_on(jobs: Jobs) -> None:
    job = search(jobs, "wrong", "signal 9", "finish", "finish")
    assert jobs.wait(job.job_id).status == "succeeded"
    assert told(jobs, job) == [
        {"name": "0", "error": "invalid-table"},
        {"name": "1", "error": "internal"},
        {"name": "2"},
    ]


@pytest.mark.parametrize(("last", "detail"), [("wrong", job_runs.WRONG.detail), ("unplanned", UNEXPECTED)])
def test_a_search_that_cannot_end_fails_with_the_reason(jobs: Jobs, last: str, detail: str) -> None:
    ended = jobs.wait(search(jobs, "finish", last).job_id)
    assert (ended.status, ended.model_id) == ("failed", None)
    assert ended.error is not None
    assert ended.error.detail == detail
    assert jobs.wait(order(jobs, "finish").job_id).status == "succeeded"


def test_a_queued_training_comes_before_the_next_run_of_a_search(jobs: Jobs, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    searched = search(jobs, f"meet {tmp_path}", f"pass {seen}", f"pass {seen}")
    wait_until((tmp_path / "0").exists)
    trained = order(jobs, f"pass {seen}")
    (tmp_path / "go").touch()
    assert jobs.wait(searched.job_id).status == jobs.wait(trained.job_id).status == "succeeded"
    assert lines(seen) == [trained.job_id, "1", "last"]


def test_runs_of_a_search_take_place_side_by_side(storage_dir: Path, tmp_path: Path) -> None:
    with opened(storage_dir, Limits(workers=2, niceness=0, grace_s=0.0)) as jobs:
        job = search(jobs, f"meet {tmp_path}", f"meet {tmp_path}", "finish")
        wait_until(lambda: (tmp_path / "0").exists() and (tmp_path / "1").exists())
        (tmp_path / "go").touch()
        assert jobs.wait(job.job_id).status == "succeeded"


def test_a_search_that_is_cancelled_ends_its_runs_and_leaves_nothing(storage_dir: Path, tmp_path: Path) -> None:
    with opened(storage_dir, Limits(workers=2, niceness=0, grace_s=0.0)) as jobs:
        job = search(jobs, f"meet {tmp_path}", f"meet {tmp_path}", "finish")
        wait_until(lambda: (tmp_path / "0").exists() and (tmp_path / "1").exists())
        assert jobs.cancel(job.job_id).status == "cancelled"
        wait_until(lambda: not (jobs._folder / job.job_id).exists())
        assert jobs.wait(order(jobs, "finish").job_id).status == "succeeded"
        assert jobs.get(job.job_id).status == "cancelled"
        with pytest.raises(errors.FailedPrecondition):
            jobs.cancel(job.job_id)


def test_a_search_goes_on_in_another_process_when_its_own_stops(storage_dir: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    with opened(storage_dir) as jobs:
        job = search(jobs, f"pass {seen}", f"meet {tmp_path}", f"pass {seen}")
        wait_until((tmp_path / "1").exists)
    (tmp_path / "go").touch()
    with opened(storage_dir) as jobs:
        assert jobs.get(job.job_id).status == "queued"
        jobs.serve()
        assert jobs.wait(job.job_id).status == "succeeded"
    assert lines(seen) == ["0", "last"]


def test_a_search_goes_on_from_what_was_told_when_its_process_is_killed(storage_dir: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    code = f"from tests import job_runs; job_runs.serve({str(storage_dir)!r}, '1')"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        server.stdin.write(f"pass {seen};meet {tmp_path};pass {seen}\n")
        server.stdin.flush()
        job_id = server.stdout.readline().strip()
        wait_until((tmp_path / "1").exists)
        server.send_signal(signal.SIGKILL)
        server.wait(PATIENCE_S)
    (tmp_path / "go").touch()
    with opened(storage_dir) as jobs:
        jobs.serve()
        assert jobs.wait(job_id).status == "succeeded"
    assert lines(seen) == ["0", "last"]


def test_a_search_whose_servers_die_of_it_is_given_up(storage_dir: Path, tmp_path: Path) -> None:
    with opened(storage_dir) as jobs:
        job = search(jobs, f"meet {tmp_path}", "finish")
        wait_until((tmp_path / "0").exists)
    with opened(storage_dir) as jobs:

        def die(*told: str) -> Job:
            (entry,) = jobs._lifecycle.alive()
            assert jobs._lifecycle.begin(entry, "gone") is not None
            for name in told:
                jobs._lifecycle.tell(job.job_id, {"name": name, "at_s": 0.0})
            return jobs.get(job.job_id)

        assert [die().status, die().status, die("0").status, die().status] == ["queued"] * 4
        ended = die()
        assert ended.status == "interrupted"
        assert ended.error is not None
        assert ended.error.detail == "the search was given up, because 3 servers in a row died during its runs"
        assert not (jobs._folder / job.job_id).exists()


def test_a_search_that_could_not_be_taken_up_when_it_was_begun_is_taken_up_later(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, failed = jobs._lifecycle.get, list[str]()

    def fail_once(job_id: str) -> JobRecord:
        if threading.current_thread().name == "jobs" and not failed:
            failed.append(job_id)
            raise errors.Unavailable("the disk is away")
        return get(job_id)

    monkeypatch.setattr(jobs._lifecycle, "get", fail_once)
    job = search(jobs, "finish", "finish")
    assert jobs.wait(job.job_id).status == "succeeded"
    assert failed == [job.job_id]


def test_a_search_that_waits_for_another_process_shows_how_far_it_is(storage_dir: Path, tmp_path: Path) -> None:
    with opened(storage_dir) as jobs:
        job = search(jobs, "finish", f"meet {tmp_path}", "finish")
        wait_until((tmp_path / "1").exists)
    with opened(storage_dir) as jobs:
        waiting = jobs.get(job.job_id)
        assert (waiting.status, waiting.progress.step) == ("queued", 1)
