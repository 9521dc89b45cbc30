"""What CatBoost says and is told while it fits: progress, its log, and after which iteration to end."""

from __future__ import annotations

import logging
import re
from types import SimpleNamespace

from modelyard.models_registry.base import FitTask, Progress

_ITERATION = re.compile(r"(?P<iteration>\d+):\t(?:learn: (?P<learn>\S+))?(?:\ttest: (?P<test>\S+))?")

logger = logging.getLogger(__name__)


def end_after(iterations: int) -> SimpleNamespace:
    """Return CatBoost's callback that ends a fit after some iterations.

    That keeps the learning rate of the iterations that were asked for; to ask for fewer would raise it. Before each
    call CatBoost makes Python lists of all losses so far: from some thousand iterations on that costs seconds.
    """
    return SimpleNamespace(after_iteration=lambda info: bool(info.iteration < iterations))


class Listener:
    """Hears a line each iteration from CatBoost: reports progress, and logs every `verbose`-th line."""

    def __init__(self, task: FitTask) -> None:
        self._total = task.iterations or task.hyperparams["iterations"]
        self._on_progress = task.on_progress
        self._log_period = int(task.hyperparams["verbose"])
        self._said = Progress(0, self._total)
        self.raised: BaseException | None = None

    @property
    def speaks(self) -> bool:
        """Whether anybody listens."""
        return self._on_progress is not None or self._log_period > 0

    def take(self, line: str) -> None:
        """Take a line."""
        found = _ITERATION.match(line)
        if found is None:
            log_line(logging.INFO, line)
            return
        iteration = int(found["iteration"])
        if self._log_period and (iteration % self._log_period == 0 or iteration + 1 == self._total):
            log_line(logging.INFO, line)
        loss = found["test"] or found["learn"]
        self._report(Progress(iteration + 1, self._total, None if loss is None else float(loss)))

    def end(self) -> None:
        """Report the end of the fit if its last line was lost, and raise what the listener raised."""
        if self._said.step < self._total:
            self._report(Progress(self._total, self._total, self._said.metric))
        if self.raised is not None:
            raise self.raised

    def _report(self, progress: Progress) -> None:
        self._said = progress
        if self._on_progress is not None and self.raised is None:
            try:
                self._on_progress(progress)
            except BaseException as error:  # noqa: BLE001 - CatBoost would pass over it; the fit raises it at its end
                self.raised = error


def log_line(level: int, line: str) -> None:
    """Log what CatBoost said, unless it is blank."""
    if line.strip():
        logger.log(level, "%s", line.rstrip())
