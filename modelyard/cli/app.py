"""The commands put together, and the one place where they end: errors become words and exit codes here."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import modelyard
from modelyard.cli import (
    aliases,
    audit,
    checking,
    connection,
    deciding,
    drift,
    evaluating,
    exits,
    explaining,
    health,
    history,
    jobs,
    keys,
    migrating,
    model_classes,
    models,
    outcomes,
    predicting,
    searching,
    servers,
    signing,
    tracking,
    training,
    upkeep,
)
from modelyard.cli.streams import Unwritten
from modelyard.errors import ModelyardError

_AS_JSON = "modelyard.as_json"


class _Commands(TyperGroup):
    """Ends every command: with its exit code, and nothing but words on standard error."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        # Read before the parser, which may be what fails.
        ctx.meta[_AS_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        as_json: bool = ctx.meta[_AS_JSON]
        try:
            answer = super().invoke(ctx)
            sys.stdout.flush()
            return answer
        except ModelyardError as error:
            exits.report(error, as_json=as_json)
            raise typer.Exit(exits.exit_code(error)) from None
        except typer.TyperException as error:
            if not as_json:
                raise
            exits.report_usage(error)
            raise typer.Exit(error.exit_code) from None
        except (KeyboardInterrupt, typer.Abort):
            raise typer.Exit(exits.INTERRUPTED) from None
        except (Unwritten, BrokenPipeError) as error:
            raise typer.Exit(exits.unwritten(error, as_json=as_json)) from None
        except (typer.Exit, SystemExit):
            raise
        except Exception as error:  # noqa: BLE001 - a door: nothing foreign gets past it
            exits.report_unexpected(error, as_json=as_json)
            raise typer.Exit(exits.EXIT_CODES["INTERNAL"]) from None


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"modelyard {modelyard.__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=exits.EXPLANATION,
)


@app.callback()
def _modelyard(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Train, judge, serve and retire models on tables: classification and regression.

    The verbs work on a folder or, with --url, on a server.
    """


for _add in (
    servers.add_to,
    health.add_to,
    checking.add_to,
    training.add_to,
    searching.add_to,
    predicting.add_to,
    evaluating.add_to,
    drift.add_to,
    outcomes.add_to,
    explaining.add_to,
    models.add_to,
    jobs.add_to,
    deciding.add_to,
    aliases.add_to,
    history.add_to,
    model_classes.add_to,
    keys.add_to,
    signing.add_to,
    audit.add_to,
    upkeep.add_to,
    migrating.add_to,
    tracking.add_to,
):
    _add(app)
connection.add_key_file(app)
