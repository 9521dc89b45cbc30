"""What the name of a metric means: for sentences, lists and comparisons.

A name is `rows_measure_kind`: the rows it was measured on (`validation`: held out, `train`: fitted; `baseline`: what
one gets by answering the same for every row), what was measured, and, unless it is the value itself, what it says of it
(`std`: deviation between the folds; `low`, `high`: between which the true value lies, nine times in ten).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

MEASURES: Mapping[str, tuple[str, ...]] = {
    "classification": (
        "accuracy",
        "balanced_accuracy",
        "precision",
        "recall",
        "f1",
        "roc_auc",
        "average_precision",
        "log_loss",
        "brier",
    ),
    "regression": ("rmse", "mae", "r2", "median_absolute_error", "mape"),
}
"""What is measured of rows held out, by task. Beside it there is `cost`, if a decision says what errors cost."""

USUAL_LOSSES: Mapping[str, str] = {"classification": "log_loss", "regression": "rmse"}
"""What versions are compared by if nothing else is said, by task: it heeds how sure an answer is."""

_HEADLINES = {"classification": "accuracy", "regression": "rmse"}
_LOSSES = frozenset({"log_loss", "brier", "rmse", "mae", "median_absolute_error", "mape", "cost"})
_MEANS_OVER_CLASSES = frozenset({"precision", "recall", "f1"})
_ROWS = ("validation", "train", "baseline")
_KINDS = ("std", "low", "high")

GUESSED: Mapping[str, float] = {"roc_auc": 0.5, "r2": 0.0}
"""What a metric is of the same answer for every row, if it is the same for every table."""


@dataclass(frozen=True, slots=True)
class MetricName:
    """A metric's name, taken apart; `rows` is empty in a name that says nothing of them."""

    rows: Literal["", "validation", "train", "baseline"]
    measure: str
    kind: Literal["value", "std", "low", "high"]

    @property
    def is_loss(self) -> bool:
        """Whether less is better."""
        return self.measure in _LOSSES

    @property
    def is_macro(self) -> bool:
        """Whether it is a mean over the classes, each of which has one of its own."""
        return self.measure in _MEANS_OVER_CLASSES

    @property
    def is_value(self) -> bool:
        """Whether it says how good a model is, rather than something of another metric."""
        return self.kind == "value" and self.rows != "baseline"


def are_validated(metrics: Iterable[str]) -> bool:
    """Whether metrics, by name, say something of rows that were held out."""
    return any(meaning(name).rows == "validation" for name in metrics)


def meaning(name: str) -> MetricName:
    """Take a metric's name apart."""
    rows, _, rest = name.partition("_")
    if rows not in _ROWS:
        rows, rest = "", name
    measure, _, kind = rest.rpartition("_")
    if kind not in _KINDS:
        measure, kind = rest, "value"
    return MetricName(rows, measure, kind)  # type: ignore[arg-type]  # mypy widens the words to str


def headline(task: str, metrics: Mapping[str, float | None]) -> str | None:
    """Return the name of the metric that tells most: of rows held out, else of the training; None if there is none."""
    measure = _HEADLINES.get(task)
    return next((name for rows in ("validation", "train") if (name := f"{rows}_{measure}") in metrics), None)


def is_loss(metric: str) -> bool:
    """Whether less is better."""
    return meaning(metric).is_loss


def interval_of(name: str, metrics: Mapping[str, float | None]) -> tuple[float, float] | None:
    """Return the interval of a metric; None if there is none."""
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    return None if low is None or high is None else (low, high)


def baseline_of(name: str, metrics: Mapping[str, float | None]) -> float | None:
    """Return what one gets for a metric by answering the same for every row; None if that is not known."""
    measure = meaning(name).measure
    return metrics.get(f"baseline_{measure}", GUESSED.get(measure))


def spoken_metric(name: str, metrics: Mapping[str, float | None]) -> str:
    """Write a metric that has a value for a sentence, with its interval in parentheses."""
    digits = ".6g" if is_loss(name) else ".3f"  # a loss has the unit of its target, and any size
    found = interval_of(name, metrics)
    between = "" if found is None else f" ({found[0]:{digits}}\N{EN DASH}{found[1]:{digits}})"
    return f"{name.replace('_', ' ')} {metrics[name]:{digits}}{between}"
