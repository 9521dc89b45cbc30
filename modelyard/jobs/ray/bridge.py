"""The bridge: a process that speaks Ray to the cluster, and lines of JSON to the server that it belongs to.

Ray's threads, its memory and its ways to end a process stay out of the server. It ends with its server. If it ends
before that, the server starts another one, which adopts the runs: whatever must survive is with the foremen.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import orjson
import ray
from ray.exceptions import ActorUnavailableError, RayError

from modelyard.jobs.local.fork_server import IGNORED_SIGNALS
from modelyard.jobs.ray.files import sent_along, with_files
from modelyard.jobs.ray.foremen import ANSWER_S, NAMESPACE, Foremen, Place, Unsure, answered
from modelyard.jobs.ray.orders import LOOK_S, PATIENCE_S, Ended, Look, Order, in_short, kind_of, lost
from modelyard.schemas import JobError

_CONNECT_S = 60.0
_REACH_S = 5.0
_AGAIN_S = 0.5
_BRING_S = 600.0
"""So long the files of a run may take to its node, and back."""


def main(
    file: int, address: str, *, target: str, preload: Sequence[str], rehearsal: str | None, memory: int
) -> NoReturn:
    """Serve the server at the other end of the socket `file` until it is gone. See `RayRunner` for the names."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")  # Ray has the nodes look for modules where this process works
    os.set_inheritable(file, False)
    channel = socket.socket(fileno=file)
    server = _Server(channel)
    try:
        _connect(address, server)
        asyncio.run(_serve(Foremen(kind_of(target, preload, rehearsal), memory, server.complain), server))
    except BaseException as error:  # noqa: BLE001 - the server is told, and starts another bridge
        server.give_up(in_short(error))
    os._exit(0)


