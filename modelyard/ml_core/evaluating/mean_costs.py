"""What a row costs on average by the answers that a model gives, if its decision says what errors cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from modelyard.ml_core.deciding.deciders import Floats, cost_matrix
from modelyard.ml_core.deciding.resolving import answered
from modelyard.ml_core.evaluating.scores import Answered
from modelyard.ml_core.resampling import Measure, means
from modelyard.ml_core.tasks.base import TableJudgement
from modelyard.schemas import ResolvedDecision

COST = "cost"


def mean_cost(costs: Floats, weights: Floats | None = None) -> tuple[float, Measure]:
    """Return the mean of what rows cost, shape (n,), and what measures resamples of them under the name `cost`."""
    mean = means(costs[:, None])
    return float(np.average(costs, weights=weights)), lambda drawn: {COST: mean(drawn)[:, 0]}


def with_cost(found: TableJudgement, answers: Answered, decision: ResolvedDecision | None) -> TableJudgement:
    """Add the mean cost to what was found, if the model's decision is by costs.

    Rows whose label the model does not know are left out: what an error there costs was not said.
    """
    if decision is None or decision.costs is None:
        return found
    classes = answers.contract.classes
    known = answers.truth < len(classes)
    codes = answered(decision, classes, answers.scores[known])
    cost, measure = mean_cost(cost_matrix(decision.costs, classes)[answers.truth[known], codes])

    def measured(drawn: Floats) -> dict[str, Floats]:
        return {**found.measure(drawn), **measure(drawn[:, known])}

    return replace(found, metrics={**found.metrics, COST: cost}, measure=measured)
