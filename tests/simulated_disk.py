"""A disk that can lose its power: file operations that were recorded (`disk_recorder`) are replayed up to any moment.

`Disk.states` yields all that may be found there after a crash at each moment: of the process alone (everything that it
did is there, the last write perhaps in part), or of the machine (of what was not yet fsynced, anything may be missing,
come before the rest, be cut short or be zeros; names count as fsynced when their folder was).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

Node = int


@dataclass(frozen=True, slots=True)
class Create:
    """A name in `folder` for a new file (or folder) `node`."""

    folder: Node
    name: str
    node: Node
    is_folder: bool


@dataclass(frozen=True, slots=True)
class Remove:
    folder: Node
    name: str


@dataclass(frozen=True, slots=True)
class Rename:
    """`node` gets its new name even where its first one never came down to the disk."""

    node: Node
    folder: Node
    name: str
    to_folder: Node
    to_name: str


@dataclass(frozen=True, slots=True)
class Write:
    node: Node
    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    node: Node
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    node: Node


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What was answered before counts from here on."""

    number: int


Operation = Create | Remove | Rename | Write | Truncate | Sync | Acknowledged
Entry: TypeAlias = "bytes | tuple[tuple[str, Entry], ...]"
"""What a file holds, or the names of a folder with what they stand for."""


@dataclass(slots=True)
class Disk:
    """What was there before, and what was done since."""

    root: Node = 0
    base: dict[Node, bytes | dict[str, Node]] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)

    def acknowledge(self) -> None:
        """Mark the moment at which one more answer has been given."""
        self.operations.append(Acknowledged(1 + self.acknowledged(len(self.operations))))

    def acknowledged(self, moment: int) -> int:
        """Return how many answers had been given at a moment."""
        return sum(isinstance(operation, Acknowledged) for operation in self.operations[:moment])

    def states(self, *, power_cut: bool) -> Iterator[tuple[int, str, Entry]]:
        """Yield moments, what happened there in words, and what is found afterwards.

        Many crashes leave the same behind: of those between two answers the first one stands for all.
        """
        known = set()
        for moment, what, survived in self._crashes(power_cut=power_cut):
            found = self._found(survived)
            state = (self.acknowledged(moment), found)
            if state not in known:
                known.add(state)
                yield moment, what, found

    def _crashes(self, *, power_cut: bool) -> Iterator[tuple[int, str, list[Operation]]]:
        for moment in range(len(self.operations) + 1):
            done = self.operations[:moment]
            if power_cut:
                for what, survived in _after_power_cut(done):
                    yield moment, f"power cut after {moment}: {what}", survived
            else:
                yield moment, f"killed after {moment}", done
                if done and isinstance(last := done[-1], Write):
                    for size in sorted({1, len(last.content) // 2, len(last.content) - 1} - {0, len(last.content)}):
                        cut = replace(last, content=last.content[:size])
                        yield moment - 1, f"killed in {moment} after {size} bytes", [*done[:-1], cut]

    def _found(self, operations: list[Operation]) -> Entry:
        """Return the folder as these operations leave it."""
        nodes = {
            node: dict(found) if isinstance(found, dict) else bytearray(found) for node, found in self.base.items()
        }
        for operation in self.operations:
            if isinstance(operation, Create):
                nodes[operation.node] = {} if operation.is_folder else bytearray()
        for operation in operations:
            _apply(nodes, operation)
        return _entry(nodes, self.root)


def write_to(path: Path, found: Entry) -> None:
    """Make a file or folder of what is found."""
    if isinstance(found, bytes):
        path.write_bytes(found)
        return
    path.mkdir()
    for name, entry in found:
        write_to(path / name, entry)


Tree = dict[Node, "dict[str, Node] | bytearray"]


def _apply(nodes: Tree, operation: Operation) -> None:
    match operation:
        case Create(folder, name, node):
            _names(nodes, folder)[name] = node
        case Remove(folder, name):
            _names(nodes, folder).pop(name, None)
        case Rename(node, folder, name, to_folder, to_name):
            _names(nodes, folder).pop(name, None)
            _names(nodes, to_folder)[to_name] = node
        case Write(node, offset, content):
            data = _data(nodes, node)
            data.extend(bytes(max(0, offset - len(data))))
            data[offset : offset + len(content)] = content
        case Truncate(node, size):
            data = _data(nodes, node)
            del data[size:]
            data.extend(bytes(size - len(data)))
        case _:
            pass


def _names(nodes: Tree, node: Node) -> dict[str, Node]:
    found = nodes[node]
    assert isinstance(found, dict)
    return found


def _data(nodes: Tree, node: Node) -> bytearray:
    found = nodes[node]
    assert isinstance(found, bytearray)
    return found


def _entry(nodes: Tree, node: Node) -> Entry:
    found = nodes[node]
    if isinstance(found, bytearray):
        return bytes(found)
    return tuple((name, _entry(nodes, child)) for name, child in sorted(found.items()))


def _after_power_cut(done: list[Operation]) -> Iterator[tuple[str, list[Operation]]]:
    loose = [index for index, operation in enumerate(done) if not _is_synced(done, index)]
    yield "all that was not fsynced is lost", _without(done, loose)
    for index in loose:
        name = type(done[index]).__name__
        yield f"only {name} {index} of it survived", _without(done, [other for other in loose if other != index])
        if len(loose) > 2:
            yield f"only {name} {index} of it is lost", _without(done, [index])
        if isinstance(operation := done[index], Write):
            for what, content in _damaged(operation.content):
                changed: list[Operation] = [*done]
                changed[index] = replace(operation, content=content)
                yield f"write {index} is {what}", changed


def _damaged(content: bytes) -> Iterator[tuple[str, bytes]]:
    yield "zeros", bytes(len(content))
    if len(content) > 1:
        half = len(content) // 2
        yield "cut in half", content[:half]
        yield "zeros at first", bytes(half) + content[half:]


def _without(done: list[Operation], lost: list[int]) -> list[Operation]:
    gone = set(lost)
    return [operation for index, operation in enumerate(done) if index not in gone]


def _is_synced(done: list[Operation], index: int) -> bool:
    match done[index]:
        case (
            Create(folder=node) | Remove(folder=node) | Rename(to_folder=node) | Write(node=node) | Truncate(node=node)
        ):
            return Sync(node) in done[index:]
        case _:
            return True
