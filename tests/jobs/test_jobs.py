"""Jobs in one process: their order, their limits, their cancelling, and every way in which a run can end."""

from __future__ import annotations

import logging
import os
import re
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelyard import errors
from modelyard.access.signing import mac
from modelyard.jobs import Jobs, Limits, NewJob
from modelyard.jobs.lifecycle import Lifecycle
from modelyard.jobs.local import LocalOwners, LocalRunner, launcher
from modelyard.jobs.local.forks import Assignment
from modelyard.jobs.local.locks import Slots
from modelyard.jobs.runner import UNEXPECTED, RunEnd
from modelyard.jobs.spool import Spool
from modelyard.ml_core.searching import steps
from modelyard.schemas import Job, JobQuery, TrainRequest, in_turn
from modelyard.storage import open_folder
from tests import doors, job_runs
from tests.job_runs import NO_GRACE, opened, order
from tests.processes import children, descendants, held_by, wait_until_gone
from tests.waiting import PATIENCE_S, wait_until


@pytest.fixture(scope="module", autouse=True)
def fork_server() -> Iterator[None]:
    """Keep one fork server for all tests of this module."""
    launcher.share(job_runs.TARGET, ()).prepare(0)
    yield
    launcher.release(job_runs.TARGET)


@pytest.fixture
def jobs(storage_dir: Path) -> Iterator[Jobs]:
    with opened(storage_dir) as made:
        yield made


def until_running(jobs: Jobs, job: Job) -> Job:
    """Wait until a run has said that it is at work."""
    return next(state for state in jobs.watch(job.job_id) if state.progress.step)


def run_pids() -> set[int]:
    """Return the processes of the runs."""
    return descendants(fork_server_pid())


def fork_server_pid() -> int:
    (server,) = children(os.getpid(), job_runs.TARGET)
    return server


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "jobs").iterdir() if path.suffix != ".lock")


def test_a_job_that_succeeds_has_its_model_and_leaves_nothing(jobs: Jobs, storage_dir: Path) -> None:
    job = order(jobs, "finish")
    assert (job.status, job.progress.fraction, job.started_at) == ("queued", 0.0, None)
    ended = jobs.wait(job.job_id)
    assert (ended.status, ended.error) == ("succeeded", None)
    assert (ended.progress.fraction, ended.progress.step, ended.progress.metric) == (1.0, 2, 0.25)
    assert [path.name for path in (storage_dir / "artifacts").iterdir()] == [ended.model_id]
    wait_until(lambda: leftovers(storage_dir) == [])


ENDINGS: dict[str, tuple[type[errors.ModelyardError], str]] = {
    "wrong": (errors.InvalidTable, "column 'age', row 3: too old"),
    "unexpected": (errors.Internal, "something went wrong inside"),
    "no-memory": (errors.ResourceExhausted, "more memory than there is"),
    "exit 3": (errors.Internal, "exit code 3"),
    "no-space": (errors.Unavailable, "cannot be read or written: No space left on device"),
    "full-disk": (errors.Unavailable, "could not write its files, nor why"),
    "exit 0": (errors.Internal, "without a result"),
    f"signal {signal.SIGSEGV:d}": (errors.Internal, "SIGSEGV"),
    f"signal {signal.SIGKILL:d}": (errors.Internal, "killed by the system .* memory ran out"),
}


@pytest.mark.parametrize("what", list(ENDINGS))
def test_a_run_that_ends_badly_fails_alone_and_says_why(jobs: Jobs, storage_dir: Path, what: str) -> None:
    kind, words = ENDINGS[what]
    failed = jobs.wait(order(jobs, what).job_id)
    assert (failed.status, failed.model_id) == ("failed", None)
    assert failed.error is not None
    with pytest.raises(kind, match=words) as caught:
        raise failed.error.exception()
    assert type(caught.value) is kind
    assert "secret" not in str(caught.value)
    assert caught.value.errors == (job_runs.WRONG.errors if what == "wrong" else ())
    assert jobs.wait(order(jobs, "finish").job_id).status == "succeeded"
    wait_until(lambda: leftovers(storage_dir) == [])


