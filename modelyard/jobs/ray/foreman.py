"""A foreman: one place for runs on a node of the cluster. It outlives the processes that order runs.

It is an actor in a process of Ray's, but knows nothing of Ray. A run is a process of its own fork server, so limits,
priority and log are those of every run. It holds the key of each run's ending, for its owner and whoever takes the
owner's place; nobody else on the cluster does. It ends a run that nobody looks at any more.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import FailedPrecondition, Internal, ModelyardError
from modelyard.jobs.local import launcher
from modelyard.jobs.local.forks import Assignment
from modelyard.jobs.ray.files import made_in
from modelyard.jobs.ray.orders import ALONE_S, LOOK_S, Answer, Ended, Kind, Look, Order, kind_of
from modelyard.jobs.runner import UNEXPECTED, RunEnd
from modelyard.jobs.spool import Spool
from modelyard.schemas import JobError
from modelyard.storage.files import make_folder, unavailable

if TYPE_CHECKING:
    from modelyard.storage.artifacts.depot import Depot

log = logging.getLogger("modelyard.jobs")

_REMEMBERED_S = 600.0
"""An end is remembered for so long, with what the run has made, for whoever takes the owner's place."""

_HELD_S = 60.0
"""A place is kept for so long: what a run is given may have to be fetched before it starts."""
_LOOK_AROUND_S = 0.2
_FOLDER = "modelyard-foreman-"


@dataclass(slots=True)
class _Run:
    """A run of this foreman. `given` are the files that it found in its folder."""

    holder: str
    order: Order
    folder: Path
    depot: Depot | None
    given: frozenset[str] = frozenset()
    looked_at: float = field(default_factory=time.monotonic)
    news: int = 0
    progress: str = ""
    is_killed: bool = False
    ended: Ended | None = None

    @property
    def job_id(self) -> str:
        return self.order["run_id"].partition("/")[0]


