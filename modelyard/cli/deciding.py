"""How probabilities become answers: `decision set` and `decision show`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, Storage, Url, open_yard
from modelyard.cli.models import Ref
from modelyard.cli.reading import given_fields

if TYPE_CHECKING:
    from modelyard.schemas import DecisionReport

DecisionJson = Annotated[
    str | None,
    typer.Option(
        "--decision",
        metavar="JSON",
        help='How probabilities become answers: \'{"rule": "capacity", "share": 0.05}\'; see decision set.',
        show_default=False,
    ),
]

_RULES = {
    "threshold": "threshold",
    "metric": "threshold",
    "min_precision": "threshold",
    "costs": "costs",
    "share": "capacity",
}
"""The rule that an option means by itself."""

_STEP = 10
"""Of the curve's points a terminal gets those at each tenth, and the decision's own."""


def _option(flag: str, metavar: str, explained: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=explained, show_default=False)


Rule = Annotated[
    str | None,
    _option(
        "--rule",
        "most_probable|threshold|costs|capacity",
        "The rule; the other options mean theirs by themselves.",
    ),
]
Label = Annotated[str | None, _option("--class", "LABEL", "The class that the rule is about; else the second of two.")]
OfClass = Annotated[
    str | None,
    _option("--class", "LABEL", "The class to show thresholds of; else the decision's, or the second of two."),
]
Threshold = Annotated[
    float | None, _option("--threshold", "P", "Answer the class from this probability on, between 0 and 1.")
]
Metric = Annotated[
    str | None,
    _option("--metric", "f1|balanced_accuracy", "Find the threshold that is best by this on the validation."),
]
MinPrecision = Annotated[
    float | None, _option("--min-precision", "P", "Find the lowest threshold of this precision on the validation.")
]
CostsFile = Annotated[
    Path | None,
    _option("--costs", "FILE", 'A JSON file {"true label": {"predicted label": cost}}; gains are negative.'),
]
Cost = Annotated[
    list[str] | None,
    _option("--cost", "TRUE:PREDICTED=COST", "What an answer costs, as in yes:no=10; again for each."),
]
Share = Annotated[
    float | None, _option("--share", "P", "Answer the class for this part of the rows, the most probable ones.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    decision = typer.Typer(no_args_is_help=True)
    decision.command("set")(set_decision)
    decision.command()(show)
    app.add_typer(
        decision, name="decision", help="How a model's probabilities become answers.", rich_help_panel="Models"
    )


def set_decision(
    ref: Ref,
    *,
    rule: Rule = None,
    label: Label = None,
    threshold: Threshold = None,
    metric: Metric = None,
    min_precision: MinPrecision = None,
    costs: CostsFile = None,
    cost: Cost = None,
    share: Share = None,
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Have a model's answers obey a decision from now on, without training anew.

    Example: modelyard decision set churn --cost yes:no=10 --cost no:yes=1
    """
    from modelyard.schemas import Decision, parse

    given = given_fields(
        threshold=threshold, metric=metric, min_precision=min_precision, costs=_costs(costs, cost), share=share
    )
    rule = rule or next((_RULES[name] for name in given), None)
    decision = parse(Decision, given_fields(rule=rule, **{"class": label}) | given)
    with open_yard(url, storage) as yard:
        model = yard.set_decision(ref, decision)
        found = None if json else yard.get_decision(model.model_id)
    if found is None:
        screen.show_json(model.model_dump_json().encode())
        return
    screen.show(screen.text(model.message, "bold green"))
    _show(found)


def show(ref: Ref, *, label: OfClass = None, url: Url = None, storage: Storage = None, json: AsJson = False) -> None:
    """Show how a model's probabilities become answers, and what that does on the rows that were held out."""
    with open_yard(url, storage) as yard:
        found = yard.get_decision(ref, label)
    if json:
        screen.show_json(found.model_dump_json().encode())
        return
    screen.show(f"{found.name}:{found.version} answers {found.decision.in_words}")
    _show(found)


def decision_field(text: str | None) -> dict[str, Any]:
    """Return the field `decision` of a request, none if it was not given. Raises InvalidRequest."""
    return {} if text is None else {"decision": _json("--decision", text)}


def _json(what: str, text: str | bytes) -> Any:
    import orjson

    from modelyard.errors import InvalidRequest

    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"{what} is not valid JSON: {error}") from None


def _costs(file: Path | None, cells: Sequence[str] | None) -> Any:
    """Return the costs of a file, or of cells written true:predicted=cost; None if neither was given."""
    from modelyard.cli.texts import pairs
    from modelyard.errors import InvalidRequest

    if file is None and not cells:
        return None
    if file is not None and cells:
        raise InvalidRequest("--costs and --cost both give costs; choose one")
    if file is not None:
        try:
            return _json(f"--costs {str(file)!r}", file.read_bytes())
        except OSError as error:
            raise InvalidRequest(f"--costs {str(file)!r} cannot be read: {error.strerror}") from None
    found: dict[str, dict[str, float]] = {}
    for labels, cost in pairs("--cost", cells or [], split_last=True).items():
        true, colon, predicted = labels.partition(":")
        if not colon or ":" in predicted or not _is_number(cost):
            raise InvalidRequest(
                f"--cost must be written true:predicted=cost, as in yes:no=10, got {f'{labels}={cost}'!r}; "
                "labels with a colon go into a file for --costs"
            )
        found.setdefault(true, {})[predicted] = float(cost)
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _show(found: DecisionReport) -> None:
    if found.words:
        screen.show(f"On {found.n_rows:,} rows held out it {found.words}." if _is_done(found) else found.words)
    if found.metrics is not None and found.most_probable is not None:
        names = ("precision", "recall", "share", "accuracy", "cost")
        made = screen.table("", "decision", "most probable", right=["decision", "most probable"])
        for name in names:
            both = [screen.number(getattr(one, name)) for one in (found.metrics, found.most_probable)]
            screen.add_row(made, "cost a row" if name == "cost" else name, *both)
        screen.show("", made)
    if found.curve:
        columns = ("threshold", "precision", "recall", "share", "cost a row", "low", "high")
        made = screen.table(*columns, right=columns)
        for point in found.curve:
            own = point.threshold == found.own_threshold
            if own or round(point.threshold * _STEP, 9).is_integer():
                screen.add_row(made, *map(screen.number, point.model_dump().values()), style="bold" if own else None)
        screen.show(screen.text(f"\nThresholds of {found.label!r}", "bold"), made)
    screen.show_warnings(found.warnings)


def _is_done(found: DecisionReport) -> bool:
    return not found.words.startswith("no saving")
