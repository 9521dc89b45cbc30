"""What a run does: it trains in a process of its own. Its order goes there as files, its model comes back as files.

`searching.steps` calls `run` in the process, unless the run is one of a search.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from modelyard import models_registry
from modelyard.jobs import Finished, ProgressReporter
from modelyard.ml_core.row_hashes import RowHashes
from modelyard.ml_core.tasks import TASKS
from modelyard.ml_core.tasks.base import Scores
from modelyard.ml_core.training.decided import first_decision
from modelyard.ml_core.training.orders import TrainingOrder, check_hyperparams, order_training
from modelyard.ml_core.training.plan import Trained, TrainingPlan
from modelyard.ml_core.training.trainings import run_training
from modelyard.ml_core.validation_predictions import ValidationPredictions
from modelyard.monitoring.watch import Reference
from modelyard.schemas import (
    Decision,
    Evaluation,
    ModelDescription,
    ModelWarning,
    Promote,
    Reading,
    SearchSummary,
    TrainRequest,
)
from modelyard.storage import (
    CALIBRATION_FILE,
    DRIFT_FILE,
    ROWS_FILE,
    VALIDATION_FILE,
    current_environment,
    write_model_files,
)
from modelyard.storage.artifacts.estimators import pickled
from modelyard.storage.files import sync_files
from modelyard.tables import contract_from_json, contract_to_json
from modelyard.tables.contract import Contract, TrainingTable, features_fingerprint

PRELOAD = ("joblib", "polars", f"{__name__}:warm_up()")
"""What every run needs, imported once for all; then a call."""

REHEARSAL = f"{__name__}:rehearse"

_ORDER = "order.json"
_CONTRACT = "contract.json"
_TABLE = "table.arrow"
_ROLES = "roles.arrow"


def warm_up() -> None:
    """Do once what would take long in each run: import what tasks and model classes need, find versions.

    No more than that: as soon as polars computes it starts threads, and a process with threads cannot be forked.
    """
    for module in (name for task in TASKS.values() for name in task.preloads):
        importlib.import_module(module)
    models_registry.preload()
    for model_class in models_registry.model_classes().values():
        current_environment(model_class.libraries)
    with suppress(ImportError):  # scikit-learn's affair: another release may not need it
        from narwhals.stable.v2 import dependencies, from_native

        from_native(pl.DataFrame({"column": [0.0]}))
        dependencies.is_into_dataframe(())  # it looks for plugins among all packages


def rehearse() -> None:
    """Train each model class that has a rehearsal on a few rows, so that all that is made at its first use is there.

    No process that has done so can be forked.
    """
    rehearsals = {
        one.key: one.rehearsal for one in models_registry.model_classes().values() if one.rehearsal is not None
    }
    with ThreadPoolExecutor(len(rehearsals)) as side:  # CatBoost sleeps through its first 50 ms
        list(side.map(_rehearse, rehearsals, rehearsals.values()))


def _rehearse(key: str, hyperparams: Mapping[str, Any]) -> None:
    X = {"number": [float(row % 7) for row in range(50)], "category": ["abc"[row % 3] for row in range(50)]}
    evaluation = Evaluation(method="none")
    request = TrainRequest(
        model_class_key=key, X=X, y=["no", "yes"] * 25, hyperparams=dict(hyperparams), evaluation=evaluation
    )
    order = order_training(request, ())
    pl.read_ipc(order.plan.table.frame.write_ipc(None).getvalue())
    trained = run_training(order.plan, lambda _: None)
    pickled(trained.estimator)
    trained.report.model_dump_json()
    Reference.of(order.plan.table, None)
    describe(order, trained)


def write_order(folder: Path, order: TrainingOrder) -> None:
    """Write an order into a run's folder, down to the disk. Raises OSError.

    Files with cells are new ones: links are not followed, as in the run's log.
    """
    table = order.plan.table
    with (folder / _ORDER).open("xb") as file:
        file.write(_written(order))
    (folder / _CONTRACT).write_bytes(contract_to_json(table.contract))
    codes = pl.Series(_new_name(table.frame), table.codes)
    _write_frame(folder / _TABLE, table.frame.with_columns(codes))
    files = [_ORDER, _CONTRACT, _TABLE]
    if table.roles.width:
        _write_frame(folder / _ROLES, table.roles)
        files.append(_ROLES)
    sync_files(folder, files)


def write_order_beside(folder: Path, order: TrainingOrder, beside: Path) -> None:
    """Write an order into a folder, of whose table another order has been written into `beside`. Raises OSError."""
    (folder / _ORDER).write_bytes(_written(order, os.path.relpath(beside, folder)))


def _written(order: TrainingOrder, table_in: str = ".") -> bytes:
    """Return an order as JSON, without its table, which stands in another folder than the order's, or in the same."""
    plan, table = order.plan, order.plan.table
    said = {
        "model_class_key": plan.model_class.key,
        "hyperparams": plan.hyperparams,
        "evaluation": plan.evaluation.model_dump(),
        "target": table.target,
        "column_roles": dict(table.column_roles),
        "monotone": plan.monotone,
        "calibrate": plan.calibrate,
        "warnings": [warning.model_dump() for warning in table.warnings],
        "name": order.name,
        "tags": order.tags,
        "description": order.description,
        "reading": order.reading.model_dump(),
        "decision": None if order.decision is None else order.decision.model_dump(),
        "promote": None if order.promote is None else order.promote.model_dump(),
        "parent_id": order.parent_id,
        "table_in": table_in,
    }
    return orjson.dumps(said)


