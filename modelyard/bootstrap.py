"""Put the parts together: the only place that knows them all."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from modelyard import calls, logs
from modelyard.access.signing import is_open_to_read, read_signing_keys
from modelyard.errors import FailedPrecondition
from modelyard.jobs import Jobs, Limits, Spool
from modelyard.jobs.local import LocalOwners, LocalRunner
from modelyard.jobs.ray import RayRunner
from modelyard.jobs.runner import Runner
from modelyard.ml_core.promoting import Gate
from modelyard.ml_core.searching import steps
from modelyard.ml_core.searching.planning import SearchPlanner
from modelyard.ml_core.training import runs
from modelyard.ml_core.yard import Yard
from modelyard.monitoring.metrics import Metrics
from modelyard.monitoring.numbers import Numbers, Place
from modelyard.schemas import hide_keys
from modelyard.settings import Settings, is_loopback
from modelyard.storage import AuditCollection, Folder, Storage, open_storage

if TYPE_CHECKING:
    from modelyard.storage.servers import Servers
    from modelyard.tracking.tracker import Tracker

log = logging.getLogger(__name__)


def build(settings: Settings, *, make: bool = True, place: Place | None = None) -> Yard:
    """Build the core on its folder, which is made a yard if it is none; without `make` that raises NoYard.

    It counts in memory of its own, or at its `place` in that of several workers.

    Raises Unavailable if the folder cannot be used, DataLoss if its database is damaged, and what `read_signing_keys`
    raises.
    """
    engines = engines_of(settings)
    storage = _open(engines, settings, make=make, tracked=settings.tracking != "none")
    tracker = _tracker(settings, storage)
    limits = Limits(
        workers=settings.most_trainings,
        queue=settings.queue_limit,
        timeout_s=settings.train_timeout_s,
        memory_bytes=settings.train_memory_bytes,
        niceness=settings.train_niceness,
        grace_s=settings.train_grace_s,
    )
    metrics = Metrics(Numbers(place))
    jobs = Jobs(
        storage,
        _runner(settings, storage, limits),
        LocalOwners(storage.runs) if isinstance(engines, Folder) else engines.owners(),
        limits,
        planner=SearchPlanner(),
        on_end=None if tracker is None else tracker.note,
        count=metrics.count_job,
        gate=Gate(storage.models, storage.aliases),
    )
    return Yard(
        storage,
        jobs,
        tracker,
        missing_markers=settings.missing_markers,
        model_cache_bytes=settings.model_cache_bytes,
        max_file_bytes=settings.max_body_bytes,
        asks_for_keys=settings.asks_for_keys,
        protected_aliases=settings.protected_aliases,
        metrics=metrics,
        monitoring=settings.monitoring,
    )


@contextmanager
def open_tracker(settings: Settings) -> Iterator[Tracker]:
    """Open the tracker of a folder without its core, whatever the settings say of tracking. Raises NoYard."""
    storage = _open(engines_of(settings), settings, make=False, tracked=True)
    tracker = _tracker(settings, storage)
    assert tracker is not None
    try:
        yield tracker
    finally:
        tracker.close()
        storage.close()


@contextmanager
def open_audit(settings: Settings) -> Iterator[AuditCollection]:
    """Open the audit of a folder without its core. Raises NoYard."""
    storage = _open(engines_of(settings), settings, make=False)
    try:
        yield storage.audit
    finally:
        storage.close()


def engines_of(settings: Settings) -> Folder | Servers:
    """Return what the yard's storage stands on. Raises FailedPrecondition if a package is missing."""
    if settings.database_url is None:
        return Folder(settings.storage_dir, settings.lock_timeout_s)
    if find_spec("psycopg") is None:
        raise FailedPrecondition("PostgreSQL is not part of this installation; install modelyard[postgres]")
    if settings.artifacts_url is not None and find_spec("obstore") is None:
        raise FailedPrecondition("S3 is not part of this installation; install modelyard[s3]")
    from modelyard.storage.servers import Servers

    return Servers(
        settings.database_url,
        settings.storage_dir,
        settings.lock_timeout_s,
        artifacts_url=settings.artifacts_url,
        s3_endpoint=settings.s3_endpoint,
    )


