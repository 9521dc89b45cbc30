"""The hashes of training rows: what a model keeps to know the rows again that it was fitted on.

They are the file `training_rows.bin` beside the artifact: a salt of 16 bytes, then BLAKE2b of 8 bytes for each row,
under that salt, ascending. A row is hashed as it was checked: the features as the model's own contract reads them, and
the target. So the same row is known again in whatever form it comes, if the same contract reads it. No cell can be had
back from the file; who knows a whole row can try whether it is one of them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.schemas import Label
from modelyard.storage import ROWS_FILE, ModelRecord, ModelStore
from modelyard.tables.contract import as_codes

Words = npt.NDArray[np.uint64]

_SALT_BYTES = 16
_HASH_BYTES = 8
_PERSON = b"modelyard-row"
_WORD = np.dtype("<u8")
_MISSING = np.uint64(0x7FF8_0000_0000_0001)
"""A missing number: the bits of no finite one."""

_BLOCK_ROWS = 1 << 12


@dataclass(frozen=True, slots=True)
class RowHashes:
    """The hashes of n rows, uint64, ascending, and their salt."""

    salt: bytes
    hashes: Words

    @classmethod
    def of(cls, frame: pl.DataFrame, truth: npt.NDArray[Any], classes: Sequence[Label]) -> Self:
        """Hash the rows of a checked and expanded frame with their targets, codes of `classes` if there are any."""
        salt = secrets.token_bytes(_SALT_BYTES)
        return cls(salt, np.sort(_hashed(frame, truth, classes, salt)))

    def hold(self, frame: pl.DataFrame, truth: npt.NDArray[Any], classes: Sequence[Label]) -> npt.NDArray[np.bool_]:
        """Return for each row of a frame, checked by the same contract, whether it is one of these; shape (n,)."""
        return np.isin(_hashed(frame, truth, classes, self.salt), self.hashes)

    def to_bytes(self) -> bytes:
        """Write them as the content of `training_rows.bin`."""
        return self.salt + self.hashes.astype(_WORD).tobytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote."""
        return cls(content[:_SALT_BYTES], np.frombuffer(content, _WORD, offset=_SALT_BYTES))


def load_hashes(store: ModelStore, record: ModelRecord) -> RowHashes | None:
    """Return what a model keeps; None for a model of releases before it, or after a repair that left it out."""
    return RowHashes.from_bytes(store.read_file(record, ROWS_FILE)) if ROWS_FILE in record.files else None


def _hashed(frame: pl.DataFrame, truth: npt.NDArray[Any], classes: Sequence[Label], salt: bytes) -> Words:
    columns = [*map(_words, frame.get_columns()), _targets(truth, classes)]
    step = _WORD.itemsize * len(columns)
    salted = blake2b(digest_size=_HASH_BYTES, salt=salt, person=_PERSON)
    found = bytearray()
    for start in range(0, len(truth), _BLOCK_ROWS):
        block = np.stack([column[start : start + _BLOCK_ROWS] for column in columns], axis=1).tobytes()
        for place in range(0, len(block), step):
            row = salted.copy()  # in two thirds of the time that a new one takes
            row.update(block[place : place + step])
            found += row.digest()
    return np.frombuffer(bytes(found), _WORD)


def _words(column: pl.Series) -> Words:
    """Return the cells of a checked column as 64 bits each: a number's own, of a category the hash of its text."""
    if column.dtype.is_numeric():
        return _numbers(column.to_numpy(), column.is_null().to_numpy())
    codes = as_codes(column)
    assert isinstance(codes.dtype, pl.Enum)
    found: Words = _texts(codes.dtype.categories)[codes.to_physical().to_numpy()]
    return found


def _targets(truth: npt.NDArray[Any], classes: Sequence[Label]) -> Words:
    if not classes:
        return _numbers(truth, np.zeros(len(truth), dtype=bool))
    found: Words = _texts(f"{type(label).__name__} {label}" for label in classes)[truth]
    return found


def _numbers(values: npt.NDArray[Any], missing: npt.NDArray[np.bool_]) -> Words:
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)  # -0.0 becomes 0.0
    return np.where(missing, _MISSING, bits).astype(_WORD)


def _texts(texts: Iterable[str]) -> Words:
    digests = b"".join(blake2b(text.encode(), digest_size=_HASH_BYTES).digest() for text in texts)
    return np.frombuffer(digests, _WORD)
