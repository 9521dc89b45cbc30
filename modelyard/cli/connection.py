"""The options that every verb has, and the yard that they lead to: a folder, or a server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from contextvars import ContextVar
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from typer.models import CommandInfo, TyperInfo

    from modelyard.settings import Settings
    from modelyard.verbs import Verbs

Url = Annotated[
    str | None,
    typer.Option(
        "--url", metavar="URL", help="Work on the server at this address (or MODELYARD_URL).", show_default=False
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="DIR",
        help="Work on this folder (or MODELYARD_STORAGE_DIR; else models_storage).",
        show_default=False,
    ),
]
Cursor = Annotated[str | None, typer.Option("--cursor", help="Go on where another list ended.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document; errors as one, too.")]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write all rows to a .csv, .json or .parquet; - is standard output, as CSV.",
        show_default=False,
    ),
]


KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help="Show the server the key in this file (or MODELYARD_KEY).",
        show_default=False,
    ),
]
_key_file: ContextVar[Path | None] = ContextVar("key_file", default=None)


def add_key_file(app: typer.Typer) -> None:
    """Give every command that can work on a server the option `--key-file`."""
    for group in app.registered_groups:
        assert group.typer_instance is not None
        add_key_file(group.typer_instance)
    commands: list[CommandInfo | TyperInfo] = [*app.registered_commands]
    if app.registered_callback is not None:
        commands.append(app.registered_callback)
    for command in commands:
        assert command.callback is not None
        if "url" in signature(command.callback).parameters:
            command.callback = _with_key_file(command.callback)


def _with_key_file(function: Callable[..., None]) -> Callable[..., None]:
    @wraps(function)
    def run(*args: Any, key_file: Path | None = None, **kwargs: Any) -> None:
        _key_file.set(key_file)
        function(*args, **kwargs)

    option = Parameter("key_file", Parameter.KEYWORD_ONLY, default=None, annotation=KeyFile)
    asked = list(signature(function, eval_str=True).parameters.values())
    at = [parameter.name for parameter in asked].index("url") + 1
    run.__signature__ = Signature(  # type: ignore[attr-defined]
        [one.replace(kind=Parameter.KEYWORD_ONLY) for one in (*asked[:at], option, *asked[at:])]
    )
    run.__annotations__ = {one.name: one.annotation for one in (*asked, option)}
    return run


def _key() -> str | None:
    """Return the key that a server is shown: of the option, else of the environment. Raises InvalidRequest."""
    from modelyard.errors import InvalidRequest

    path = _key_file.get()
    if path is None:
        return os.environ.get("MODELYARD_KEY") or None
    try:
        return path.read_text().strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InvalidRequest(f"--key-file {str(path)!r} cannot be read: {why}") from None


@contextmanager
def open_yard(url: str | None, storage: str | None, *, make: bool = False) -> Iterator[Verbs]:
    """Open the yard that the options mean; an option that was written beats the environment.

    A folder that is no yard raises NoYard. With `make` it becomes one, and is none again if what it was made for is
    refused.
    """
    from modelyard.errors import InvalidRequest

    if url and storage:
        raise InvalidRequest("--url and --storage exclude each other: a server's folder is its own affair")
    url = _url(url, storage)
    opening: AbstractContextManager[Verbs]
    if url:
        opening = closing(_on_server(url))
    elif make:
        opening = _made(storage)
    else:
        opening = closing(_on_folder(storage, make=False))
    with opening as yard:
        yield yard


@contextmanager
def _made(storage: str | None) -> Iterator[Verbs]:
    from modelyard.errors import ModelyardError
    from modelyard.storage.folder import Folder

    settings = settings_with(storage_dir=storage)
    if settings.database_url is not None:
        with closing(_on_folder(storage, make=True)) as yard:
            yield yard
        return
    folder = Folder(settings.storage_dir)
    missing = [path for path in (folder.root, *folder.root.parents) if not path.exists()]
    was_there = folder.database.exists()
    try:
        with closing(_on_folder(storage, make=True)) as yard:
            yield yard
    except ModelyardError:
        if not was_there and folder.remove_unused():
            with suppress(OSError):
                for path in missing:
                    path.rmdir()
        raise


def leads_to_server(url: str | None, storage: str | None) -> bool:
    """Whether the options mean a server."""
    return bool(_url(url, storage))


def _url(url: str | None, storage: str | None) -> str | None:
    return url or (None if storage else os.environ.get("MODELYARD_URL"))


def settings_with(**overrides: Any) -> Settings:
    """Read the settings; see `read_settings`. An option that was not given is None or empty."""
    from modelyard.settings import read_settings

    return read_settings(**overrides)


def _on_server(url: str) -> Verbs:
    from modelyard.connection import connect_server

    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what goes wrong is said once, in our own words
    return connect_server(url, _key())


def _on_folder(storage: str | None, *, make: bool) -> Verbs:
    from modelyard import calls, logs
    from modelyard.bootstrap import build
    from modelyard.schemas import hide_keys

    settings = settings_with(storage_dir=storage)
    if os.environ.get("MODELYARD_LOG_LEVEL"):
        logs.configure(settings.log_level, settings.log_format, calls.identity, hide_keys)
    return build(settings, make=make)
