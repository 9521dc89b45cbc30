"""`check`: what the owner of a table should know before a model is trained on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, Storage, Url, leads_to_server, open_yard, settings_with
from modelyard.cli.ordering import FeatureTypes, Roles, columns_fields
from modelyard.cli.reading import given_fields, reads_training_table
from modelyard.cli.training import File

if TYPE_CHECKING:
    from rich.table import Table

    from modelyard.schemas import CheckRequest, TableCheck


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Models")(check)


@reads_training_table
def check(
    file: File,
    *,
    target: Annotated[
        str, typer.Option("--target", "-t", metavar="COLUMN", help="The column to predict: labels, or numbers.")
    ],
    model_class: Annotated[
        str | None,
        typer.Option("--model-class", "-m", metavar="KEY", help="The algorithm that is meant.", show_default=False),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="classification|regression",
            help="What is to be predicted; else it is found out by the target.",
            show_default=False,
        ),
    ] = None,
    feature_type: FeatureTypes = None,
    role: Roles = None,
    reading: dict[str, Any],
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Check a table before training on it.

    It is read as `train` would read it. Nothing is kept.
    """
    from modelyard.cli.files import table_file
    from modelyard.schemas import CheckRequest, parse

    fields = reading | columns_fields(feature_type, role) | {"target": target}
    fields |= given_fields(model_class_key=model_class, task=task)
    with table_file(file) as table, screen.busy(f"Checking {table.name}", as_json=json):
        found = _check(parse(CheckRequest, {**fields, "X": table}), url, storage)
    if json:
        screen.show_json(found.model_dump_json().encode())
        return
    screen.show(_heading(found), "", _columns(found))
    if found.warnings:
        screen.show_warnings(found.warnings)
    else:
        screen.show("", screen.text("Nothing to worry about was found.", "bold green"))


def _check(request: CheckRequest, url: str | None, storage: str | None) -> TableCheck:
    """Ask the server; without one this installation tells, and needs no yard."""
    if leads_to_server(url, storage):
        with open_yard(url, storage) as yard:
            return yard.check_table(request)
    from modelyard.ml_core.training import checking

    settings = settings_with(storage_dir=storage)
    return checking.check(request, settings.missing_markers, settings.max_body_bytes)


def _heading(found: TableCheck) -> str:
    said = f"{found.n_rows:,} rows, {found.n_features:,} features; target {found.target!r}: "
    if found.classes is None:
        return said + "a number"
    shown = sorted(found.classes, key=lambda one: -one.count)[:10]
    told = ", ".join(f"{screen.label(one.label)} ({one.count:,})" for one in shown)
    return f"{said}{told}{', ...' if len(found.classes) > len(shown) else ''}"


def _columns(found: TableCheck) -> Table:
    made = screen.table("column", "type", "missing", "values", right=["missing"])
    for name in found.feature_names:
        profile = found.columns[name]
        missing = f"{profile['missing']:,} ({profile['missing'] / found.n_rows:.0%})" if profile["missing"] else ""
        screen.add_row(made, name, found.feature_types[name], missing, _values(profile))
    for name, role in found.column_roles.items():
        screen.add_row(made, name, role, "", "", style="dim")
    return made


def _values(profile: dict[str, Any]) -> str:
    if profile["type"] == "numeric":
        return f"{profile['min']:,.7g} to {profile['max']:,.7g}"
    if profile["type"] == "datetime":
        return f"{profile['earliest']} to {profile['latest']}"
    top = ", ".join(screen.label(one["value"]) or "(missing)" for one in profile["top"][:4])
    return f"{profile['n_categories']:,} values: {top}{', ...' if profile['n_categories'] > 4 else ''}"
