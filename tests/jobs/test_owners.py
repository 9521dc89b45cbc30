"""Owners in a folder: one that is about to claim is never taken for a dead one."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from modelyard.jobs.local import LocalOwners


def test_an_owner_that_others_look_at_while_it_claims_is_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = LocalOwners(tmp_path / "jobs"), LocalOwners(tmp_path / "jobs")
    lock = fcntl.flock

    def looked_at(file: int, kind: int) -> None:
        if kind == fcntl.LOCK_EX:
            other.forget_dead()
        lock(file, kind)

    monkeypatch.setattr(fcntl, "flock", looked_at)
    mine = one.claim()
    assert other.is_alive(mine)
    other.forget_dead()
    assert other.is_alive(mine)
    one.release()
    assert not other.is_alive(mine)
    assert list((tmp_path / "jobs").iterdir()) == []
