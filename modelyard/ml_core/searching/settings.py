"""What a search was told of itself: which model classes it tries, how often, how long, and by which metric."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from modelyard.storage.files import sync_files

_FILE = "search.json"


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """What a search tries, at most how often and for how many seconds, by which metric, and its seed.

    `model_classes` are keys, of one task.
    """

    model_classes: tuple[str, ...]
    trials: int
    max_seconds: float
    metric: str
    seed: int

    def write(self, folder: Path) -> None:
        """Write them into a search's folder, down to the disk. Raises OSError."""
        said = {name: getattr(self, name) for name in self.__slots__}
        (folder / _FILE).write_bytes(orjson.dumps(said))
        sync_files(folder, [_FILE])

    @classmethod
    def read(cls, folder: Path) -> SearchSettings:
        """Read what `write` wrote."""
        said = orjson.loads((folder / _FILE).read_bytes())
        return cls(**{**said, "model_classes": tuple(said["model_classes"])})
