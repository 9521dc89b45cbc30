"""gRPC's core, driven directly: callers that leave, methods that do not exist, and servers that end in the middle."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
import pytest

from modelyard.grpc_server.transport import Method, Server, ServerCall
from tests.waiting import PATIENCE_S


async def slow(call: ServerCall) -> None:
    await asyncio.sleep(0.1)
    call.end(call.message)


def at_once(call: ServerCall) -> bool:
    if call.message == b"slow":
        return False
    call.end(call.message, (("kept", "yes"),))
    return True


async def echo(call: ServerCall) -> None:
    while (message := await call.read()) is not None:
        await call.write(message)
    call.end()


async def forgetful(_call: ServerCall) -> None: ...


async def endless(call: ServerCall) -> None:
    while True:
        await call.write(b"x")
        await asyncio.sleep(0.001)


METHODS = {
    "/s/Unary": Method(slow, at_once=at_once),
    "/s/Echo": Method(echo, client_streaming=True),
    "/s/Endless": Method(endless, waited_for=False),
    "/s/Forgetful": Method(forgetful),
}


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


async def _all_of(watching: Any) -> None:
    while await watching.read():
        pass


async def started(**more: Method) -> tuple[Server, Any]:
    server = Server(METHODS | {f"/s/{name}": method for name, method in more.items()}, [("grpc.so_reuseport", 0)])
    port = server.listen("127.0.0.1:0")
    server.start()
    return server, grpc.aio.insecure_channel(f"127.0.0.1:{port}")


@on_a_loop
async def test_calls_are_answered_at_once_and_on_the_loop() -> None:
    server, channel = await started()
    async with channel:
        unary = channel.unary_unary("/s/Unary")
        call = unary(b"quick")
        assert await call == b"quick"
        assert dict(await call.trailing_metadata()) == {"kept": "yes"}
        assert (
            await asyncio.gather(*(unary(message) for message in [b"slow", b"quick"] * 20)) == [b"slow", b"quick"] * 20
        )
        assert [answer async for answer in channel.stream_stream("/s/Echo")(iter([b"a", b"", b"c"]))] == [
            b"a",
            b"",
            b"c",
        ]
    await server.stop()


@pytest.mark.parametrize(
    ("path", "code"), [("/s/None", grpc.StatusCode.UNIMPLEMENTED), ("/s/Forgetful", grpc.StatusCode.INTERNAL)]
)
@on_a_loop
async def test_what_answers_nothing_is_an_error(path: str, code: grpc.StatusCode) -> None:
    server, channel = await started()
    async with channel:
        with pytest.raises(grpc.RpcError) as caught:
            await channel.unary_unary(path)(b"")
        assert caught.value.code() is code
    await server.stop()


@on_a_loop
async def test_a_server_waits_for_its_calls_and_not_for_those_that_never_end() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def held(call: ServerCall) -> None:
        begun.set()
        await may_end.wait()
        call.end(b"held")

    server, channel = await started(Held=Method(held))
    async with channel:
        watching = channel.unary_stream("/s/Endless")(b"")
        assert await watching.read() == b"x"
        asked = asyncio.ensure_future(channel.unary_unary("/s/Held")(b""))
        await begun.wait()
        draining = asyncio.ensure_future(server.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        may_end.set()
        await draining
        await server.stop()
        assert await asked == b"held"
        with pytest.raises(grpc.RpcError):
            await _all_of(watching)


@on_a_loop
async def test_a_call_whose_caller_leaves_before_the_loop_comes_to_it_is_begun_and_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[ServerCall] = []

    async def noting(call: ServerCall) -> None:
        begun.append(call)
        await call.read()

    server = Server({"/s/Noting": Method(noting, client_streaming=True)}, [("grpc.so_reuseport", 0)])
    port = server.listen("127.0.0.1:0")
    server.start()
    taken_up, closed = after(monkeypatch, "_go_on"), after(monkeypatch, "_closed")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.stream_stream("/s/Noting")(iter(closed.wait, None))
        assert taken_up.wait(PATIENCE_S)  # here, and so the loop stands still
        call.cancel()
        assert closed.wait(PATIENCE_S)
    async with asyncio.timeout(PATIENCE_S):
        await server.drain()
        await server.stop()
    assert [call.left for call in begun] == [True]


def after(monkeypatch: pytest.MonkeyPatch, name: str) -> threading.Event:
    """Return what is set when a method of a call has been called."""
    happened, method = threading.Event(), getattr(ServerCall, name)

    def call_and_tell(*arguments: Any) -> None:
        method(*arguments)
        happened.set()

    monkeypatch.setattr(ServerCall, name, call_and_tell)
    return happened


@on_a_loop
async def test_servers_end_again_and_again_while_callers_come_and_go() -> None:
    for _ in range(20):
        server, channel = await started()
        async with channel:
            calls = [channel.unary_unary("/s/Unary")(b"slow") for _ in range(8)]
            calls += [
                channel.unary_unary(
                    "/s/Unary",
                )(b"quick", timeout=0.001)
                for _ in range(8)
            ]
            await asyncio.sleep(0.005)
            for call in calls[::3]:
                call.cancel()
            await server.stop()
            ended = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(end, bytes | grpc.RpcError | asyncio.CancelledError) for end in ended)
