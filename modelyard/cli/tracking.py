"""`tracking status`, `flush` and `retry`: what ClearML has not been told of, and having it told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, Storage, settings_with
from modelyard.cli.upkeep import show_json

if TYPE_CHECKING:
    from modelyard.settings import Settings
    from modelyard.tracking.tracker import TrackingStatus

_SHOWN = 20


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    tracking = typer.Typer(no_args_is_help=True)
    for command in (status, flush, retry):
        tracking.command()(command)
    app.add_typer(
        tracking, name="tracking", help="Trainings that ClearML has not been told of.", rich_help_panel="Upkeep"
    )


def status(*, storage: Storage = None, json: AsJson = False) -> None:
    """Show what ClearML has not been told of, and why."""
    from modelyard.bootstrap import open_tracker

    settings = settings_with(storage_dir=storage)
    with open_tracker(settings) as tracker:
        found = tracker.status()
    if json:
        show_json(
            {
                "tracking": settings.tracking,
                "pending": [{"id": one.key, "kind": one.collection, "since": one.at} for one in found.pending],
                "failed": [{"id": one.key, "reason": one.reason} for one in found.refused],
                **found.state.model_dump(),
            }
        )
    else:
        _show(found, settings)


def _show(found: TrackingStatus, settings: Settings) -> None:
    sheet = screen.sheet()
    where = "off (MODELYARD_TRACKING=none)"
    if settings.tracking == "clearml":
        where = f"ClearML, project {settings.tracking_project}"
    sheet.add_row("tracking", screen.text(where))
    pending = str(len(found.pending))
    if found.pending:
        pending += f", the oldest from {screen.age(found.pending[0].at)}"
    sheet.add_row("pending", screen.text(pending))
    sheet.add_row("failed", screen.text(len(found.refused)))
    state = found.state
    if state.tried_at is not None:
        sheet.add_row("last attempt", screen.text(screen.age(state.tried_at)))
    if state.problem is not None and found.pending:
        sheet.add_row("problem", screen.text(state.problem, "red"))
    screen.show(sheet)
    if found.refused:
        made = screen.table("failed", "reason", whole=["failed"])
        for one in found.refused[:_SHOWN]:
            screen.add_row(made, one.key, one.reason)
        screen.show(made, "`modelyard tracking retry` has them told again.")


def flush(
    *,
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="How many seconds it may take.")] = 600.0,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Have all that is pending told now, and wait for it; a server that runs does it, else this command.

    Ends with exit code 5 and the reason if ClearML cannot be told.
    """
    from modelyard.bootstrap import open_tracker

    settings = _tracked_settings(storage)
    with open_tracker(settings) as tracker, screen.busy("Telling ClearML", as_json=json):
        done = tracker.flush(timeout)
    if json:
        show_json({"told": done.told, "failed": done.refused})
        return
    if done.told or not done.refused:
        screen.show(f"ClearML has been told of {_runs(done.told)}." if done.told else "There is nothing to tell.")
    if done.refused:
        screen.show(f"ClearML has refused {_runs(done.refused)}; `modelyard tracking status` says why.")


def retry(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="The models or jobs; all that failed by default.")
    ] = None,
    *,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Have told again what ClearML refused, once the reason is mended."""
    from modelyard.bootstrap import open_tracker
    from modelyard.errors import NotFound

    settings = _tracked_settings(storage)
    with open_tracker(settings) as tracker:
        again = tracker.retry(ids or None)
    missing = sorted(set(ids or ()).difference(again))
    if missing:
        raise NotFound(f"none of these was refused: {', '.join(missing)}; see `modelyard tracking status`")
    if json:
        show_json({"pending": again})
    elif again:
        screen.show(
            f"Pending again: {_runs(len(again))}. A server tells of them at once, or `modelyard tracking flush`."
        )
    else:
        screen.show("Nothing was refused.")


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _tracked_settings(storage: str | None) -> Settings:
    from modelyard.errors import FailedPrecondition

    settings = settings_with(storage_dir=storage)
    if settings.tracking == "none":
        raise FailedPrecondition("tracking is off: set MODELYARD_TRACKING=clearml")
    return settings
