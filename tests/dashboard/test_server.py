"""The dashboard's process before its first visitor."""

from __future__ import annotations

import gc
import sys

from modelyard.dashboard import server


def test_garbage_is_not_sought_in_what_stays_for_good() -> None:
    try:
        server.get_ready()
        left = len(gc.get_objects())
        assert left < gc.get_freeze_count() / 20
        assert "pandas" in sys.modules
    finally:
        gc.unfreeze()