def read_order(folder: Path) -> TrainingOrder:
    """Read what `write_order` wrote. Raises InvalidHyperparams.

    Hyperparams are checked once more, because libraries take some that nobody may set: paths to write to, say.
    """
    said = orjson.loads((folder / _ORDER).read_bytes())
    tables = folder / said.get("table_in", ".")
    frame = pl.read_ipc(tables / _TABLE)
    table = TrainingTable(
        frame=frame[:, :-1],
        warnings=tuple(ModelWarning.model_validate(item) for item in said["warnings"]),
        codes=frame[:, -1].to_numpy(writable=True),
        contract=contract_from_json((tables / _CONTRACT).read_bytes()),
        target=said["target"],
        column_roles=said.get("column_roles", {}),  # an order may have waited for its run since the release before
        roles=pl.read_ipc(tables / _ROLES) if (tables / _ROLES).exists() else pl.DataFrame(),
    )
    model_class = models_registry.class_of_model(said["model_class_key"], said["hyperparams"])
    plan = TrainingPlan(
        model_class=model_class,
        hyperparams=check_hyperparams(model_class, said["hyperparams"]),
        evaluation=Evaluation.model_validate(said["evaluation"]),
        table=table,
        monotone=said.get("monotone", {}),
        calibrate=said.get("calibrate"),
    )
    return TrainingOrder(
        plan=plan,
        name=said["name"],
        tags=tuple(said["tags"]),
        reading=Reading.model_validate(said["reading"]),
        description=said.get("description", ""),
        decision=None if said.get("decision") is None else Decision.model_validate(said["decision"]),
        promote=_promote(said),
        parent_id=said["parent_id"],
    )


def read_promote(folder: Path) -> Promote | None:
    """Return what an order says of aliases, without its table. Raises OSError."""
    return _promote(orjson.loads((folder / _ORDER).read_bytes()))


def run(folder: Path, report: ProgressReporter) -> Finished:
    """Carry out the order in `folder`, and leave the model's files in its folder `result`.

    Raises what `run_training` raises.
    """
    order = read_order(folder)
    return finish(folder, order, run_training(order.plan, report))


def finish(folder: Path, order: TrainingOrder, trained: Trained, search: SearchSummary | None = None) -> Finished:
    """Leave the files of a model in a run's folder `result`; `search` is the one that found what to train."""
    table, kept = order.plan.table, trained.validation
    contract = table.contract
    decision, doubts = first_decision(order.decision, contract.classes, kept)
    trained = replace(trained, warnings=(*trained.warnings, *doubts))
    files = write_model_files(
        folder / "result",
        trained.estimator,
        trained.report.model_dump_json().encode(),
        contract_to_json(contract),
        {
            DRIFT_FILE: Reference.of(table, _answers(kept, contract)).to_bytes(),
            ROWS_FILE: RowHashes.of(contract.expand(table.frame), table.codes, contract.classes).to_bytes(),
            **({} if kept is None else {VALIDATION_FILE: kept.to_bytes(contract)}),
            **({} if trained.calibration is None else {CALIBRATION_FILE: trained.calibration.to_bytes()}),
        },
    )
    return Finished(order.name, describe(order, trained).model_copy(update={"search": search}), files, decision)


def _answers(kept: ValidationPredictions | None, contract: Contract) -> Scores | None:
    """Return the numbers that were answered for the rows held out; None if the answers are labels, or none were."""
    return None if kept is None or contract.classes else kept.scores[:, 0]


def describe(order: TrainingOrder, trained: Trained) -> ModelDescription:
    """Describe the model that was made of an order."""
    plan = order.plan
    contract = plan.table.contract
    return ModelDescription(
        parent_id=order.parent_id,
        model_class_key=plan.model_class.key,
        task=plan.model_class.task,
        hyperparams=plan.hyperparams,
        metrics=trained.metrics,
        feature_names=list(contract.feature_names),
        feature_types=contract.feature_types,
        column_roles=dict(plan.table.column_roles),
        monotone=plan.monotone,
        calibrate=plan.calibrate,
        classes=list(contract.classes) or None,
        n_rows=plan.table.frame.height,
        target=plan.table.target,
        fingerprint=order.fingerprint(),
        features_fingerprint=features_fingerprint(contract.expand(plan.table.frame)),
        tags=list(order.tags),
        description=order.description,
        warnings=list(trained.warnings),
        evaluation=plan.evaluation,  # as asked for, so that a retraining on more rows asks for it again
        reading=order.reading,
        created_at=datetime.now(UTC),
        training_seconds=round(trained.seconds, 6),
        environment=current_environment(plan.model_class.libraries),
    )


def _promote(said: Mapping[str, Any]) -> Promote | None:
    promote = said.get("promote")
    return None if promote is None else Promote.model_validate(promote)


def _write_frame(path: Path, frame: pl.DataFrame) -> None:
    with path.open("xb") as file:
        frame.write_ipc(file, compression="uncompressed")


def _new_name(frame: pl.DataFrame) -> str:
    name = "codes"
    while name in frame.columns:
        name += "_"
    return name
