"""What the metrics of an evaluation give reason to doubt, in words: warnings of a model that is worse than it looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelyard.ml_core.tasks.base import Metrics
from modelyard.schemas import ModelWarning, baseline_of, headline, interval_of, meaning, spoken_metric

FEW_ROWS = 30
"""Of fewer rows (or groups) held out, percentiles of resamples are narrower than the truth's spread."""


def doubts(task: str, metrics: Metrics, n_held_out: int, what: str = "rows") -> tuple[ModelWarning, ...]:
    """Return the warnings. `n_held_out` counts what was drawn for the intervals: rows, or groups of them."""
    return (*_few_held_out(n_held_out, what), *_overfitted(task, metrics), *_beside_baseline(metrics))


def _few_held_out(n: int, what: str) -> Iterator[ModelWarning]:
    if n < FEW_ROWS:
        message = (
            f"the model was judged by {n} {what.removesuffix('s') if n == 1 else what} held out, so its metrics can be "
            "far off and their intervals too narrow; more rows tell more, and folds (method 'cv') hold out all of them"
        )
        yield ModelWarning(code="few_rows_held_out", message=message, count=n)


def _overfitted(task: str, metrics: Metrics) -> Iterator[ModelWarning]:
    """Warn if the error on the rows fitted is less than half of the least that the rows held out leave likely."""
    name = headline(task, metrics)
    found = None if name is None else interval_of(name, metrics)
    fitted = None if name is None else metrics.get(f"train_{meaning(name).measure}")
    if name is None or found is None or fitted is None:
        return
    is_loss = meaning(name).is_loss
    least, error = (found[0], fitted) if is_loss else (1 - found[1], 1 - fitted)
    if 2 * error < least:
        message = (
            f"the model is far better on the rows it was fitted to than on rows it has not seen: "
            f"{spoken_metric(f'train_{meaning(name).measure}', metrics)} against {spoken_metric(name, metrics)}; "
            "more rows, fewer columns or a simpler model (stronger regularization, less depth) may help"
        )
        yield ModelWarning(code="overfitted", message=message)


def _beside_baseline(metrics: Metrics) -> Iterator[ModelWarning]:
    """Warn if no metric is clearly better than that of the same answer for every row, or if a loss is clearly worse."""
    compared = [name for name, value in metrics.items() if _is_compared(name, metrics) and value is not None]
    worse = [name for name in compared if meaning(name).is_loss and _side(name, metrics) > 0]
    if compared and not any(_side(name, metrics) == (-1 if meaning(name).is_loss else 1) for name in compared):
        message = f"the model is not clearly better than the same answer for every row: {_told(compared, metrics)}"
        yield ModelWarning(code="no_better_than_baseline", message=message)
    elif worse:
        message = (
            "the model is clearly worse than the same answer for every row by its loss: "
            f"{_told(worse, metrics)}; it may order rows well, but its probabilities mislead; another model class, "
            "stronger regularization or `calibrate` may help"
        )
        yield ModelWarning(code="worse_than_baseline", message=message)


def _told(names: Sequence[str], metrics: Metrics) -> str:
    return ", ".join(f"{spoken_metric(name, metrics)} against {baseline_of(name, metrics):.4g}" for name in names)


def _is_compared(name: str, metrics: Metrics) -> bool:
    named = meaning(name)
    return named.is_value and named.rows == "validation" and baseline_of(name, metrics) is not None


def _side(name: str, metrics: Metrics) -> int:
    """Return 1 if the whole interval of a metric is above its baseline, -1 if it is below, else 0."""
    found, baseline = interval_of(name, metrics), baseline_of(name, metrics)
    if found is None or baseline is None:
        return 0
    return int(found[0] > baseline) - int(found[1] < baseline)
