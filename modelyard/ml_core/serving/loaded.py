"""Loaded models: fitted estimators made ready to answer, kept in memory up to a bound of bytes.

Artifacts are immutable and model ids are never used twice, so none of them ever goes stale; whether a model may still
be served, and which decision it obeys, is asked of the store at every use.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock

from modelyard import models_registry
from modelyard.errors import DataLoss, ModelyardError
from modelyard.ml_core.deciding import Decider, decider, resolve
from modelyard.ml_core.deciding.calibration import CalibratedPredictor, Calibration
from modelyard.ml_core.serving.margins import Margins, margins_of
from modelyard.ml_core.tasks import TASKS, Task
from modelyard.ml_core.validation_predictions import load_validation
from modelyard.models_registry.base import ModelClass, Predictor
from modelyard.monitoring.watch import Reference, Watch
from modelyard.schemas import MOST_PROBABLE, Decision, ModelMetadata, ModelQuery, ResolvedDecision
from modelyard.storage import CALIBRATION_FILE, DRIFT_FILE, ModelRecord, ModelStore, Serving
from modelyard.tables import UNPACKED_BYTES, Contract, FileOptions, Reader, contract_from_json

log = logging.getLogger(__name__)

_MOST_ASKED = 1000
"""How many decisions of requests are remembered as they were resolved."""


@dataclass(frozen=True, slots=True)
class Deciding:
    """A decision and what decides by it; both are None if there is nothing to decide."""

    decision: ResolvedDecision | None
    decider: Decider | None = None


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that can answer at once.

    `n_rows` and `features_fingerprint` are those of its training table. `watch` is by what its answers are counted,
    `deciding` what they obey; with `keeps_answers` they are kept, `serving` is the object of the store that says both.
    Without `may_keep` no answers are kept at all.
    """

    model_id: str
    version: int
    model_class: ModelClass
    contract: Contract
    reader: Reader
    predictor: Predictor
    task: Task
    margins: Margins
    n_rows: int
    features_fingerprint: str | None
    size_bytes: int
    watch: Watch
    deciding: Deciding
    may_keep: bool = False
    keeps_answers: bool = False
    serving: Serving | None = field(default=None, compare=False)

    @property
    def model_class_key(self) -> str:
        """The key of the model class."""
        return self.model_class.key

    @property
    def raw_predictor(self) -> Predictor:
        """The predictor before calibration."""
        return self.predictor.raw if isinstance(self.predictor, CalibratedPredictor) else self.predictor


class LoadedModels:
    """The loaded models, least recently used out first when they outgrow `capacity_bytes`.

    One that is larger than the bound alone is kept until the next one comes. When many ask for a model that is not
    loaded, it is loaded once. `max_file_bytes` bounds what comes out of a compressed file. `on_size` is called with the
    bytes that all of them take, whenever that changes. Without `may_keep` no answers are kept.
    """

    def __init__(
        self,
        store: ModelStore,
        capacity_bytes: int,
        max_file_bytes: int = UNPACKED_BYTES,
        on_size: Callable[[int], None] = lambda _: None,
        *,
        may_keep: bool = False,
    ) -> None:
        self._may_keep = may_keep
        self._store = store
        self._capacity_bytes = capacity_bytes
        self._max_file_bytes = max_file_bytes
        self._loaded: OrderedDict[str, LoadedModel] = OrderedDict()
        self._loading: dict[str, Future[LoadedModel]] = {}
        self._asked: dict[tuple[str, str], Deciding] = {}
        self._size_bytes = 0
        self._on_size = on_size
        self._lock = Lock()

    def get(self, reference: str, decision: Decision | None = None) -> LoadedModel:
        """Return the active model that `reference` means, loading it if needed.

        It obeys `decision`, or the one that the store has for it. Raises ModelNotFound, DataLoss, EnvironmentMismatch,
        and what `resolve` raises for a decision.
        """
        model_id, serving = self._store.resolve_serving(reference)
        model = self._loaded_or_load(model_id)
        if model.serving is not serving:
            model = self._obeying(model, serving)
        if decision is None:
            return model
        key = (model_id, decision.model_dump_json())
        if key not in self._asked:
            if len(self._asked) >= _MOST_ASKED:
                self._asked.clear()
            load_them = partial(load_validation, self._store, self._store.get(model_id), model.contract)
            self._asked[key] = _deciding(resolve(decision, model.contract.classes, load_them), model.contract)
        return replace(model, deciding=self._asked[key])

    def get_loaded(self, reference: str, decision: Decision | None = None) -> LoadedModel | None:
        """Return what `get` does if it is there in a moment, else None. Raises ModelNotFound."""
        model_id, serving = self._store.resolve_serving(reference)
        with self._lock:
            model = self._loaded.get(model_id)
            if model is None:
                return None
            self._loaded.move_to_end(model_id)
        if model.serving is not serving:
            model = self._obeying(model, serving)
        if decision is None:
            return model
        deciding = self._asked.get((model_id, decision.model_dump_json()))
        return None if deciding is None else replace(model, deciding=deciding)

    def resolve(self, reference: str) -> str:
        """Return the id of the active model that `reference` means now. Raises ModelNotFound."""
        return self._store.resolve_serving(reference)[0]

    def get_metadata(self, reference: str) -> ModelMetadata:
        """Return what is known of the active model that `reference` means, without loading it. Raises ModelNotFound."""
        return self._store.get_active(reference).metadata

    def version_of(self, model_id: str) -> int:
        """Return a model's version: in a moment if it is loaded. Raises ModelNotFound if it is deleted for good."""
        model = self._loaded.get(model_id)
        return self._store.get(model_id).metadata.version if model is None else model.version

    @property
    def size_bytes(self) -> int:
        """The memory that the loaded models take."""
        return self._size_bytes

    def warm_up(self, stops: Callable[[], bool]) -> None:
        """Load the latest active version of each name, newest first, while they fit the bound and until `stops`."""
        for model in latest_of_each_name(self._store):
            if stops():
                return
            if self._size_bytes + model.artifact.bytes <= self._capacity_bytes:
                self.load_ahead(model)

    def load_ahead(self, model: ModelMetadata) -> None:
        """Load a model that will be asked for, unless it alone is larger than the bound.

        What cannot be loaded is logged, and raised to whoever asks for it.
        """
        if model.artifact.bytes > self._capacity_bytes:
            return
        try:
            self.get(model.model_id)
        except ModelyardError as error:
            log.warning("model %s cannot be warmed up: %s", model.model_id, error.detail)
        except Exception:  # a third party's estimator may raise anything, and must not keep others from being loaded
            log.exception("model %s cannot be warmed up", model.model_id)

    def _loaded_or_load(self, model_id: str) -> LoadedModel:
        with self._lock:
            model = self._loaded.get(model_id)
            if model is not None:
                self._loaded.move_to_end(model_id)
                return model
            under_way = self._loading.get(model_id)
            promise = under_way or self._loading.setdefault(model_id, Future())
        return promise.result() if under_way else self._load(model_id, promise)

    def _obeying(self, model: LoadedModel, serving: Serving | None) -> LoadedModel:
        """Return the model as the store has it serve now, and keep it so."""
        decided, keeps = (None, False) if serving is None else serving
        decision = MOST_PROBABLE if decided is None else ResolvedDecision.model_validate(decided)
        obeying = replace(
            model,
            deciding=_deciding(decision, model.contract),
            keeps_answers=keeps and self._may_keep,
            serving=serving,
        )
        with self._lock:
            if model.model_id in self._loaded:
                self._loaded[model.model_id] = obeying
        return obeying

    def _load(self, model_id: str, promise: Future[LoadedModel]) -> LoadedModel:
        began = time.monotonic()
        try:
            model = load(self._store, self._store.get_active(model_id), self._max_file_bytes)
            model = replace(model, may_keep=self._may_keep)
        except BaseException as error:
            with self._lock:
                del self._loading[model_id]
            promise.set_exception(error)
            raise
        with self._lock:
            del self._loading[model_id]
            self._keep(model)
        log.debug("model %s is loaded, in %.0f ms", model_id, (time.monotonic() - began) * 1000)
        promise.set_result(model)
        return model

    def _keep(self, model: LoadedModel) -> None:
        while self._loaded and self._size_bytes + model.size_bytes > self._capacity_bytes:
            _, oldest = self._loaded.popitem(last=False)
            self._size_bytes -= oldest.size_bytes
        self._loaded[model.model_id] = model
        self._size_bytes += model.size_bytes
        self._on_size(self._size_bytes)


