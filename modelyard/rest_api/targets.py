"""Which route a request is for: paths below a proxy's, and HEAD."""

from __future__ import annotations

import re

from starlette.types import Scope

_EVENTS = re.compile(r"/jobs/[^/]+/events")


def below(root_path: str, scope: Scope) -> Scope:
    """Return a request with the path below `root_path`; a proxy may have taken that off, or left it there."""
    path: str = scope["path"]
    if path != root_path and not path.startswith(root_path + "/"):
        return scope
    return {**scope, "path": path.removeprefix(root_path) or "/"}


def as_get(scope: Scope) -> Scope:
    """Route HEAD to GET (RFC 9110, 9.1): the head is the same, and the server leaves the body out.

    A stream of events is left as it is: it ends with its job, and would hold the connection of a caller who asked for
    the head alone.
    """
    return scope if _EVENTS.fullmatch(scope["path"]) else {**scope, "method": "GET"}
