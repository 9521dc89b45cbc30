"""Recording what a program does with its files, for a `simulated_disk`."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tests.simulated_disk import Create, Disk, Node, Remove, Rename, Sync, Truncate, Write


@contextmanager
def recording(root: Path) -> Iterator[Disk]:
    """Write down what this process does below `root`, which exists, within the block."""
    recorder = _Recorder(root)
    with ExitStack() as stack:
        for name, ours in recorder.patches().items():
            stack.enter_context(mock.patch.object(os, name, ours))
        yield recorder.disk


def no_fsync(_: int) -> None:
    """What stands for `os.fsync` on a disk that keeps its power."""


class WithoutFsync:
    """The module `os`, whose fsync does nothing."""

    def __getattr__(self, name: str) -> Any:
        return no_fsync if name == "fsync" else getattr(os, name)


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
