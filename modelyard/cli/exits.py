"""How a command ends: the exit code of each kind of failure, and the failure in words or as JSON on standard error."""

from __future__ import annotations

import os
import sys

import typer

from modelyard.cli import screen
from modelyard.errors import FieldError, Internal, InvalidRequest, ModelyardError, NoYard

EXIT_CODES = {
    "INTERNAL": 1,
    "INVALID_ARGUMENT": 2,
    "NOT_FOUND": 3,
    "ALREADY_EXISTS": 4,
    "ABORTED": 4,
    "FAILED_PRECONDITION": 4,
    "UNAVAILABLE": 5,
    "DATA_LOSS": 6,
    "RESOURCE_EXHAUSTED": 7,
    "CANCELLED": 8,
    "DEADLINE_EXCEEDED": 8,
    "UNAUTHENTICATED": 9,
    "PERMISSION_DENIED": 9,
}
"""The exit code of each code word; of several words that share one, the caller reads the word with `--json`."""

INTERRUPTED = 130
"""Ended by Ctrl-C: 128 + SIGINT, as shells report it."""

PIPE_CLOSED = 141
"""Whoever read standard output has left: 128 + SIGPIPE, as shells report it."""

EXPLANATION = (
    "Exit codes: 0 done; 2 the request or a table is not valid; 3 no such model or model class; 4 a conflict; "
    "5 the storage or the server cannot be reached; 6 stored data is damaged; 7 a limit is reached; "
    "8 cancelled or too late; 9 not allowed; 1 anything else; 130 stopped by Ctrl-C (a server: 0)."
)

ANOTHER_FOLDER = "A yard's folder is given by --storage or MODELYARD_STORAGE_DIR."
_UNEXPECTED = "something went wrong inside"
_HOW_TO_SEE = "run with MODELYARD_LOG_LEVEL=DEBUG to see where"


def exit_code(error: ModelyardError) -> int:
    """Return the exit code of an error's code word."""
    return EXIT_CODES.get(error.code, EXIT_CODES["INTERNAL"])


def report(error: ModelyardError, *, as_json: bool) -> None:
    """Write an error to standard error: in words with every wrong place, or as a JSON problem document."""
    if as_json:
        from modelyard.rest_api.problems import to_problem

        sys.stderr.write(to_problem(error, None).decode() + "\n")
        return
    console = screen.console(stderr=True)
    console.print(screen.text("Error: ", "bold red") + screen.text(error.detail))
    if len(error.errors) > 1 or any(wrong.message not in error.detail for wrong in error.errors):
        for wrong in error.errors:
            console.print(screen.text(f"  - {_place(wrong)}{wrong.message}"))
    if isinstance(error, NoYard):
        console.print(screen.text(ANOTHER_FOLDER))


def report_unexpected(error: Exception, *, as_json: bool) -> None:
    """Write a fixed text for what is not ours; its own words only if the log level is DEBUG."""
    detail = _UNEXPECTED
    if os.environ.get("MODELYARD_LOG_LEVEL", "").upper() == "DEBUG":
        import traceback

        detail = f"{_UNEXPECTED}: {type(error).__name__}"
        traceback.print_exception(error, file=sys.stderr)
    else:
        detail = f"{_UNEXPECTED}; {_HOW_TO_SEE}"
    report(Internal(detail), as_json=as_json)


def report_usage(error: typer.TyperException) -> None:
    """Write what is wrong with the command's own words as a JSON problem document."""
    report(InvalidRequest(error.format_message()), as_json=True)


def unwritten(error: OSError, *, as_json: bool) -> int:
    """Say why standard output cannot be written; return the exit code. That a reader has left needs no words."""
    _hush()
    if isinstance(error, BrokenPipeError):
        return PIPE_CLOSED
    report(Internal(f"standard output cannot be written: {error.strerror}"), as_json=as_json)
    return EXIT_CODES["INTERNAL"]


def _hush() -> None:
    """Send the rest of standard output nowhere, so that flushing it at exit does not fail once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _place(wrong: FieldError) -> str:
    """Say where something is wrong, unless the message does; the rows of a table count from 0."""
    if not wrong.loc or str(wrong.loc[-1]) in wrong.message:
        return ""
    match wrong.loc:
        case ("X" | "y", int(row), str(column)) | ("X", str(column), int(row)):
            return f"row {row}, column {column!r}: "
        case ("X" | "y", int(row), *_):
            return f"row {row}: "
    return f"{'.'.join(map(str, wrong.loc))}: "
