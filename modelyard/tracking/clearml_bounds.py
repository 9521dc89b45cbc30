"""What keeps ClearML's library from waiting for ever: in the child alone.

The library asks a lost server again without end, in the thread that asked, and goes on as if nothing had happened if
the server refuses an edit. Here every answer passes one place: if the server is lost, the child says so to its parent
and ends; what the server refuses is remembered.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import requests
import urllib3
from clearml.backend_api import Session
from clearml.backend_api.session.defs import MissingConfigError
from clearml.backend_api.session.session import LoginError
from clearml.backend_interface.base import InterfaceBase
from clearml.config import config_obj

Lost = Callable[[str, str], NoReturn]
"""Says `unreachable` or `ill` with a reason, and ends the process."""

_BOUNDS = {
    "api": {
        "http": {
            "retries": {
                "total": 2,
                "connect": 2,
                "read": 2,
                "redirect": 5,
                "status": 2,
                "backoff_factor": 0.5,
                "backoff_max": 2.0,
            },
            "wait_on_maintenance_forever": False,
        }
    },
    "sdk": {"development": {"report_use_subprocess": False}},
}
_TIMEOUT_S = (5.0, 60.0)
_NOT_ALLOWED = (401, 403)
_REFUSED = range(400, 500)


class Refusals:
    """What the server refused, in its own words. The library often says nothing of it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._said: list[str] = []

    def add(self, said: str) -> None:
        """Note a refusal."""
        with self._guard:
            self._said.append(said)

    def take(self) -> str | None:
        """Return the first refusal since the last look, and forget it."""
        with self._guard:
            first = self._said[0] if self._said else None
            self._said.clear()
        return first


def bound(lost: Lost) -> Refusals:
    """Bound the library in time; return the refusals, which are added as they happen."""
    config_obj.set_overrides(_BOUNDS)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    refusals = Refusals()
    send = Session.send

    def bounded(self: Session, request: Any, *args: Any, **kwargs: Any) -> Any:
        what = f"{request._service}.{request._action}"
        try:
            result = send(self, request, *args, **kwargs)
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            lost("unreachable", unreachable(self.host, error))
        if result is None:
            return None
        code, said = result.meta.result_code, result.meta.result_msg
        if code in _NOT_ALLOWED:
            lost("unreachable", not_allowed(self, said))
        if code in (429, 502, 503, 504):
            lost("unreachable", f"ClearML at {self.host} answers {code}: {said}")
        if code >= 500:
            lost("ill", f"ClearML at {self.host} fails at {what}: {said} ({code})")
        if code in _REFUSED and not request._action.startswith("get_"):
            refusals.add(f"ClearML refuses {what}: {said} ({code})")
        return result

    Session.send = bounded  # type: ignore[method-assign, assignment]
    Session._session_timeout = _TIMEOUT_S
    Session._write_session_timeout = _TIMEOUT_S
    return refusals


def log_in(lost: Lost) -> None:
    """Log in, or end the process with the reason."""
    if Session._offline_mode:
        lost(
            "unreachable",
            "CLEARML_OFFLINE_MODE is set, so that ClearML's library would tell nobody; unset it: what waits in the "
            "outbox is told then",
        )
    try:
        InterfaceBase._get_default_session()
    except MissingConfigError:
        lost(
            "unreachable",
            "ClearML's credentials are missing: put them into ~/clearml.conf on the server's machine, or set "
            "CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY for the server",
        )
    except (LoginError, ValueError) as error:
        host = Session.get_api_server_host()
        refused = re.search(r"error (\d+) from [^)]*\): (.*)", str(error), re.DOTALL)
        if refused is None:
            lost("unreachable", unreachable(host, error))
        if int(refused[1]) in _NOT_ALLOWED:
            lost("unreachable", not_allowed(None, refused[2]))
        lost("unreachable", f"ClearML at {host} answers {refused[1]}: {_short(refused[2])}")


def unreachable(host: str, error: BaseException) -> str:
    """Return the words for a server that does not answer."""
    return f"ClearML at {host} cannot be reached: {_short(str(error))}"


def not_allowed(session: Session | None, said: str) -> str:
    """Return the words for wrong credentials, with the first four characters of the key and nothing of the secret."""
    key = (session.access_key if session is not None else None) or _access_key() or ""
    shown = f" (access key {key[:4]}…)" if key else ""
    return (
        f"ClearML at {Session.get_api_server_host()} refuses the credentials{shown}: {_short(said)}; create new ones "
        "in its workspace settings, for ~/clearml.conf or CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY"
    )


def _access_key() -> str | None:
    from clearml.backend_api.session.defs import ENV_ACCESS_KEY

    key: str | None = ENV_ACCESS_KEY.get() or config_obj.get("api.credentials.access_key", None)
    return key


_CAUSES = (r"\[Errno -?\d+\] ([^'\")]+)", r"(Read timed out)", r"(timed out)", r"(too many \d+ error responses)")


def _short(said: str) -> str:
    """Return the cause without the words that libraries wrap around it."""
    for cause in _CAUSES:
        if found := re.search(cause, said):
            return found[1].strip().lower()
    return said.strip()[:300]
