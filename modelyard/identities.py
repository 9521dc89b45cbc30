"""Who makes a call. Here are those who are asked for no key; `access` knows the holders of keys."""

from __future__ import annotations

import os
import pwd
from datetime import datetime
from functools import lru_cache
from typing import ClassVar

from modelyard.schemas import ANONYMOUS, Role

LOCAL = "local"
"""The door of a call that comes from the core's own process; its caller is `local:` and the system's user."""


class Identity:
    """Who makes a call, and what they may. This one is trusted with everything; `access` knows others.

    `models` are patterns of the names of the models that the caller may see, empty if it may see all; `limited` says
    whether there are any, `has_key` whether `name` is that of a key.
    """

    __slots__ = ("limited", "models", "name", "role")
    has_key: ClassVar[bool] = False

    @property
    def created_at(self) -> datetime | None:
        """When the caller's key was made; None without one."""
        return None

    def __init__(self, name: str, role: Role = "admin", models: tuple[str, ...] = ()) -> None:
        self.name = name
        self.role = role
        self.models = models
        self.limited = bool(models)

    def may(self, verb: str) -> bool:
        """Whether the caller may use a verb."""
        return True

    def require(self, verb: str) -> None:
        """Raise Unauthenticated or PermissionDenied unless the caller may use a verb."""

    def sees(self, name: str | None) -> bool:
        """Whether the caller may see models of this name; None is a name that is not made yet."""
        return True

    def check(self) -> None:
        """Raise Unauthenticated if the caller's key is no longer valid."""


ANYONE = Identity(ANONYMOUS)
"""Who calls if nobody is asked for a key."""


@lru_cache(maxsize=1)
def itself() -> Identity:
    """Return who calls from this process: the user that it runs as, by the system's word, not the environment's."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user may have no name
        user = str(os.getuid())
    return Identity(f"{LOCAL}:{user}")
