"""What the bridge and a foreman say to each other: plain data alone, so that no object of ours is unpickled."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from modelyard import __version__
from modelyard.errors import Unavailable

LOOK_S = 1.0
"""How long a look waits for news."""

ALONE_S = 60.0
"""A run is ended when nobody has looked at it for so long, and so is an idle foreman that nobody keeps."""

PATIENCE_S = 90.0
"""A foreman that does not answer is asked again for so long: longer than it goes on alone."""

_SHORT = 200

Answer = Literal["yours", "busy", "other"]


class Kind(TypedDict):
    """What a foreman is for, and its versions. It is given runs by processes of the same kind alone."""

    modelyard: str
    python: str
    target: str
    preload: Sequence[str]
    rehearsal: str | None


class Order(TypedDict):
    """A run: `folder` is its spool, if nodes share it; else the depot at `depot_url` has what is in it but `files`.

    `key` is that of its ending, in hex; the rest are its limits.
    """

    run_id: str
    folder: str
    depot_url: str | None
    depot_endpoint: str | None
    files: Mapping[str, bytes]
    key: str
    niceness: int
    timeout_s: float
    memory_bytes: int


class Ended(TypedDict):
    """Why a run has left no ending, if it has left none: an error as JSON, and what becomes of the job."""

    error: Mapping[str, object]
    status: Literal["failed", "interrupted"]


class Look(TypedDict):
    """How a run is: `news` counts changes, `progress` is JSON or empty."""

    news: int
    progress: str
    ended: Ended | None


def kind_of(target: str, preload: Sequence[str], rehearsal: str | None) -> Kind:
    """Return the kind of the foremen that this process can have, or of the one that it is."""
    return Kind(
        modelyard=__version__,
        python=platform.python_version(),
        target=target,
        preload=list(preload),
        rehearsal=rehearsal,
    )


def versions(kind: Kind) -> str:
    """Say which versions a kind has."""
    return f"Modelyard {kind['modelyard']}, Python {kind['python']}"


def in_short(why: object) -> str:
    """Return the beginning of what Ray says: it says much."""
    return str(why).strip().split("\n")[0][:_SHORT] or type(why).__name__


def lost(why: object) -> Unavailable:
    """Say that a run was lost with its place on the cluster."""
    return Unavailable(
        f"the training was interrupted, because its place on the Ray cluster was lost ({in_short(why)}); train again"
    )
