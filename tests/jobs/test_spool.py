"""A run's folder: what the run has said."""

from __future__ import annotations

from pathlib import Path

from modelyard.jobs import Spool


def test_what_a_run_has_said_is_read_on_from_where_it_was_left(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert spool.said_since(0) == ("", 0)
    spool.log.write_text("grün\n")
    said, end = spool.said_since(0)
    assert (said, end) == ("grün\n", 6)
    assert spool.said_since(end) == ("", end)
    with spool.log.open("a") as file:
        file.write("blue\n")
    assert spool.said_since(end) == ("blue\n", 11)


def test_of_a_long_log_the_last_lines_are_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    lines = [f"line {number}\n" for number in range(10_000)]
    spool.log.write_text("".join(lines))
    said, end = spool.said_since(0)
    assert end == spool.log.stat().st_size
    assert 0 < len(said) <= 16 * 1024
    assert said.splitlines(keepends=True) == lines[-said.count("\n") :]
    assert spool.log_tail() == said.strip()
