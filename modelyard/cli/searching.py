"""`search`: the best model for a table, among many model classes and hyperparams."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from modelyard.cli import jobs, screen
from modelyard.cli.connection import AsJson, Storage, Url, open_yard
from modelyard.cli.ordering import orders_search
from modelyard.cli.reading import given_fields
from modelyard.cli.training import File, IdempotencyKey, show_trained


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Models")(search)


@orders_search
def search(
    file: File,
    *,
    target: Annotated[
        str, typer.Option("--target", "-t", metavar="COLUMN", help="The column to predict: labels, or numbers.")
    ],
    model_class: Annotated[
        list[str] | None,
        typer.Option(
            "--model-class",
            "-m",
            metavar="KEY",
            help="An algorithm to try; again for each. Left out, all of the task.",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="classification|regression",
            help="What is to be predicted, if the column does not show it.",
            show_default=False,
        ),
    ] = None,
    trials: Annotated[int | None, typer.Option("--trials", help="The most trials (30).", show_default=False)] = None,
    max_seconds: Annotated[
        float | None,
        typer.Option("--max-seconds", help="No trial begins after so many seconds (120).", show_default=False),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            metavar="NAME",
            help="What is better: log_loss, roc_auc, rmse, ... Left out, log_loss or rmse.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Decides on folds and on what is tried (0).", show_default=False)
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", "-n", help="The model's name; a known one gets a new version.", show_default=False),
    ] = None,
    order: dict[str, Any],
    idempotency_key: IdempotencyKey = None,
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Find the best model for a table: one algorithm, or an ensemble of several if that is better.

    Example: modelyard search adult.csv --target income --max-seconds 60
    """
    from modelyard.cli.files import table_file
    from modelyard.schemas import SearchRequest, parse

    fields = order | given_fields(task=task, name=name, target=target, model_classes=model_class)
    fields |= given_fields(trials=trials, max_seconds=max_seconds, metric=metric, seed=seed)
    with table_file(file) as table, open_yard(url, storage, make=True) as yard:
        job = yard.submit_search(parse(SearchRequest, {**fields, "X": table}), idempotency_key=idempotency_key)
        model = jobs.train(yard, job, f"Searching on {table.name}", url=url, storage=storage, as_json=json)
        found = None if json else yard.get_report(model.model_id)
    show_trained(model, as_json=json)
    if found is not None and found.leaderboard:
        from modelyard.cli.sheets import leaderboard

        screen.show("", leaderboard(found.leaderboard))
