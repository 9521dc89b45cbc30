"""The verbs of kept answers: what really happened, and how good the answers were."""

from __future__ import annotations

from contextlib import suppress

from modelyard import calls
from modelyard.calls import Calls, verb
from modelyard.errors import DataLoss, FailedPrecondition
from modelyard.ml_core.outcomes.matching import match
from modelyard.ml_core.outcomes.performance import performance_of
from modelyard.ml_core.outcomes.reading import read_outcomes
from modelyard.ml_core.serving import keeping
from modelyard.ml_core.serving.keeping import KeptPredictions, Part
from modelyard.schemas import (
    AddedOutcomes,
    KeepAnswersRequest,
    KeptName,
    ModelMetadata,
    OutcomesRequest,
    Performance,
    PerformanceQuery,
    Predictions,
)
from modelyard.storage import NONE_KEPT, AnswerCollection, ModelStore
from modelyard.verbs import Verbs


class OutcomeVerbs(Verbs):
    """The part of a yard that keeps answers and learns what really happened."""

    calls: Calls
    _kept: AnswerCollection
    _store: ModelStore
    _max_file_bytes: int

    @verb
    def set_keep_answers(self, name: str, request: KeepAnswersRequest) -> KeptName:
        """Keep all predictions by a name, or no longer. See `Verbs.set_keep_answers`."""
        self._kept.set_keeps(name, request.keep)
        return KeptName(name=name, keep_answers=request.keep)

    @verb
    def add_outcomes(self, request: OutcomesRequest) -> AddedOutcomes:
        """Join what really happened to kept answers. See `Verbs.add_outcomes`."""
        models = self._store.all_meant(request.model_id)
        if not self._kept.are_kept:
            raise FailedPrecondition(NONE_KEPT)
        given = read_outcomes(request, self._max_file_bytes)
        calls.note(rows=len(given.of))
        said, outcomes = match(given, models, self._store, self._kept)
        if outcomes:
            self._kept.add_outcomes(said.name, said.outcomes, outcomes)
        return said

    @verb
    def get_performance(self, reference: str, query: PerformanceQuery | None = None) -> Performance:
        """Say how good the answers of models were, week by week. See `Verbs.get_performance`."""
        weeks = (query or PerformanceQuery()).weeks
        models = [record.metadata for record in self._store.all_meant(reference)]
        found = [one for model in models for one in performance_of(model, self._kept, weeks, self._is_drifting)]
        found.sort(key=lambda one: (one.alias or "", one.version))
        found.sort(key=lambda one: one.week, reverse=True)
        name = models[0].name
        return Performance(name=name, keep_answers=self._kept.keeps(name), weeks=found)

    def keep(self, found: Predictions, part: Part | None = None) -> None:
        """Keep predictions if they are to be, before anybody has the answer. Raises Unavailable."""
        if found.prediction_id is not None:
            assert isinstance(found, KeptPredictions)
            keeping.keep(found, self._kept, self._store, part)

    def _is_drifting(self, model: ModelMetadata) -> bool:
        """Whether what a model was asked in the last day differs from what it was trained on."""
        with suppress(DataLoss):  # what drift is told by is damaged: the answers can be judged all the same
            return self.get_drift(model.model_id).status == "drifted"
        return False
