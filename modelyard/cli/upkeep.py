"""Looking after a yard, served or not: `doctor`, `gc`, `backup create`, `backup load`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli import exits, screen
from modelyard.cli.connection import AsJson, Storage, settings_with
from modelyard.cli.signing import keys_of

if TYPE_CHECKING:
    from modelyard.settings import Settings
    from modelyard.storage.upkeep.backup import Backup
    from modelyard.storage.upkeep.doctor import Examination
    from modelyard.storage.upkeep.garbage import Garbage

_PANEL = "Upkeep"
_REPAIR = " `modelyard doctor --repair` mends them."
_SIGN = " `modelyard sign` signs models, after you have looked at them."

File = Annotated[Path, typer.Argument(metavar="FILE", help="The archive: a tar, compressed if its name ends in .gz.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel=_PANEL)(doctor)
    app.command(rich_help_panel=_PANEL)(gc)
    backup = typer.Typer(no_args_is_help=True, help="Write all models to one file, or load them from one.")
    backup.command("create")(create_backup)
    backup.command("load")(load_backup)
    app.add_typer(backup, name="backup", rich_help_panel=_PANEL)


def doctor(
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Set broken things aside in quarantine/, rebuild what can be rebuilt.")
    ] = False,
    accept_restored: Annotated[
        bool,
        typer.Option("--accept-restored", help="Go on from the earlier state to which PostgreSQL was taken back."),
    ] = False,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Verify the database and every file of every model, and with MODELYARD_SIGNING_KEY_FILE every signature.

    Ends with exit code 6 where something is damaged, lost or not signed, and not mended. Nothing is ever deleted.
    """
    if accept_restored:
        _accept_restored(settings_with(storage_dir=storage))
        return
    with screen.busy("Reading every file", as_json=json):
        found = _examination(settings_with(storage_dir=storage), repair=repair)
    if json:
        show_json({"sound": found.is_sound, "models": found.models, "findings": found.findings})
    else:
        _show_examination(found)
    if not found.is_sound:
        raise typer.Exit(exits.EXIT_CODES["DATA_LOSS"])


def _examination(settings: Settings, *, repair: bool) -> Examination:
    from modelyard.bootstrap import engines_of
    from modelyard.storage.upkeep import doctor as examining
    from modelyard.storage.upkeep import repair as repairing

    look = repairing.repair if repair else examining.examine
    return look(engines_of(settings), signing=keys_of(settings))


def _accept_restored(settings: Settings) -> None:
    from modelyard.errors import FailedPrecondition

    if settings.database_url is None:
        raise FailedPrecondition("only a database can be taken back to an earlier state: set MODELYARD_DATABASE_URL")
    from modelyard.storage.servers import Servers

    Servers(settings.database_url, settings.storage_dir, settings.lock_timeout_s).accept_restored()
    screen.show("The database's state is the one to go on from; running servers read it anew.")


def _show_examination(found: Examination) -> None:
    models = f"{found.models:,} model{'' if found.models == 1 else 's'}"
    if not found.findings:
        screen.show(f"All is well: {models}, every checksum holds.")
        return
    columns = ["what", "problem"] + ["done"] * any(finding.done for finding in found.findings)
    made = screen.table(*columns)
    for finding in found.findings:
        cells = [finding.what, finding.problem, finding.done or ""]
        screen.add_row(made, *cells[: len(columns)], style="dim" if finding.harmless or finding.done else "red")
    screen.show(made)
    open_ones = [finding for finding in found.findings if not (finding.harmless or finding.done)]
    if open_ones:
        to_sign = any(finding.kind == "signature" and finding.model_id for finding in open_ones)
        tried = any(finding.done for finding in found.findings)
        hint = "" if tried or all(finding.kind == "signature" for finding in open_ones) else _REPAIR
        screen.show(f"{models}; {len(open_ones)} of these are not mended.{hint}{_SIGN if to_sign else ''}")
    else:
        screen.show(f"{models}, and nothing is damaged any more; `modelyard gc` removes what is only left over.")


def gc(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    retention_days: Annotated[
        float | None,
        typer.Option(
            "--retention-days",
            help="Models deleted so long ago go for good (or MODELYARD_DELETED_RETENTION_DAYS; else none does).",
            show_default=False,
        ),
    ] = None,
    orphans: Annotated[
        bool, typer.Option("--orphans", help="Whole models that no line of the database names go, too (see doctor).")
    ] = False,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Remove what is of no use: models deleted long ago, files of no model, and answers kept for long enough."""
    from modelyard.bootstrap import engines_of
    from modelyard.storage.upkeep import garbage

    settings = settings_with(storage_dir=storage, deleted_retention_days=retention_days)
    found = garbage.collect(
        engines_of(settings),
        retention_days=settings.deleted_retention_days,
        keep_answers_days=settings.keep_answers_days,
        orphans=orphans,
        dry_run=dry_run,
        signing=keys_of(settings),
    )
    if json:
        show_json({"dry_run": dry_run, "garbage": found})
    else:
        _show_garbage(found, dry_run=dry_run)


def _show_garbage(found: list[Garbage], *, dry_run: bool) -> None:
    if not found:
        screen.show("There is nothing to remove.")
        return
    made = screen.table("what", "why", "size", "", right=["size"])
    for one in found:
        fate = "kept: `doctor --repair` brings it back" if one.kept else "would go" if dry_run else "removed"
        screen.add_row(made, one.what, one.why, screen.size(one.bytes), fate)
    going = [one for one in found if not one.kept]
    total = screen.size(sum(one.bytes for one in going))
    screen.show(made, f"{len(going)} {'would be' if dry_run else ''} removed, {total}".replace("  ", " "))


def create_backup(file: File, storage: Storage = None, json: AsJson = False) -> None:
    """Write all models, as they are at one moment, to a new file; servers go on meanwhile."""
    from modelyard.bootstrap import engines_of
    from modelyard.storage.upkeep import backup

    engines = engines_of(settings_with(storage_dir=storage))
    with screen.busy(f"Writing {file}", as_json=json):
        made = backup.create(engines, file)
    _show_backup(made, "Wrote {models} to {file} ({size})", json=json)


def load_backup(file: File, storage: Storage = None, json: AsJson = False) -> None:
    """Make an empty folder or database what a backup holds, after verifying every file."""
    from modelyard.bootstrap import engines_of
    from modelyard.storage.upkeep import backup

    settings = settings_with(storage_dir=storage)
    engines = engines_of(settings)
    with screen.busy(f"Reading {file}", as_json=json):
        loaded = backup.load(file, engines, keys_of(settings))
    place = settings.storage_dir if settings.database_url is None else engines.name
    _show_backup(loaded, f"Loaded {{models}} from {{file}} into {place}", json=json)


def _show_backup(made: Backup, sentence: str, *, json: bool) -> None:
    if json:
        show_json({"file": str(made.file), "models": made.models, "bytes": made.bytes})
    else:
        models = f"{made.models:,} model{'' if made.models == 1 else 's'}"
        screen.show(sentence.format(models=models, file=made.file, size=screen.size(made.bytes)))


def show_json(document: dict[str, Any]) -> None:
    """Answer with one JSON document."""
    import orjson

    screen.show_json(orjson.dumps(document))
