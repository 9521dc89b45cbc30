"""The options that say how a table is read: declared once, given to every command that reads one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any

import typer


def _option(flag: str, metavar: str | None, explained: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=explained, show_default=False)


_TABLE: dict[str, Any] = {
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
_TRAINING: dict[str, Any] = {
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


def reads_table(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of reading; its `reading` gets those that were given, as fields of a request."""
    return _with_options(command, _TABLE)


def reads_training_table(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of reading and those for training alone, as `reads_table` does."""
    return _with_options(command, _TABLE | _TRAINING)


def given_fields(**options: Any) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _with_options(command: Callable[..., None], options: dict[str, Any]) -> Callable[..., None]:
    @wraps(command)
    def with_reading(*args: Any, **given: Any) -> None:
        reading = given_fields(**{name: given.pop(name) for name in options})
        if "names" in reading:
            reading["names"] = _names(reading["names"])
        command(*args, **given, reading=reading)

    own = signature(command, eval_str=True)
    at = list(own.parameters).index("reading")
    parameters = list(own.parameters.values())
    parameters[at : at + 1] = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=option) for name, option in options.items()
    ]
    with_reading.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return with_reading


def _names(text: str) -> list[str]:
    import csv

    from modelyard.errors import InvalidRequest

    try:
        (names,) = csv.reader([text], strict=True, skipinitialspace=True)
    except (csv.Error, ValueError):
        raise InvalidRequest(f"--names must be names with commas between, as in a CSV, got {text!r}") from None
    return names