class Foreman:
    """The actor. Its methods are called in several threads."""

    def __init__(self, target: str, preload: Sequence[str], rehearsal: str | None) -> None:
        self._kind = kind_of(target, preload, rehearsal)
        self._launcher = launcher.share(target, preload, rehearsal)
        self._launcher.prepare(0)
        self._folder = _own_folder()
        self._news = threading.Condition()
        self._runs: dict[str, _Run] = {}
        self._busy = False
        self._holder, self._held_until = "", 0.0
        self._kept_at = time.monotonic()
        self._closed = threading.Event()
        threading.Thread(target=self._look_around, name="foreman", daemon=True).start()

    def kind(self) -> Kind:
        """Return what it is for."""
        return self._kind

    def keep(self) -> None:
        """Stay for a while, though idle."""
        self._kept_at = time.monotonic()

    def reserve(self, holder: str, kind: Kind) -> Answer:
        """Keep the place for a caller for a moment."""
        with self._news:
            if self._busy or time.monotonic() < self._held_until:
                return "busy"
            if kind != self._kind:
                return "other"
            self._holder, self._held_until = holder, time.monotonic() + _HELD_S
            return "yours"

    def free(self, holder: str) -> None:
        """Give up the place that was kept for a caller."""
        with self._news:
            if self._holder == holder:
                self._held_until = 0.0

    def start(self, holder: str, order: Order) -> bool:
        """Start a run in the place that was kept for a caller. Returns False if it is another one's by now."""
        run_id = order["run_id"]
        depot = None if order["depot_url"] is None else _depot(order["depot_url"], order["depot_endpoint"])
        folder = Path(order["folder"]) if depot is None else self._folder / run_id.replace("/", "/runs/")
        run = _Run(holder, order, folder, depot)
        with self._news:
            if self._busy or self._holder != holder:
                return False
            self._busy, self._held_until = True, 0.0
            self._runs[run_id] = run
        threading.Thread(target=self._begin, args=(run,), name="begin", daemon=True).start()
        return True

    def keys(self) -> dict[str, str]:
        """Return the ids of the runs that it knows, ended or not, and the keys of their endings."""
        with self._news:
            return {run_id: run.order["key"] for run_id, run in self._runs.items()}

    def look(self, run_id: str, news: int) -> Look | None:
        """Return how a run is, as soon as its news are others than these, or after a second; None if it is unknown."""
        with self._news:
            run = self._runs.get(run_id)
            if run is None:
                return None
            run.looked_at = self._kept_at = time.monotonic()
            self._news.wait_for(lambda: run.news != news, LOOK_S)
            return Look(news=run.news, progress=run.progress, ended=run.ended)

    def made(self, run_id: str) -> Mapping[str, bytes]:
        """Return the files that a run has left, by their paths; none if nodes share its folder. Raises OSError."""
        run = self._runs[run_id]
        return {} if run.depot is None or run.is_killed else made_in(run.folder)

    def kill(self, run_id: str) -> None:
        """Kill a run. Its end is told to those who look."""
        with self._news:
            run = self._runs.get(run_id)
            if run is None or run.ended is not None:
                return
            run.is_killed = True
        self._launcher.kill(run_id)

    def sweep(self, holder: str, job_id: str) -> None:
        """Kill the runs of a search that were started by others than this holder."""
        for run_id, run in list(self._runs.items()):
            if run.job_id == job_id and run.holder != holder:
                self.kill(run_id)

    def close(self) -> None:
        """End its fork server, and remove its folder."""
        self._closed.set()
        launcher.release(self._kind["target"])
        shutil.rmtree(self._folder, ignore_errors=True)

    # A run, in threads of its own.

    def _begin(self, run: _Run) -> None:
        try:
            self._lay_out(run)
            self._launch(run)
        except Exception as error:  # noqa: BLE001 - else the run would have no end, and its place no other run
            if run.depot is not None:
                shutil.rmtree(run.folder, ignore_errors=True)
            self._end(run, RunEnd(_told(error, run)))
        finally:
            run.order["files"] = {}  # a run is remembered for long

    def _launch(self, run: _Run) -> None:
        order = run.order
        slot = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        assignment = Assignment(
            order["run_id"],
            str(run.folder),
            order["key"],
            order["niceness"],
            order["timeout_s"],
            order["memory_bytes"],
        )
        self._launcher.start(assignment, slot, lambda seen: self._hear_end(run, seen))
        if run.is_killed:  # before there was anything to kill
            self._launcher.kill(order["run_id"])

    def _lay_out(self, run: _Run) -> None:
        """Bring what the run was given into its folder. Raises Unavailable, FailedPrecondition."""
        if run.depot is None:
            if not run.folder.is_dir():
                raise FailedPrecondition(
                    f"the training's folder is not on {platform.node()}: without MODELYARD_ARTIFACTS_URL all nodes of "
                    "the cluster have to share MODELYARD_STORAGE_DIR"
                )
            return
        job = self._folder / run.job_id
        with self._news:
            known = {one.job_id for one in self._runs.values()}
        with unavailable(f"write {run.folder}"):
            for other in self._folder.iterdir():
                if other.name not in known:
                    shutil.rmtree(other)
            if run.folder.exists():  # a run of before was lost
                shutil.rmtree(run.folder)
            if run.folder != job or not run.order["files"]:
                run.depot.fetch(run.job_id, job)
            make_folder(run.folder)
            for name, content in run.order["files"].items():
                (run.folder / name).write_bytes(content)
            run.given = frozenset(str(path.relative_to(run.folder)) for path in run.folder.rglob("*"))

    def _hear_end(self, run: _Run, seen: RunEnd) -> None:
        """Leave a thread of the launcher's, which others wait for."""
        threading.Thread(target=self._end, args=(run, seen), name="end", daemon=True).start()

    def _end(self, run: _Run, seen: RunEnd) -> None:
        if run.depot is not None:
            for path in run.given:
                with suppress(OSError):
                    (run.folder / path).unlink()
        why = seen.error if isinstance(seen.error, JobError) else JobError.of(seen.error)
        with self._news:
            run.ended = Ended(
                error=why.model_dump(mode="json"),
                status="interrupted" if seen.status == "interrupted" else "failed",
            )
            run.news += 1
            self._busy, self._kept_at = False, time.monotonic()
            self._news.notify_all()

    # Whatever happens by itself.

    def _look_around(self) -> None:
        """See how far runs are, end those that nobody looks at, and at last this process."""
        while not self._closed.wait(_LOOK_AROUND_S):
            now = time.monotonic()
            with self._news:
                runs = dict(self._runs)
                for run_id, run in runs.items():
                    if run.ended is not None and now - run.looked_at > _REMEMBERED_S:
                        del self._runs[run_id]
                        if run.depot is not None:
                            shutil.rmtree(run.folder, ignore_errors=True)
            for run_id, run in runs.items():
                if run.ended is not None:
                    continue
                if now - run.looked_at > ALONE_S:
                    self.kill(run_id)
                else:
                    self._note_progress(run)
            if not self._busy and now - self._kept_at > ALONE_S:
                self._leave()

    def _note_progress(self, run: _Run) -> None:
        said = Spool(run.folder).progress().model_dump_json()
        if said != run.progress:
            with self._news:
                run.progress = said
                run.news += 1
                self._news.notify_all()

    def _leave(self) -> None:
        """End this process, unless a run has come in this moment."""
        with self._news:
            if not self._busy and time.monotonic() >= self._held_until:
                self.close()
                os._exit(0)


@cache
def _depot(url: str, endpoint: str | None) -> Depot:
    """Return where files of runs are; its connections are kept for the next run."""
    from modelyard.storage.artifacts.bucket import Bucket  # the library is an extra
    from modelyard.storage.artifacts.depot import Depot

    return Depot(Bucket(url, endpoint))


def _told(error: Exception, run: _Run) -> ModelyardError:
    """Return what is told of an error: of one that nobody foresaw, where to look."""
    if isinstance(error, ModelyardError):
        return error
    log.error("run %s cannot take place", run.order["run_id"], exc_info=error)
    return Internal(UNEXPECTED)


def _own_folder() -> Path:
    """Make a folder for this process, and remove those of processes that are gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        pid = path.name.removeprefix(_FOLDER).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(path, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-"))
