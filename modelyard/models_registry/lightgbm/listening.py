"""What LightGBM is told to do after each tree: report progress, log, and stop early."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelyard.models_registry.base import FitTask, Progress


class Listener:
    """Reports each tree of a fit. What `on_progress` raises ends the fit, because LightGBM's loop is Python."""

    def __init__(self, task: FitTask) -> None:
        self._total = task.iterations or task.hyperparams["n_estimators"]
        self._on_progress = task.on_progress
        self._log_period = int(task.hyperparams["verbose"])
        self._stop_after = task.hyperparams["early_stopping_rounds"]
        self._said = Progress(0, self._total)

    def callbacks(self, stops_early: bool) -> list[Callable[[Any], None]]:
        """Return LightGBM's callbacks, in the order in which they are called."""
        from modelyard.models_registry.lightgbm.library import lightgbm

        callbacks: list[Callable[[Any], None]] = [self._report]
        if self._log_period:
            callbacks.append(lightgbm.log_evaluation(self._log_period))
        if stops_early:
            callbacks.append(lightgbm.early_stopping(self._stop_after, verbose=False))
        return callbacks

    def end(self) -> None:
        """Report the end of the fit if it stopped early."""
        if self._said.step < self._total:
            self._tell(Progress(self._total, self._total, self._said.metric))

    def _report(self, environment: Any) -> None:
        """Report a tree; the last loss is of the held-out rows, or of the fitted ones if there are no others."""
        loss = float(environment.evaluation_result_list[-1][2])
        self._tell(Progress(environment.iteration + 1, self._total, loss))

    def _tell(self, progress: Progress) -> None:
        self._said = progress
        if self._on_progress is not None:
            self._on_progress(progress)
