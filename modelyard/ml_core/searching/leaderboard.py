"""The leaderboard of a search: all that was tried, the best first, and in words what is as good within noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.ml_core.searching.folds import Folds
from modelyard.ml_core.searching.weighing import Weighed, is_worse, weighed
from modelyard.ml_core.tasks.base import Scores
from modelyard.schemas import ENSEMBLE, LeaderboardEntry, is_loss

CHOSEN, AS_GOOD, WORSE = "the model", "as good within noise", "worse"
_ORDER = {"complete": 0, "pruned": 1, "failed": 2}


@dataclass(frozen=True, slots=True)
class Board:
    """What the trials of a search are compared by: the best set of them, of which the model is made.

    `scores` are those of the complete trials by number, `members` the weights of those that the model is made of.
    """

    folds: Folds
    scores: Mapping[int, Scores]
    best: Weighed
    members: Mapping[int, float]

    def entries(self, told: Sequence[Mapping[str, Any]]) -> list[LeaderboardEntry]:
        """Return the entries of all trials, and first of all that of the ensemble, if the model is one."""
        entries = sorted(map(self._entry, told), key=self._rank)
        if len(self.members) == 1:
            return entries
        low, high = self.best.interval
        blended = LeaderboardEntry(
            model_class_key=ENSEMBLE,
            hyperparams=dict(self.best.weights),
            metric=self.best.value,
            low=low,
            high=high,
            seconds=0.0,
            status="complete",
            words=CHOSEN,
        )
        return [blended, *entries]

    def _entry(self, one: Mapping[str, Any]) -> LeaderboardEntry:
        entry = LeaderboardEntry(
            model_class_key=one["model_class_key"],
            hyperparams=one["hyperparams"],
            metric=one.get("metric"),
            seconds=one["seconds"],
            weight=self.members.get(one["number"], 0.0),
            status=one["status"],
            words=one.get("error", {}).get("detail", ""),
        )
        if entry.status == "pruned":
            made, all_folds = len(one["folds"]), len(self.folds.parts)
            words = f"given up after {made} of {all_folds} folds, which were worse than usual"
            return entry.model_copy(update={"words": words})
        return entry if entry.status == "failed" else self._judged(entry, self.scores[one["number"]])

    def _judged(self, entry: LeaderboardEntry, scores: Scores) -> LeaderboardEntry:
        judged = weighed(scores, self.folds, {})
        low, high = judged.interval
        words = WORSE if is_worse(judged, self.best, lower=is_loss(self.folds.metric)) else AS_GOOD
        words = CHOSEN if entry.weight == 1.0 else words
        return entry.model_copy(update={"metric": judged.value, "low": low, "high": high, "words": words})

    def _rank(self, entry: LeaderboardEntry) -> tuple[int, float]:
        value = entry.metric or 0.0
        return _ORDER[entry.status], value if is_loss(self.folds.metric) else -value
