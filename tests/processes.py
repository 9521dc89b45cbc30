"""What tests ask the system about processes."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tests.waiting import wait_until


def parents() -> dict[int, int]:
    """Return the parent of every process that is alive; one that is dead but not yet reaped is not."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in "ZX":
            found[int(path.parent.name)] = int(parent)
    return found


def descendants(pid: int) -> set[int]:
    """Return the processes below one."""
    family = parents()
    found: set[int] = set()
    level = {pid}
    while level:
        level = {child for child, parent in family.items() if parent in level} - found
        found |= level
    return found


def runs(pid: int) -> set[int]:
    """Return the processes below one that carry out a run: each writes to the run's log."""
    return {found for found in descendants(pid) if _output(found).name == "log.txt"}


def _output(pid: int) -> Path:
    try:
        return Path(f"/proc/{pid}/fd/1").readlink()
    except (FileNotFoundError, ProcessLookupError):
        return Path()


def wait_until_gone(pids: Collection[int]) -> None:
    """Wait until none of some processes is alive."""
    wait_until(lambda: not parents().keys() & set(pids))
