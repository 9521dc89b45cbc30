"""LightGBM itself, made ready: its threads wait without spinning, and its log lines come to ours.

Import this where LightGBM is needed, and not before: unlike other modules it does something when it is imported.
Raises FailedPrecondition if the system lacks OpenMP, which unlike scikit-learn's wheel LightGBM's does not bring.
"""

from __future__ import annotations

import logging
import os

from modelyard.errors import FailedPrecondition

__all__ = ["lightgbm", "log_here"]

logger = logging.getLogger(__name__)

# OpenMP reads it when it is loaded. Threads that spin at their barriers take a busy machine's cores from those that
# they wait for: a fit of 6 seconds took 95 (32,561 rows, two cores, ten processes beside it), and 1.5 with this.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

try:
    import lightgbm
except OSError as error:
    raise FailedPrecondition(
        f"LightGBM cannot be loaded here ({error}): install the system's OpenMP library, which Debian and Ubuntu call "
        "libgomp1"
    ) from error


class _Log:
    """Writes what LightGBM says to our log, unless it is blank."""

    def info(self, text: str) -> None:
        if text.strip():
            logger.info("%s", text.strip())

    def warning(self, text: str) -> None:
        logger.warning("%s", text.strip())


lightgbm.register_logger(_Log())


def log_here() -> None:
    """Let what LightGBM says in this thread come to our log: it is told where to by thread, and prints otherwise."""
    library = lightgbm.basic._LIB  # type: ignore[attr-defined]
    library.LGBM_RegisterLogCallback(library.callback)
