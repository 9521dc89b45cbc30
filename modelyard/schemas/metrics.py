"""Which metric tells most of a model, and of which metrics less is better: for sentences, lists and comparisons."""

from __future__ import annotations

from collections.abc import Mapping

_HEADLINES = {"classification": "accuracy", "regression": "rmse"}
_LOSSES = frozenset({"log_loss", "brier", "rmse", "mae", "median_absolute_error", "mape"})


def headline(task: str, metrics: Mapping[str, float | None]) -> str | None:
    """Return the name of the metric that tells most: of rows held out, else of the training; None if there is none."""
    bare = _HEADLINES.get(task)
    return next((name for part in ("validation", "train") if (name := f"{part}_{bare}") in metrics), None)


def is_loss(metric: str) -> bool:
    """Whether less is better, of the rows held out or of the training."""
    return metric.removeprefix("validation_").removeprefix("train_").removesuffix("_std") in _LOSSES