def test_runs_that_end_while_others_begin_leave_the_fork_server_alone(storage_dir: Path) -> None:
    with job_runs.opened(storage_dir, Limits(niceness=0, grace_s=0.0, workers=4)) as jobs:
        ordered = [order(jobs, "unexpected").job_id for _ in range(60)]
        ended = [jobs.wait(job_id).error for job_id in ordered]
    assert {error.detail for error in ended if error is not None} == {UNEXPECTED}


@pytest.mark.parametrize(("what", "words"), [("signal 11", "the last words"), ("unexpected", "builtins.LookupError")])
def test_the_log_has_what_a_failed_run_said(
    jobs: Jobs, caplog: pytest.LogCaptureFixture, what: str, words: str
) -> None:
    with caplog.at_level(logging.INFO, "modelyard.jobs"):
        jobs.wait(order(jobs, what).job_id)
    assert words in caplog.text


def test_the_log_has_the_frames_of_a_failed_run_and_quotes_no_cell(
    jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "modelyard.jobs"):
        jobs.wait(order(jobs, "unexpected").job_id)
    assert re.search(r'tests/job_runs.py", line \d+, in _unexpected', caplog.text)
    assert re.search(r"builtins.ValueError\nwhich led to:\n(.*\n)+builtins.LookupError", caplog.text)
    assert "secret" not in caplog.text


def test_the_log_quotes_no_cell_of_a_table_that_a_run_refused(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "modelyard.jobs"):
        job = jobs.wait(order(jobs, "wrong").job_id)
    assert job.error is not None
    assert job.error.detail not in caplog.text
    assert f"job {job.job_id} failed: INVALID_ARGUMENT" in caplog.text


def test_queued_jobs_have_their_place_trainings_before_searches(storage_dir: Path) -> None:
    with job_runs.opened(storage_dir, Limits(workers=1, niceness=0, grace_s=0.0)) as jobs:
        first = until_running(jobs, order(jobs, "wait"))
        search, second, third = (
            order(jobs, "finish\nfinish", kind="search"),
            order(jobs, "finish"),
            order(jobs, "finish"),
        )
        assert (search.queue_place, second.queue_place, third.queue_place) == (1, 1, 2)  # as each was ordered
        listed = jobs.page(JobQuery()).jobs
        assert [job.queue_place for job in listed] == [2, 1, 3, None]
        assert [job.job_id for job in in_turn(listed)] == [one.job_id for one in (first, second, third, search)]
        jobs.cancel(second.job_id)
        assert [jobs.get(job.job_id).queue_place for job in (third, search)] == [1, 2]


def test_progress_is_seen_while_the_run_goes_on(jobs: Jobs, tmp_path: Path) -> None:
    job = order(jobs, f"steps {tmp_path}")
    steps: list[int] = []
    for state in jobs.watch(job.job_id):
        if state.progress.step is not None and state.progress.step not in steps:
            steps.append(state.progress.step)
            assert state.progress.fraction == state.progress.step / 10
            assert state.progress.metric == 1 / state.progress.step
            (tmp_path / str(state.progress.step)).touch()
        if state.progress.step == 5 and not state.ended:
            jobs.cancel(job.job_id)
    assert steps == [1, 2, 3, 4, 5]
    assert jobs.get(job.job_id).progress.step == 5


def test_a_running_job_that_is_cancelled_is_killed_at_once(jobs: Jobs, storage_dir: Path) -> None:
    job = until_running(jobs, order(jobs, "child"))
    pids = run_pids()
    assert len(pids) == 2
    cancelled = jobs.cancel(job.job_id)
    assert cancelled.status == "cancelled"
    assert cancelled.ended_at is not None
    wait_until_gone(pids)
    wait_until(lambda: leftovers(storage_dir) == [])
    assert jobs.wait(job.job_id) == cancelled
    assert list((storage_dir / "artifacts").iterdir()) == []
    with pytest.raises(errors.FailedPrecondition, match="cancelled already"):
        jobs.cancel(job.job_id)


