"""The command line as tests call it: in this process, its commands put together once."""

from __future__ import annotations

from functools import cache
from unittest import mock

from typer import testing
from typer.main import get_command
from typer.testing import CliRunner, Result

from modelyard.cli.app import app

_put_together = cache(get_command)
"""The runner has it done anew for every call, which takes ten times as long as most commands do."""


def run(*arguments: object, given: str = "") -> Result:
    """Run a command, with `given` on its standard input, and return how it ended."""
    with mock.patch.object(testing, "_get_command", _put_together):
        return CliRunner().invoke(app, [*map(str, arguments)], input=given)
