"""The command line: the verbs on a folder or, with `--url`, on a server, and the commands that start servers.

Each command makes a request, calls one verb and shows the answer; what the verbs do is the core's. What is heavy is
imported inside the commands, so that `--help` and `--version` answer at once.
"""

from __future__ import annotations

import sys

from modelyard.cli import streams


def main() -> None:
    """Run the command line on this process's arguments and end the process with its exit code."""
    streams.set_up()
    try:
        try:
            from modelyard.cli.app import app

            app(prog_name="modelyard")
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:  # before or after what `app` watches over
        sys.exit(130)
    except (streams.Unwritten, BrokenPipeError) as error:  # before or after, too: `--help` say
        from modelyard.cli import exits

        sys.exit(exits.unwritten(error, as_json="--json" in sys.argv))
