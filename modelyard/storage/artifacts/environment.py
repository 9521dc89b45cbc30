"""The environment an artifact is made in, recorded with it and checked before it is loaded."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata

from modelyard.errors import EnvironmentMismatch

_ALWAYS = ("numpy", "joblib")
_SKEW = "MODELYARD_ALLOW_VERSION_SKEW=true"


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
    for library in libraries:
        here = _installed_version(library)
        there = recorded.get(library)
        if here is None:
            raise EnvironmentMismatch(
                f"{what} was made with {library} {there or 'of an unknown version'}, which is not installed here: "
                f"install it, or retrain the model"
            )
        if not allow_version_skew and (there is None or _release(there, 2) != _release(here, 2)):
            raise _mismatch(what, library, there, here)
    here = platform.python_version()
    there = recorded.get("python")
    if not allow_version_skew and (there is None or _release(there, 1) != _release(here, 1)):
        raise _mismatch(what, "Python", there, here)


def _mismatch(what: str, library: str, there: str | None, here: str) -> EnvironmentMismatch:
    return EnvironmentMismatch(
        f"{what} was made with {library} {there or 'of an unknown version'}, here is {library} {here}: "
        f"retrain the model, or set {_SKEW} to load it all the same"
    )


def _release(version: str, parts: int) -> list[str]:
    return version.split(".")[:parts]


@cache
def _installed_version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
