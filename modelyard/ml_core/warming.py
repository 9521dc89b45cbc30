"""The thread that keeps a server warm, so that no prediction has to import a library or to load a new model.

It loads the latest models, then imports what the model classes need, then loads each model that a job of the folder
publishes, whichever process carried the job through. It begins when the server listens, whose start it does not delay.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from modelyard import models_registry
from modelyard.errors import ModelyardError
from modelyard.ml_core.serving import LoadedModels, spare_the_collector
from modelyard.schemas import ModelMetadata, ModelQuery
from modelyard.storage import ModelStore

log = logging.getLogger(__name__)

FIRST_CALLERS_S = 0.5
"""What takes a server seconds is left so long after its start: the first callers get their answers before."""

_LOOK_BACK = 20
"""How many of the newest models are looked at for new ones: more than are published between two looks."""


class Warming:
    """The thread of one core; it begins with `start` and ends with `close`."""

    def __init__(self, store: ModelStore, loaded: LoadedModels) -> None:
        self._store = store
        self._loaded = loaded
        self._seen: set[str] = set()
        self._oldest = ""
        self._news = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._work, name="warming", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Have the thread look for new models; to be called when something has happened to a job."""
        self._news.set()

    def close(self) -> None:
        """End the thread, after the model or the module that it is at."""
        self._stop.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        began = time.monotonic()
        self._carefully(self._load_latest)
        self._stop.wait(FIRST_CALLERS_S)
        models_registry.preload(self._stop.is_set)
        if not self._stop.is_set():
            spare_the_collector()
            log.info("warm after %.1f s: the libraries of all model classes are imported", time.monotonic() - began)
        while not self._stop.is_set():
            self._carefully(self._load_new)
            self._news.wait()
            self._news.clear()

    def _carefully(self, step: Callable[[], None]) -> None:
        try:
            step()
        except ModelyardError as error:
            log.warning("new models are not loaded ahead now: %s", error.detail)

    def _load_latest(self) -> None:
        self._published()  # what there is now is old
        self._loaded.warm_up(self._stop)

    def _load_new(self) -> None:
        for model in self._published():
            if self._stop.is_set():
                return
            self._loaded.load_ahead(model)

    def _published(self) -> list[ModelMetadata]:
        """Return those of the newest active models that were not among them at the last look."""
        newest = self._store.page(ModelQuery(limit=_LOOK_BACK)).models
        new = [model for model in newest if model.model_id > self._oldest and model.model_id not in self._seen]
        self._seen = {model.model_id for model in newest}
        # An older one that moves up when another is deleted is not new.
        self._oldest = min(self._seen) if len(newest) == _LOOK_BACK else ""
        return new
