"""The options that say how a table is read: declared once, given to every command that reads one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any

import typer


def _option(flag: str, metavar: str | None, explained: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=explained, show_default=False)


TABLE: dict[str, Any] = {
    "decimal": Annotated[str | None, _option("--decimal", "MARK", "The decimal mark of a CSV, . or ,")],
    "thousands": Annotated[
        str | None, _option("--thousands", "MARK", "The thousands mark of a CSV: . , ' or a blank.")
    ],
    "encoding": Annotated[
        str | None, _option("--encoding", "NAME", "How text is encoded, if not as UTF-8: cp1251, utf-16.")
    ],
    "delimiter": Annotated[str | None, _option("--delimiter", "MARK", "What parts the cells of a CSV; \\t is a tab.")],
    "skip_rows": Annotated[int | None, _option("--skip-rows", "N", "The lines (of a sheet: rows) above the table.")],
    "header": Annotated[bool | None, _option("--header/--no-header", None, "Whether the first row names the columns.")],
    "names": Annotated[
        str | None, _option("--names", "A,B,...", "The columns of a table without a header, with commas between.")
    ],
    "sheet": Annotated[
        str | None, _option("--sheet", "NAME", "The sheet of an Excel workbook; else the first that is filled.")
    ],
}
TRAINING_TABLE: dict[str, Any] = {
    "missing_markers": Annotated[
        list[str] | None,
        _option(
            "--missing-marker",
            "TEXT",
            "A text that means a missing cell, instead of those of the settings; again for each.",
        ),
    ],
    "exclude": Annotated[list[str] | None, _option("--exclude", "COLUMN", "A column to leave out; again for each.")],
}


Command = Callable[..., None]


def reads_table(command: Command) -> Command:
    """Give a command the options of reading; its `reading` gets those that were given, as fields of a request."""
    return with_options(command, "reading", TABLE, reading_fields)


def reads_training_table(command: Command) -> Command:
    """Give a command the options of reading and those for training alone, as `reads_table` does."""
    return with_options(command, "reading", TABLE | TRAINING_TABLE, reading_fields)


def with_options(
    command: Command, into: str, options: dict[str, Any], fields_of: Callable[[dict[str, Any]], dict[str, Any]]
) -> Command:
    """Give a command options in the place of its parameter `into`, which gets what `fields_of` makes of those given."""

    @wraps(command)
    def with_fields(*args: Any, **given: Any) -> None:
        fields = fields_of(given_fields(**{name: given.pop(name) for name in options}))
        command(*args, **given, **{into: fields})

    own = signature(command, eval_str=True)
    at = list(own.parameters).index(into)
    parameters = list(own.parameters.values())
    parameters[at : at + 1] = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=option) for name, option in options.items()
    ]
    with_fields.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return with_fields


def given_fields(**options: Any) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def reading_fields(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of reading that were given, as fields of a request. Raises InvalidRequest."""
    return given | ({"names": _names(given["names"])} if "names" in given else {})


def _names(text: str) -> list[str]:
    import csv

    from modelyard.errors import InvalidRequest

    try:
        (names,) = csv.reader([text], strict=True, skipinitialspace=True)
    except (csv.Error, ValueError):
        raise InvalidRequest(f"--names must be names with commas between, as in a CSV, got {text!r}") from None
    return names
