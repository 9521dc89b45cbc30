"""Who visits: the key that was shown, who the servers say that is, and what such a one may."""

from __future__ import annotations

import weakref
from collections.abc import Mapping

from modelyard.access import permissions
from modelyard.dashboard.doors import DoorName, Doors
from modelyard.errors import Unauthenticated
from modelyard.schemas import Role, Whoami
from modelyard.verbs import Verbs


class Visitor:
    """A visitor who has shown a key, or none.

    `who` is None until the servers were asked. `refused` is what they said when they wanted no more of this visitor;
    until a key was shown that they take, nothing else can be asked for. The connections go with the visitor.
    """

    def __init__(self, key: str | None = None) -> None:
        self._key = key
        self._clients: dict[DoorName, Verbs] = {}
        self.who: Whoami | None = None
        self.refused: Unauthenticated | None = None
        self._end = weakref.finalize(self, _close, self._clients)

    @property
    def has_key(self) -> bool:
        """Whether a key was shown."""
        return self._key is not None

    def client(self, doors: Doors, name: DoorName) -> Verbs:
        """Return the client for a door. Raises InvalidRequest if what was shown can be no key; see `Doors.client`."""
        if self._key is None:
            return doors.client(name)
        if name not in self._clients:
            self._clients[name] = doors.client_with(self._key, name)
        return self._clients[name]

    def may(self, verb: str) -> bool:
        """Whether the servers let the visitor use a verb; True while nobody knows."""
        if self.who is None:
            return True
        return verb in permissions.granted(self.who.role, limited=bool(self.who.models))

    def leave(self) -> None:
        """Let go of the connections."""
        self._end()


def _close(clients: Mapping[DoorName, Verbs]) -> None:
    for client in clients.values():
        client.close()


def role_for(verb: str) -> Role | None:
    """Return the role that a verb needs; None if it is open to all."""
    return permissions.NEEDED[verb]
