"""Locks by name, which let one of all processes do what only one may."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.errors import Unavailable
from modelyard.storage import open_folder


def test_a_lock_is_one_holders_and_free_again_after_its_block(storage_dir: Path) -> None:
    mine, theirs = open_folder(storage_dir), open_folder(storage_dir)
    with mine.locks.held("tracking"):
        with pytest.raises(Unavailable, match=r"tracking\.lock"), theirs.locks.held("tracking"):
            pass
        with theirs.locks.held("another"):
            pass
    with theirs.locks.held("tracking"):
        pass
    mine.close()
    theirs.close()
