"""What happened to a model: `history`."""

from __future__ import annotations

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, Storage, Url, open_yard
from modelyard.cli.models import Ref


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Models")(history)


def history(ref: Ref, url: Url = None, storage: Storage = None, json: AsJson = False) -> None:
    """Show what happened to a model, also to one that was deleted for good (by its id or name:version)."""
    with open_yard(url, storage) as yard:
        found = yard.get_history(ref)
    if json:
        screen.show_json(found.model_dump_json().encode())
        return
    made = screen.table("when", "verb", "status after", "by")
    for event in found.events:
        verb = event.verb if event.decision is None else f"{event.verb}: {event.decision.in_words}"
        screen.add_row(made, f"{event.at:%Y-%m-%d %H:%M:%S} UTC", verb, event.status, event.by or "")
    screen.show(f"{found.name}:{found.version} ({found.model_id})", made)
