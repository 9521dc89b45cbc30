"""The two ways to the yard, REST and gRPC, and the clients that go them; each session chooses its door.

Clients without a key are shared by all sessions. One with a key belongs to the session that opened it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import streamlit as st

from modelyard.connection import connect_server
from modelyard.dashboard.patience import patient_with
from modelyard.errors import ModelyardError
from modelyard.schemas import Health
from modelyard.verbs import Verbs

DoorName = Literal["rest", "grpc"]
DOOR_NAMES: tuple[DoorName, ...] = ("rest", "grpc")
DOOR_TITLES: dict[DoorName, str] = {"rest": "REST", "grpc": "gRPC"}

_HEALTH_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the doors are: `rest_url` as http(s)://host:port, `grpc_target` as host:port or grpcs://host:port.

    Over TLS they are known by `ca_file` and `server_name`, as `connect` has them; empty: as the environment says.
    """

    rest_url: str
    grpc_target: str
    ca_file: str = ""
    server_name: str = ""

    def address(self, name: DoorName) -> str:
        """Return a door's address."""
        return self.rest_url if name == "rest" else self.grpc_target

    def client(self, name: DoorName) -> Verbs:
        """Return the client for a door, connected or not. Raises Unavailable if this installation lacks it."""
        return _patient(name, self.address(name), ca_file=self.ca_file, server_name=self.server_name)

    def client_with(self, key: str, name: DoorName) -> Verbs:
        """Open a client that shows a key. Raises InvalidRequest for what can be no key; see `client`."""
        url = _url(name, self.address(name))
        return patient_with(partial(connect_server, url, key, ca_file=self.ca_file, server_name=self.server_name))

    def look(self, name: DoorName) -> Look:
        """Ask a door how it is."""
        began = time.perf_counter()
        try:
            health = self._open(name, timeout_s=_HEALTH_TIMEOUT_S).health()
        except ModelyardError as error:
            return Look(name, None, 0.0, error.detail)
        return Look(name, health, time.perf_counter() - began)

    def _open(self, name: DoorName, **options: Any) -> Verbs:
        return _client(name, self.address(name), ca_file=self.ca_file, server_name=self.server_name, **options)


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
def _patient(name: DoorName, address: str, **options: Any) -> Verbs:
    return patient_with(partial(_client, name, address, **options))


@st.cache_resource(show_spinner=False)
def _client(name: DoorName, address: str, **options: Any) -> Verbs:
    return connect_server(_url(name, address), **options)


def _url(name: DoorName, address: str) -> str:
    return address if name == "rest" or "://" in address else f"grpc://{address}"
