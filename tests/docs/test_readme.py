"""The README's commands do what it says they do, run as a newcomer would."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.settings import Settings
from tests import doors

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
SERVER = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with doors.rest_thread(tmp_path_factory.mktemp("readme") / "models_storage") as url:
        yield url


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like a fresh clone to the commands, with the table that the first of them makes."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("node_modules"))
    (folder / ".venv" / "bin").mkdir(parents=True)
    for command in ("python", "modelyard"):
        (folder / ".venv" / "bin" / command).write_text(
            f'#!/bin/sh\nexec "{sys.executable}" {"-m modelyard" if command == "modelyard" else ""} "$@"\n'
        )
        (folder / ".venv" / "bin" / command).chmod(0o755)
    subprocess.run([".venv/bin/python examples/iris_csv.py > iris.csv"], shell=True, cwd=folder, check=True)
    return folder


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def steps(block: str) -> list[tuple[str, str]]:
    """Return the commands of a console block, each with the output it promises."""
    found = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (step.partition("\n") for step in found)]


def matches(promised: str, printed: str) -> bool:
    """Tell whether an output is as promised; `…` stands for anything."""
    words = [re.escape(" ".join(part.split())) for part in promised.split("…")]
    return re.fullmatch(r"\s*.*\s*".join(words), " ".join(printed.split()), re.DOTALL) is not None


@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block.split()[1])
def test_the_console_examples_print_what_they_promise(block: str, server: str, workplace: Path) -> None:
    for command, promised in steps(block):
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


def test_the_python_example_prints_what_it_promises(
    server: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = blocks("pycon")
    monkeypatch.chdir(workplace)
    test = doctest.DocTestParser().get_doctest(block.replace(SERVER, server), {}, "README", "README.md", 0)
    report: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert result.attempted > 5
    assert result.failed == 0, "".join(report)


def test_the_russian_readme_shows_the_same_commands() -> None:
    russian = (ROOT / "README.ru.md").read_text()
    for language, least in (("console", 3), ("pycon", 1), ("sh", 2)):
        shown = blocks(language, russian)
        assert len(shown) >= least
        assert set(shown) <= set(blocks(language))


def test_every_link_to_a_file_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_setting_is_documented_with_its_default() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    for name, field in Settings.model_fields.items():
        assert f"`MODELYARD_{name.upper()}`" in text, name
        assert field.description, name
