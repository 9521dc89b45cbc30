"""What there is and what becomes of it: `list`, `names`, `show`, `edit`, `delete`, `restore`, `download`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, Cursor, Storage, Url, open_yard

if TYPE_CHECKING:
    from modelyard.schemas import ModelMetadata, ModelPage, ModelQuery, NamePage
    from modelyard.verbs import Verbs

_WIDE = 100
"""Columns a terminal needs for the whole table; a narrower one gets less of it rather than folded cells."""

Search = Annotated[
    str | None, typer.Option("--search", metavar="TEXT", help="In the name or a tag.", show_default=False)
]
Ref = Annotated[str, typer.Argument(metavar="REF", help="The model: an id, a name, or name:version.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("list", rich_help_panel="Models")(list_models)
    app.command("names", rich_help_panel="Models")(list_names)
    for command in (show, edit, delete, restore, download):
        app.command(rich_help_panel="Models")(command)


def list_models(
    *,
    name: Annotated[str | None, typer.Option("--name", "-n", help="Of this name.", show_default=False)] = None,
    model_class: Annotated[
        str | None, typer.Option("--model-class", "-m", metavar="KEY", help="Of this model class.", show_default=False)
    ] = None,
    status: Annotated[str, typer.Option("--status", metavar="active|deleted|all", help="Of this status.")] = "active",
    tag: Annotated[str | None, typer.Option("--tag", help="With this tag.", show_default=False)] = None,
    search: Search = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many (1 to 1000).")] = 50,
    cursor: Cursor = None,
    all_pages: Annotated[bool, typer.Option("--all", help="All there are, page by page of --limit.")] = False,
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """List models, newest first."""
    from modelyard.schemas import ModelQuery, parse

    given = {
        "name": name,
        "model_class_key": model_class,
        "status": status,
        "tag": tag,
        "search": search,
        "limit": limit,
        "cursor": cursor,
    }
    query = parse(ModelQuery, given)
    with open_yard(url, storage) as yard:
        page = _every_page(yard, query) if all_pages else yard.list_models(query)
    if json:
        screen.show_json(page.model_dump_json().encode())
    else:
        _show_page(page, with_status=status != "active")


def list_names(
    *,
    search: Search = None,
    model_class: Annotated[
        str | None, typer.Option("--model-class", "-m", metavar="KEY", help="Of this model class.", show_default=False)
    ] = None,
    alias: Annotated[str | None, typer.Option("--alias", help="With this alias.", show_default=False)] = None,
    status: Annotated[str, typer.Option("--status", metavar="active|deleted|all", help="Of this status.")] = "active",
    limit: Annotated[int, typer.Option("--limit", help="At most so many (1 to 200).")] = 25,
    cursor: Cursor = None,
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """List the names of models: how many versions each has, where its aliases point, how good its newest version is.

    Example: modelyard names --search churn --alias champion
    """
    from modelyard.schemas import NameQuery, parse

    fields = {"search": search, "model_class_key": model_class, "alias": alias}
    query = parse(NameQuery, {**fields, "status": status, "limit": limit, "cursor": cursor})
    with open_yard(url, storage) as yard:
        page = yard.list_names(query)
    if json:
        screen.show_json(page.model_dump_json().encode())
    else:
        _show_names(page)


def _show_names(page: NamePage) -> None:
    made = screen.table("name", "versions", "aliases", "target", "score", "trained", right=["versions"])
    for name in page.names:
        aliases = ", ".join(f"{alias}: {version}" for alias, version in name.aliases.items())
        value = next((point.value for point in name.line if point.version == name.version), None)
        score = _written(name.metric, value)
        screen.add_row(made, name.name, name.versions, aliases, name.target or "", score, screen.age(name.created_at))
    if page.names:
        screen.show(made)
    screen.show("There are no such models." if not page.total else f"{page.total:,} names")
    if page.next_cursor is not None:
        screen.show(f"There are more: --cursor {page.next_cursor}")


def _every_page(yard: Verbs, query: ModelQuery) -> ModelPage:
    page = yard.list_models(query)
    models = list(page.models)
    while page.next_cursor is not None:
        page = yard.list_models(query.model_copy(update={"cursor": page.next_cursor}))
        models += page.models
    return page.model_copy(update={"models": models})


def _score(model: ModelMetadata) -> str:
    """Return the metric that tells most, marked if it is only the training's; its name, unless it is accuracy."""
    from modelyard.schemas import headline

    measured = headline(model.task, model.metrics)
    return _written(measured, None if measured is None else model.metrics[measured])


def _written(measured: str | None, value: float | None) -> str:
    """Write the metric that tells most."""
    if measured is None or value is None:
        return "-"
    rows, _, bare = measured.partition("_")
    named = "" if bare == "accuracy" else f"{bare.replace('_', ' ')} "
    return f"{named}{screen.number(value)}{' (train)' if rows == 'train' else ''}"


_COLUMNS: dict[str, Callable[[ModelMetadata], str]] = {
    "model": lambda model: f"{model.name}:{model.version}",
    "model id": lambda model: model.model_id,
    "model class": lambda model: model.model_class_key,
    "score": _score,
    "rows": lambda model: f"{model.n_rows:,}",
    "trained": lambda model: screen.age(model.created_at),
    "status": lambda model: model.status,
}


