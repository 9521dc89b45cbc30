"""Both transports of gRPC: callers that leave, methods that do not exist, servers that end in the middle."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
import pytest

from modelyard.grpc_server.transport import Server, ServerCall
from modelyard.grpc_server.wire import Method, WireCall, WireServer, transport
from tests.waiting import PATIENCE_S


async def slow(call: WireCall) -> None:
    await asyncio.sleep(0.1)
    call.end(call.message)


def at_once(call: WireCall) -> bool:
    if call.message == b"slow":
        return False
    call.end(call.message, (("kept", "yes"),))
    return True


async def echo(call: WireCall) -> None:
    while (message := await call.read()) is not None:
        await call.write(message)
    call.end()


async def forgetful(_call: WireCall) -> None: ...


async def endless(call: WireCall) -> None:
    while True:
        await call.write(b"x")
        await asyncio.sleep(0.001)


def broken_at_once(_call: WireCall) -> bool:
    raise RuntimeError("nobody shall hear this")


async def broken(_call: WireCall) -> None:
    raise RuntimeError("nobody shall hear this")


METHODS = {
    "/s/Broken": Method(broken),
    "/s/BrokenAtOnce": Method(forgetful, at_once=broken_at_once),
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


@pytest.fixture(params=["core", "aio"])
def kind(request: pytest.FixtureRequest) -> type[WireServer]:
    return transport(request.param)


async def started(kind: type[WireServer], **more: Method) -> tuple[WireServer, Any]:
    server = kind(METHODS | {f"/s/{name}": method for name, method in more.items()}, [("grpc.so_reuseport", 0)])
    port = server.listen("127.0.0.1:0")
    await server.start()
    return server, grpc.aio.insecure_channel(f"127.0.0.1:{port}")


@on_a_loop
async def test_calls_are_answered_at_once_and_on_the_loop(kind: type[WireServer]) -> None:
    server, channel = await started(kind)
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
    ("path", "code"),
    [
        ("/s/None", grpc.StatusCode.UNIMPLEMENTED),
        ("/s/Forgetful", grpc.StatusCode.INTERNAL),
        ("/s/Broken", grpc.StatusCode.INTERNAL),
        ("/s/BrokenAtOnce", grpc.StatusCode.INTERNAL),
    ],
)
@on_a_loop
async def test_what_answers_nothing_is_an_error(kind: type[WireServer], path: str, code: grpc.StatusCode) -> None:
    server, channel = await started(kind)
    async with channel:
        with pytest.raises(grpc.RpcError) as caught:
            await channel.unary_unary(path)(b"")
        assert caught.value.code() is code
        assert "nobody" not in caught.value.details()
    await server.stop()


@on_a_loop
async def test_a_server_waits_for_its_calls_and_not_for_those_that_never_end(kind: type[WireServer]) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    answer = b"held" * 500_000  # more than a socket takes at once

    async def held(call: WireCall) -> None:
        begun.set()
        await may_end.wait()
        call.end(answer)

    server, channel = await started(kind, Held=Method(held))
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
        assert await asked == answer
        with pytest.raises(grpc.RpcError) as broken_off:
            await _all_of(watching)
        assert broken_off.value.code() is grpc.StatusCode.UNAVAILABLE


@on_a_loop
async def test_a_call_whose_caller_leaves_before_the_loop_comes_to_it_is_begun_and_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[WireCall] = []

    async def noting(call: WireCall) -> None:
        begun.append(call)
        await call.read()

    server = Server({"/s/Noting": Method(noting, client_streaming=True)}, [("grpc.so_reuseport", 0)])
    port = server.listen("127.0.0.1:0")
    await server.start()
    taken_up, closed = after(monkeypatch, "_go_on"), after(monkeypatch, "_closed")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.stream_stream("/s/Noting")(iter(closed.wait, None))
        assert taken_up.wait(PATIENCE_S)  # here, and so the loop stands still
        call.cancel()
        assert closed.wait(PATIENCE_S)
    async with asyncio.timeout(PATIENCE_S):
        await server.drain()
        await server.stop()
    assert [isinstance(call, ServerCall) and call.left for call in begun] == [True]


def after(monkeypatch: pytest.MonkeyPatch, name: str) -> threading.Event:
    """Return what is set when a method of a call has been called."""
    happened, method = threading.Event(), getattr(ServerCall, name)

    def call_and_tell(*arguments: Any) -> None:
        method(*arguments)
        happened.set()

    monkeypatch.setattr(ServerCall, name, call_and_tell)
    return happened


@on_a_loop
async def test_servers_end_again_and_again_while_callers_come_and_go(kind: type[WireServer]) -> None:
    for _ in range(20):
        server, channel = await started(kind)
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


def test_a_grpcio_newer_than_was_tried_is_served_by_grpc_aio(caplog: pytest.LogCaptureFixture) -> None:
    assert transport("auto", "1.85.9") is transport("core")
    assert not caplog.records
    for newer in ("1.86.0", "1.100.0rc1", "2.0.0"):
        assert transport("auto", newer) is transport("aio")
        assert f"grpcio {newer} is newer" in caplog.text
    assert transport("core", "2.0.0") is transport("core")