def _runner(settings: Settings, storage: Storage, limits: Limits) -> Runner:
    """Build the runner. Raises FailedPrecondition if a package or a setting is missing."""
    if settings.runner == "local":
        return LocalRunner(storage.runs, limits, target=steps.TARGET, preload=runs.PRELOAD, rehearsal=runs.REHEARSAL)
    if find_spec("ray") is None:
        raise FailedPrecondition("Ray is not part of this installation; install modelyard[ray]")
    if settings.ray_address is None:
        raise FailedPrecondition(
            "MODELYARD_RUNNER=ray needs MODELYARD_RAY_ADDRESS=host:port; `modelyard up` alone starts a cluster itself"
        )
    if os.environ.get("RAY_AUTH_MODE") != "token":
        raise FailedPrecondition(
            "whoever reaches an open Ray cluster can run code on it: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or "
            "RAY_AUTH_TOKEN_PATH, for its nodes and for this server"
        )
    return RayRunner(
        limits,
        settings.ray_address,
        storage.spools.depot,
        target=steps.TARGET,
        preload=runs.PRELOAD,
        rehearsal=runs.REHEARSAL,
    )


def _open(engines: Folder | Servers, settings: Settings, *, make: bool, tracked: bool = False) -> Storage:
    return open_storage(
        engines,
        make=make,
        lock_timeout_s=settings.lock_timeout_s,
        allow_version_skew=settings.allow_version_skew,
        tracked=tracked,
        signing=read_signing_keys(settings.signing_key_file, settings.storage_dir),
        audit_days=settings.audit_days,
        keep_answers_days=settings.keep_answers_days,
    )


def _tracker(settings: Settings, storage: Storage) -> Tracker | None:
    """Build the tracker if trainings are tracked; else nothing of tracking is even imported."""
    if storage.tracked_runs is None:
        return None
    from modelyard.tracking.tracker import Tracker

    return Tracker(
        storage,
        lambda job_id: Spool(storage.runs / job_id),
        project=settings.tracking_project,
        timeout_s=settings.tracking_timeout_s,
    )


def serve_rest(settings: Settings, socket: int | None = None, place: Place | None = None) -> None:
    """Serve REST until SIGTERM or Ctrl-C.

    One of several workers has the descriptor of a `socket` that listens already, and a `place` for what it counts.
    """
    from modelyard.rest_api.server import serve

    logs.configure(settings.log_level, settings.log_format, calls.identity, hide_keys)
    serve(_build_to_serve(settings, place), settings, socket)


def serve_grpc(settings: Settings) -> None:
    """Serve gRPC until SIGTERM or Ctrl-C."""
    from modelyard.grpc_server.server import serve

    logs.configure(settings.log_level, settings.log_format, calls.identity, hide_keys)
    serve(_build_to_serve(settings), settings)


def _build_to_serve(settings: Settings, place: Place | None = None) -> Yard:
    """Build the core for a server. Raises FailedPrecondition if it was not said who may call from other machines."""
    settings.check_exposure()
    if settings.auth == "none" and not is_loopback(settings.host):
        log.warning("MODELYARD_AUTH=none: whoever reaches %s may train, read and delete", settings.host)
    yard = build(settings, place=place)
    if settings.signing_key_file is not None and is_open_to_read(settings.signing_key_file):
        log.warning("everybody on this machine may read %s, and sign by it", settings.signing_key_file)
    if settings.asks_for_keys:
        yard.take_admin_key(settings.admin_key_file)
    if settings.default_alias is not None:
        yard.take_default_alias(settings.default_alias)
    return yard
