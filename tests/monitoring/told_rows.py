"""What a watch has told the metrics of rows."""

from __future__ import annotations

from operator import add


class ToldRows(dict[tuple[str, int], tuple[int, ...]]):
    """By name and version: rows, cells with unknown categories, missing cells, all so far."""

    def take(self, name: str, version: int, *counts: int) -> None:
        """Take what was counted since last time: `monitoring.watching.CountRows`."""
        self[name, version] = tuple(map(add, self.get((name, version), (0, 0, 0)), counts))
