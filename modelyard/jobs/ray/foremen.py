"""The foremen of a cluster, as one process finds them: by their names, one for each core of each node.

All processes of a yard share them. One of another kind (another release made it, say) that has nothing to do is ended
and made anew; a node whose foremen have other versions even then is left alone for a while, and named.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayError
from ray.util import list_named_actors
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from modelyard.jobs.ray.foreman import Foreman
from modelyard.jobs.ray.orders import Kind, in_short, versions

NAMESPACE = "modelyard"

ANSWER_S = 5.0
_MAKING_S = 120.0
_LOOK_AROUND_S = 1.0
_KEEP_EVERY = 10
_BUSY_S = 0.2
_REFUSED_S = 60.0
_CALLERS = 64


class Unsure(Exception):
    """Some foremen do not answer, so that it is not known what they have."""


@dataclass(slots=True)
class Place:
    """A foreman that a node can have; `handle` is None as long as there is none, or none is known."""

    name: str
    node_id: str
    node: str
    number: int
    handle: Any = None
    runs: int = 0
    busy_until: float = 0.0
    others: int = 0
    making: asyncio.Task[None] | None = field(default=None, repr=False)


async def answered(reference: Any, timeout_s: float = ANSWER_S) -> Any:
    """Return what an actor answers. Raises RayError, TimeoutError."""
    return await asyncio.wait_for(asyncio.wrap_future(reference.future()), timeout_s)


class Foremen:
    """Those of the cluster that this process is connected to. `complain` is told what a person should know."""

    def __init__(self, kind: Kind, memory_bytes: int, complain: Callable[[str], None]) -> None:
        self._kind = kind
        self._memory_bytes = memory_bytes
        self._complain = complain
        self.holder = secrets.token_hex(8)
        self._places: dict[str, Place] = {}

    async def look_around(self) -> None:
        """Follow which nodes there are, and keep the first foreman of each, so that no run waits for one."""
        for turn in itertools.count():
            nodes = {node["NodeID"]: node for node in await asyncio.to_thread(ray.nodes) if node["Alive"]}
            for name in [name for name, place in self._places.items() if place.node_id not in nodes]:
                del self._places[name]
            for node_id, node in nodes.items():
                called = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
                for number in range(int(node["Resources"].get("CPU", 0))):
                    name = f"foreman-{node_id[:16]}-{number}"
                    self._places.setdefault(name, Place(name, node_id, called, number))
            for place in [place for place in self._places.values() if place.number == 0]:
                if place.handle is None:
                    self._make(place)
                elif turn % _KEEP_EVERY == 0:
                    await self._keep(place)
            await asyncio.sleep(_LOOK_AROUND_S)

    async def reserve(self) -> Place | None:
        """Keep a foreman's place for a run, on the node that has fewest; None if none is free now."""
        now = time.monotonic()
        load = {place.node_id: 0 for place in self._places.values()}
        for place in self._places.values():
            load[place.node_id] += place.runs
        for place in sorted(self._places.values(), key=lambda one: (one.handle is None, load[one.node_id], one.number)):
            if place.handle is None:
                self._make(place)
            elif place.busy_until <= now and await self._takes(place):
                return place
        return None

    async def find(self, run_id: str, key: str | None) -> tuple[Any, str] | None:
        """Return the foreman of a run, and the key of its ending, which may be known; None if there is none.

        Raises Unsure.
        """
        for handle, keys in await self._all_keys():
            if run_id in keys and key in (None, keys[run_id]):
                return handle, keys[run_id]
        return None

    async def sweep(self, job_id: str) -> None:
        """Kill the runs of a search that other holders have started."""
        with suppress(Unsure):
            for handle, keys in await self._all_keys():
                if any(run_id.startswith(f"{job_id}/") for run_id in keys):
                    handle.sweep.remote(self.holder, job_id)

    async def _all_keys(self) -> list[tuple[Any, dict[str, str]]]:
        """Return all foremen there are, and the runs that each knows. Raises Unsure if one does not answer."""
        names = await asyncio.to_thread(list_named_actors)
        found: list[Any] = await asyncio.gather(*map(self._keys, names), return_exceptions=True)
        for one in found:
            if isinstance(one, (TimeoutError, ActorUnavailableError)):
                raise Unsure("some foremen do not answer") from one
        return [one for one in found if isinstance(one, tuple)]

    async def _keys(self, name: str) -> tuple[Any, dict[str, str]]:
        """Return a foreman and the runs that it knows. Raises ValueError if it is gone by now, RayError."""
        handle: Any = await asyncio.to_thread(ray.get_actor, name)
        return handle, await answered(handle.keys.remote())

    async def _takes(self, place: Place) -> bool:
        """Whether a foreman keeps its place for a run."""
        try:
            said = await answered(place.handle.reserve.remote(self.holder, self._kind))
        except (RayError, TimeoutError):
            place.handle, said = None, "busy"
        if said == "yours":
            place.others = 0
            return True
        place.busy_until = time.monotonic() + _BUSY_S
        if said == "other":
            await self._replace(place)
        return False

    async def _replace(self, place: Place) -> None:
        """End a foreman of another kind, which is idle; if one of another kind comes again, refuse its node."""
        handle, place.handle = place.handle, None
        place.others += 1
        try:
            theirs: Kind = await answered(handle.kind.remote())
            await asyncio.to_thread(ray.kill, handle)
        except (RayError, TimeoutError):
            return
        if place.others > 1:
            place.others = 0
            for other in self._places.values():
                if other.node_id == place.node_id:
                    other.busy_until = time.monotonic() + _REFUSED_S
            self._complain(
                f"node {place.node} of the Ray cluster gets no trainings: it has {versions(theirs)}, "
                f"but this server {versions(self._kind)}"
            )

    async def _keep(self, place: Place) -> None:
        try:
            await answered(place.handle.keep.remote())
        except (RayError, TimeoutError):
            place.handle = None

    def _make(self, place: Place) -> None:
        """Begin to make a foreman unless one is being made on its node, or its node is refused."""
        if place.busy_until > time.monotonic():
            return
        for other in self._places.values():
            if other.node_id == place.node_id and other.making is not None and not other.making.done():
                return
        place.making = asyncio.create_task(self._made(place))

    async def _made(self, place: Place) -> None:
        try:
            handle = await asyncio.to_thread(self._actor, place)
            await answered(handle.kind.remote(), _MAKING_S)
        except Exception as error:  # noqa: BLE001 - whatever Ray, or a library that it imports, may raise
            place.busy_until = time.monotonic() + ANSWER_S
            self._complain(f"node {place.node} of the Ray cluster has no foreman: {in_short(error)}")
        else:
            place.handle = handle

    def _actor(self, place: Place) -> Any:
        options: dict[str, Any] = {"memory": self._memory_bytes} if self._memory_bytes else {}
        return (
            ray.remote(Foreman)
            .options(
                name=place.name,
                get_if_exists=True,
                lifetime="detached",
                num_cpus=1,
                max_restarts=0,
                max_task_retries=0,
                max_concurrency=_CALLERS,
                scheduling_strategy=NodeAffinitySchedulingStrategy(place.node_id, soft=False),
                **options,
            )
            .remote(self._kind["target"], self._kind["preload"], self._kind["rehearsal"])
        )
