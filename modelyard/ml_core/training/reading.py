"""How a table to train on is read: as the request says, else as the parent's, else by the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelyard import models_registry
from modelyard.ml_core.tasks import Task
from modelyard.schemas import (
    CheckRequest,
    FeatureType,
    ModelMetadata,
    Reading,
    RetrainRequest,
    SearchRequest,
    TrainRequest,
)
from modelyard.tables import FileOptions, ReadingOptions, TrainingTable, read_training


def reading_options(
    request: TrainRequest | RetrainRequest | CheckRequest | SearchRequest,
    parent_model: ModelMetadata | None,
    missing_markers: tuple[str, ...],
    max_file_bytes: int,
) -> ReadingOptions:
    """Return how a table is read. `missing_markers` are those of the settings."""
    parent = None if parent_model is None else parent_model.reading
    decimal, thousands = request.decimal, request.thousands
    if parent is not None and decimal is None and thousands is None:
        decimal, thousands = parent.decimal, parent.thousands
    markers = request.missing_markers
    if markers is None:
        markers = list(missing_markers) if parent is None else parent.missing_markers
    before = {} if parent_model is None else parent_model.roles
    told = request.column_roles or {}
    undone = {name for name in before if told.get(name) in ("feature", "ignore")}  # of a column that may be gone
    inherited = {
        name: role
        for name, role in before.items()
        if name not in (*told, *_used(request)) and not (role == "ignore" and request.exclude is not None)
    }
    return ReadingOptions(
        tuple(dict.fromkeys(("", *markers))),  # empty cells are missing in any case
        decimal,
        thousands,
        tuple(dict.fromkeys(request.exclude or ())),
        {**inherited, **told},
        frozenset({*inherited, *undone}),
        FileOptions.usual(parent, max_file_bytes).told(request),
    )


def read_table(
    request: TrainRequest | CheckRequest | SearchRequest,
    task: Task,
    options: ReadingOptions,
    *,
    inherited_types: Mapping[str, FeatureType] | None = None,
    row_names: Sequence[str] | None = None,
) -> TrainingTable:
    """Read the table of a request for a task; `read_training` describes the rest. Raises InvalidTable."""
    return read_training(
        request.X,
        request.y,
        target=request.target,
        feature_types=request.feature_types,
        feature_names=request.feature_names,
        options=options,
        read_target=task.read_target(models_registry.keys_of_task),
        target_type=task.target_type,
        inherited_types=inherited_types,
        row_names=row_names,
    )


def _used(request: TrainRequest | RetrainRequest | CheckRequest | SearchRequest) -> set[str | None]:
    """Return the columns of which a request speaks in other fields: they have the parent's role no longer."""
    types = request.feature_types
    return {request.target, *(types if isinstance(types, dict) else ()), *(request.exclude or ())}


def kept_reading(options: ReadingOptions, table: TrainingTable) -> Reading:
    """Return what a model keeps of how its table was read."""
    file = options.file
    names = () if file.header else table.given_names or file.names or file.usual_names  # of JSON the parent's stay
    return Reading(
        decimal=options.decimal,
        thousands=options.thousands,
        missing_markers=list(options.missing_markers),
        encoding=file.encoding or file.usual_encoding,
        delimiter=file.delimiter,
        skip_rows=file.skip_rows,
        header=file.header,
        names=list(names or ()) or None,
        sheet=file.sheet,
        exclude=[name for name, role in table.column_roles.items() if role == "ignore"],
    )
