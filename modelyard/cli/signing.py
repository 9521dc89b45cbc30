"""Signing: `sign`, after a person looked at what is signed."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, Storage, settings_with

if TYPE_CHECKING:
    from modelyard.access.signing import SigningKeys
    from modelyard.settings import Settings
    from modelyard.storage.upkeep.signing import ToSign

Refs = Annotated[
    list[str] | None,
    typer.Argument(metavar="[REF]...", help="A model id, a name or name:version.", show_default=False),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Access")(sign)


def sign(
    refs: Refs = None,
    *,
    all_models: Annotated[
        bool, typer.Option("--all", help="All that the first key has not signed, deleted ones too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Sign models by the first key of MODELYARD_SIGNING_KEY_FILE, after showing them.

    Servers with that setting run what a signed model's file holds, and no other: look where each comes from.
    """
    from modelyard.bootstrap import engines_of
    from modelyard.errors import InvalidRequest
    from modelyard.storage.upkeep.signing import Signing

    if bool(refs) == all_models:
        raise InvalidRequest("name the models to sign, or say --all")
    settings = settings_with(storage_dir=storage)
    keys = keys_of(settings)
    if keys is None:
        raise InvalidRequest("there is no key to sign by: MODELYARD_SIGNING_KEY_FILE is not set")
    with closing(Signing(engines_of(settings), keys)) as signing:
        found = signing.to_sign(None if all_models else refs)
        if found:
            _show(found, json=json)
            if not yes:
                _ask(len(found))
        for one in found:
            signing.sign(one.record)
    if json:
        import orjson

        screen.show_json(orjson.dumps({"signed": [_facts(one) for one in found]}))
    else:
        screen.show(
            f"Signed {_count(len(found))}." if found else "There is nothing to sign: the first key has signed them."
        )


def keys_of(settings: Settings) -> SigningKeys | None:
    """Return the keys that the settings name, if they do. Raises what `read_signing_keys` raises."""
    from modelyard.access.signing import read_signing_keys

    return read_signing_keys(settings.signing_key_file, settings.storage_dir)


def _show(found: list[ToSign], *, json: bool) -> None:
    made = screen.table("id", "model", "created", "SHA-256 of the artifact", "why")
    for facts in map(_facts, found):
        at = facts["created_at"]
        screen.add_row(made, facts["model_id"], facts["model"], f"{at:%Y-%m-%d %H:%M}", facts["sha256"], facts["why"])
    if json:
        screen.console(stderr=True).print(made)
    else:
        screen.show(made)


def _facts(one: ToSign) -> dict[str, Any]:
    model = one.record.metadata
    return {
        "model_id": model.model_id,
        "model": f"{model.name}:{model.version}",
        "created_at": model.created_at,
        "sha256": one.sha256,
        "why": one.why,
    }


def _ask(count: int) -> None:
    from modelyard.errors import Cancelled, InvalidRequest

    if not _can_ask():
        raise InvalidRequest("nobody can be asked here whether to sign them; say --yes to do it")
    if not typer.confirm(f"Sign {_count(count)}?", err=True):
        raise Cancelled("not confirmed; nothing was signed")


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _count(models: int) -> str:
    return f"{models:,} model{'' if models == 1 else 's'}"
