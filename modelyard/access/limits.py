"""How much one caller may ask for, and how often it may guess at keys. All is counted in this process alone.

Both tables are bounded: the callers that were heard of longest ago are forgotten first.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from modelyard.access.addresses import site_of
from modelyard.calls import Call
from modelyard.errors import TooManyRequests

MOST_KEPT = 10_000
"""So many callers or addresses are remembered, in a few hundred bytes each."""

BURST_S = 2.0
"""A caller that was silent may at once make the calls of so many seconds."""

MOST_GUESSES = 10
GUESSES_WITHIN_S = 60.0
"""So many wrong keys within so long, and further ones are refused as long."""

_ROUNDING_S = 1e-6

Clock = Callable[[], float]


class Rate:
    """Bounds the calls a second of each caller: by its key's name, without keys by its address.

    It is a token bucket, kept as one number: the moment at which the bucket is full again.
    """

    def __init__(self, per_second: float, clock: Clock = time.monotonic) -> None:
        self._per_second = per_second
        self._one_s = 1 / per_second
        self._slack_s = max(0.0, BURST_S - self._one_s)
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()  # gRPC counts in two threads

    def take(self, call: Call) -> None:
        """Count a call. Raises TooManyRequests if its caller has no more left, and counts nothing then."""
        who = _who(call)
        now = self._clock()
        with self._lock:
            full_at = max(self._full_at.get(who, now), now)
            wait_s = full_at - now - self._slack_s
            if wait_s < _ROUNDING_S:
                self._full_at[who] = full_at + self._one_s
                self._full_at.move_to_end(who)
                if len(self._full_at) > MOST_KEPT:
                    self._full_at.popitem(last=False)
                return
        raise TooManyRequests(
            f"a caller may make {self._per_second:g} calls a second, {max(1, int(BURST_S * self._per_second))} at "
            "once; MODELYARD_RATE_LIMIT sets the limit",
            retry_after_s=math.ceil(wait_s),
        )

    def give_back(self, call: Call) -> None:
        """Take back one `take`, because the call will be counted once more."""
        who = _who(call)
        with self._lock:
            if who in self._full_at:
                self._full_at[who] -= self._one_s


class Guesses:
    """Bounds the wrong keys that come from one address: after ten within a minute, none for a minute.

    `check` and `note` are for a key that has turned out to be wrong; valid ones are never asked about.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()
        self._refused_until: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, address: str) -> None:
        """Raise TooManyRequests if the address has shown too many wrong keys."""
        left_s = self._refused_until.get(site_of(address), 0.0) - self._clock()
        if left_s > 0:
            raise TooManyRequests(
                f"{MOST_GUESSES} keys from {address} were not valid within a minute; further ones are refused for now",
                retry_after_s=math.ceil(left_s),
            )

    def note(self, address: str) -> None:
        """Count a wrong key."""
        site, now = site_of(address), self._clock()
        with self._lock:
            seen = self._seen.setdefault(site, deque(maxlen=MOST_GUESSES))
            self._seen.move_to_end(site)
            seen.append(now)
            if len(seen) == MOST_GUESSES and now - seen[0] <= GUESSES_WITHIN_S:
                del self._seen[site]
                self._refused_until[site] = now + GUESSES_WITHIN_S
                self._refused_until.move_to_end(site)
            for kept in (self._seen, self._refused_until):
                if len(kept) > MOST_KEPT:
                    kept.popitem(last=False)


def _who(call: Call) -> str:
    """Return the name of the caller's key; without keys its address, in a form that no name has."""
    return call.caller if call.identity.has_key else f"@{site_of(call.address)}"
