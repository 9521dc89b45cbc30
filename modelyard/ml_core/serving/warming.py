"""The thread that keeps a server warm, so that no prediction has to import a library or to load a new model.

It loads the latest models, then imports what the model classes need, then loads each model that an alias points to, and
each that a job of the folder publishes, whichever process moved the alias or carried the job through. It begins when
the server listens, whose start it does not delay.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from modelyard import models_registry
from modelyard.errors import ModelyardError
from modelyard.jobs import Jobs
from modelyard.ml_core.serving.loaded import LoadedModels
from modelyard.ml_core.serving.process import collect_garbage_less_often
from modelyard.schemas import ModelMetadata, ModelQuery
from modelyard.storage import AliasCollection, ModelStore

log = logging.getLogger(__name__)

FIRST_CALLERS_S = 0.5
"""What takes a server seconds is left so long after its start: the first callers get their answers before."""

ALIASES_S = 1.0
"""How often it is looked whether another process has moved an alias."""

_LOOK_BACK = 20
"""How many of the newest models are looked at for new ones: more than are published between two looks."""


class Warming:
    """The thread of one core; it begins with `start` and ends with `close`."""

    def __init__(self, store: ModelStore, jobs: Jobs, aliases: AliasCollection, loaded: LoadedModels) -> None:
        self._store = store
        self._jobs = jobs
        self._aliases = aliases
        self._alias_changes = -1
        self._loaded = loaded
        self._seen: set[str] = set()
        self._oldest = ""
        self._news = threading.Event()
        self._stops = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._work, name="warming", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Go no further than the model or the module that the thread is at. Safe in a signal handler."""
        self._stops = True

    def close(self) -> None:
        """Stop, and wait for the thread's end."""
        self.stop()
        self._news.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        began = time.monotonic()
        self._carefully(self._load_latest)
        self._news.wait(FIRST_CALLERS_S)  # nothing but `close` is news yet
        models_registry.preload(self._is_stopped)
        if not self._stops:
            collect_garbage_less_often()
            log.info("warm after %.1f s: the libraries of all model classes are imported", time.monotonic() - began)
            self._jobs.follow(self._news.set)
        while not self._stops:
            self._carefully(self._load_new)
            self._news.wait(ALIASES_S)
            self._news.clear()

    def _is_stopped(self) -> bool:
        return self._stops

    def _carefully(self, step: Callable[[], None]) -> None:
        try:
            step()
        except ModelyardError as error:
            log.warning("new models are not loaded ahead now: %s", error.detail)

    def _load_latest(self) -> None:
        self._published()  # what there is now is old
        self._loaded.warm_up(self._is_stopped)

    def _load_new(self) -> None:
        if (changes := self._aliases.changes) != self._alias_changes:
            self._alias_changes = changes
            for model_id in self._aliases.targets():
                self._loaded.load_ahead(self._store.get(model_id).metadata)
        for model in self._published():
            if self._stops:
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
