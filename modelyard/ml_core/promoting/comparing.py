"""Whether rows show that a new version is better than the one before it, or not worse."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.ml_core.deciding.deciders import Codes, cost_matrix
from modelyard.ml_core.evaluating import differences
from modelyard.ml_core.evaluating.mean_costs import COST, mean_cost
from modelyard.ml_core.promoting.rows import Judged, Made, Old
from modelyard.ml_core.resampling import Measure, bootstrap, replicates, usual_rounds
from modelyard.ml_core.tasks.base import Scores
from modelyard.schemas import USUAL_LOSSES, Promote, Promotion, is_loss

FEWEST_ROWS = 200
"""With fewer rows no difference that matters would be seen, and an alias moves by chance."""

_SEED = 0


def compare(promote: Promote, made: Made, old: Old, judged: Judged) -> Promotion:
    """Judge both versions by the same resamples of the same rows (a paired bootstrap, 90 %)."""
    comparison = _Comparison(made, old, judged)
    metric, n = promote.metric or comparison.usual_metric, len(judged.rows.truth)
    facts = {"alias": promote.alias, "metric": metric, "n_rows": n}
    if n < FEWEST_ROWS:
        which = "the new version's validation has" if promote.on is None else "promote.on has"
        reason = f"{which} {n} rows that {old.called} was not fitted on; at least {FEWEST_ROWS} are due"
        return Promotion(**facts, moved=False, reason=reason)
    found = comparison.difference(metric)
    if found is None:
        return Promotion(**facts, moved=False, reason=f"{metric} is not defined on these {n:,} rows")
    difference, low, high = found
    moved, reason = _verdict(promote, metric, low, high, old.called)
    return Promotion(**facts, difference=difference, low=low, high=high, moved=moved, reason=reason)


def _verdict(promote: Promote, metric: str, low: float, high: float, old: str) -> tuple[bool, str]:
    """Return whether a difference between these ends moves the alias, and why, in words."""
    if promote.condition == "better":
        moved, words = low > 0, f"better than {old} by {metric}"
        return moved, words if moved else f"worse than {old} by {metric}" if high < 0 else f"not shown to be {words}"
    moved, words = low > -promote.margin, f"worse than {old} by more than {promote.margin:g} of {metric}"
    return moved, f"not {words}" if moved else f"{'' if high < -promote.margin else 'may be '}{words}"


@dataclass(frozen=True, slots=True)
class _Comparison:
    made: Made
    old: Old
    judged: Judged

    @property
    def usual_metric(self) -> str:
        return USUAL_LOSSES[self.made.order.plan.model_class.task] if self._costs is None else COST

    @property
    def _costs(self) -> dict[str, dict[str, float]] | None:
        """What errors cost, by the decision of the new version, else by that of the old one."""
        decisions = (self.made.decision, self.old.metadata.decision)
        return next((one.costs for one in decisions if one is not None and one.costs is not None), None)

    def difference(self, metric: str) -> tuple[float, float, float] | None:
        """Return by how much the new version is better, and between which values that lies; None if undefined."""
        rows, k = self.judged.rows, self.judged.old_scores.shape[1]
        n, answers = len(rows.truth), self.judged.answers or (None, None)
        sides = []
        for name, scores, codes in zip("ab", (rows.scores, self.judged.old_scores), answers, strict=True):
            value, measure = self._measured(metric, scores, codes)
            blocks = bootstrap(
                n,
                _SEED,
                rounds=usual_rounds(n, rankings=k if k > 2 else 1),
                groups=rows.groups,
                weights=None if rows.weights is None else rows.weights / rows.weights.max(),
            )
            values = {} if value is None else {metric: replicates(measure, blocks)[metric]}
            sides.append(differences.Judged(name, name, {metric: value}, values))
        pairs = differences.differences(sides, n)
        if not pairs:
            return None
        pair = pairs[0]
        if is_loss(metric):
            return 0.0 - pair.difference, 0.0 - pair.high, 0.0 - pair.low
        return pair.difference, pair.low, pair.high

    def _measured(self, metric: str, scores: Scores, answers: Codes | None) -> tuple[float | None, Measure]:
        task, rows = self.made.order.plan.task, self.judged.rows
        if metric != COST:
            return task.metrics_of(rows.truth, scores, rows.weights)[metric], task.measure(rows.truth, scores)
        assert answers is not None
        matrix = cost_matrix(self._costs or {}, self.made.order.plan.table.contract.classes)
        return mean_cost(matrix[rows.truth, answers], rows.weights)
