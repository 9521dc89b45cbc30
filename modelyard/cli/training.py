"""`train` and `retrain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli import jobs, screen
from modelyard.cli.connection import AsJson, Storage, Url, open_yard
from modelyard.cli.deciding import DecisionJson, decision_field
from modelyard.cli.promoting import PromoteAlias, PromoteIf, PromoteMargin, PromoteMetric, promote_field
from modelyard.cli.reading import given_fields, reads_training_table

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
FeatureTypes = Annotated[
    list[str] | None,
    typer.Option(
        "--feature-type",
        metavar="COLUMN=TYPE",
        help="numeric, categorical or datetime, if the column looks like another type; again for each.",
        show_default=False,
    ),
]
Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        metavar="COLUMN=ROLE",
        help="What a column is for that is no feature: id, time, group, weight or ignore; again for each.",
        show_default=False,
    ),
]
Monotone = Annotated[
    list[str] | None,
    typer.Option(
        "--monotone",
        metavar="COLUMN=1|-1",
        help="With a numeric column the answer must only rise (1) or only fall (-1); again for each.",
        show_default=False,
    ),
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="TAG", help="A tag; again for each.", show_default=False)
]
Description = Annotated[
    str | None,
    typer.Option("--description", metavar="TEXT", help="What people shall know of the model.", show_default=False),
]
Method = Annotated[
    str | None,
    typer.Option(
        "--evaluation",
        metavar="holdout|time|cv|none",
        help="How the model is judged; holdout if left out. time holds out the latest rows.",
        show_default=False,
    ),
]
Fraction = Annotated[
    float | None, typer.Option("--fraction", help="The share of rows held out (0.2).", show_default=False)
]
Folds = Annotated[int | None, typer.Option("--folds", help="The folds of a cross-validation (5).", show_default=False)]
Seed = Annotated[int | None, typer.Option("--seed", help="Decides which rows are held out (0).", show_default=False)]
Calibrate = Annotated[
    str | None,
    typer.Option(
        "--calibrate",
        metavar="sigmoid|isotonic|none",
        help="Calibrate the probabilities by fits that had not seen their rows; six times as many fits.",
        show_default=False,
    ),
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

_DIRECTIONS = {"1": 1, "+1": 1, "-1": -1, "0": 0}


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Models")(train)
    app.command(rich_help_panel="Models")(retrain)


@reads_training_table
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
    tag: Tags = None,
    description: Description = None,
    feature_type: FeatureTypes = None,
    role: Roles = None,
    monotone: Monotone = None,
    evaluation: Method = None,
    fraction: Fraction = None,
    folds: Folds = None,
    seed: Seed = None,
    decision: DecisionJson = None,
    calibrate: Calibrate = None,
    promote: PromoteAlias = None,
    promote_if: PromoteIf = None,
    promote_metric: PromoteMetric = None,
    promote_margin: PromoteMargin = None,
    reading: dict[str, Any],
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
    fields = reading | fields_of(feature_type, role, monotone, tag, judged_by(evaluation, fraction, folds, seed))
    fields |= decision_field(decision) | given_fields(calibrate=calibrate)
    fields |= promote_field(promote, promote_if, promote_metric, promote_margin)
    fields |= {"model_class_key": model_class, "target": target}
    fields |= given_fields(task=task, name=name, description=description)
    with table_file(file) as table, open_yard(url, storage, make=True) as yard:
        if given:
            fields["hyperparams"] = typed(given, model_class, yard.list_model_classes())
        request = parse(TrainRequest, {**fields, "X": table})
        job = yard.submit_training(request, idempotency_key=idempotency_key)
        doing = f"Training {model_class} on {table.name}"
        model = jobs.train(yard, job, doing, url=url, storage=storage, as_json=json)
    show_trained(model, as_json=json)


@reads_training_table
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
    tag: Tags = None,
    description: Description = None,
    feature_type: FeatureTypes = None,
    role: Roles = None,
    monotone: Monotone = None,
    evaluation: Method = None,
    fraction: Fraction = None,
    folds: Folds = None,
    seed: Seed = None,
    decision: DecisionJson = None,
    calibrate: Calibrate = None,
    promote: PromoteAlias = None,
    promote_if: PromoteIf = None,
    promote_metric: PromoteMetric = None,
    promote_margin: PromoteMargin = None,
    reading: dict[str, Any],
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
    fields = reading | fields_of(feature_type, role, monotone, tag, judged_by(evaluation, fraction, folds, seed))
    fields |= decision_field(decision) | given_fields(calibrate=calibrate)
    fields |= promote_field(promote, promote_if, promote_metric, promote_margin)
    fields["model_id"] = ref
    fields |= given_fields(target=target, description=description)
    with table_file(file) as table, open_yard(url, storage) as yard:
        if given:
            parent = yard.get_model(ref)
            fields["hyperparams"] = typed(given, parent.model_class_key, yard.list_model_classes())
        request = parse(RetrainRequest, {**fields, "X": table})
        job = yard.submit_retraining(request, idempotency_key=idempotency_key)
        doing = f"Training {ref} anew on {table.name}"
        model = jobs.train(yard, job, doing, url=url, storage=storage, as_json=json)
    show_trained(model, as_json=json)


def fields_of(
    feature_type: list[str] | None,
    role: list[str] | None,
    monotone: list[str] | None,
    tag: list[str] | None,
    evaluation: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return the fields that were given: one left out must not reach the core as given."""
    from modelyard.cli.texts import pairs

    fields = columns_fields(feature_type, role)
    if monotone:
        given = pairs("--monotone", monotone, split_last=True)
        fields["monotone"] = {name: _DIRECTIONS.get(text, text) for name, text in given.items()}
    if tag:
        fields["tags"] = tag
    if evaluation is not None:
        fields["evaluation"] = evaluation
    return fields


def columns_fields(feature_type: list[str] | None, role: list[str] | None) -> dict[str, Any]:
    """Return what was said of the columns, as fields of a request."""
    from modelyard.cli.texts import pairs

    fields: dict[str, Any] = {}
    if feature_type:
        fields["feature_types"] = pairs("--feature-type", feature_type, split_last=True)
    if role:
        fields["column_roles"] = pairs("--role", role, split_last=True)
    return fields


def judged_by(method: str | None, fraction: float | None, folds: int | None, seed: int | None) -> dict[str, Any] | None:
    """Return the evaluation asked for: `--folds` alone means cv, `--fraction` alone means holdout."""
    from modelyard.errors import InvalidRequest

    for option, value, belongs_to in (("--folds", folds, ("cv",)), ("--fraction", fraction, ("holdout", "time"))):
        if value is None:
            continue
        method = method or belongs_to[0]
        if method not in belongs_to:
            raise InvalidRequest(f"{option} goes with --evaluation {' or '.join(belongs_to)} alone, got {method}")
    given = {"method": method, "fraction": fraction, "folds": folds, "seed": seed}
    return given_fields(**given) or None


def show_trained(model: ModelMetadata, *, as_json: bool) -> None:
    """Show the model that a training has made."""
    if as_json:
        screen.show_json(model.model_dump_json().encode())
        return
    from modelyard.cli.sheets import describe, metrics

    screen.show(screen.text(model.message, "bold green"), "", describe(model))
    screen.show("", metrics(model.metrics))
    screen.show_warnings(model.warnings)
