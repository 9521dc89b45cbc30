"""`model-classes`: the algorithms there are, and the hyperparams of one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, Storage, Url, leads_to_server, open_yard

if TYPE_CHECKING:
    from modelyard.schemas import ModelClassInfo


_WRITTEN_OUT = 1e15
"""Larger bounds are written with an exponent."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("model-classes", rich_help_panel="Models")(list_model_classes)


def list_model_classes(
    key: Annotated[
        str | None, typer.Argument(metavar="KEY", help="Show this one's hyperparams.", show_default=False)
    ] = None,
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """List the algorithms, or the hyperparams of one."""
    found = _model_classes(url, storage)
    chosen = None if key is None else _find(found, key)
    if json:
        import orjson

        document = chosen.model_dump() if chosen else [info.model_dump() for info in found]
        screen.show_json(orjson.dumps(document))
    elif chosen:
        title = screen.text(f"{chosen.title} ({chosen.key}, {chosen.task})", "bold")
        screen.show(title, chosen.description, chosen.import_path, "")
        screen.show(_hyperparams(chosen))
    else:
        made = screen.table("key", "task", "title", "hyperparams", whole=["key", "task"])
        for info in found:
            screen.add_row(made, info.key, info.task, info.title, ", ".join(info.hyperparams.get("properties", {})))
        screen.show(made)


def _model_classes(url: str | None, storage: str | None) -> list[ModelClassInfo]:
    """Ask the server; without one this installation tells, and needs no yard."""
    if leads_to_server(url, storage):
        with open_yard(url, storage) as yard:
            return yard.list_model_classes()
    from modelyard import models_registry

    return models_registry.describe_all()


def _find(found: list[ModelClassInfo], key: str) -> ModelClassInfo:
    from modelyard.errors import ModelClassNotFound
    from modelyard.schemas import plain_key

    for info in found:
        if plain_key(info.key) == plain_key(key):
            return info
    known = [info.key for info in found]
    near = difflib.get_close_matches(key.casefold(), known, n=3, cutoff=0.4)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ";"
    raise ModelClassNotFound(f"model class {key!r} is unknown{hint} known are: {', '.join(known)}")


def _hyperparams(info: ModelClassInfo) -> Any:
    made = screen.table("hyperparam", "type", "default", "allowed", "meaning", whole=["hyperparam"])
    for name, schema in info.hyperparams.get("properties", {}).items():
        cells = (_types(schema), _plain(schema.get("default")), _allowed(schema), schema.get("description", ""))
        screen.add_row(made, name, *cells)
    return made


def _types(schema: Mapping[str, Any]) -> str:
    from modelyard.schemas import types_of

    return " or ".join(dict.fromkeys(types_of(schema)))


def _allowed(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(_plain(choice) for choice in schema["enum"])
    bounds = (("minimum", ">= "), ("exclusiveMinimum", "> "), ("maximum", "<= "), ("exclusiveMaximum", "< "))
    return ", ".join(f"{sign}{_bound(schema[word])}" for word, sign in bounds if word in schema)


def _bound(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < _WRITTEN_OUT else f"{value:g}"


def _plain(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
