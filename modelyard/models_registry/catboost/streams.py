"""Who may touch CatBoost's output streams, which belong to the process and not to a fit.

Every Pool sets them for the moment it is made; a fit that names its own while another thread does so is refused by
CatBoost. So Pools are made side by side, and a fit waits for a moment without any before it takes the streams.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

logger = logging.getLogger(__name__)

_ONE_FIT = threading.Lock()  # two at a time would mix their lines, and each uses all cores anyhow
_changed = threading.Condition()
_pools_in_making = 0
_fit_waits = False


@contextmanager
def making_a_pool() -> Iterator[None]:
    """Keep fits from taking the streams; other Pools may be made meanwhile."""
    global _pools_in_making  # noqa: PLW0603 - what it counts belongs to the process
    with _changed:
        _changed.wait_for(lambda: not _fit_waits)
        _pools_in_making += 1
    try:
        yield
    finally:
        with _changed:
            _pools_in_making -= 1
            _changed.notify_all()


@contextmanager
def fit_heard_by(take_line: Callable[[str], None]) -> Iterator[None]:
    """Let one fit at a time have the streams, and call back with each line that it says.

    CatBoost's logging level, too, belongs to the process, and a prediction in another thread changes it for a moment: a
    fit that is to be silent may then speak, and one that is not may lose lines.
    """
    from catboost.core import log_fixup

    with _ONE_FIT, ExitStack() as streams:
        with _no_pools():
            streams.enter_context(log_fixup(take_line, _log_line(logging.WARNING)))
        yield


@contextmanager
def _no_pools() -> Iterator[None]:
    global _fit_waits  # noqa: PLW0603
    with _changed:
        _fit_waits = True
        try:
            _changed.wait_for(lambda: _pools_in_making == 0)
            yield
        finally:
            _fit_waits = False
            _changed.notify_all()


def log_fit(text: str) -> None:
    """Write what a fit says to the log."""
    _log_line(logging.INFO)(text)


def _log_line(level: int) -> Callable[[str], None]:
    def write(text: str) -> None:
        if text.strip():
            logger.log(level, "%s", text.rstrip())

    return write
