"""What runs do in the tests of jobs: the run's order is a word, and each word is another way to end, or not to."""

from __future__ import annotations

import errno
import gc
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelyard.errors import FieldError, InvalidTable
from modelyard.jobs import Finished, Jobs, Limits, NewJob, ProgressReporter, Step, StepTold
from modelyard.jobs.local import LocalOwners, LocalRunner, fork_server, forks
from modelyard.jobs.runner import Owners
from modelyard.schemas import Job, JobError, JobKind, JobProgress
from modelyard.storage import Storage, open_folder, write_model_files
from tests.storage_drafts import new_model
from tests.waiting import PATIENCE_S

TARGET = f"{__name__}:run"
REHEARSAL = f"{__name__}:rehearse"
STEPS, LAST = "runs", "last"
REHEARSED_FILE = 99
WRONG = InvalidTable.of([FieldError(("X", 3, "age"), "column 'age', row 3: too old", 1e3)])


def run(folder: Path, report: ProgressReporter) -> Finished | StepTold:
    """Do what the order says; without another end, make a model, or before the last step of a search tell something."""
    what, *arguments = (folder / "order").read_text().split()
    ACTIONS[what](folder, report, *arguments)
    if folder.parent.name == STEPS and folder.name != LAST:
        return StepTold({"name": folder.name})
    model = new_model()
    files = write_model_files(folder / "result", model.estimator, model.report, model.contract)
    return Finished(model.name, model.description, files)


def rehearse() -> None:
    """Leave a sign in the process itself."""
    os.dup2(1, REHEARSED_FILE)


def rehearse_badly() -> None:
    """Be a rehearsal that goes wrong."""
    raise LookupError("stage fright")