def latest_of_each_name(store: ModelStore) -> Iterator[ModelMetadata]:
    """Yield the latest active version of each name, the newest model first."""
    seen: set[str] = set()
    cursor: str | None = ""
    while cursor is not None:
        page = store.page(ModelQuery(limit=100, cursor=cursor or None))
        for model in page.models:
            if model.name not in seen:
                seen.add(model.name)
                yield model
        cursor = page.next_cursor


def load(store: ModelStore, record: ModelRecord, max_file_bytes: int) -> LoadedModel:
    """Read a model's artifact and contract and make them ready to answer."""
    model_class = models_registry.class_of_model(record.metadata.model_class_key, record.metadata.hyperparams)
    contract_bytes = store.read_file(record, "contract.json")
    contract = contract_from_json(contract_bytes)
    estimator = store.load_estimator(record, model_class.libraries)
    predictor: Predictor = model_class.predictor(estimator, contract.expanded)
    if CALIBRATION_FILE in record.files:
        calibration = Calibration.from_bytes(store.read_file(record, CALIBRATION_FILE))
        predictor = CalibratedPredictor(predictor, calibration)
    margins = margins_of(store, record, contract)
    return LoadedModel(
        model_id=record.metadata.model_id,
        version=record.metadata.version,
        model_class=model_class,
        contract=contract,
        reader=Reader(contract, FileOptions.usual(record.metadata.reading, max_file_bytes), record.metadata.roles),
        predictor=predictor,
        task=TASKS[model_class.task],
        margins=margins,
        n_rows=record.metadata.n_rows,
        features_fingerprint=record.metadata.features_fingerprint,
        size_bytes=predictor.size_bytes + margins.size_bytes + 4 * len(contract_bytes),
        watch=watch_of(store, record, contract),
        deciding=Deciding(MOST_PROBABLE if contract.classes else None),
    )


def watch_of(store: ModelStore, record: ModelRecord, contract: Contract) -> Watch:
    """Return what a model is watched by. If its reference is damaged it answers all the same, and the store knows."""
    model, reference = record.metadata, None
    with suppress(DataLoss):
        reference = reference_of(store, record, contract)
    return Watch.of(model.model_id, model.name, model.version, contract, reference)


def reference_of(store: ModelStore, record: ModelRecord, contract: Contract) -> Reference | None:
    """Return what a model keeps of its training to tell drift by; None for one of an earlier release."""
    if DRIFT_FILE not in record.files:
        return None
    return Reference.from_bytes(store.read_file(record, DRIFT_FILE), contract)


def _deciding(decision: ResolvedDecision, contract: Contract) -> Deciding:
    return Deciding(decision, decider(decision, contract.classes)) if contract.classes else Deciding(None)
