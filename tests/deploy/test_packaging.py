"""The project's own set-up: the locks, the layers, and what a test may be skipped for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS: dict[str, list[str]] = PYPROJECT["dependency-groups"]
EXTRAS: dict[str, list[str]] = PYPROJECT["project"]["optional-dependencies"]

RUN = [*PYPROJECT["project"]["dependencies"], *(one for extra in EXTRAS.values() for one in extra), *GROUPS["build"]]
DEV = [*RUN, *GROUPS["dev"]]


def locked(lock: str) -> dict[str, set[str]]:
    """Return the versions of each package in a lock file; there may be one for each version of Python."""
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^ ]+)", (ROOT / "requirements" / lock).read_text(), re.MULTILINE):
        versions.setdefault(canonicalize_name(name), set()).add(version)
    return versions


@pytest.mark.parametrize(("lock", "wanted"), [("run.txt", RUN), ("dev.txt", DEV)])
def test_locks_hold_what_the_project_declares(lock: str, wanted: list[str]) -> None:
    versions = locked(lock)
    for requirement in map(Requirement, wanted):
        if requirement.name == PYPROJECT["project"]["name"]:
            continue
        found = versions.get(canonicalize_name(requirement.name), set())
        assert found, f"{requirement.name} is not in {lock}; run `make lock`"
        assert all(version in requirement.specifier for version in found), f"{lock} is older than pyproject.toml"


def test_development_lock_extends_the_run_time_lock() -> None:
    development = locked("dev.txt")
    assert {name: development.get(name) for name in locked("run.txt")} == locked("run.txt")


def test_the_images_lock_is_the_run_time_lock_without_what_nothing_imports() -> None:
    run, image = locked("run.txt"), locked("image.txt")
    assert all(versions <= run[name] for name, versions in image.items())
    text = (ROOT / "requirements" / "image-excludes.txt").read_text()
    excluded = set(re.findall(r"^[\w-]+", text, re.MULTILINE))
    assert not excluded & image.keys()
    needed = {canonicalize_name(Requirement(one).name) for one in RUN if one not in GROUPS["build"]}
    assert needed - excluded - image.keys() <= {PYPROJECT["project"]["name"]}, "run `make lock`"
    with_ray = locked("image-ray.txt")
    assert "ray" in excluded
    assert all(versions <= run[name] for name, versions in with_ray.items())
    assert image.keys() < with_ray.keys() >= {"ray"}
    build = {canonicalize_name(Requirement(one).name) for one in GROUPS["build"]}
    assert build <= locked("image-build.txt").keys()


@pytest.mark.parametrize("lock", ["run.txt", "dev.txt", "image.txt", "image-ray.txt", "image-build.txt"])
def test_locks_name_no_place_and_hash_every_package(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    assert not re.search(r"://|^--|^ *-[ef] |^ *# +via +/| @ ", text, re.MULTILINE)
    packages = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]
    assert packages
    assert all("--hash=sha256:" in package for package in packages)


def test_every_extra_but_the_largest_is_part_of_all() -> None:
    (everything,) = EXTRAS["all"]
    assert Requirement(everything).extras == EXTRAS.keys() - {"all", "ray"}


def test_ci_runs_the_tests_that_are_left_out_by_default() -> None:
    options = PYPROJECT["tool"]["pytest"]["ini_options"]["addopts"]
    steps = (ROOT / ".ci" / "run").read_text()
    (asked_for,) = re.findall(r"""^make test ARGS="-m '(.+)' -n 0"$""", steps, re.MULTILINE)
    assert options[options.index("-m") + 1] == f"not ({asked_for})"


SKIPPED = """
import pytest

@pytest.mark.skipif(True, reason="needs a browser")
def test_marked(): ...

def test_called():
    pytest.skip("needs a browser")

def test_of_other_data():
    pytest.skip("the larger real tables are not beside this checkout")
"""


@pytest.mark.parametrize(("ci", "outcomes"), [("true", {"errors": 1, "failed": 1, "skipped": 1}), ("", {"skipped": 3})])
def test_in_ci_no_test_is_skipped_for_want_of_a_tool(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcomes: dict[str, int]
) -> None:
    monkeypatch.setenv("CI", ci)
    run_here(pytester, monkeypatch, SKIPPED).assert_outcomes(**outcomes)


TIME_IS_UP = """
import signal

def pytest_runtest_makereport(call):
    if call.excinfo is not None and callable(signal.getsignal(signal.SIGALRM)):
        signal.raise_signal(signal.SIGALRM)
"""


def test_a_time_limit_that_passes_while_a_failure_is_told_ends_no_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(time_is_up=TIME_IS_UP)
    ended = run_here(pytester, monkeypatch, "def test(): assert False", "-p", "time_is_up", "--timeout=600")
    assert ended.ret is pytest.ExitCode.TESTS_FAILED


def run_here(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tests: str, *arguments: str
) -> pytest.RunResult:
    """Run tests in a process of their own, under this project's conftest.py."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text())
    pytester.makepyfile(tests)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist", *arguments)
