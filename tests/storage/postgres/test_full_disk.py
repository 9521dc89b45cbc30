"""PostgreSQL on a disk that is full: what was answered stands, who writes is told why not, and it goes on with room."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from modelyard.storage.postgres.documents import PostgresDocuments
from tests.postgres_server import postgres_server
from tests.storage.postgres.test_faults import Writer, check_kept, succeeds
from tests.storage_drafts import ids
from tests.waiting import wait_until


def test_a_disk_that_is_full_under_writers_loses_nothing_and_all_goes_on_when_there_is_room() -> None:
    with postgres_server(disk="160m", min_wal_size="32MB", max_wal_size="32MB") as server, ExitStack() as stack:
        url = server.new_yard()
        databases = [PostgresDocuments(url) for _ in range(2)]
        for database in databases:
            stack.callback(database.close)
        writers = [Writer(database, f"w{n}") for n, database in enumerate(databases)]
        for writer in writers:
            stack.callback(writer.stop.set)
        _until_more(writers)
        ballast = server.folder / "ballast"
        _fill(ballast)
        for writer in writers:
            writer.refused.clear()
        wait_until(lambda: all(writer.refused for writer in writers))
        assert any("No space left on device" in said for writer in writers for said in writer.refused)
        ballast.unlink()
        _until_more(writers)
        for writer in writers:
            writer.stop.set()
            writer.thread.join()
        for database in databases:
            wait_until(lambda: succeeds(lambda: ids(database, "models")))  # noqa: B023
            check_kept(database, writers)


def _until_more(writers: list[Writer]) -> None:
    before = [len(writer.answered) for writer in writers]
    wait_until(lambda: all(len(writer.answered) > n + 10 for writer, n in zip(writers, before, strict=True)))


def _fill(ballast: Path) -> None:
    """Write a file until its disk is full."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            os.fsync(file.fileno())