def test_a_queued_job_that_is_cancelled_never_runs(jobs: Jobs, storage_dir: Path, tmp_path: Path) -> None:
    running = until_running(jobs, order(jobs, "wait"))
    queued = order(jobs, f"pass {tmp_path / 'passed'}")
    assert jobs.cancel(queued.job_id).started_at is None
    jobs.cancel(running.job_id)
    jobs.wait(order(jobs, "finish").job_id)
    assert not (tmp_path / "passed").exists()
    wait_until(lambda: leftovers(storage_dir) == [])


def test_a_cancel_beats_a_run_that_has_just_finished(
    jobs: Jobs, storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancel between the run's end and the transaction that would store its model."""
    read = Spool.ending

    def cancel_first(spool: Spool, key: bytes) -> object:
        jobs.cancel(spool.path.name)
        return read(spool, key)

    monkeypatch.setattr(Spool, "ending", cancel_first)
    job = order(jobs, "finish")
    assert jobs.wait(job.job_id).status == "cancelled"
    wait_until(lambda: leftovers(storage_dir) == [])
    assert list((storage_dir / "artifacts").iterdir()) == []


def test_a_run_collects_its_own_garbage_alone(jobs: Jobs, tmp_path: Path) -> None:
    jobs.wait(order(jobs, f"collector {tmp_path / 'told'}").job_id)
    assert (tmp_path / "told").read_text() == "True True"


def test_a_run_over_its_time_ends_alone(storage_dir: Path) -> None:
    limits = replace(NO_GRACE, workers=2)
    with opened(storage_dir, limits) as others, opened(storage_dir, replace(limits, timeout_s=0.3)) as jobs:
        beside = until_running(others, order(others, "wait"))
        runs_beside = run_pids()
        ended = jobs.wait(order(jobs, "spin").job_id)
        assert ended.status == "failed"
        assert ended.error is not None
        with pytest.raises(errors.DeadlineExceeded, match=r"longer than 0.3 s.*MODELYARD_TRAIN_TIMEOUT_S"):
            raise ended.error.exception()
        wait_until(lambda: run_pids() == runs_beside)
        assert others.get(beside.job_id).status == "running"


def test_a_run_over_its_memory_ends_alone(storage_dir: Path) -> None:
    with opened(storage_dir, replace(NO_GRACE, memory_bytes=300 << 20, workers=2)) as jobs:
        large = order(jobs, "hog")
        assert jobs.wait(order(jobs, "finish").job_id).status == "succeeded"
        ended = jobs.wait(large.job_id)
        assert ended.status == "failed"
        assert ended.error is not None
        with pytest.raises(errors.ResourceExhausted, match=r"MODELYARD_TRAIN_MEMORY_MB allows, 300 MB"):
            raise ended.error.exception()
        wait_until(lambda: run_pids() == set())


def test_jobs_take_turns_in_the_order_in_which_they_came(jobs: Jobs, tmp_path: Path) -> None:
    passed = tmp_path / "passed"
    ordered = [order(jobs, f"pass {passed}").job_id for _ in range(5)]
    for job_id in ordered:
        jobs.wait(job_id)
    assert passed.read_text().split() == ordered


def test_as_many_run_at_a_time_as_there_are_slots(storage_dir: Path, tmp_path: Path) -> None:
    with opened(storage_dir, replace(NO_GRACE, workers=2)) as jobs:
        ordered = [order(jobs, f"meet {tmp_path}").job_id for _ in range(3)]
        wait_until(lambda: len(list(tmp_path.iterdir())) >= 3)  # two runs and the storage folder
        assert [jobs.get(job_id).status for job_id in ordered] == ["running", "running", "queued"]
        (tmp_path / "go").touch()
        assert [jobs.wait(job_id).status for job_id in ordered] == ["succeeded"] * 3


def test_a_full_queue_refuses_more(storage_dir: Path) -> None:
    with opened(storage_dir, replace(NO_GRACE, queue=1)) as jobs:
        running, queued = order(jobs, "wait"), order(jobs, "wait")
        with pytest.raises(errors.TooManyRequests, match="the queue is full: 1 trainings may wait"):
            order(jobs, "wait")
        jobs.cancel(queued.job_id)
        jobs.cancel(order(jobs, "wait").job_id)
        jobs.cancel(running.job_id)
        wait_until(lambda: leftovers(storage_dir) == [])


def test_a_key_stands_for_one_job_and_one_request(jobs: Jobs) -> None:
    first = order(jobs, "finish", key="k")
    assert order(jobs, "finish", key="k").job_id == first.job_id
    assert jobs.wait(first.job_id).status == "succeeded"
    assert order(jobs, "finish", key="k") == jobs.get(first.job_id)
    with pytest.raises(errors.IdempotencyConflict, match="'k' was used for another request"):
        order(jobs, "finish", key="k", sha256="b")
    assert len(jobs.page(JobQuery()).jobs) == 1


def test_of_many_requests_with_one_key_at_once_one_is_trained(jobs: Jobs) -> None:
    found: list[str] = []
    barrier = threading.Barrier(6)

    def ask() -> None:
        barrier.wait()
        found.append(order(jobs, "finish", key="k").job_id)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(jobs.page(JobQuery()).jobs) == 1


def test_jobs_are_listed_newest_first_by_pages_and_by_status(jobs: Jobs) -> None:
    ids = [jobs.wait(order(jobs, what).job_id).job_id for what in ("finish", "wrong", "finish")]
    first = jobs.page(JobQuery(limit=2))
    assert [job.job_id for job in first.jobs] == ids[:0:-1]
    last = jobs.page(JobQuery(limit=2, cursor=first.next_cursor))
    assert ([job.job_id for job in last.jobs], last.next_cursor) == (ids[:1], None)
    assert [job.job_id for job in jobs.page(JobQuery(status="failed")).jobs] == [ids[1]]
    with pytest.raises(errors.InvalidRequest, match="cursor"):
        jobs.page(JobQuery(cursor="nonsense"))


def test_a_fork_server_that_dies_takes_its_runs_along_and_is_replaced(jobs: Jobs, storage_dir: Path) -> None:
    job = until_running(jobs, order(jobs, "wait"))
    runs = run_pids()
    os.kill(fork_server_pid(), signal.SIGKILL)
    ended = jobs.wait(job.job_id)
    assert ended.error is not None
    assert (ended.status, ended.error.code) == ("interrupted", "UNAVAILABLE")
    assert "its fork server ended with -9; train again" in ended.error.detail
    wait_until_gone(runs)
    assert jobs.wait(order(jobs, "finish").job_id).status == "succeeded"


def in_flight(jobs: Jobs, what: str, caplog: pytest.LogCaptureFixture) -> tuple[str, int]:
    """Order a run which the fork server, that is stopped, does not start; return the job's id and the fork server."""
    jobs.wait(order(jobs, "finish").job_id)
    server = fork_server_pid()
    os.kill(server, signal.SIGSTOP)
    with caplog.at_level(logging.INFO, "modelyard.jobs"):
        job_id = order(jobs, what).job_id
        wait_until(lambda: f"job {job_id} begins" in caplog.text)
    return job_id, server


def test_a_run_that_its_fork_server_had_not_started_is_started_by_the_next(
    jobs: Jobs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job_id, server = in_flight(jobs, f"pass {tmp_path / 'passed'}", caplog)
    os.kill(server, signal.SIGKILL)
    assert jobs.wait(job_id).status == "succeeded"
    assert (tmp_path / "passed").read_text().split() == [job_id]


def test_a_run_that_was_cancelled_before_its_fork_server_died_is_not_started(
    jobs: Jobs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job_id, server = in_flight(jobs, f"pass {tmp_path / 'passed'}", caplog)
    jobs.cancel(job_id)
    wait_until(lambda: jobs._dispatcher._runs._runs[job_id].killed is not None)
    os.kill(server, signal.SIGKILL)
    assert jobs.wait(order(jobs, "finish").job_id).status == "succeeded"  # in the only slot
    assert not (tmp_path / "passed").exists()


@pytest.mark.parametrize(("preload", "words"), [("die()", "ended with -9"), ("no_such_thing", "ended with 1")])
def test_a_fork_server_that_cannot_live_fails_the_job(storage_dir: Path, preload: str, words: str) -> None:
    with closing(open_folder(storage_dir)) as storage:
        preload = f"{job_runs.__name__}:{preload}"
        runner = LocalRunner(storage.runs, NO_GRACE, target=f"{job_runs.__name__}:serve", preload=[preload])
        with closing(Jobs(storage, runner, LocalOwners(storage.runs), NO_GRACE)) as jobs:
            failed = jobs.wait(order(jobs, "finish").job_id)
    assert failed.error is not None
    assert (failed.status, failed.error.code) == ("failed", "INTERNAL")
    assert failed.error.detail == f"the training could not be run: the fork server {words}"


def test_a_launcher_that_is_closed_starts_no_fork_server_for_a_run_that_comes_late(storage_dir: Path) -> None:
    told: list[RunEnd] = []
    late = launcher.Launcher(job_runs.TARGET, (), None)
    late.close()
    late.start(Assignment("late", str(storage_dir), "", 0, 0.0, 0), os.open(os.devnull, os.O_RDONLY), told.append)
    (end,) = told
    assert "has been closed" in str(end.error)
    assert fork_server_pid()  # the only one


def test_no_run_begins_before_the_end_of_the_one_before_is_told(tmp_path: Path) -> None:
    spool, may_tell, is_asked = tmp_path / "run", threading.Event(), threading.Event()
    spool.mkdir()
    (spool / "order").write_text("finish")
    runner = LocalRunner(tmp_path, NO_GRACE, target=job_runs.TARGET, preload=())
    place = runner.reserve()
    assert place is not None

    def ended(_: RunEnd) -> None:
        is_asked.set()
        may_tell.wait(PATIENCE_S)

    place.start("one", spool, b"key", ended)
    assert is_asked.wait(PATIENCE_S)
    wait_until(lambda: is_free(tmp_path))
    assert runner.reserve() is None
    may_tell.set()
    wait_until(lambda: runner.reserve() is not None)
    runner.close()


def is_free(folder: Path) -> bool:
    """Whether the only slot of a folder is held by nobody."""
    slot = Slots(folder, 1).take()
    if slot is not None:
        os.close(slot)
    return slot is not None


def test_closing_a_runner_twice_takes_the_fork_server_from_nobody_else(storage_dir: Path) -> None:
    server = fork_server_pid()
    runner = LocalRunner(storage_dir, NO_GRACE, target=job_runs.TARGET, preload=())
    for _ in range(3):
        runner.close()
    assert fork_server_pid() == server


def test_a_run_is_nicer_than_its_server_and_first_to_go_when_memory_runs_out(storage_dir: Path) -> None:
    with opened(storage_dir, replace(NO_GRACE, niceness=12)) as jobs:
        until_running(jobs, order(jobs, "wait"))
        (run,) = run_pids()
        assert os.getpriority(os.PRIO_PROCESS, run) == 12
        assert Path(f"/proc/{run}/oom_score_adj").read_text().strip() == "1000"
        assert os.getpgid(run) == run
        assert os.getsid(run) == os.getsid(0)  # or its niceness would count for nothing


def test_a_run_holds_nothing_of_its_server_but_its_slot(jobs: Jobs, storage_dir: Path) -> None:
    until_running(jobs, order(jobs, "wait"))
    (run,) = run_pids()
    held = held_by(run)
    files = {Path(name).name for name in held if name.startswith("/") and not name.startswith("/dev")}
    assert files == {"slot-0.lock", "log.txt"}
    (way_back,) = {name for name in held if name.startswith("socket")}
    assert way_back not in held_by(os.getpid()) | held_by(fork_server_pid())


def test_a_yard_that_closes_gives_its_runs_their_grace(storage_dir: Path, tmp_path: Path) -> None:
    with opened(storage_dir, replace(NO_GRACE, grace_s=PATIENCE_S)) as jobs:
        job = order(jobs, f"meet {tmp_path}")
        queued = order(jobs, "finish")
        wait_until((tmp_path / job.job_id).exists)
        jobs.drain()
        with pytest.raises(errors.Unavailable, match="shutting down"):
            order(jobs, "finish")
        with pytest.raises(errors.Unavailable, match="stays in the queue"):
            jobs.wait(queued.job_id)
        (tmp_path / "go").touch()
    with opened(storage_dir) as jobs:
        assert [jobs.get(found).status for found in (job.job_id, queued.job_id)] == ["succeeded", "queued"]


def test_a_run_that_outlasts_its_grace_is_interrupted(storage_dir: Path) -> None:
    with opened(storage_dir, replace(NO_GRACE, grace_s=0.1)) as jobs:
        job = until_running(jobs, order(jobs, "wait"))
    with opened(storage_dir) as jobs:
        ended = jobs.get(job.job_id)
        assert ended.status == "interrupted"
        assert ended.error is not None
        assert isinstance(ended.error.exception(), errors.Unavailable)
        assert ended.progress.step == 1
    assert leftovers(storage_dir) == []
    wait_until(lambda: run_pids() == set())


def test_what_was_left_queued_is_taken_up_by_the_next_server(storage_dir: Path, tmp_path: Path) -> None:
    with opened(storage_dir) as jobs:
        running = until_running(jobs, order(jobs, "wait"))
        left = [order(jobs, f"pass {tmp_path / 'passed'}").job_id for _ in range(2)]
    with opened(storage_dir) as jobs:
        assert jobs.wait(order(jobs, "finish").job_id).status == "succeeded"
        assert [jobs.get(job_id).status for job_id in left] == ["queued", "queued"]
        jobs.serve()
        assert [jobs.wait(job_id).status for job_id in left] == ["succeeded", "succeeded"]
        assert jobs.get(running.job_id).status == "interrupted"
    assert (tmp_path / "passed").read_text().split() == left


def test_after_an_interruption_the_same_key_trains_again(storage_dir: Path) -> None:
    with opened(storage_dir) as jobs:
        first = until_running(jobs, order(jobs, "wait", key="k"))
    with opened(storage_dir) as jobs:
        again = order(jobs, "finish", key="k")
        assert again.job_id != first.job_id
        assert jobs.wait(again.job_id).status == "succeeded"
        assert order(jobs, "finish", key="k").job_id == again.job_id


def test_a_run_that_failed_by_its_request_is_not_run_again_by_its_key(jobs: Jobs) -> None:
    failed = jobs.wait(order(jobs, "wrong", key="k").job_id)
    assert order(jobs, "wrong", key="k") == failed


def test_a_cancelled_run_is_not_run_again_by_its_key(jobs: Jobs) -> None:
    cancelled = jobs.cancel(order(jobs, "wait", key="k").job_id)
    assert order(jobs, "wait", key="k") == cancelled


@pytest.mark.parametrize("cause", ["no-space", "full-disk", "signal 9", "exit 3", "unexpected"])
def test_a_run_that_failed_by_what_may_have_passed_is_run_again_by_its_key(jobs: Jobs, cause: str) -> None:
    failed = jobs.wait(order(jobs, cause, key="k").job_id)
    assert failed.status == "failed"
    again = order(jobs, "finish", key="k")
    assert again.job_id != failed.job_id
    assert jobs.wait(again.job_id).status == "succeeded"
    assert order(jobs, "finish", key="k").job_id == again.job_id


def test_a_server_removes_what_was_left_of_runs_long_ago(storage_dir: Path) -> None:
    old, new = (storage_dir / "jobs" / name for name in ("old", "new"))
    for path in (old, new):
        path.mkdir(parents=True)
    os.utime(old, (0, 0))
    (storage_dir / "jobs" / "owner-gone.lock").touch()
    with opened(storage_dir) as jobs:
        jobs.serve()
        assert leftovers(storage_dir) == ["new"]
        assert not (storage_dir / "jobs" / "owner-gone.lock").exists()


def test_a_run_whose_result_nobody_can_read_fails(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Spool.ending

    def tear(spool: Spool, key: bytes) -> object:
        spool._write_ending(b'{"finished": {}}', key)
        return read(spool, key)

    monkeypatch.setattr(Spool, "ending", tear)
    failed = jobs.wait(order(jobs, "finish").job_id)
    assert failed.error is not None
    assert (failed.status, failed.error.code) == ("failed", "INTERNAL")


@pytest.mark.parametrize("key", [b"", secrets.token_bytes(32)], ids=["none", "another"])
def test_an_ending_under_another_key_than_the_runs_is_not_believed(
    key: bytes, jobs: Jobs, storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Spool.ending

    def forge(spool: Spool, runs_key: bytes) -> object:
        """Put the very words of the run there, as somebody does who cannot know the run's key."""
        path = spool.path / "ending.json"
        path.write_bytes(mac(key, said := path.read_bytes().partition(b"\n")[2]).encode() + b"\n" + said)
        return read(spool, runs_key)

    monkeypatch.setattr(Spool, "ending", forge)
    failed = jobs.wait(order(jobs, "finish").job_id)
    assert failed.error is not None
    assert (failed.status, failed.error.code) == ("failed", "INTERNAL")
    assert "HMAC" in failed.error.detail
    assert list((storage_dir / "artifacts").iterdir()) == []


def test_each_run_gets_a_key_of_its_own_which_stands_nowhere(
    jobs: Jobs, storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[bytes] = []
    places: list[bytes] = []
    read = Spool.ending

    def look(spool: Spool, key: bytes) -> object:
        keys.append(key)
        server = Path(f"/proc/{fork_server_pid()}")  # the runs have its arguments and its environment
        files = [path for path in storage_dir.rglob("*") if path.is_file()]
        places.extend(path.read_bytes() for path in (server / "cmdline", server / "environ", *files))
        return read(spool, key)

    monkeypatch.setattr(Spool, "ending", look)
    for _ in range(2):
        assert jobs.wait(order(jobs, "finish").job_id).status == "succeeded"
    assert len({*keys}) == 2
    assert {len(key) for key in keys} == {32}
    assert not any(form in place for place in places for key in keys for form in (key, key.hex().encode()))


def test_what_a_run_says_is_not_written_through_a_link(jobs: Jobs, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"

    def write(folder: Path) -> None:
        (folder / "order").write_text("finish")
        (folder / "log.txt").symlink_to(elsewhere)

    job = jobs.order(NewJob(model_class_key="logistic_regression"), write)
    assert jobs.wait(job.job_id).status == "failed"
    assert not elsewhere.exists()


def test_a_disk_that_cannot_be_written_for_a_while_loses_no_end(
    jobs: Jobs, storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.jobs.dispatcher._RETRY_INTERVAL_S", 0.05)
    job = until_running(jobs, order(jobs, "wait"))
    tries: list[str] = []
    end = Lifecycle.end

    def refuse_first(lifecycle: Lifecycle, *arguments: Any, **options: Any) -> object:
        tries.append(arguments[0])
        if len(tries) < 3:
            raise errors.Unavailable("no space left on the device")
        return end(lifecycle, *arguments, **options)

    monkeypatch.setattr(Lifecycle, "end", refuse_first)
    (run,) = run_pids()
    os.kill(run, signal.SIGKILL)
    assert jobs.wait(job.job_id).status == "failed"
    assert tries == [job.job_id] * 3


def test_the_fork_server_of_trainings_has_no_threads_of_polars(storage_dir: Path) -> None:
    """A fork has none of its parent's threads: had polars begun to compute, runs would wait for them for ever."""
    with doors.core(storage_dir) as yard:
        yard.train(TrainRequest(model_class_key="logistic_regression", X={"a": [1, 2] * 10}, y=["n", "y"] * 10))
        (server,) = children(os.getpid(), steps.TARGET)
        threads = {path.read_text().strip() for path in Path(f"/proc/{server}/task").glob("*/comm")}
        assert not any(re.fullmatch(r"polars-\d+", name) for name in threads), threads
