"""The environment an artifact is made in, recorded with it and checked before it is loaded."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata

from modelyard.errors import EnvironmentMismatch

_ALWAYS = ("numpy", "joblib")


def current_environment(libraries: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python, of these distributions, and of those that every artifact is written with."""
    environment = {"python": platform.python_version()}
    for library in dict.fromkeys((*libraries, *_ALWAYS)):
        if (version := _installed_version(library)) is not None:
            environment[library] = version
    return environment


def check_environment(
    what: str, recorded: Mapping[str, str], libraries: Iterable[str], *, allow_version_skew: bool = False
) -> None:
    """Raise EnvironmentMismatch if what was made in the environment `recorded` must not be loaded in this one.

    That is another major or minor version of one of its `libraries`, or another major version of Python; with
    `allow_version_skew` only a library that is not installed.
    """
    installed = [(library, library, _installed_version(library), 2) for library in libraries]
    for name, key, here, parts in (*installed, ("Python", "python", platform.python_version(), 1)):
        there = recorded.get(key)
        made = f"{what} was made with {name} {there or 'of an unknown version'}"
        if here is None:
            raise EnvironmentMismatch(f"{made}, which is not installed here: install it, or retrain the model")
        if not allow_version_skew and (there is None or _release(there, parts) != _release(here, parts)):
            raise EnvironmentMismatch(
                f"{made}, here is {name} {here}: "
                "retrain the model, or set MODELYARD_ALLOW_VERSION_SKEW=true to load it all the same"
            )


def _release(version: str, parts: int) -> list[str]:
    return version.split(".")[:parts]


@cache
def _installed_version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
