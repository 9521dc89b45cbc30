"""Put the parts together: the only place that knows them all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modelyard import calls, logs
from modelyard.jobs import JobIndex, Jobs, Limits
from modelyard.ml_core import running
from modelyard.ml_core.yard import Yard
from modelyard.settings import Settings
from modelyard.storage import ModelStore

if TYPE_CHECKING:
    from modelyard.tracking.documents import TrackingIndex
    from modelyard.tracking.tracker import Tracker


def build(settings: Settings, *, make: bool = True) -> Yard:
    """Build the core on its folder, which is made a yard if it is none; without `make` that raises NoYard.

    Raises Unavailable where the folder cannot be used, DataLoss where its database is damaged.
    """
    index = JobIndex()
    tracking = _tracking_index(settings)
    store = ModelStore(
        settings.storage_dir,
        make=make,
        lock_timeout_s=settings.lock_timeout_s,
        allow_version_skew=settings.allow_version_skew,
        observers=[index] if tracking is None else [index, tracking],
        tracked=tracking is not None,
    )
    tracker = None if tracking is None else build_tracker(settings, store, tracking)
    limits = Limits(
        workers=settings.train_workers,
        queue=settings.queue_limit,
        timeout_s=settings.train_timeout_s,
        memory_bytes=settings.train_memory_bytes,
        niceness=settings.train_niceness,
        grace_s=settings.train_grace_s,
    )
    jobs = Jobs(
        settings.storage_dir,
        store,
        index,
        limits,
        target=running.TARGET,
        preload=running.PRELOAD,
        rehearsal=running.REHEARSAL,
        on_end=None if tracker is None else tracker.note,
    )
    return Yard(
        store,
        jobs,
        tracker,
        missing_markers=settings.missing_markers,
        model_cache_bytes=settings.model_cache_bytes,
    )


def build_tracker(settings: Settings, store: ModelStore, index: TrackingIndex) -> Tracker:
    """Build the tracker of a store, whose database `index` observes."""
    from modelyard.tracking.tracker import Tracker

    return Tracker(store, index, project=settings.tracking_project, timeout_s=settings.tracking_timeout_s)


@contextmanager
def open_tracker(settings: Settings) -> Iterator[Tracker]:
    """Open the tracker of a folder without its core, whatever the settings say of tracking. Raises NoYard."""
    from modelyard.tracking.documents import TrackingIndex

    index = TrackingIndex()
    store = ModelStore(settings.storage_dir, make=False, lock_timeout_s=settings.lock_timeout_s, observers=[index])
    tracker = build_tracker(settings, store, index)
    try:
        yield tracker
    finally:
        tracker.close()
        store.close()


def _tracking_index(settings: Settings) -> TrackingIndex | None:
    """Return what observes the database where trainings are tracked; else nothing of tracking is even imported."""
    if settings.tracking == "none":
        return None
    from modelyard.tracking.documents import TrackingIndex

    return TrackingIndex()


def serve_rest(settings: Settings, socket: int | None = None) -> None:
    """Serve REST until SIGTERM or Ctrl-C, on a socket that listens already (its descriptor) where there is one."""
    from modelyard.rest_api.server import serve

    logs.configure(settings.log_level, settings.log_format, calls.identity)
    serve(build(settings), settings, socket)


def serve_grpc(settings: Settings) -> None:
    """Serve gRPC until SIGTERM or Ctrl-C."""
    from modelyard.grpc_server.server import serve

    logs.configure(settings.log_level, settings.log_format, calls.identity)
    serve(build(settings), settings)
