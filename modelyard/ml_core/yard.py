"""The core: every verb once, for all doors.

Each reads as: find what is named, check what is given, act, commit. How a request came and how the answer leaves is
the doors' business; what is behind the store is the store's.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Literal

import modelyard
from modelyard import calls, models_registry
from modelyard.calls import Calls, verb
from modelyard.errors import Unavailable
from modelyard.jobs import Jobs
from modelyard.ml_core.deciding import stored
from modelyard.ml_core.drift_verbs import DriftVerbs
from modelyard.ml_core.evaluating import evaluations
from modelyard.ml_core.explaining import explanations
from modelyard.ml_core.key_verbs import KeyVerbs
from modelyard.ml_core.metrics_verb import MetricsVerb
from modelyard.ml_core.outcome_verbs import OutcomeVerbs
from modelyard.ml_core.sentences import say
from modelyard.ml_core.serving import predicting
from modelyard.ml_core.serving.keeping import Part
from modelyard.ml_core.serving.loaded import LoadedModel, LoadedModels
from modelyard.ml_core.serving.warming import Warming
from modelyard.ml_core.training import checking
from modelyard.ml_core.training_verbs import TrainingVerbs
from modelyard.monitoring.metrics import Metrics
from modelyard.monitoring.watching import Watching
from modelyard.schemas import (
    ENSEMBLE,
    CheckRequest,
    Decision,
    DecisionReport,
    EvaluateRequest,
    EvaluationPage,
    EvaluationQuery,
    ExplainRequest,
    Explanations,
    Health,
    KeptEvaluation,
    ModelClassInfo,
    ModelHistory,
    ModelMetadata,
    ModelPage,
    ModelQuery,
    NamePage,
    NameQuery,
    Predictions,
    PredictRequest,
    Report,
    TableCheck,
    TableEvaluation,
    UpdateRequest,
)
from modelyard.storage import ESTIMATOR_FILE, Storage

if TYPE_CHECKING:
    from modelyard.tracking.tracker import Tracker

log = logging.getLogger(__name__)


class Yard(TrainingVerbs, KeyVerbs, MetricsVerb, DriftVerbs, OutcomeVerbs):
    """The core of one folder. It satisfies `modelyard.verbs.Verbs`, where the verbs are described.

    Its `jobs` and `loaded` models are for the desk, its `calls` and its `watching` for whoever wants to hear of them.
    """

    def __init__(
        self,
        storage: Storage,
        jobs: Jobs,
        tracker: Tracker | None = None,
        *,
        missing_markers: tuple[str, ...],
        model_cache_bytes: int,
        max_file_bytes: int,
        asks_for_keys: bool = False,
        protected_aliases: tuple[str, ...] = (),
        metrics: Metrics | None = None,
        monitoring: bool = True,
    ) -> None:
        super().__init__(storage.keys, storage.audit, asked_for=asks_for_keys)
        self.calls = Calls()
        self._metrics = Metrics() if metrics is None else metrics
        self.calls.listeners += [self._refusals.listen, self._metrics.listen]
        self.watching = Watching(storage.drift if monitoring else None, count_rows=self._metrics.count_rows)
        self.calls.take = self.watching.take
        self.jobs = jobs
        self._store = store = storage.models
        self._evaluations = storage.evaluations
        self._kept = storage.answers
        self._aliases = storage.aliases
        self._drift = storage.drift
        self._protected = frozenset(protected_aliases)
        self._tracker = tracker
        self._missing_markers = missing_markers
        self._max_file_bytes = max_file_bytes
        self.loaded = LoadedModels(
            store,
            model_cache_bytes,
            max_file_bytes,
            self._metrics.set_loaded_bytes,
            may_keep=storage.answers.are_kept,
        )
        self._warming = Warming(store, jobs, storage.aliases, self.loaded)
        self._started = time.monotonic()
        self._leaves = False

    def serve(self) -> None:
        """Get ready to train, and take up what others have left queued or untold. For servers, once they answer."""
        if unsigned := self._store.unsigned():
            log.warning(unsigned)
        if self._tracker is not None:
            self._tracker.serve()
        self.jobs.serve()

    def leave(self) -> None:
        """Say from now on that this server is not ready; it serves as before."""
        self._leaves = True

    def drain(self) -> None:
        """Start no more trainings; those that run get their grace period. Safe in a signal handler."""
        self._warming.stop()  # it would take a core from those that run
        self.jobs.drain()

    @verb
    def check_table(self, request: CheckRequest) -> TableCheck:
        """Check a table as a training would read it. See `Verbs.check_table`."""
        found = checking.check(request, self._missing_markers, self._max_file_bytes)
        calls.note(rows=found.n_rows)
        return found

    @verb
    def predict(self, request: PredictRequest) -> Predictions:
        """Predict the label, or the number, of each row. See `Verbs.predict`."""
        return self.predict_by(self.loaded.get(request.model_id, request.decision), request)

    @verb
    def evaluate(self, request: EvaluateRequest) -> TableEvaluation:
        """Judge models by a labelled table, and keep what it showed; without one nothing is kept. See `Verbs.evaluate`.

        What rows held out show is kept with the models already, and is no news of an alias.
        """
        models = [self._store.get_active(reference).metadata for reference in request.model_ids]
        aliases = [self._aliases.asked_by(reference) for reference in request.model_ids]
        found = evaluations.evaluate(models, self.loaded.get, request, self._store, aliases)
        calls.note(rows=found.n_rows)
        if request.X is not None:
            self._evaluations.keep(KeptEvaluation.model_validate(found, from_attributes=True))
        return found

    @verb
    def list_evaluations(self, reference: str, query: EvaluationQuery | None = None) -> EvaluationPage:
        """List the evaluations of a model, newest first. See `Verbs.list_evaluations`."""
        query = query or EvaluationQuery()
        name, alias = self._aliases.series_of(reference, query.alias)
        if alias is not None:
            return self._evaluations.page_of_alias(name, alias, query)
        return self._evaluations.page(self._store.history(reference).model_id, query)

    def warm_up(self) -> None:
        """Load models and import libraries in a thread, so that the first to ask need not wait; ends with `close`."""
        self._warming.start()

    @verb
    def explain(self, request: ExplainRequest) -> Explanations:
        """Explain the prediction for each row. See `Verbs.explain`."""
        model = self.loaded.get(request.model_id)
        calls.note(model_id=model.model_id, model_class=model.model_class_key)
        found = explanations.explain(model, request)
        calls.note(rows=len(found.predictions))
        return found

    def predict_by(self, model: LoadedModel, request: PredictRequest, part: Part | None = None) -> Predictions:
        """Predict by a model that is loaded, and keep the answers if they are to be; `part`: as a part of others."""
        call = calls.under_way()
        facts = {} if call is None else call.facts
        facts["model_id"], facts["model_class"] = model.model_id, model.model_class_key
        found = predicting.predict(model, request, call)
        facts["rows"] = len(found.predictions)
        self.keep(found, part)
        return found

    @verb
    def delete(self, reference: str, *, hard: bool = False) -> ModelMetadata | None:
        """Retire a model. See `Verbs.delete`."""
        if hard:
            calls.name_verb("delete_for_good")
            if self._tracker is not None:  # while there still is something to tell of it
                self._tracker.note(self._store.get(reference).metadata.model_id)
            self._kept.forget(self._store.delete_for_good(reference))
            return None
        return say(self._store.set_status(reference, "deleted").metadata, "deleted {}; it can be restored")

    @verb
    def restore(self, reference: str) -> ModelMetadata:
        """Make a soft-deleted model active again. See `Verbs.restore`."""
        return say(self._store.set_status(reference, "active").metadata, "{} is active")

    @verb
    def update_model(self, reference: str, changes: UpdateRequest) -> ModelMetadata:
        """Replace the tags or the description of a model. See `Verbs.update_model`."""
        model = self._store.update(reference, changes.tags, changes.description).metadata
        return say(model, "updated {}")

    @verb
    def list_models(self, query: ModelQuery | None = None) -> ModelPage:
        """List models, newest first. See `Verbs.list_models`."""
        query = query or ModelQuery()
        return self._store.page(query.model_copy(update={"model_class_key": _known_key(query.model_class_key)}))

    @verb
    def list_names(self, query: NameQuery | None = None) -> NamePage:
        """List models by their names. See `Verbs.list_names`."""
        query = query or NameQuery()
        return self._store.names(query.model_copy(update={"model_class_key": _known_key(query.model_class_key)}))

    @verb
    def get_model(self, reference: str) -> ModelMetadata:
        """Return what is known of a model. See `Verbs.get_model`."""
        return self._store.get(reference).metadata

    @verb
    def list_model_classes(self) -> list[ModelClassInfo]:
        """List the algorithms there are. See `Verbs.list_model_classes`."""
        return models_registry.describe_all()

    @verb
    def get_report(self, reference: str) -> Report:
        """Return what the evaluation of a model showed. See `Verbs.get_report`."""
        record = self._store.get(reference)
        return Report.model_validate_json(self._store.read_file(record, "report.json"))

    @verb
    def set_decision(self, reference: str, decision: Decision) -> ModelMetadata:
        """Have a model's answers obey a decision. See `Verbs.set_decision`."""
        record = self._store.get_active(reference)
        resolved = stored.resolved(self._store, record, decision)
        model = self._store.set_decision(record.metadata.model_id, resolved).metadata
        return say(model, "{} answers " + resolved.in_words.replace("{", "{{").replace("}", "}}"))

    @verb
    def get_decision(self, reference: str, label: str | None = None) -> DecisionReport:
        """Return the decision of a model, and what it does. See `Verbs.get_decision`."""
        return stored.reported(self._store, self._store.get(reference), label)

    @verb
    def get_history(self, reference: str) -> ModelHistory:
        """Return what happened to a model. See `Verbs.get_history`."""
        return self._store.history(reference)

    @verb
    def get_artifact(self, reference: str) -> bytes:
        """Return a model's `.pkl`. See `Verbs.get_artifact`."""
        return self._store.read_file(self._store.get(reference), ESTIMATOR_FILE)

    @verb
    def health(self) -> Health:
        """Say whether the yard can serve. See `Verbs.health`."""
        status: Literal["ok", "unavailable"] = "ok"
        models: int | None = None  # not known, if the storage cannot be read
        tracking = None
        who = calls.who()
        try:
            self._store.check()
            models = self._store.count_active()
            damaged = self._store.damaged()
            storage = f"ok, but damaged: {'; '.join(damaged[:5])}; see `modelyard doctor`" if damaged else "ok"
            if not who.limited and (unsigned := self._store.unsigned()):
                storage += f"; {unsigned}"
            if about := self._store.about():
                storage += f"; {about}"
            tracking = None if self._tracker is None or who.limited else self._tracker.backlog()
        except Unavailable as error:
            status, storage = "unavailable", error.detail
        if self._leaves:
            status, storage = "unavailable", "this server is shutting down"
        if not who.may("health_in_full"):
            return Health(status=status)
        return Health(
            status=status,
            version=modelyard.__version__,
            storage=storage,
            models=models,
            uptime_s=round(time.monotonic() - self._started, 3),
            tracking=tracking,
        )

    def close(self) -> None:
        """Let go of the folder. Trainings that still run get their grace period, then they are interrupted."""
        self._warming.close()
        self.jobs.close()
        if self._tracker is not None:
            self._tracker.close()
        self.watching.close()
        self._refusals.close()
        self._end_noting()
        self._store.close()


def _known_key(key: str | None) -> str | None:
    """Return the key of a model class as it is stored. Raises ModelClassNotFound."""
    if key is None:
        return None
    return ENSEMBLE if models_registry.is_ensemble(key) else models_registry.model_class(key).key
