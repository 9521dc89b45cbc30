"""The options that `train`, `retrain` and `search` share: what a model is fitted on, judged by and made for.

Each is declared once, and becomes a field of a request.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from modelyard.cli.deciding import DecisionJson, decision_field
from modelyard.cli.promoting import PromoteAlias, PromoteIf, PromoteMargin, PromoteMetric, promote_field
from modelyard.cli.reading import TABLE, TRAINING_TABLE, Command, given_fields, reading_fields, with_options

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

_ORDER: dict[str, Any] = {
    "tag": Tags,
    "description": Description,
    "feature_type": FeatureTypes,
    "role": Roles,
    "monotone": Monotone,
    "evaluation": Method,
    "fraction": Fraction,
    "decision": DecisionJson,
    "calibrate": Calibrate,
    "promote": PromoteAlias,
    "promote_if": PromoteIf,
    "promote_metric": PromoteMetric,
    "promote_margin": PromoteMargin,
}
_DIRECTIONS = {"1": 1, "+1": 1, "-1": -1, "0": 0}


def orders_training(command: Command) -> Command:
    """Give a command the options of a training; its `order` gets those that were given, as fields of a request."""
    return with_options(command, "order", _ORDER | {"folds": Folds, "seed": Seed} | TABLE | TRAINING_TABLE, _fields)


def orders_search(command: Command) -> Command:
    """Give a command those options of a training that a search has, too, as `orders_training` does."""
    return with_options(command, "order", _ORDER | TABLE | TRAINING_TABLE, _fields)


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    def taken(*names: str) -> list[Any]:
        return [given.pop(name, None) for name in names]

    fields = _judged_by(*taken("evaluation", "fraction", "folds", "seed"))
    fields |= promote_field(*taken("promote", "promote_if", "promote_metric", "promote_margin"))
    fields |= decision_field(*taken("decision"))
    fields |= columns_fields(*taken("feature_type", "role"))
    fields |= _monotone(*taken("monotone"))
    fields |= given_fields(tags=given.pop("tag", None))
    return fields | reading_fields(given)


def columns_fields(feature_type: list[str] | None, role: list[str] | None) -> dict[str, Any]:
    """Return what was said of the columns, as fields of a request."""
    from modelyard.cli.texts import pairs

    fields: dict[str, Any] = {}
    if feature_type:
        fields["feature_types"] = pairs("--feature-type", feature_type, split_last=True)
    if role:
        fields["column_roles"] = pairs("--role", role, split_last=True)
    return fields


def _monotone(given: list[str] | None) -> dict[str, Any]:
    from modelyard.cli.texts import pairs

    said = pairs("--monotone", given or [], split_last=True)
    return {"monotone": {name: _DIRECTIONS.get(text, text) for name, text in said.items()}} if said else {}


def _judged_by(method: str | None, fraction: float | None, folds: int | None, seed: int | None) -> dict[str, Any]:
    """Return the evaluation asked for: `--folds` alone means cv, `--fraction` alone means holdout."""
    from modelyard.errors import InvalidRequest

    for option, value, belongs_to in (("--folds", folds, ("cv",)), ("--fraction", fraction, ("holdout", "time"))):
        if value is None:
            continue
        method = method or belongs_to[0]
        if method not in belongs_to:
            raise InvalidRequest(f"{option} goes with --evaluation {' or '.join(belongs_to)} alone, got {method}")
    asked = given_fields(method=method, fraction=fraction, folds=folds, seed=seed)
    return {"evaluation": asked} if asked else {}
