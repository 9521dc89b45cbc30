"""`jobs list`, `show`, `watch` and `cancel`; and how `train` follows its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, Cursor, Storage, Url, leads_to_server, open_yard

if TYPE_CHECKING:
    from rich.table import Table

    from modelyard.schemas import Job, ModelMetadata
    from modelyard.verbs import Verbs

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id; see jobs list.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    jobs = typer.Typer(no_args_is_help=True)
    jobs.command("list")(list_jobs)
    for command in (show, watch, cancel):
        jobs.command()(command)
    app.add_typer(jobs, name="jobs", help="Trainings under way and past: list, show, watch, cancel.")


def list_jobs(
    *,
    status: Annotated[
        str | None,
        typer.Option(
            "--status", metavar="queued|running|succeeded|failed|cancelled|interrupted", help="Of this status."
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many (1 to 1000).")] = 50,
    cursor: Cursor = None,
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """List jobs: of a page, those that run first, then the queue in its order, then what has ended, newest first."""
    from modelyard.schemas import JobQuery, in_turn, parse

    query = parse(JobQuery, {"status": status, "limit": limit, "cursor": cursor})
    with open_yard(url, storage) as yard:
        page = yard.list_jobs(query)
    if json:
        screen.show_json(page.model_dump_json().encode())
        return
    if not page.jobs:
        screen.show("No jobs.")
        return
    titles = ("job", "status", "progress", "model class", "name", "target", "table", "ordered")
    made = screen.table(*titles, whole=["job", "status"])
    for job in in_turn(page.jobs):
        what = (job.model_class_key, job.name or "", job.target or "", job.source or "")
        screen.add_row(made, job.job_id, job.status, _spoken_progress(job), *what, screen.age(job.created_at))
    screen.show(made)
    if page.next_cursor is not None:
        screen.show(f"There are more: --cursor {page.next_cursor}")


def show(job_id: JobId, *, url: Url = None, storage: Storage = None, json: AsJson = False) -> None:
    """Show a job."""
    with open_yard(url, storage) as yard:
        _show(yard.get_job(job_id), as_json=json)


def watch(job_id: JobId, *, url: Url = None, storage: Storage = None, json: AsJson = False) -> None:
    """Follow a job to its end; Ctrl-C ends the watching, not the job."""
    with open_yard(url, storage) as yard:
        _show(follow(yard, yard.get_job(job_id), f"Job {job_id}", as_json=json), as_json=json)


def cancel(job_id: JobId, *, url: Url = None, storage: Storage = None, json: AsJson = False) -> None:
    """Cancel a job that has not ended, whichever process runs it."""
    with open_yard(url, storage) as yard:
        _show(yard.cancel_job(job_id), as_json=json)


def train(yard: Verbs, job: Job, doing: str, *, url: str | None, storage: str | None, as_json: bool) -> ModelMetadata:
    """Return the model that a job makes, or raise why there is none.

    Ctrl-C cancels the job on a folder; on a server it goes on.
    """
    from modelyard.errors import FailedPrecondition
    from modelyard.ml_core.sentences import say_trained

    try:
        ended = follow(yard, job, doing, as_json=as_json)
    except KeyboardInterrupt:
        if leads_to_server(url, storage):
            screen.show_aside(f"Job {job.job_id} goes on; `modelyard jobs cancel {job.job_id}` ends it.")
            raise
        try:
            yard.cancel_job(job.job_id)
        except FailedPrecondition as error:  # it has ended in this very moment
            screen.show_aside(error.detail)
        raise
    if ended.model_id is None:
        assert ended.error is not None
        raise ended.error.exception()
    return say_trained(yard.get_model(ended.model_id))


def follow(yard: Verbs, job: Job, doing: str, *, as_json: bool) -> Job:
    """Return a job when it has ended; meanwhile its progress is shown if a person looks on."""
    with _bar(doing, as_json=as_json) as bar:
        for state in yard.watch_job(job.job_id):
            job = state
            bar(job)
    return job


@contextmanager
def _bar(doing: str, *, as_json: bool) -> Iterator[Callable[[Job], None]]:
    if not screen.is_watched(as_json=as_json):
        yield lambda job: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[said]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=screen.console(stderr=True), transient=True) as progress:
        task = progress.add_task(screen.text(doing).plain, total=1.0, said="")

        def move(job: Job) -> None:
            said = _spoken_place(job) if job.status == "queued" else ", ".join(_spoken_parts(job))
            progress.update(task, completed=job.progress.fraction, said=said)

        yield move


def _show(job: Job, *, as_json: bool) -> None:
    if as_json:
        screen.show_json(job.model_dump_json().encode())
    else:
        screen.show(_sheet(job))


def _sheet(job: Job) -> Table:
    made = screen.sheet()
    for label, value in _facts(job):
        made.add_row(screen.text(label), screen.text(value))
    return made


def _spoken_metric(job: Job) -> str:
    """Say what the steps have come to: the loss, or of a search the best trial's metric and its model class."""
    progress = job.progress
    if job.kind == "search":
        return f"best {progress.metric:.4f} by {progress.model_class_key}"
    return f"held-out loss {progress.metric:.4f}" if progress.held_out else f"loss {progress.metric:.4f}"


def _spoken_place(job: Job) -> str:
    return f"place {job.queue_place} in the queue" if job.queue_place else "waits for its turn"


def _spoken_parts(job: Job) -> Iterator[str]:
    """Say what is under way: the phase, its step, and what that has come to."""
    progress = job.progress
    if progress.phase is not None:
        yield progress.phase
    if progress.phase_step is not None:
        yield f"step {progress.phase_step:,} of {progress.phase_total:,}"
    if progress.metric is not None:
        yield _spoken_metric(job)
    if job.out_of_time():
        yield "the time is up, no other trial begins"


def _spoken_progress(job: Job) -> str:
    """Say how far a job is, in a few words."""
    if job.status == "queued":
        return _spoken_place(job)
    share = f"{job.progress.fraction:.0%}"
    return share if job.ended or job.progress.phase is None else f"{share}, {job.progress.phase}"


def _facts(job: Job) -> Iterator[tuple[str, object]]:
    yield "job", job.job_id
    yield "status", job.status
    yield "kind", job.kind
    if job.status == "queued":
        yield "queue", _spoken_place(job)
    else:
        yield "progress", ", ".join([f"{job.progress.fraction:.0%}", *_spoken_parts(job)])
    yield "model class", job.model_class_key
    for label, value in (("name", job.name), ("target", job.target), ("table", job.source)):
        if value:
            yield label, value
    if job.model_id:
        yield "model id", job.model_id
    if job.error:
        yield "error", job.error.detail
    if job.tracking and job.tracking.status != "off":
        from modelyard.cli.sheets import spoken_tracking

        yield "tracking", spoken_tracking(job.tracking)
    yield "ordered", screen.age(job.created_at)
    spent, left = job.spent(), job.left()
    if spent is not None:
        yield "took" if job.ended else "spent", f"{spent.total_seconds():.1f} s"
    if left is not None:
        yield "left, about", f"{left.total_seconds():.0f} s"
