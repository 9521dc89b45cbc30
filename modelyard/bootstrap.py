"""Put the parts together: the only place that knows them all."""

from __future__ import annotations

from modelyard import logs
from modelyard.jobs import JobIndex, Jobs, Limits
from modelyard.ml_core import running
from modelyard.ml_core.yard import Yard
from modelyard.settings import Settings
from modelyard.storage import ModelStore


def build(settings: Settings) -> Yard:
    """Build the core on its folder, which is made where it is missing.

    Raises Unavailable where the folder cannot be used, DataLoss where its database is damaged.
    """
    index = JobIndex()
    store = ModelStore(
        settings.storage_dir,
        lock_timeout_s=settings.lock_timeout_s,
        allow_version_skew=settings.allow_version_skew,
        observers=[index],
    )
    limits = Limits(
        workers=settings.train_workers,
        queue=settings.queue_limit,
        timeout_s=settings.train_timeout_s,
        memory_bytes=settings.train_memory_bytes,
        niceness=settings.train_niceness,
        grace_s=settings.train_grace_s,
    )
    jobs = Jobs(settings.storage_dir, store, index, limits, target=running.TARGET, preload=running.PRELOAD)
    return Yard(store, jobs, missing_markers=settings.missing_markers, model_cache_bytes=settings.model_cache_bytes)


def serve_rest(settings: Settings, socket: int | None = None) -> None:
    """Serve REST until SIGTERM or Ctrl-C, on a socket that listens already (its descriptor) where there is one."""
    from modelyard.rest_api.server import serve

    logs.configure(settings.log_level, settings.log_format)
    serve(build(settings), settings, socket)


def serve_grpc(settings: Settings) -> None:
    """Serve gRPC until SIGTERM or Ctrl-C."""
    from modelyard.grpc_server.server import serve

    logs.configure(settings.log_level, settings.log_format)
    serve(build(settings), settings)
