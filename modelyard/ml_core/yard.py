"""The core: every verb once, for all doors.

Each reads as: find what is named, check what is given, act, commit. How a request came and how the answer leaves is
the doors' business; what is behind the store is the store's.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import modelyard
from modelyard import logs, models_registry
from modelyard.errors import IdempotencyConflict, Unavailable
from modelyard.ml_core import predicting
from modelyard.ml_core.orders import TrainingOrder, order_retraining, order_training
from modelyard.ml_core.serving import LoadedModels
from modelyard.ml_core.training import run_training
from modelyard.schemas import (
    Health,
    ModelClassInfo,
    ModelMetadata,
    ModelPage,
    ModelQuery,
    Predictions,
    PredictRequest,
    Report,
    RetrainRequest,
    TrainRequest,
)
from modelyard.storage import IdempotencyEntry, ModelStore, NewModel, current_environment
from modelyard.tables import contract_to_json


class Yard:
    """The core of one folder. It satisfies `modelyard.verbs.Verbs`, where the verbs are described."""

    def __init__(self, store: ModelStore, *, missing_markers: tuple[str, ...], model_cache_bytes: int) -> None:
        self._store = store
        self._missing_markers = missing_markers
        self._loaded = LoadedModels(store, model_cache_bytes)
        self._started = time.monotonic()

    def train(self, request: TrainRequest, *, idempotency_key: str | None = None) -> ModelMetadata:
        """Train a new model. See `Verbs.train`."""
        return self._carry_out(order_training(request, self._missing_markers), idempotency_key)

    def retrain(self, request: RetrainRequest, *, idempotency_key: str | None = None) -> ModelMetadata:
        """Train the next version of a model. See `Verbs.retrain`."""
        parent = self._store.get_active(request.model_id).metadata
        return self._carry_out(order_retraining(request, parent, self._missing_markers), idempotency_key)

    def predict(self, request: PredictRequest) -> Predictions:
        """Predict the label of each row. See `Verbs.predict`."""
        model = self._loaded.get(request.model_id)
        logs.note(model_id=model.model_id, model_class=model.model_class_key)
        found = predicting.predict(model, request.X, request.feature_names, probabilities=request.probabilities)
        logs.note(rows=len(found.predictions))
        return found

    def is_loaded(self, reference: str) -> bool:
        """Tell whether a model can answer without being read from disk first. Raises ModelNotFound."""
        return self._loaded.has(reference)

    def delete(self, reference: str, *, hard: bool = False) -> ModelMetadata | None:
        """Retire a model. See `Verbs.delete`."""
        if hard:
            self._store.delete_for_good(reference)
            return None
        return _say(self._store.set_status(reference, "deleted").metadata, "deleted {}; it can be restored")

    def restore(self, reference: str) -> ModelMetadata:
        """Make a soft-deleted model active again. See `Verbs.restore`."""
        return _say(self._store.set_status(reference, "active").metadata, "{} is active")

    def list_models(self, query: ModelQuery | None = None) -> ModelPage:
        """List models, newest first. See `Verbs.list_models`."""
        query = query or ModelQuery()
        if query.model_class_key is not None:
            key = models_registry.model_class(query.model_class_key).key
            query = query.model_copy(update={"model_class_key": key})
        return self._store.page(query)

    def get_model(self, reference: str) -> ModelMetadata:
        """Return what is known of a model. See `Verbs.get_model`."""
        return self._store.get(reference).metadata

    def list_model_classes(self) -> list[ModelClassInfo]:
        """List the algorithms there are. See `Verbs.list_model_classes`."""
        return [models_registry.describe(found) for found in models_registry.model_classes().values()]

    def get_report(self, reference: str) -> Report:
        """Return what the evaluation of a model showed. See `Verbs.get_report`."""
        record = self._store.get(reference)
        return Report.model_validate_json(self._store.read_file(record, "report.json"))

    def get_artifact(self, reference: str) -> bytes:
        """Return a model's `.pkl`. See `Verbs.get_artifact`."""
        record = self._store.get(reference)
        return self._store.read_file(record, record.metadata.artifact.file)

    def health(self) -> Health:
        """Say whether the yard can serve. See `Verbs.health`."""
        storage = "ok"
        models = 0
        try:
            self._store.check()
            models = self._store.count_active()
        except Unavailable as error:
            storage = error.detail
        return Health(
            status="ok" if storage == "ok" else "unavailable",
            version=modelyard.__version__,
            storage=storage,
            models=models,
            uptime_s=round(time.monotonic() - self._started, 3),
        )

    def close(self) -> None:
        """Let go of the folder."""
        self._store.close()

    def _carry_out(self, order: TrainingOrder, idempotency_key: str | None) -> ModelMetadata:
        logs.note(model_class=order.plan.model_class.key, rows=order.plan.table.frame.height)
        entry = None if idempotency_key is None else IdempotencyEntry(idempotency_key, order.digest())
        if entry is not None and (seen := self._seen_before(entry)) is not None:
            return seen
        model = self._train(order, entry)
        logs.note(model_id=model.model_id)
        return _say(model, "trained {}" + _how_good(model))

    def _seen_before(self, entry: IdempotencyEntry) -> ModelMetadata | None:
        first = self._store.remembered(entry.key)
        if first is None:
            return None
        if first.request_sha256 != entry.request_sha256:
            raise IdempotencyConflict(f"idempotency key {entry.key!r} was used for another request; use a new key")
        return _say(self._store.get(first.model_id).metadata, "{} was trained by an earlier request of the same key")

    def _train(self, order: TrainingOrder, entry: IdempotencyEntry | None) -> ModelMetadata:
        created_at = datetime.now(UTC)
        plan = order.plan
        trained = run_training(plan)
        contract = plan.table.contract
        draft = NewModel(
            name=order.name,
            parent_id=order.parent_id,
            model_class_key=plan.model_class.key,
            hyperparams=plan.hyperparams,
            metrics=trained.metrics,
            feature_types=contract.feature_types,
            classes=contract.classes,
            n_rows=plan.table.frame.height,
            target=plan.table.target,
            tags=order.tags,
            warnings=trained.warnings,
            evaluation=trained.evaluation,
            created_at=created_at,
            training_seconds=round(trained.seconds, 6),
            environment=current_environment(plan.model_class.libraries),
            estimator=trained.estimator,
            report=trained.report.model_dump_json().encode(),
            contract=contract_to_json(contract),
        )
        return self._store.add(draft, idempotency=entry).metadata


def _say(model: ModelMetadata, sentence: str) -> ModelMetadata:
    return model.model_copy(update={"message": sentence.format(f"{model.name!r} version {model.version}")})


def _how_good(model: ModelMetadata) -> str:
    measured = "validation_accuracy" if "validation_accuracy" in model.metrics else "train_accuracy"
    accuracy = model.metrics.get(measured)
    return "" if accuracy is None else f" with {measured.replace('_', ' ')} {accuracy:.3f}"
