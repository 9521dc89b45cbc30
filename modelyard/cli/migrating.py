"""`migrate`: move a yard between folders, servers and archives."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, settings_with
from modelyard.cli.signing import keys_of
from modelyard.cli.upkeep import show_json

if TYPE_CHECKING:
    from modelyard.storage.opening import Engines

_DATABASES = ("postgresql://", "postgres://")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Upkeep")(migrate)


def migrate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM",
            help="The yard: a folder, an archive (.tar, .tar.gz), or postgresql://user:password@host/name,s3://bucket/prefix",
        ),
    ],
    target: Annotated[str, typer.Argument(metavar="TO", help="Where there is none, written like FROM.")],
    json: AsJson = False,
) -> None:
    """Move a yard between folders, servers and archives. FROM takes no change any more.

    Stop the servers first. Killed in between, it goes on when it is called again. Without `,s3://…` the files of models
    stand in MODELYARD_STORAGE_DIR.
    """
    from modelyard.storage.upkeep.migrating import migrate as move

    _check_apart(source, target)
    with screen.busy("Copying every file", as_json=json), _yard_at(source) as old, _yard_to_be_at(target) as new:
        moved = move(old, new)
    if json:
        show_json({"models": moved.models, "documents": moved.documents, "audit_entries": moved.audit_entries})
    else:
        screen.show(f"Moved {moved.models:,} models and {moved.audit_entries:,} entries of the audit to {new.name}.")


def _check_apart(source: str, target: str) -> None:
    """Raise InvalidRequest if one place is the other, or is in it."""
    from modelyard.errors import InvalidRequest

    if source == target:
        raise InvalidRequest("FROM and TO are one place")
    if _is_path(source) and _is_path(target):
        old, new = Path(source).resolve(), Path(target).resolve()
        if old == new:
            raise InvalidRequest("FROM and TO are one place")
        if old in new.parents:
            raise InvalidRequest(f"{target} is inside {source}: write a place outside of it")


def _is_path(place: str) -> bool:
    return "://" not in place


def _yard_at(place: str) -> AbstractContextManager[Engines]:
    from modelyard.storage.upkeep.archive import is_archive, unpacked

    if _is_path(place) and is_archive(place):
        return unpacked(Path(place), keys_of(settings_with()))
    return nullcontext(_engines(place))


def _yard_to_be_at(place: str) -> AbstractContextManager[Engines]:
    from modelyard.storage.upkeep.archive import is_archive, packed

    if _is_path(place) and is_archive(place):
        return packed(Path(place))
    return nullcontext(_engines(place))


def _engines(place: str) -> Engines:
    """Return the engines that a place means. Raises InvalidRequest if it is none."""
    from modelyard.bootstrap import engines_of
    from modelyard.errors import InvalidRequest
    from modelyard.storage import Folder

    if _is_path(place):
        return Folder(Path(place), settings_with().lock_timeout_s)
    if not place.startswith(_DATABASES):
        raise InvalidRequest(
            f"{place.partition('://')[0]}:// is no yard: write a folder, an archive, or postgresql://…,s3://…"
        )
    database, comma, bucket = place.partition(",s3://")
    artifacts_url = f"s3://{bucket}" if comma else None
    settings = settings_with(database_url=database, artifacts_url=artifacts_url)
    return engines_of(settings.model_copy(update={"artifacts_url": artifacts_url}))
