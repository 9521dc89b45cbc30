"""The options of `train` and `retrain` that say which alias the new version takes over, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli.reading import given_fields

if TYPE_CHECKING:
    from modelyard.schemas import Promotion

PromoteAlias = Annotated[
    str | None,
    typer.Option(
        "--promote",
        metavar="ALIAS",
        help="The alias that the new version takes over if it is better than the version that has it.",
        show_default=False,
    ),
]
PromoteIf = Annotated[
    str | None,
    typer.Option(
        "--promote-if",
        metavar="better|not_worse|always",
        help="On what condition it does; better if left out.",
        show_default=False,
    ),
]
PromoteMetric = Annotated[
    str | None,
    typer.Option(
        "--promote-metric",
        metavar="METRIC",
        help="What both versions are judged by: cost (if a decision says costs), else log_loss, or rmse.",
        show_default=False,
    ),
]
PromoteMargin = Annotated[
    float | None,
    typer.Option("--promote-margin", help="By how much not_worse may be worse (0.01).", show_default=False),
]


def promote_field(alias: str | None, condition: str | None, metric: str | None, margin: float | None) -> dict[str, Any]:
    """Return what was said of an alias, as a field of a request. Raises InvalidRequest for conditions without one."""
    from modelyard.errors import InvalidRequest

    said = given_fields(**{"if": condition, "metric": metric, "margin": margin})
    if alias is not None:
        return {"promote": {"alias": alias, **said}}
    if said:
        raise InvalidRequest(f"--promote-{next(iter(said))} goes with --promote ALIAS alone")
    return {}


def in_words(promotion: Promotion) -> str:
    """Say whether the alias was moved, and why."""
    from modelyard.cli import screen

    said = f"{promotion.alias} {'moved here' if promotion.moved else 'stays'}: {promotion.reason}"
    if promotion.difference is None or promotion.low is None or promotion.high is None:
        return said
    ends = f"{screen.number(promotion.low)} to {screen.number(promotion.high)}"
    return f"{said} (by {screen.number(promotion.difference)}, {ends}, on {promotion.n_rows:,} rows)"
