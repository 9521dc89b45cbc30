"""Which values of a hyperparam a search tries: declared by the model class, within what the hyperparam allows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """A numeric hyperparam and the ends between which a search tries it; whole numbers if both ends are.

    With `log` it is tried on a logarithmic scale: as often between 1 and 10 as between 10 and 100.
    """

    name: str
    low: float
    high: float
    log: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether whole numbers are tried."""
        return isinstance(self.low, int) and isinstance(self.high, int)
