"""The progress of a training: one stream over all its fits."""

from __future__ import annotations

from collections.abc import Callable

from modelyard.models_registry.base import OnProgress, Progress
from modelyard.schemas import JobProgress

OnTrainingProgress = Callable[[JobProgress], None]


class ProgressStream:
    """One progress over several fits, each an equal share.

    The first fit's first word says how many steps a fit has; a later fit with more or fewer is scaled to that.
    `n_parts` parts of the rows are fitted and judged, then all rows, each by as many of the fits.
    """

    def __init__(self, on_progress: OnTrainingProgress | None, n_fits: int, n_parts: int = 1) -> None:
        self._on_progress = on_progress
        self._n_fits = n_fits
        self._n_parts = n_parts
        self._steps_per_fit: int | None = None
        self._done = 0
        self._last = 0
        self._metric: float | None = None
        self._held_out = False

    def listener(self, *, held_out: bool = False) -> OnProgress | None:
        """Return what the running fit calls, None if nobody listens; its losses are of rows held out, or not."""
        self._held_out = held_out
        return self._advance if self._on_progress else None

    def end_fit(self) -> None:
        """Count the running fit as done, also one that stopped early or said nothing."""
        self._done += 1
        self._advance(Progress(0, 1, self._metric))

    def begin_final(self) -> None:
        """Count all fits but the last as done, also those that an evaluation given up has left out."""
        self._done = self._n_fits - 1

    def _advance(self, progress: Progress) -> None:
        self._metric = progress.metric
        total = max(progress.total, 1)
        if self._steps_per_fit is None:
            self._steps_per_fit = total
        share = min(progress.step, total) * self._steps_per_fit // total
        step, of = self._done * self._steps_per_fit + share, self._n_fits * self._steps_per_fit
        if step > self._last and self._on_progress:
            self._last = step
            has_steps = total > 1
            self._on_progress(
                JobProgress(
                    fraction=step / of,
                    step=step,
                    total=of,
                    metric=progress.metric,
                    held_out=None if progress.metric is None else self._held_out,
                    phase=self._phase(),
                    phase_step=progress.step if has_steps else None,
                    phase_total=total if has_steps else None,
                )
            )

    def _phase(self) -> str:
        """Name the part under way: a fold, if there are several, else a fit."""
        fit = min(self._done, self._n_fits - 1)
        if self._n_parts < 2:
            return f"fit {fit + 1} of {self._n_fits}"
        fold = fit * (self._n_parts + 1) // self._n_fits
        return f"fold {fold + 1} of {self._n_parts}" if fold < self._n_parts else "final fit"
