"""Refusals and sign-ins, counted for a minute each before the audit hears of them: an attacker's calls cost nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from modelyard.access.addresses import site_of
from modelyard.access.audit import Deed
from modelyard.calls import OK, Call
from modelyard.errors import ModelyardError, PermissionDenied, ResourceExhausted, Unauthenticated
from modelyard.identities import LOCAL
from modelyard.schemas import ANONYMOUS

log = logging.getLogger(__name__)

WITHIN_S = 60.0
"""What is alike within so long is one entry."""

MOST_GROUPS = 1000
"""So many kinds are counted apart, in some 500 bytes each; all others are told apart by door and code alone."""

OTHERS = "others"
"""The address of calls that are not told apart any more."""

_SIGN_IN = "whoami"
_REFUSED = frozenset({Unauthenticated.code, PermissionDenied.code, ResourceExhausted.code})

Keep = Callable[[list[Deed]], None]


class _Group(NamedTuple):
    key: str
    site: str
    door: str
    verb: str
    code: str


def _asks_whether_a_key_is_needed(call: Call) -> bool:
    """Whether a call is what the dashboard asks for every visitor before it knows of a key."""
    return call.verb == _SIGN_IN and call.caller == ANONYMOUS and call.code in (OK, Unauthenticated.code)


class Refusals:
    """Hears of the ends of calls by `listen`, and hands to `keep` what was refused and who signed in."""

    def __init__(self, keep: Keep, within_s: float = WITHIN_S) -> None:
        self._keep = keep
        self._within_s = within_s
        self._open: dict[_Group, Deed] = {}
        self._lock = threading.Lock()
        self._keeping = threading.Lock()
        self._timer: threading.Timer | None = None

    def listen(self, call: Call) -> None:
        """Count a call if it was refused or a sign-in. It is kept later, in a thread."""
        if call.code not in _REFUSED and (call.verb != _SIGN_IN or call.code != OK):
            return
        if call.door == LOCAL or _asks_whether_a_key_is_needed(call):
            return
        done = Deed(call.verb, {}, call.caller, call.address, call.door, call.request_id, call.code)
        group = _Group(done.key, site_of(done.address), done.door, done.verb, done.code)
        with self._lock:
            if group not in self._open and len(self._open) >= MOST_GROUPS:
                done = replace(done, key="", address=OTHERS, verb="")
                group = _Group(done.key, done.address, done.door, done.verb, done.code)
            self._count(group, done)
            self._wait()

    def flush(self) -> None:
        """Hand over what was counted so far. If it cannot be kept now, it is counted on."""
        with self._keeping:
            with self._lock:
                groups, self._open = self._open, {}
                self._timer = None
            if not groups:
                return
            try:
                self._keep(list(groups.values()))
            except ModelyardError as error:
                log.warning("refusals are not in the audit yet: %s", error.detail)
                with self._lock:
                    for group, done in groups.items():
                        self._count(group, done)
                    self._wait()

    def close(self) -> None:
        """Hand over what was counted, after what is being handed over."""
        self._cancel()
        self.flush()
        self._cancel()

    def _cancel(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()

    def _count(self, group: _Group, done: Deed) -> None:
        before = self._open.get(group)
        self._open[group] = done if before is None else replace(before, count=before.count + done.count)

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(self._within_s, self.flush)
            self._timer.daemon = True
            self._timer.start()
