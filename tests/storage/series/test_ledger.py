"""A ledger is read while it is written to."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelyard.storage.series.ledger import LedgerFolder


def test_a_newline_that_comes_while_a_ledger_is_read_is_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    ledger = LedgerFolder(tmp_path / "audit", tmp_path)
    ledger.append(ledger.append(None, 1, now, [{"number": 1}]), 2, now, [{"number": 2}])
    [path] = (tmp_path / "audit").iterdir()
    whole = path.read_bytes()
    read = os.pread

    def newline_follows(file: int, size: int, offset: int) -> bytes:
        found = read(file, size, offset)
        path.write_bytes(whole)
        return found

    path.write_bytes(whole[:-1])
    monkeypatch.setattr(os, "pread", newline_follows)
    assert list(ledger.forwards()) == [[{"number": 1}], [{"number": 2}]]
    assert path.read_bytes() == whole
