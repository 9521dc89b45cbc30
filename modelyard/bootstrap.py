"""Put the parts together: the only place that knows them all."""

from __future__ import annotations

from modelyard import logs
from modelyard.ml_core.yard import Yard
from modelyard.settings import Settings
from modelyard.storage import ModelStore


def build(settings: Settings) -> Yard:
    """Build the core on its folder, which is made where it is missing.

    Raises Unavailable where the folder cannot be used, DataLoss where its database is damaged.
    """
    store = ModelStore(
        settings.storage_dir,
        lock_timeout_s=settings.lock_timeout_s,
        allow_version_skew=settings.allow_version_skew,
    )
    return Yard(store, missing_markers=settings.missing_markers, model_cache_bytes=settings.model_cache_bytes)


def serve_rest(settings: Settings) -> None:
    """Serve REST until SIGTERM or Ctrl-C."""
    from modelyard.rest_api.server import serve

    logs.configure(settings.log_level, settings.log_format)
    serve(build(settings), settings)
