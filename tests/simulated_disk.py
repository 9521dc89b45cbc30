"""A disk that can lose its power: file operations are recorded while a program runs, and replayed up to any moment.

`recording` writes down what a program does below one folder. `Disk.states` then yields what may be found there
after a crash at each moment: of the process alone (everything it did is there, the last write perhaps in part), or of
the machine (of what was not yet fsynced, anything may be missing, come before the rest, be cut short or be zeros; names
count as fsynced when their folder was).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

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

    def states(self, *, power_cut: bool) -> Iterator[tuple[int, str, list[Operation]]]:
        """Yield moments, what happened there in words, and the operations whose effects are found afterwards."""
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

    def write_to(self, folder: Path, operations: list[Operation]) -> None:
        """Make the folder as these operations leave it."""
        nodes = {
            node: dict(found) if isinstance(found, dict) else bytearray(found) for node, found in self.base.items()
        }
        for operation in self.operations:
            if isinstance(operation, Create):
                nodes[operation.node] = {} if operation.is_folder else bytearray()
        for operation in operations:
            _apply(nodes, operation)
        _write_tree(nodes, self.root, folder)


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


def _write_tree(nodes: Tree, node: Node, path: Path) -> None:
    found = nodes[node]
    if isinstance(found, dict):
        path.mkdir()
        for name, child in found.items():
            _write_tree(nodes, child, path / name)
    else:
        path.write_bytes(found)


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


@contextmanager
def recording(root: Path) -> Iterator[Disk]:
    """Write down what this process does below `root`, which exists, within the block."""
    recorder = _Recorder(root)
    with ExitStack() as stack:
        for name, ours in recorder.patches().items():
            stack.enter_context(mock.patch.object(os, name, ours))
        yield recorder.disk


class WithoutFsync:
    """The module `os`, whose fsync does nothing."""

    def __getattr__(self, name: str) -> Any:
        return (lambda _: None) if name == "fsync" else getattr(os, name)


class _Recorder:
    def __init__(self, root: Path) -> None:
        self.disk = Disk()
        self._root = str(root)
        self._nodes: dict[str, Node] = {}
        self._open: dict[int, Node] = {}
        self._next = 0
        self._real: dict[str, Callable[..., Any]] = {}
        self.disk.root = self._read(self._root)

    def patches(self) -> dict[str, Callable[..., Any]]:
        ours: dict[str, Callable[..., Any]] = {
            "open": self._on_open,
            "close": self._on_close,
            "pwrite": self._on_pwrite,
            "fsync": self._on_fsync,
            "ftruncate": self._on_ftruncate,
            "mkdir": self._on_mkdir,
            "rename": self._on_rename,
            "replace": self._on_rename,
            "unlink": self._on_remove("unlink"),
            "rmdir": self._on_remove("rmdir"),
        }
        self._real = {name: getattr(os, name) for name in ours}
        return ours

    def _read(self, path: str) -> Node:
        node = self._new(path)
        if stat.S_ISDIR(os.lstat(path).st_mode):
            self.disk.base[node] = {child.name: self._read(str(child)) for child in sorted(Path(path).iterdir())}
        else:
            self.disk.base[node] = Path(path).read_bytes()
        return node

    def _new(self, path: str) -> Node:
        self._next += 1
        self._nodes[path] = self._next
        return self._next

    def _path(self, path: Any, dir_fd: int | None = None) -> str | None:
        """Return a path as it is written in the names here; None for one outside."""
        text = os.fspath(path)
        if not isinstance(text, str):
            return None
        if dir_fd is not None:
            text = str(Path(f"/proc/self/fd/{dir_fd}").readlink() / text)
        text = os.path.abspath(text)  # noqa: PTH100 -- no link is followed
        return text if text == self._root or text.startswith(self._root + os.sep) else None

    def _place(self, path: str) -> tuple[Node, str]:
        folder, name = os.path.split(path)
        return self._nodes[folder], name

    def _on_open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        ours = self._path(path, dir_fd)
        new = ours is not None and ours not in self._nodes and bool(flags & os.O_CREAT)
        file: int = self._real["open"](path, flags, mode, dir_fd=dir_fd)
        if ours is not None:
            if new:
                self.disk.operations.append(Create(*self._place(ours), self._new(ours), is_folder=False))
            self._open[file] = self._nodes[ours]
            if flags & os.O_TRUNC and not new:
                self.disk.operations.append(Truncate(self._nodes[ours], 0))
        return file

    def _on_close(self, file: int) -> None:
        self._open.pop(file, None)
        self._real["close"](file)

    def _on_pwrite(self, file: int, content: Any, offset: int) -> int:
        written: int = self._real["pwrite"](file, content, offset)
        if file in self._open:
            self.disk.operations.append(Write(self._open[file], offset, bytes(content)[:written]))
        return written

    def _on_fsync(self, file: int) -> None:
        if file in self._open:  # the real one is not needed: this process lives on
            self.disk.operations.append(Sync(self._open[file]))

    def _on_ftruncate(self, file: int, size: int) -> None:
        self._real["ftruncate"](file, size)
        if file in self._open:
            self.disk.operations.append(Truncate(self._open[file], size))

    def _on_mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self._real["mkdir"](path, mode, dir_fd=dir_fd)
        if (ours := self._path(path, dir_fd)) is not None:
            self.disk.operations.append(Create(*self._place(ours), self._new(ours), is_folder=True))

    def _on_rename(self, source: Any, target: Any, **dir_fds: Any) -> None:
        self._real["rename"](source, target, **dir_fds)
        before, after = self._path(source), self._path(target)
        if before is None and after is None:
            return
        assert before is not None, "what comes from outside was not recorded"
        assert after is not None, "what goes outside is not followed"
        self.disk.operations.append(Rename(self._nodes[before], *self._place(before), *self._place(after)))
        self._nodes = {path: node for path, node in self._nodes.items() if not _is_below(path, after)}
        self._nodes = {
            after + path[len(before) :] if _is_below(path, before) else path: node for path, node in self._nodes.items()
        }

    def _on_remove(self, name: str) -> Callable[..., None]:
        def remove(path: Any, *, dir_fd: int | None = None) -> None:
            ours = self._path(path, dir_fd)
            self._real[name](path, dir_fd=dir_fd)
            if ours is not None:
                self.disk.operations.append(Remove(*self._place(ours)))
                del self._nodes[ours]

        return remove


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)
