"""How long the dashboard waits for a server: what only reads is answered at once, or the server hangs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Self, cast

from modelyard.errors import DeadlineExceeded, Unavailable
from modelyard.verbs import Verbs

QUICK_S = 8.0
"""How long a page waits for what it reads."""

_HUNG_S = 3.0
"""For so long after a read that was not answered the others are not tried, so that a page waits once, not for each."""

_PATIENT = frozenset(
    {
        *("train", "retrain", "search", "submit_training", "submit_retraining", "submit_search", "watch_job"),
        *("check_table", "predict", "explain", "evaluate", "add_outcomes", "get_artifact"),
    }
)
"""The verbs that send or fetch much, or have the server work."""


class Patience:
    """A yard by two clients: a `quick` one for what is read, a `patient` one for what takes its time.

    Before it is patient it asks the quick one whether the server answers at all. A server that hangs is Unavailable.
    """

    def __init__(self, quick: Verbs, patient: Verbs, clock: Callable[[], float] = time.monotonic) -> None:
        self._quick = quick
        self._patient = patient
        self._clock = clock
        self._hung_until = -1.0

    def __getattr__(self, verb: str) -> Any:
        if verb not in _PATIENT:
            return lambda *given, **named: self._ask(verb, *given, **named)
        return lambda *given, **named: (self._ask("whoami"), getattr(self._patient, verb)(*given, **named))[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close both clients."""
        self._quick.close()
        self._patient.close()

    def forget_that_it_hung(self) -> None:
        """Try the next read at once."""
        self._hung_until = -1.0

    def _ask(self, verb: str, *given: Any, **named: Any) -> Any:
        if self._clock() < self._hung_until:
            raise _hangs()
        try:
            return getattr(self._quick, verb)(*given, **named)
        except DeadlineExceeded as error:
            self._hung_until = self._clock() + _HUNG_S
            raise _hangs() from error


def patient_with(open_client: Callable[..., Verbs]) -> Verbs:
    """Return a yard by clients that `open_client` opens, whose argument `timeout_s` is how long one waits."""
    return cast("Verbs", Patience(open_client(timeout_s=QUICK_S), open_client()))


def ask_anew(yard: Verbs) -> None:
    """Let a yard that hung a moment ago be asked at once, because a person wants to know."""
    if isinstance(yard, Patience):
        yard.forget_that_it_hung()


def _hangs() -> Unavailable:
    return Unavailable(f"the server takes connections, but has not answered for {QUICK_S:g} s")
