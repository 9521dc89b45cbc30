"""What tests ask the system about processes, any of which may end, or close a file, while it is asked."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tests.waiting import wait_until

_CLOSED = Path()


def parents() -> dict[int, int]:
    """Return the parent of every process that is alive; one that is dead but not yet reaped is not."""
    looked_at = {int(path.name): _state_and_parent(path.name) for path in Path("/proc").glob("[0-9]*")}
    return {pid: int(parent) for pid, (state, parent) in looked_at.items() if state not in "ZX"}


def state(pid: int) -> str:
    """Return the letter of a process's state; X if it has ended."""
    return _state_and_parent(pid)[0]


def _state_and_parent(pid: int | str) -> tuple[str, str]:
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return "X", ""
    return state, parent


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


def children(pid: int, words: str) -> set[int]:
    """Return the processes that one has started whose command line holds some words."""
    return {child for child, parent in parents().items() if parent == pid and says(child, words)}


def says(pid: int, words: str) -> bool:
    """Tell whether the command line of a process holds some words; that of one that has ended does not."""
    try:
        return words in Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return False


def held_by(pid: int) -> set[str]:
    """Return what a process holds open, as the system names it."""
    return {str(_target(path)) for path in Path(f"/proc/{pid}/fd").iterdir()} - {str(_CLOSED)}


def _output(pid: int) -> Path:
    return _target(Path(f"/proc/{pid}/fd/1"))


def _target(file: Path) -> Path:
    try:
        return file.readlink()
    except (FileNotFoundError, ProcessLookupError):
        return _CLOSED


def wait_until_gone(pids: Collection[int]) -> None:
    """Wait until none of some processes is alive."""
    wait_until(lambda: not parents().keys() & set(pids))
