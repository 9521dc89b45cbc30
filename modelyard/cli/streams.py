"""The standard streams of a command: closed ones are opened, and failures of standard output are told from others."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Unwritten(OSError):
    """Standard output cannot be written: it is closed, or its disk is full."""


class _Output(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:  # whoever read it has left, which is no failure
            raise
        except OSError as error:
            raise Unwritten(error.errno, error.strerror) from None


def set_up() -> None:
    """Make standard output raise Unwritten, and open the streams that the process was given closed.

    Input is empty then, errors go nowhere, and output cannot be written.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: PTH123, SIM115 - for as long as the process lasts
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
    given = sys.stdout
    file = os.open(os.devnull, os.O_RDONLY) if given is None else given.fileno()
    output = io.BufferedWriter(_Output(file, "w", closefd=False))
    if given is None:
        sys.stdout = io.TextIOWrapper(output, encoding="utf-8")
    else:
        sys.stdout = io.TextIOWrapper(output, given.encoding, given.errors, line_buffering=given.isatty())
