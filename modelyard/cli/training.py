"""`train` and `retrain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli import jobs, screen
from modelyard.cli.connection import AsJson, Storage, Url, open_yard
from modelyard.cli.ordering import orders_training
from modelyard.cli.reading import given_fields

if TYPE_CHECKING:
    from modelyard.schemas import ModelMetadata

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="The table: CSV, JSON, JSON lines, Parquet, Arrow or Excel; - is standard input."
    ),
]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", "-p", metavar="NAME=VALUE", help="A hyperparam; again for each.", show_default=False),
]
IdempotencyKey = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        metavar="KEY",
        help="A key used in the last 24 hours answers with the model trained then.",
        show_default=False,
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Models")(train)
    app.command(rich_help_panel="Models")(retrain)


@orders_training
def train(
    file: File,
    *,
    target: Annotated[
        str, typer.Option("--target", "-t", metavar="COLUMN", help="The column to predict: labels, or numbers.")
    ],
    model_class: Annotated[
        str, typer.Option("--model-class", "-m", metavar="KEY", help="The algorithm; see model-classes.")
    ],
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="classification|regression",
            help="What is to be predicted; the model class says it, too, and must agree.",
            show_default=False,
        ),
    ] = None,
    param: Params = None,
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
    """Train a new model on a table.

    Example: modelyard train adult.csv --target income --model-class catboost_classifier -p depth=6
    """
    from modelyard.cli.files import table_file
    from modelyard.cli.texts import pairs, typed
    from modelyard.schemas import TrainRequest, parse

    given = pairs("--param", param or [])
    fields = order | {"model_class_key": model_class, "target": target} | given_fields(task=task, name=name)
    with table_file(file) as table, open_yard(url, storage, make=True) as yard:
        if given:
            fields["hyperparams"] = typed(given, model_class, yard.list_model_classes())
        request = parse(TrainRequest, {**fields, "X": table})
        job = yard.submit_training(request, idempotency_key=idempotency_key)
        doing = f"Training {model_class} on {table.name}"
        model = jobs.train(yard, job, doing, url=url, storage=storage, as_json=json)
    show_trained(model, as_json=json)


@orders_training
def retrain(
    ref: Annotated[str, typer.Argument(metavar="REF", help="The model: an id, a name, or name:version.")],
    file: File,
    *,
    target: Annotated[
        str | None,
        typer.Option(
            "--target", "-t", metavar="COLUMN", help="The column to predict; else as before.", show_default=False
        ),
    ] = None,
    param: Params = None,
    order: dict[str, Any],
    idempotency_key: IdempotencyKey = None,
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Train a model's next version on a new table.

    What is left out is as it was in the model that REF means.
    """
    from modelyard.cli.files import table_file
    from modelyard.cli.texts import pairs, typed
    from modelyard.schemas import RetrainRequest, parse

    given = pairs("--param", param or [])
    fields = order | {"model_id": ref} | given_fields(target=target)
    with table_file(file) as table, open_yard(url, storage) as yard:
        if given:
            parent = yard.get_model(ref)
            fields["hyperparams"] = typed(given, parent.model_class_key, yard.list_model_classes())
        request = parse(RetrainRequest, {**fields, "X": table})
        job = yard.submit_retraining(request, idempotency_key=idempotency_key)
        doing = f"Training {ref} anew on {table.name}"
        model = jobs.train(yard, job, doing, url=url, storage=storage, as_json=json)
    show_trained(model, as_json=json)


def show_trained(model: ModelMetadata, *, as_json: bool) -> None:
    """Show the model that a training has made."""
    if as_json:
        screen.show_json(model.model_dump_json().encode())
        return
    from modelyard.cli.sheets import describe, metrics

    screen.show(screen.text(model.message, "bold green"), "", describe(model))
    screen.show("", metrics(model.metrics))
    screen.show_warnings(model.warnings)