def _show_page(page: ModelPage, *, with_status: bool) -> None:
    if not page.models:
        screen.show("There are no such models." if with_status else "There are no models.")
        return
    columns = dict(_COLUMNS)
    if screen.console().width < _WIDE:
        del columns["model class"], columns["rows"]
    if not with_status:
        del columns["status"]
    made = screen.table(*columns, right=["score", "rows"], whole=["model id", "score", "rows"])
    for model in page.models:
        cells = [cell(model) for cell in columns.values()]
        screen.add_row(made, *cells, style="dim" if model.status == "deleted" else None)
    screen.show(made)
    if page.next_cursor is not None:
        screen.show(f"There are more: --all, or --cursor {page.next_cursor}")


def show(
    ref: Ref,
    *,
    report: Annotated[bool, typer.Option("--report", help="Show what the evaluation found, too.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write the report as one file, to send.", show_default=False),
    ] = None,
    language: Annotated[str, typer.Option("--language", metavar="en|ru", help="The language of --html.")] = "en",
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Show what is known of a model.

    With --report and --json the document is the report itself.
    """
    from modelyard.cli import sheets
    from modelyard.cli.reports import write_html

    with open_yard(url, storage) as yard:
        if html is not None:
            write_html(html, yard, yard.get_model(ref), language)
            return
        if json:
            found = yard.get_report(ref) if report else yard.get_model(ref)
            screen.show_json(found.model_dump_json().encode())
            return
        model = yard.get_model(ref)
        judged = yard.get_report(model.model_id) if report else None
    screen.show(sheets.describe(model), "")
    screen.show(*(sheets.report(judged) if judged else [sheets.metrics(model.metrics)]))
    screen.show_warnings(model.warnings)


def edit(
    ref: Ref,
    *,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="A tag, instead of all before; again for each.", show_default=False),
    ] = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Remove all tags.")] = False,
    description: Annotated[
        str | None,
        typer.Option("--description", metavar="TEXT", help="What it is; an empty text for none.", show_default=False),
    ] = None,
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Replace the tags or the description of a model."""
    from modelyard.errors import InvalidRequest
    from modelyard.schemas import UpdateRequest, parse

    if tag and no_tags:
        raise InvalidRequest("--tag and --no-tags exclude each other")
    if not tag and not no_tags and description is None:
        raise InvalidRequest("there is nothing to change: give --tag, --no-tags or --description")
    changes = parse(UpdateRequest, {"tags": [] if no_tags else tag or None, "description": description})
    with open_yard(url, storage) as yard:
        model = yard.update_model(ref, changes)
    if json:
        screen.show_json(model.model_dump_json().encode())
    else:
        from modelyard.cli import sheets

        screen.show(screen.text(model.message), "", sheets.describe(model))


def delete(
    ref: Ref,
    *,
    hard: Annotated[bool, typer.Option("--hard", help="For good: the artifact is removed, too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Retire a model; without --hard it can be restored."""
    with open_yard(url, storage) as yard:
        reference = _confirmed(yard, ref) if hard and not yes else ref
        model = yard.delete(reference, hard=hard)
    if json:
        import orjson

        gone = orjson.dumps({"reference": ref, "status": "gone"})
        screen.show_json(gone if model is None else model.model_dump_json().encode())
    else:
        screen.show(f"{ref} is deleted for good" if model is None else model.message or f"{ref} is deleted")


def _confirmed(yard: Verbs, ref: str) -> str:
    """Ask about the one model that `ref` means now and return its id, so that no other is deleted meanwhile."""
    from modelyard.errors import Cancelled, InvalidRequest

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidRequest("--hard deletes for good and nobody can be asked here; say --yes to do it")
    model = yard.get_model(ref)
    question = f"Delete {model.name}:{model.version} ({model.model_id}) for good?"
    if not typer.confirm(question, err=True):
        raise Cancelled("not confirmed; nothing was deleted")
    return model.model_id


def restore(ref: Ref, url: Url = None, storage: Storage = None, json: AsJson = False) -> None:
    """Make a deleted model active again."""
    with open_yard(url, storage) as yard:
        model = yard.restore(ref)
    if json:
        screen.show_json(model.model_dump_json().encode())
    else:
        screen.show(model.message or f"{ref} is active")


def download(
    ref: Ref,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the .pkl.")],
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Write a model's artifact to a file, after checking its SHA-256.

    It is a pickle: load it only if you trust the yard that it comes from.
    """
    from modelyard.cli.files import write_whole

    with open_yard(url, storage) as yard:
        content = yard.get_artifact(ref)
    write_whole(file, content)
    if json:
        import hashlib

        import orjson

        facts = {"reference": ref, "file": str(file), "bytes": len(content)}
        screen.show_json(orjson.dumps({**facts, "sha256": hashlib.sha256(content).hexdigest()}))
    else:
        screen.show(f"Wrote {screen.size(len(content))} to {file}")
