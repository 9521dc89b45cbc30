"""LightGBM itself, imported when it is needed, with its log lines sent to ours."""

from __future__ import annotations

import functools
import logging
from typing import Any

from modelyard.errors import FailedPrecondition

logger = logging.getLogger(__name__)


@functools.cache
def library() -> Any:
    """Return the module `lightgbm`, which prints nothing. Raises FailedPrecondition if the system lacks OpenMP."""
    try:
        import lightgbm
    except OSError as error:  # unlike scikit-learn's, its wheel does not bring libgomp.so.1
        raise FailedPrecondition(
            f"LightGBM cannot be loaded here ({error}): install the system's OpenMP library, which Debian and Ubuntu "
            "call libgomp1"
        ) from error
    lightgbm.register_logger(_Log())
    return lightgbm


class _Log:
    """Writes what LightGBM says to our log, unless it is blank."""

    def info(self, text: str) -> None:
        if text.strip():
            logger.info("%s", text.strip())

    def warning(self, text: str) -> None:
        logger.warning("%s", text.strip())
