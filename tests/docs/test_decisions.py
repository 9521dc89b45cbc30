"""The walk through `docs/decisions.md` prints what it promises, run as a newcomer would."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.docs.test_readme import ROOT, SERVER, matches, server, steps, workplace

__all__ = ["server", "workplace"]

PAGE = (ROOT / "docs" / "decisions.md").read_text()


def test_the_walk_through_decisions_prints_what_it_promises(server: str, workplace: Path) -> None:
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    for command, promised in (step for block in blocks for step in steps(block)):
        run = subprocess.run(
            ["sh", "-c", command.replace(SERVER, server)],
            cwd=workplace,
            env={**os.environ, "COLUMNS": "200"},
            capture_output=True,
            check=False,
            text=True,
        )
        assert run.returncode == 0, run.stderr
        assert matches(promised, run.stdout), f"{command}\npromised: {promised}\nprinted: {run.stdout}"


def test_every_rule_stands_on_the_page() -> None:
    from modelyard.schemas.decisions import TAKES

    for rule, fields in TAKES.items():
        assert f'"rule": "{rule}"' in PAGE
        assert all(f'"{field}"' in PAGE for field in fields)
