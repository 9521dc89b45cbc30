"""A table that arrives in chunks: kept on disk as it came, put together when it is complete."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from modelyard.errors import FieldError, InvalidRequest, InvalidTable, PayloadTooLarge, Unavailable
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.table_messages import KINDS, Sent, read_table
from modelyard.tables import RawTable, stored_name

_EXACT_INTEGERS = 2**53
_LENGTH_BYTES = 4


class Spool:
    """Chunks of one table and its labels, in a folder of its own until it is closed."""

    def __init__(self, max_bytes: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="modelyard-spool-")
        self._file = (Path(self._folder.name) / "chunks").open("w+b")
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kind: str | None = None
        self._upload: Path | None = None

    @property
    def is_file(self) -> bool:
        """Whether the chunks are pieces of a file."""
        return self._kind == "file"

    def append(self, chunk: pb.TrainChunk) -> None:
        """Keep one more chunk. Raises InvalidRequest, PayloadTooLarge, Unavailable if the disk is full."""
        kind = chunk.X.WhichOneof("data")
        if kind is None and not chunk.y:
            raise InvalidRequest.of([FieldError(("X",), f"a chunk holds no table; it must be {KINDS}")])
        if kind is not None:
            self._check_kind(kind)
        self._count(chunk.ByteSize())
        try:
            if kind == "file":
                self._append_to_upload(chunk.X.file)
                chunk.ClearField("X")
            data = chunk.SerializeToString()
            self._file.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
        except OSError as error:
            raise Unavailable(f"the table cannot be kept on disk: {error.strerror}") from error

    def table(self) -> tuple[Sent, list[pb.Value]]:
        """Return the whole table and its labels. Raises InvalidTable, InvalidRequest."""
        labels: list[pb.Value] = []
        if self.is_file:
            labels.extend(chain.from_iterable(chunk.y for chunk in self._chunks()))
            return Sent(self._upload), labels
        tables = []
        for chunk in self._chunks():
            labels.extend(chunk.y)
            if chunk.HasField("X"):
                tables.append(read_table(chunk.X))
        if not tables:
            raise InvalidRequest.of([FieldError(("X",), "no chunk of the table came after the first message")])
        return Sent(joined([table.X for table in tables]), tables[0].feature_names), labels

    def close(self) -> None:
        """Remove all that was kept."""
        self._file.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_kind(self, kind: str) -> None:
        self._kind = self._kind or kind
        if kind != self._kind:
            raise InvalidRequest(f"a chunk of {kind} came after chunks of {self._kind}; all must be of one kind")

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._max_bytes:
            raise PayloadTooLarge(
                f"all chunks of a table must be at most {self._max_bytes / 2**20:g} MB ({self._max_bytes:,} bytes); "
                "MODELYARD_MAX_BODY_MB sets the limit"
            )

    def _append_to_upload(self, file: pb.File) -> None:
        if self._upload is None:
            folder = Path(self._folder.name) / "upload"  # of its own: the sender chooses the name
            folder.mkdir()
            self._upload = folder / stored_name(file.name)
        with self._upload.open("ab") as upload:
            upload.write(file.content)

    def _chunks(self) -> Iterator[pb.TrainChunk]:
        self._file.seek(0)
        while head := self._file.read(_LENGTH_BYTES):
            yield pb.TrainChunk.FromString(self._file.read(int.from_bytes(head, "big")))


def joined(tables: Sequence[Any]) -> Any:
    """Put chunks of one kind together: rows and records as lists, columns and Arrow as columns.

    Raises InvalidTable if their columns differ.
    """
    first = tables[0]
    if len(tables) == 1:
        return first
    if isinstance(first, list):
        return list(chain.from_iterable(tables))
    columns = [_columns(table) for table in tables]
    names = list(columns[0])
    for number, found in enumerate(columns):
        if found.keys() != set(names):
            differing = sorted(found.keys() ^ set(names))
            raise InvalidTable(
                f"chunk {number} has other columns than chunk 0: {', '.join(map(repr, differing[:20]))} not in both"
            )
        _check_heights(number, found)
    whole = {name: _joined_column([found[name] for found in columns]) for name in names}
    if isinstance(first, RawTable):
        return replace(first, columns=whole, height=sum(table.height for table in tables))
    return whole


def _columns(table: Any) -> dict[str, Any]:
    return table.columns if isinstance(table, RawTable) else table


def _check_heights(number: int, columns: dict[str, Any]) -> None:
    heights = {name: len(column) for name, column in columns.items()}
    if len(set(heights.values())) > 1:
        shown = ", ".join(f"{name!r} {height}" for name, height in list(heights.items())[:20])
        raise InvalidTable(f"chunk {number} has columns of different lengths: {shown}")


def _joined_column(pieces: list[Any]) -> Any:
    """Return one Series if the pieces have one type or are exactly numbers of one, otherwise a list of cells."""
    series = [pl.Series(piece, dtype=pl.Null) if _is_empty(piece) else piece for piece in pieces]
    if all(isinstance(piece, pl.Series) for piece in series):
        dtypes = {piece.dtype for piece in series} - {pl.Null}
        if len(dtypes) <= 1:
            dtype = next(iter(dtypes), pl.Null())
            return pl.concat([piece.cast(dtype) for piece in series])
        if all(dtype.is_numeric() and not dtype.is_decimal() for dtype in dtypes) and all(map(_is_exact, series)):
            return pl.concat([piece.cast(pl.Float64) for piece in series])
    return list(chain.from_iterable(piece.to_list() if isinstance(piece, pl.Series) else piece for piece in pieces))


def _is_empty(piece: Any) -> bool:
    if isinstance(piece, pl.Series):
        return piece.null_count() == len(piece)
    return all(cell is None for cell in piece)


def _is_exact(piece: pl.Series) -> bool:
    """Whether a double holds each of the numbers."""
    if piece.dtype in (pl.Null, pl.Float64):
        return True
    if not piece.dtype.is_integer():
        return False
    low, high = piece.min(), piece.max()
    return isinstance(low, int) and isinstance(high, int) and low >= -_EXACT_INTEGERS and high <= _EXACT_INTEGERS
