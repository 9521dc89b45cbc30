"""How good a model's answers were, week by week and alias by alias, and what that says of the model in one word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from modelyard.ml_core.deciding.deciders import cost_matrix
from modelyard.ml_core.outcomes.kept_rows import KeptRows, gather, week_in_words, week_of
from modelyard.ml_core.resampling import Floats, bootstrap, intervals_of, means, replicates, usual_rounds
from modelyard.ml_core.tasks import TASKS
from modelyard.ml_core.tasks.base import Metrics
from modelyard.ml_core.training.doubts import FEW_ROWS
from modelyard.schemas import Freshness, ModelMetadata, WeekPerformance, interval_of
from modelyard.storage import AnswerCollection

_SHOWN = {"classification": ("roc_auc", "log_loss"), "regression": ("rmse", "mae")}
"""The metrics of scores; those of the answers of a classification (accuracy, cost) are measured here."""

_TELLING = {"classification": "log_loss", "regression": "rmse"}
"""The metric by which a model is found stale: a loss, since only a change of both ranks and shares leaves it alone."""

_SEED = 0

Drifting = Callable[[ModelMetadata], bool]
"""Tells whether what a model is asked now differs from what it was trained on."""


def performance_of(
    model: ModelMetadata, answers: AnswerCollection, weeks: int, drifting: Drifting, now: datetime | None = None
) -> Iterator[WeekPerformance]:
    """Yield how good a model's answers were in each of the last weeks, by alias, the newest week first.

    A week is the one in which was asked, whenever the outcome became known.
    """
    this_week = week_of(now or datetime.now(UTC))
    first_week = this_week - weeks + 1
    since = datetime.min.replace(tzinfo=UTC) + timedelta(days=max(first_week, 0) * 7)
    rows = gather(answers.answers(model.model_id, since), answers.outcomes(model.model_id), first_week)
    if rows is None:
        return
    drifts = bool((rows.weeks == this_week).any()) and drifting(model)
    for week, alias, chosen in rows.parts():
        known = chosen & ~np.isnan(rows.labels)
        outcomes = int(known.sum())
        metrics = _metrics(model, rows, known) if outcomes else {}
        yield WeekPerformance(
            week=week_in_words(week),
            alias=alias,
            model_id=model.model_id,
            version=model.version,
            rows=int(chosen.sum()),
            outcomes=outcomes,
            metrics=metrics,
            status=_status(model, metrics, outcomes, drifts=drifts and week == this_week),
        )


def _status(model: ModelMetadata, metrics: Metrics, outcomes: int, *, drifts: bool) -> Freshness:
    """Say in a word how a model does. What its outcomes show counts more than what its inputs suggest."""
    telling = _TELLING[model.task]
    found, expected = interval_of(telling, metrics), interval_of(f"validation_{telling}", model.metrics)
    judged = outcomes >= FEW_ROWS and found is not None and expected is not None
    if judged and found is not None and expected is not None and found[0] > expected[1]:
        return "stale"
    if drifts:
        return "drifting"
    return "fresh" if judged else "unknown"


def _metrics(model: ModelMetadata, rows: KeptRows, known: np.ndarray) -> Metrics:
    """Measure the rows whose outcomes are known, each metric with its interval."""
    task = TASKS[model.task]
    scores, labels = rows.scores[known], rows.labels[known]
    truth = labels if rows.answers is None else labels.astype(np.int64)
    n, k = scores.shape
    of_scores, shown = task.measure(truth, scores), _SHOWN[model.task]
    of_answers = {} if rows.answers is None else _losses(model, truth, rows.answers[known])
    measure_answers = means(np.column_stack(list(of_answers.values()))) if of_answers else None

    def measure(weights: Floats) -> dict[str, Floats]:
        found = of_scores(weights)
        chosen = {name: found[name] for name in shown}
        if measure_answers is not None:
            chosen |= dict(zip(of_answers, measure_answers(weights).T, strict=True))
        return chosen

    whole = {name: float(values[0]) for name, values in measure(np.ones((1, n))).items()}
    metrics: Metrics = {name: value if np.isfinite(value) else None for name, value in whole.items()}
    rounds = usual_rounds(n, rankings=k if k > 2 else 1)
    return {**metrics, **intervals_of(metrics, replicates(measure, bootstrap(n, _SEED, rounds=rounds)))}


def _losses(model: ModelMetadata, truth: np.ndarray, answers: np.ndarray) -> dict[str, Floats]:
    """Return of each row whether its answer was right and, if the model's decision has costs, what it cost."""
    losses = {"accuracy": (truth == answers).astype(np.float64)}
    if model.decision is not None and model.decision.costs is not None:
        losses["cost"] = cost_matrix(model.decision.costs, model.classes or ())[truth, answers]
    return losses
