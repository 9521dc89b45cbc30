"""Locks by name, which let one of all processes do what only one may."""

from __future__ import annotations

import pytest

from modelyard.errors import Unavailable
from tests.engines import Engine


def test_a_lock_is_one_holders_and_free_again_after_its_block(engine: Engine) -> None:
    mine, theirs = engine.open(), engine.open()
    with mine.locks.held("tracking"):
        with pytest.raises(Unavailable, match="tracking"), theirs.locks.held("tracking"):
            pass
        with theirs.locks.held("another"):
            pass
    with theirs.locks.held("tracking"):
        pass
