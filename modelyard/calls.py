"""One call: who makes it, which verb it asks for, what was found out about it, and how it ended.

A door opens the call at its gate; the core opens one for its caller in the same process. Each verb of the core runs
within exactly one call. The end of a call is told to listeners, of which the line in the log is the first.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import lru_cache, wraps
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

from modelyard import logs
from modelyard.errors import Internal, ModelyardError
from modelyard.identities import ANYONE, LOCAL, Identity, itself

OK = "OK"
UNEXPECTED = "something went wrong inside; the log has the reason under this request's id"
"""All that a caller hears of an error that is not ours."""

_SERVERS_FAULT = frozenset({"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "DEADLINE_EXCEEDED"})
_REFUSED = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"})
"""How calls end that anybody may make by the thousands: their lines tell the address, and are counted if too many."""

_ASKED_BY_MACHINES = frozenset({"health", "metrics"})
"""Every few seconds: such lines are for those who look for a fault there."""

_MOST_REFUSALS = 10
"""So many lines a minute are written of those that end alike."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_ids = random.Random()  # noqa: S311 - they tell calls apart and keep no secret

_under_way: ContextVar[Call | None] = ContextVar("modelyard_call", default=None)

P = ParamSpec("P")
T = TypeVar("T")


class Call:
    """One call, under way within its `with` block; whoever opened it calls `end`, once.

    `verb` is what it asks for; one that ends before it asks is told as that of the way by which it `entered`.
    `title` begins its line in the log, `facts` are what was found out: ids, names, sizes, durations. `address` is where
    the caller is, empty if it is in this process or came by a socket without addresses. `bytes_in` is how much has come
    of its request so far. `given` is what its answer was found by, for whoever watches answers.
    """

    __slots__ = (
        "_began",
        "_token",
        "address",
        "bytes_in",
        "calls",
        "code",
        "door",
        "entered",
        "facts",
        "given",
        "identity",
        "seconds",
        "title",
        "verb",
    )

    _token: Token[Call | None]

    def __init__(
        self,
        calls: Calls,
        door: str,
        title: str,
        *,
        request_id: str,
        identity: Identity = ANYONE,
        address: str = "",
    ) -> None:
        self.calls = calls
        self.door = door
        self.title = title
        self.identity = identity
        self.address = address
        self.bytes_in = 0
        self.verb = ""
        self.entered = ""
        self.facts: dict[str, Any] = {"request_id": request_id}
        self.code = OK
        self.given: Any = None
        self.seconds = 0.0
        self._began = time.perf_counter()

    def __enter__(self) -> Self:
        self._token = _under_way.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _under_way.reset(self._token)

    @property
    def request_id(self) -> str:
        """The id by which the caller and the log know the call."""
        request_id: str = self.facts["request_id"]
        return request_id

    @property
    def caller(self) -> str:
        """The name of who makes the call."""
        return self.identity.name

    def enter(self, verb: str) -> None:
        """Say which verb the call's route or method is for. Raises Unauthenticated, PermissionDenied."""
        self.entered = verb
        self.check_may(verb)

    def check_may(self, verb: str) -> None:
        """Refuse a caller who may not use a verb. Raises Unauthenticated, PermissionDenied."""
        try:
            self.identity.require(verb)
        except ModelyardError:
            self.verb = verb
            raise

    def ask(self, verb: str) -> None:
        """Say which verb the call asks for, unless that is known. Raises Unauthenticated, PermissionDenied."""
        self.check_may(verb)
        self.verb = self.verb or verb

    def refusal(self, error: BaseException) -> ModelyardError:
        """Return the error that the caller is told, and note its code word.

        An error that is not ours becomes INTERNAL; its own words go to the log, with its traceback.
        """
        if not isinstance(error, ModelyardError):
            self.log_error(error)
            error = Internal(UNEXPECTED)
        self.code = error.code
        return error

    def log_error(self, error: BaseException) -> None:
        """Log an error with its traceback: nobody else hears of it."""
        _logger(self.door).error("unexpected error", exc_info=error, extra={"facts": self.facts})

    def hand_over(self) -> None:
        """Hand over what was `given` by now, once: the caller has it."""
        given, self.given = self.given, None
        if given is not None:
            self.calls.take(given)

    def end(self, **facts: Any) -> None:
        """Tell the listeners that the call has ended, as `code` says, with the last facts and its milliseconds.

        What was given is handed over if all went well.
        """
        if self.given is not None and self.code == OK:
            self.hand_over()
        self.verb = self.verb or self.entered
        self.seconds = time.perf_counter() - self._began
        facts["ms"] = round(self.seconds * 1000, 3)
        self.facts.update(facts)
        for listen in self.calls.listeners:
            listen(self)


