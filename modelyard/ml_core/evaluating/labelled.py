"""A labelled table as one model reads it: the features by its contract, the labels as it was trained on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from modelyard.errors import InvalidTable
from modelyard.ml_core.tasks.base import Task, Truth
from modelyard.schemas import EvaluateRequest, FeatureType, Reading
from modelyard.tables import Contract, FileContent, RawTable, Reader, ReadingOptions, Table
from modelyard.tables.inference import ColumnPlan, plan_columns
from modelyard.tables.labels import find_labels
from modelyard.tables.sources import read_source


class Reads(Protocol):
    """A model as far as it reads tables, loaded or yet to be published."""

    @property
    def contract(self) -> Contract: ...

    @property
    def reader(self) -> Reader: ...

    @property
    def task(self) -> Task: ...


@dataclass(frozen=True, slots=True)
class Labelled:
    """A checked table and the truth of its rows."""

    table: Table
    truth: Truth


def read_labelled(model: Reads, request: EvaluateRequest, target: str | None, reading: Reading | None) -> Labelled:
    """Read the table of a request for a model. `reading` is how its caller said that the training table is read.

    Without y the labels are the column `target`. Raises InvalidTable, PayloadTooLarge.
    """
    contract, usual = model.contract, model.reader.usual
    is_file = isinstance(request.X, (Path, FileContent))
    said = reading if reading is not None and request.decimal is None and request.thousands is None else request
    file = usual.told(request) if is_file else usual
    options = ReadingOptions(contract.missing_markers, said.decimal, said.thousands, file=file)
    of_labels = [target] if request.y is None and target is not None else []
    expected = list(dict.fromkeys([*contract.feature_names, *of_labels]))
    raw = read_source(request.X, request.feature_names, expected, options.file)
    if not raw.height:
        raise InvalidTable("X has no rows to judge a model by")
    label, labels = find_labels(raw, request.y, target)
    features = {
        name: column for name, column in raw.columns.items() if name in contract.feature_types or name not in of_labels
    }
    table = model.reader.read_table(replace(raw, columns=features), None, request.decimal, request.thousands)
    is_written = raw.text_cells and request.y is None
    plan = _plan(raw, model, of_labels[0], options) if is_written else None
    truth = model.task.read_known_target(labels, label, contract, options, plan, text_cells=is_written)
    return Labelled(table, truth)


def _plan(raw: RawTable, model: Reads, target: str, options: ReadingOptions) -> ColumnPlan | None:
    """Return how the numbers of a CSV's target are written, as all its columns show it; None for labels."""
    if model.task.target_type is None:
        return None
    types: dict[str, FeatureType] = {**model.contract.feature_types, target: model.task.target_type}
    return plan_columns(raw.columns, types, options, text_cells=True)[0].get(target)