def _connect(address: str, server: _Server) -> None:
    """Connect to the cluster, within a time that Ray itself does not keep. Raises OSError, RuntimeError."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_S) as trial:
        own = trial.getsockname()[0]
    deadline = threading.Timer(_CONNECT_S, server.give_up, [f"it does not answer within {_CONNECT_S:g} s"])
    deadline.daemon = True
    deadline.start()
    try:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            log_to_driver=False,
            configure_logging=False,
            _node_ip_address=own,
        )
    except (ConnectionError, RuntimeError) as error:
        raise RuntimeError(_reason(error.__cause__ or error, own)) from error
    deadline.cancel()


def _reason(error: BaseException, own: str) -> str:
    """Say why Ray does not connect this host, whose address is `own`. Ray writes versions on lines of their own."""
    if "No node info found" in str(error):
        return f"this host is no node of it at {own}: start one here (ray start --address=... --num-cpus=0)"
    return " ".join(str(error).split())


class _Server:
    """The server's end of the lines; they are read in a thread, so that the server's end is seen in any case."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._heard: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        threading.Thread(target=self._hear, name="server", daemon=True).start()

    def tell(self, **message: object) -> None:
        """Tell the server something."""
        try:
            self._channel.sendall(orjson.dumps(message) + b"\n")
        except OSError:
            os._exit(0)

    def complain(self, text: str) -> None:
        """Tell the server what a person should know."""
        self.tell(problem=text)

    def give_up(self, why: str) -> NoReturn:
        """Say why there is no way on, and end."""
        self.complain(f"the Ray cluster cannot be used: {why}")
        os._exit(1)

    async def messages(self) -> asyncio.Queue[dict[str, Any]]:
        """Return where the server's messages come in."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
            for message in self._heard:
                self._queue.put_nowait(message)
        return self._queue

    def _hear(self) -> None:
        with self._channel.makefile("rb") as lines:
            for line in lines:
                message = orjson.loads(line)
                with self._lock:
                    if self._loop is None:
                        self._heard.append(message)
                    else:
                        self._loop.call_soon_threadsafe(self._queue.put_nowait, message)
        os._exit(0)


async def _serve(foremen: Foremen, server: _Server) -> None:
    """Do what the server says."""
    bridge = _Bridge(foremen, server)
    tasks: set[asyncio.Task[None]] = {asyncio.create_task(foremen.look_around())}
    messages = await server.messages()
    next_message = asyncio.create_task(messages.get())
    while True:
        done, _ = await asyncio.wait({next_message, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done & tasks:
            task.result()
            tasks.discard(task)
        if next_message in done:
            tasks.add(asyncio.create_task(bridge.obey(next_message.result())))
            next_message = asyncio.create_task(messages.get())


class _Bridge:
    """What the server may say."""

    def __init__(self, foremen: Foremen, server: _Server) -> None:
        self._foremen = foremen
        self._server = server
        self._places: dict[str, Place] = {}
        self._runs: dict[str, Any] = {}
        self._killed: set[str] = set()

    def obey(self, message: dict[str, Any]) -> Coroutine[Any, Any, None]:
        """Return the way to do what a message says."""
        if "reserve" in message:
            return self._reserve()
        if "free" in message:
            return self._free(message["free"])
        if "start" in message:
            return self._start(message["place"], message["start"])
        if "adopt" in message:
            return self._adopt(message["adopt"], message["key"], message["folder"])
        if "sweep" in message:
            return self._foremen.sweep(message["sweep"])
        if "bye" in message:
            return self._leave()
        return self._kill(message["kill"])

    async def _reserve(self) -> None:
        place = await self._foremen.reserve()
        if place is not None:
            self._places[place.name] = place
        self._server.tell(reserved=None if place is None else place.name)

    async def _free(self, name: str) -> None:
        place = self._places.pop(name, None)  # there is none if a bridge before this one had it
        if place is not None and place.handle is not None:
            place.handle.free.remote(self._foremen.holder)

    async def _start(self, name: str, order: dict[str, Any]) -> None:
        place, run_id = self._places.pop(name, None), order["run_id"]
        if place is None or place.handle is None:
            self._end(run_id, order["key"], _lost("its foreman is gone"))
            return
        place.runs += 1
        try:
            if await self._begins(place.handle, order):
                await self._follow(run_id, place.handle, order["key"], order["folder"])
        finally:
            place.runs -= 1

    async def _begins(self, foreman: Any, order: dict[str, Any]) -> bool:
        """Hand over a run, and the files that it is given; return whether it may have begun, else tell its end."""
        run_id, folder = order["run_id"], Path(order["folder"])
        files = {} if order["depot_url"] is None else sent_along(folder, is_job="/" not in run_id)
        sent = Order(**{**order, "files": files})  # type: ignore[typeddict-item]
        try:
            if not await answered(foreman.start.remote(self._foremen.holder, sent), _BRING_S):
                self._end(run_id, order["key"], _lost("its place was given to another one meanwhile"))
                return False
        except RayError as error:
            self._end(run_id, order["key"], _lost(error))
            return False
        except TimeoutError:
            pass  # it may have begun all the same
        return True

    async def _adopt(self, run_id: str, key: str | None, folder: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                found = await self._foremen.find(run_id, key)
            except Unsure as unsure:
                if time.monotonic() > until:
                    return self._end(run_id, None, _lost(unsure))
                await asyncio.sleep(_AGAIN_S)
                continue
            if found is None:
                return self._end(run_id, None, _lost("no foreman knows of it"))
            return await self._follow(run_id, *found, folder)

    async def _follow(self, run_id: str, foreman: Any, key: str, folder: str) -> None:
        """Tell the server how a run is, until it has ended, and what it has made is in its folder, or it is lost."""
        self._runs[run_id] = foreman
        if run_id in self._killed:
            await self._kill(run_id)
        news, until = -1, time.monotonic() + PATIENCE_S
        while True:
            try:
                look: Look | None = await answered(foreman.look.remote(run_id, news), LOOK_S + ANSWER_S)
            except (ActorUnavailableError, TimeoutError) as error:
                if time.monotonic() > until:
                    return self._end(run_id, key, _lost(error))
                await asyncio.sleep(_AGAIN_S)
                continue
            except RayError as error:
                return self._end(run_id, key, _lost(error))
            if look is None:
                return self._end(run_id, key, _lost("its foreman does not know it"))
            if look["ended"] is not None:
                return self._end(run_id, key, await self._bring(run_id, foreman, look["ended"], folder))
            until = time.monotonic() + PATIENCE_S
            if look["news"] != news:
                news = look["news"]
                self._server.tell(run_id=run_id, progress=look["progress"])

    async def _bring(self, run_id: str, foreman: Any, ended: Ended, folder: str) -> Ended:
        """Bring what a run has made into its folder; return its end. Whatever is large may take its time."""
        try:
            made = await answered(foreman.made.remote(run_id), _BRING_S)
        except (RayError, TimeoutError) as error:
            return _lost(error)
        return await asyncio.to_thread(with_files, ended, made, folder)

    async def _kill(self, run_id: str) -> None:
        """Kill a run; if its foreman is not known yet, as soon as it is."""
        self._killed.add(run_id)
        if (foreman := self._runs.get(run_id)) is not None:
            with suppress(RayError, TimeoutError):  # it is lost then
                await answered(foreman.kill.remote(run_id))

    async def _leave(self) -> None:
        """End, once the foremen have heard of what is to be killed."""
        await asyncio.gather(*map(self._kill, list(self._killed)))
        os._exit(0)

    def _end(self, run_id: str, key: str | None, ended: Ended) -> None:
        self._runs.pop(run_id, None)
        self._killed.discard(run_id)
        self._server.tell(ended=run_id, key=key, error=ended["error"], status=ended["status"])


def _lost(why: object) -> Ended:
    return Ended(error=JobError.of(lost(why)).model_dump(mode="json"), status="interrupted")
