"""Checking a table as a training would read it, without training."""

from __future__ import annotations

import numpy as np

from modelyard import models_registry
from modelyard.errors import InvalidTable
from modelyard.ml_core.tasks import TASKS
from modelyard.ml_core.training.orders import check_task
from modelyard.ml_core.training.plan import check_roles
from modelyard.ml_core.training.reading import read_table, reading_options
from modelyard.schemas import CheckRequest, ClassCount, Evaluation, SearchRequest, TableCheck
from modelyard.tables import ReadingOptions, TrainingTable, profile_columns
from modelyard.tables.checks import check_table
from modelyard.tables.sources import read_source


def check(request: CheckRequest, missing_markers: tuple[str, ...], max_file_bytes: int) -> TableCheck:
    """Read a table as a training of it would, and say what its owner should know.

    `missing_markers` hold if the request names none. Raises what a training of the table raises.
    """
    model_class = None if request.model_class_key is None else models_registry.model_class(request.model_class_key)
    task: str | None = request.task
    if model_class is not None:
        check_task(task, model_class)
        task = model_class.task
    options = reading_options(request, None, missing_markers, max_file_bytes)
    task, table = read_by_task(request, task, options)
    check_roles(table, Evaluation(), model_class)
    contract = table.contract
    counts = np.bincount(table.codes, minlength=len(contract.classes)).tolist() if contract.classes else []
    return TableCheck(
        n_rows=table.frame.height,
        n_features=table.frame.width,
        feature_names=list(contract.feature_names),
        feature_types=contract.feature_types,
        column_roles=dict(table.column_roles),
        target=table.target,
        task=task,
        classes=[ClassCount(label=label, count=count) for label, count in zip(contract.classes, counts, strict=True)]
        or None,
        columns=profile_columns(table),
        warnings=[*table.warnings, *check_table(table)],
    )


def read_by_task(
    request: CheckRequest | SearchRequest, task: str | None, options: ReadingOptions
) -> tuple[str, TrainingTable]:
    """Read a table for a task; without one for classification, unless the target is a number rather than a label."""
    if task is not None:
        return task, read_table(request, TASKS[task], options)
    raw = read_source(request.X, request.feature_names, None, options.file)
    request = request.model_copy(update={"X": raw})
    try:
        table = read_table(request, TASKS["classification"], options)
    except InvalidTable as refused:
        try:
            return "regression", read_table(request, TASKS["regression"], options)
        except InvalidTable:
            raise refused from None
    if any(warning.code == "labels_like_numbers" for warning in table.warnings):
        return "regression", read_table(request, TASKS["regression"], options)
    return "classification", table
