"""The two ways to the yard, REST and gRPC, and the clients that go them.

Clients are shared by all sessions; each session chooses its door.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import streamlit as st

from modelyard.connection import connect_server
from modelyard.errors import ModelyardError
from modelyard.schemas import Health
from modelyard.verbs import Verbs

DoorName = Literal["rest", "grpc"]
DOOR_NAMES: tuple[DoorName, ...] = ("rest", "grpc")
DOOR_TITLES: dict[DoorName, str] = {"rest": "REST", "grpc": "gRPC"}

_HEALTH_TIMEOUT_S = 3.0
_VERB_TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the doors are: `rest_url` as http://host:port, `grpc_target` as host:port."""

    rest_url: str
    grpc_target: str

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> Self:
        """Read them from the script's arguments, as `as_arguments` wrote them."""
        rest_url, grpc_target = arguments
        return cls(rest_url, grpc_target)

    def as_arguments(self) -> list[str]:
        """Write them as the script's arguments."""
        return [self.rest_url, self.grpc_target]

    def address(self, name: DoorName) -> str:
        """Return a door's address."""
        return self.rest_url if name == "rest" else self.grpc_target

    def client(self, name: DoorName) -> Verbs:
        """Return the client for a door, connected or not. Raises Unavailable if this installation lacks it."""
        return _client(name, self.address(name), _VERB_TIMEOUT_S)

    def look(self, name: DoorName) -> Look:
        """Ask a door how it is."""
        began = time.perf_counter()
        try:
            health = _client(name, self.address(name), _HEALTH_TIMEOUT_S).health()
        except ModelyardError as error:
            return Look(name, None, 0.0, error.detail)
        return Look(name, health, time.perf_counter() - began)


@dataclass(frozen=True, slots=True)
class Look:
    """How a door was when it was asked: its health, None if it did not answer, and how long that took."""

    name: DoorName
    health: Health | None
    seconds: float
    problem: str = ""

    @property
    def well(self) -> bool:
        """Whether verbs can be expected to work."""
        return self.health is not None and self.health.status == "ok"


@st.cache_resource(show_spinner=False)
def _client(name: DoorName, address: str, timeout_s: float) -> Verbs:
    url = address if name == "rest" or "://" in address else f"grpc://{address}"
    return connect_server(url, timeout_s=timeout_s)
