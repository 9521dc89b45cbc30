"""Movable names for versions: `alias set`, `rm`, `list`, `history` and `default`."""

from __future__ import annotations

from typing import Annotated

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, Storage, Url, open_yard

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of models.")]
Alias = Annotated[str, typer.Argument(metavar="ALIAS", help="Small letters, digits, _ and -, as in champion.")]
Version = Annotated[int, typer.Argument(metavar="VERSION", help="One of its active versions.")]
Expected = Annotated[
    int | None,
    typer.Option("--expected", metavar="VERSION", help="Only if it points there now; 0: nowhere.", show_default=False),
]
Default = Annotated[str | None, typer.Argument(metavar="[ALIAS]", help="To set; left out, it is shown.")]
NoDefault = Annotated[bool, typer.Option("--none", help="A name alone means its newest active version again.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    alias = typer.Typer(no_args_is_help=True)
    alias.command("set")(set_alias)
    alias.command("rm")(remove)
    alias.command("list")(list_aliases)
    alias.command()(history)
    alias.command()(default)
    app.add_typer(
        alias, name="alias", help="Movable names for versions, as in churn@champion.", rich_help_panel="Models"
    )


def set_alias(  # noqa: PLR0917 - typer calls it by name
    name: Name,
    alias: Alias,
    version: Version,
    expected: Expected = None,
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Point an alias at a version: NAME@ALIAS means that one from now on, everywhere.

    Example: modelyard alias set churn champion 3 --expected 2
    """
    from modelyard.schemas import AliasRequest, parse

    fields = {"version": version} | ({} if expected is None else {"expected": expected or None})
    request = parse(AliasRequest, fields)
    with open_yard(url, storage) as yard:
        moved = yard.set_alias(name, alias, request)
    if json:
        screen.show_json(moved.model_dump_json().encode())
        return
    before = "" if moved.previous is None else f", before that {moved.previous}"
    screen.show(screen.text(f"{name}@{alias} is version {moved.version}{before}", "bold green"))


def remove(name: Name, alias: Alias, url: Url = None, storage: Storage = None, json: AsJson = False) -> None:
    """Delete an alias; its version stays."""
    with open_yard(url, storage) as yard:
        yard.delete_alias(name, alias)
    if json:
        screen.show_json(b"{}")
    else:
        screen.show(screen.text(f"deleted {name}@{alias}", "bold green"))


def list_aliases(name: Name, url: Url = None, storage: Storage = None, json: AsJson = False) -> None:
    """List the aliases of a name, and where they point."""
    with open_yard(url, storage) as yard:
        found = yard.list_aliases(name)
    if json:
        screen.show_json(found.model_dump_json().encode())
        return
    made = screen.table("alias", "version", "since", "by", right=["version"])
    for one in found.aliases:
        screen.add_row(made, one.alias, one.version, f"{one.since:%Y-%m-%d %H:%M:%S} UTC", one.by)
    screen.show(made)


def history(name: Name, alias: Alias, url: Url = None, storage: Storage = None, json: AsJson = False) -> None:
    """Show the moves of an alias, the first one first; of a deleted alias, too."""
    with open_yard(url, storage) as yard:
        found = yard.get_alias_history(name, alias)
    if json:
        screen.show_json(found.model_dump_json().encode())
        return
    made = screen.table("when", "version", "by", right=["version"])
    for move in found.moves:
        version = "deleted" if move.version is None else move.version
        screen.add_row(made, f"{move.at:%Y-%m-%d %H:%M:%S} UTC", version, move.by)
    screen.show(made)


def default(
    alias: Default = None,
    none: NoDefault = False,
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Show or set the alias that a name alone means if it has it, for the whole yard."""
    from modelyard.errors import InvalidRequest
    from modelyard.schemas import DefaultAlias, parse

    if alias is not None and none:
        raise InvalidRequest("an alias and --none exclude each other")
    with open_yard(url, storage) as yard:
        if alias is None and not none:
            found = yard.get_default_alias()
        else:
            found = yard.set_default_alias(parse(DefaultAlias, {"alias": alias}))
    if json:
        screen.show_json(found.model_dump_json().encode())
    elif found.alias is None:
        screen.show("a name alone means its newest active version")
    else:
        screen.show(f"a name alone means its alias {found.alias!r} if it has it, else its newest active version")
