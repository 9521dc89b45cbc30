"""Keys: `keys create`, `list`, `revoke`, `rotate` and `generate`; and `whoami`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, Storage, Url, open_yard
from modelyard.cli.reading import given_fields

if TYPE_CHECKING:
    from modelyard.schemas import NewKey

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of a key.")]
Role = Annotated[str, typer.Option("--role", metavar="reader|predictor|trainer|admin", help="What its holder may do.")]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--models",
        metavar="PATTERN",
        help="Only models with such names, as in churn*; again for each.",
        show_default=False,
    ),
]
Days = Annotated[
    float | None, typer.Option("--expires-days", metavar="N", help="Valid for so many days.", show_default=False)
]
Grace = Annotated[float, typer.Option("--grace-s", metavar="S", help="The old key is valid for so many seconds more.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    keys = typer.Typer(no_args_is_help=True)
    for command in (create, revoke, rotate, generate):
        keys.command()(command)
    keys.command("list")(list_keys)
    app.add_typer(keys, name="keys", help="Who may call: keys of people and programs.", rich_help_panel="Access")
    app.command(rich_help_panel="Access")(whoami)


def create(  # noqa: PLR0917 - typer calls it by name
    name: Name,
    role: Role,
    models: Models = None,
    expires_days: Days = None,
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Make a key and show it, this once. On a folder it is the way to the first one.

    Example: modelyard keys create crm --role predictor --models 'churn*'
    """
    from modelyard.schemas import KeyRequest, parse

    fields = given_fields(name=name, role=role, models=models, expires_in_days=expires_days)
    request = parse(KeyRequest, fields)
    with open_yard(url, storage, make=True) as yard:
        _show(yard.create_key(request), json=json)


def revoke(name: Name, url: Url = None, storage: Storage = None, json: AsJson = False) -> None:
    """Make a key invalid for the next call."""
    with open_yard(url, storage) as yard:
        yard.revoke_key(name)
    if json:
        screen.show_json(b"{}")
    else:
        screen.show(screen.text(f"revoked {name}", "bold green"))


def rotate(name: Name, grace_s: Grace = 0.0, url: Url = None, storage: Storage = None, json: AsJson = False) -> None:
    """Put another key in the place of one, and show it, this once."""
    from modelyard.schemas import RotateRequest, parse

    parse(RotateRequest, {"grace_s": grace_s})
    with open_yard(url, storage) as yard:
        _show(yard.rotate_key(name, grace_s=grace_s), json=json)


def generate(json: AsJson = False) -> None:
    """Print a key that no yard knows yet, for the file that MODELYARD_ADMIN_KEY_FILE names."""
    from modelyard.access.keys import new_key

    key = new_key()
    if json:
        screen.show_json(b'{"key": "%b"}' % key.encode())
    else:
        typer.echo(key)


def list_keys(url: Url = None, storage: Storage = None, json: AsJson = False) -> None:
    """List the keys that were not revoked, never what is shown to a server."""
    with open_yard(url, storage) as yard:
        found = yard.list_keys()
    if json:
        screen.show_json(found.model_dump_json().encode())
        return
    made = screen.table("name", "role", "models", "made", "expires", "old one until", "last used")
    for key in found.keys:
        expires = "never" if key.expires_at is None else f"{key.expires_at:%Y-%m-%d}"
        old = "" if key.old_valid_until is None else f"{key.old_valid_until:%Y-%m-%d %H:%M} UTC"
        models, used = ", ".join(key.models) or "all", key.last_used_on or "never"
        screen.add_row(made, key.name, key.role, models, f"{key.created_at:%Y-%m-%d}", expires, old, used)
    screen.show(made)


def whoami(url: Url = None, storage: Storage = None, json: AsJson = False) -> None:
    """Say who calls, in which role, and limited to which models."""
    with open_yard(url, storage) as yard:
        who = yard.whoami()
    if json:
        screen.show_json(who.model_dump_json().encode())
    else:
        screen.show(f"{who.name}: {who.role}, models: {', '.join(who.models) or 'all'}")


def _show(made: NewKey, *, json: bool) -> None:
    if json:
        screen.show_json(made.model_dump_json().encode())
        return
    screen.show_aside(
        f"The key of {made.name} ({made.role}) is shown this once; keep it where only its holder can read:"
    )
    typer.echo(made.key)