def rehearse_to_die_reading() -> None:
    """Let this process die between reading its order and saying that it has taken it."""
    rehearse()
    read = socket.recv_fds

    def read_and_die(*arguments: Any) -> None:
        read(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    socket.recv_fds = read_and_die  # type: ignore[assignment]


def die() -> None:
    """Kill the fork server that this is called in."""
    os.kill(os.getpid(), signal.SIGKILL)


def leave_a_spare_at_once() -> None:
    """Make a spare as soon as a run has ended, in the fork server that this is called in."""
    fork_server.SPARE_AFTER_S = 0.0


def be_impatient() -> None:
    """Let go of a spare soon, in the fork server that this is called in."""
    fork_server.MOST_IDLE_S = 0.3


def _at(step: int, total: int, metric: float | None) -> JobProgress:
    return JobProgress(fraction=step / total, step=step, total=total, metric=metric)


def be_impatient_with_searches() -> None:
    """Let go of a search's process soon, in the fork server that this is called in."""
    forks.MOST_BETWEEN_S = 0.3


def be_patient_with_searches() -> None:
    """Keep a search's process for as long as tests wait, in the fork server that this is called in."""
    forks.MOST_BETWEEN_S = PATIENCE_S


def _finish(_: Path, report: ProgressReporter) -> None:
    report(_at(2, 2, 0.25))


def _pass(folder: Path, _: ProgressReporter, path: str) -> None:
    """Leave a line in a file."""
    with Path(path).open("a") as file:
        file.write(folder.name + "\n")


def _tell_collector(_: Path, __: ProgressReporter, path: str) -> None:
    """Leave in a file whether garbage is collected, and whether what was made before is left out."""
    Path(path).write_text(f"{gc.isenabled()} {gc.get_freeze_count() > 0}")


def _pass_and_die(folder: Path, report: ProgressReporter, path: str) -> None:
    """Leave a line in a file as the last thing to do."""
    _pass(folder, report, path)
    os.kill(os.getpid(), signal.SIGKILL)


def _pid(folder: Path, _: ProgressReporter, path: str) -> None:
    """Say in which process it runs."""
    (Path(path) / folder.name).write_text(str(os.getpid()))


def _meet(folder: Path, _: ProgressReporter, path: str) -> None:
    """Say in which process it runs, and go on when it is told to."""
    (Path(path) / folder.name).write_text(str(os.getpid()))
    while not (Path(path) / "go").exists():
        time.sleep(0.01)


def _wait(_: Path, report: ProgressReporter) -> None:
    report(_at(1, 10, 0.5))
    signal.pause()


def _spin(_: Path, report: ProgressReporter) -> None:
    report(_at(1, 10, 0.5))
    while True:
        pass


def _child(_: Path, report: ProgressReporter) -> None:
    """Start a process of its own."""
    subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    report(_at(1, 10, None))
    signal.pause()


def _steps(_: Path, report: ProgressReporter, path: str) -> None:
    """Report each step until a file of its number says that it was seen."""
    for step in range(1, 6):
        while not (Path(path) / str(step)).exists():
            report(_at(step, 10, 1 / step))
            time.sleep(0.01)
    signal.pause()


def _hog(_: Path, report: ProgressReporter) -> None:
    hoard = [os.urandom(1 << 20) for _ in range(600)]
    report(_at(1, len(hoard), None))
    signal.pause()


def _hoard(folder: Path, report: ProgressReporter, path: str = "") -> None:
    """Leave something in the memory of the process. With a path, wait at the first try to be killed for it."""
    if path:
        _pass(folder, report, path)
    _HOARD.append(b"x" * (200 << 20))
    if path and len(Path(path).read_text().splitlines()) == 1:
        signal.pause()


def _die_by_signal(_: Path, __: ProgressReporter, number: str) -> None:
    sys.stderr.write("the last words\n")
    os.kill(os.getpid(), int(number))


def _exit(_: Path, __: ProgressReporter, code: str) -> None:
    os._exit(int(code))


def _wrong(_: Path, __: ProgressReporter) -> None:
    raise WRONG


def _unexpected(_: Path, __: ProgressReporter) -> None:
    cell = "secret"
    try:
        float(cell)
    except ValueError as error:
        raise LookupError(cell) from error


def _no_memory(_: Path, __: ProgressReporter) -> None:
    raise MemoryError


def _no_space(_: Path, __: ProgressReporter) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _full_disk(folder: Path, _: ProgressReporter) -> None:
    """Let this process write nothing more: neither what it makes nor why it makes nothing."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    (folder / "more").write_bytes(b"more")


_HOARD: list[bytes] = []

NO_GRACE = Limits(niceness=0, grace_s=0.0)

ACTIONS: dict[str, Callable[..., None]] = {
    "finish": _finish,
    "pass": _pass,
    "collector": _tell_collector,
    "pass-and-die": _pass_and_die,
    "pid": _pid,
    "meet": _meet,
    "wait": _wait,
    "spin": _spin,
    "child": _child,
    "steps": _steps,
    "hog": _hog,
    "hoard": _hoard,
    "signal": _die_by_signal,
    "exit": _exit,
    "wrong": _wrong,
    "unexpected": _unexpected,
    "no-memory": _no_memory,
    "no-space": _no_space,
    "full-disk": _full_disk,
}


class Planned:
    """Plans a search by its order: an order of a run a line, all but the last of which may run side by side."""

    def next_step(
        self, folder: Path, told: Sequence[Mapping[str, Any]], running: Collection[str], spent_s: float
    ) -> Step | JobError | None:
        *before, last = (folder / "order").read_text().splitlines()
        begun = {one["name"] for one in told} | set(running)
        for number, what in enumerate(before):
            if str(number) not in begun:
                return _step(folder, str(number), what)
        if last == "unplanned":
            raise LookupError("no plan")
        return None if running else _step(folder, LAST, last)

    def failed(self, step: Step, error: JobError) -> Mapping[str, Any]:
        return {**step.facts, "error": error.type}

    def progress(self, folder: Path, told: Sequence[Mapping[str, Any]], running: Collection[str] = ()) -> JobProgress:
        return JobProgress(step=len(told), total=9)


def _step(folder: Path, name: str, what: str) -> Step:
    step = Step(name, folder / STEPS / name, {"name": name}, is_last=name == LAST)
    step.folder.mkdir(parents=True, exist_ok=True)
    _write(step.folder / "order", what)
    return step


def jobs_of(
    storage: Storage,
    limits: Limits,
    preload: Sequence[str] = (),
    rehearsal: str | None = None,
    owners: Owners | None = None,
) -> Jobs:
    """Return the jobs of a folder, or of other `owners`, whose runs are this module's."""
    runner = LocalRunner(storage.runs, limits, target=TARGET, preload=preload, rehearsal=rehearsal)
    return Jobs(storage, runner, owners or LocalOwners(storage.runs), limits, planner=Planned())


@contextmanager
def opened(root: Path, limits: Limits = NO_GRACE, rehearsal: str | None = None) -> Iterator[Jobs]:
    """Open the jobs of a folder, as a server of their own would."""
    storage = open_folder(root)
    jobs = jobs_of(storage, limits, rehearsal=rehearsal)
    try:
        yield jobs
    finally:
        jobs.close()
        storage.close()


def order(jobs: Jobs, what: str, key: str | None = None, sha256: str = "a", kind: JobKind = "train") -> Job:
    """Order a run, or a search of several."""
    new = NewJob("logistic_regression", kind, idempotency_key=key, request_sha256=key and sha256)
    return jobs.order(new, lambda folder: _write(folder / "order", what))


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def serve(root: str, workers: str, preload: str = "", rehearsal: str = "") -> None:
    """Be a server in a process of its own: order what standard input says, a line each, and answer with job ids."""
    limits = Limits(workers=int(workers), niceness=0, grace_s=0.0)
    jobs = jobs_of(open_folder(Path(root)), limits, preload.split(), rehearsal or None)
    jobs.serve()
    _say("ready")
    for line in sys.stdin:
        what, _, key = line.strip().partition("|")
        steps = what.split(";")  # more than one are a search
        _say(order(jobs, "\n".join(steps), key or None, kind="train" if len(steps) == 1 else "search").job_id)
    jobs.close()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
