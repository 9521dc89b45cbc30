"""The progress of a training: one stream over all its fits."""

from __future__ import annotations

from modelyard.models_registry.base import OnProgress, Progress


class ProgressStream:
    """One progress over several fits, each an equal share.

    The first fit's first word says how many steps a fit has; a later fit with more or fewer is scaled to that.
    """

    def __init__(self, on_progress: OnProgress | None, n_fits: int) -> None:
        self._on_progress = on_progress
        self._n_fits = n_fits
        self._steps_per_fit: int | None = None
        self._done = 0
        self._last = 0
        self._metric: float | None = None

    def listener(self) -> OnProgress | None:
        """Return what the running fit calls; None if nobody listens."""
        return self._advance if self._on_progress else None

    def end_fit(self) -> None:
        """Count the running fit as done, also one that stopped early or said nothing."""
        self._advance(Progress(1, 1, self._metric))
        self._done += 1

    def begin_final(self) -> None:
        """Count all fits but the last as done, also those that an evaluation given up has left out."""
        self._done = self._n_fits - 1

    def _advance(self, progress: Progress) -> None:
        total = max(progress.total, 1)
        if self._steps_per_fit is None:
            self._steps_per_fit = total
        share = min(progress.step, total) * self._steps_per_fit // total
        step = self._done * self._steps_per_fit + share
        self._metric = progress.metric
        if step > self._last and self._on_progress:
            self._last = step
            self._on_progress(Progress(step, self._n_fits * self._steps_per_fit, progress.metric))