def write_line(call: Call) -> None:
    """Write the call's line of the log. A caller in the same process needs none: the verb itself tells it the end."""
    if call.door == LOCAL:
        return
    level = logging.WARNING if call.code in _SERVERS_FAULT else logging.INFO
    if call.code in _REFUSED:
        if call.address:
            call.facts["address"] = call.address
        if not call.calls.tally.lets(
            _logger(call.door), f"more calls ended with {call.code}", most=_MOST_REFUSALS, last_address=call.address
        ):
            return
    if call.verb in _ASKED_BY_MACHINES and call.code == OK:
        level = logging.DEBUG
    logs.emit(_logger(call.door), level, call.title, call.facts)


class Calls:
    """The calls of one core; each of its `listeners` is told of every call that has ended.

    `take` takes what was given to callers; without a watch nobody does.
    """

    def __init__(self) -> None:
        self.listeners: list[Callable[[Call], None]] = [write_line]
        self.take: Callable[[Any], None] = lambda _: None
        self.tally = logs.Tally()

    def drop(self, door: str, address: str) -> None:
        """Count a connection that was closed because its request did not come; one line a minute tells of them."""
        kind = "connections closed: their requests did not come within MODELYARD_REQUEST_TIMEOUT_S"
        self.tally.lets(_logger(door), kind, most=0, last_address=address)


class HasCalls(Protocol):
    """What has verbs."""

    calls: Calls


S = TypeVar("S", bound=HasCalls)


def verb(function: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Run a verb within the call that is under way, or within a call of its own if there is none."""
    name = function.__name__

    @wraps(function)
    def run(core: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if name_verb(name):
            return function(core, *args, **kwargs)
        with Call(core.calls, LOCAL, name, request_id=request_id(None), identity=itself()) as call:
            call.verb = name
            try:
                return function(core, *args, **kwargs)
            except ModelyardError as error:
                call.code = error.code
                raise
            except BaseException as error:
                call.code = "INTERNAL" if isinstance(error, Exception) else "CANCELLED"
                raise
            finally:
                call.end()

    return run


def name_verb(name: str) -> bool:
    """Say which verb the call under way asks for, unless that is known. Returns False if no call is under way.

    Raises Unauthenticated, PermissionDenied.
    """
    call = _under_way.get()
    if call is None:
        return False
    call.ask(name)
    return True


def enter(verb: str) -> None:
    """Say which verb the route of the call under way is for. Raises Unauthenticated, PermissionDenied."""
    call = _under_way.get()
    if call is not None:
        call.enter(verb)


def check_may(verb: str) -> None:
    """Refuse the caller of the call under way if they may not use a verb. Raises Unauthenticated, PermissionDenied."""
    call = _under_way.get()
    if call is not None:
        call.check_may(verb)


def who() -> Identity:
    """Return who makes the call under way; if there is none, this process itself, which is trusted."""
    call = _under_way.get()
    return itself() if call is None else call.identity


class on_behalf_of:  # noqa: N801 - a context manager that is asked for at every prediction
    """Within the block, what is done is done for a call (None: for this process itself)."""

    __slots__ = ("_call", "_token")

    _token: Token[Call | None]

    def __init__(self, call: Call | None) -> None:
        self._call = call

    def __enter__(self) -> None:
        self._token = _under_way.set(self._call)

    def __exit__(self, *_: object) -> None:
        _under_way.reset(self._token)


def under_way() -> Call | None:
    """Return the call under way; None if there is none."""
    return _under_way.get()


def note(**facts: Any) -> None:
    """Add facts to the call under way. Does nothing if there is none."""
    call = _under_way.get()
    if call is not None:
        call.facts.update(facts)


def ends_as(code: str) -> None:
    """Note the code word with which the call under way will end. Does nothing if there is none."""
    call = _under_way.get()
    if call is not None:
        call.code = code


def identity() -> dict[str, Any]:
    """Return what names the call under way in other lines of the log: its request id. Empty if there is none."""
    call = _under_way.get()
    return {} if call is None else {"request_id": call.request_id}


def request_id(given: str | None) -> str:
    """Return the id that a caller gave, or a new one if it gave none or one of another form."""
    if given and _REQUEST_ID.fullmatch(given):
        return given
    return f"{_ids.getrandbits(64):016x}"


@lru_cache(maxsize=8)
def _logger(door: str) -> logging.Logger:
    return logging.getLogger(f"modelyard.{door}")
