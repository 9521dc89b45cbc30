"""Outcomes as they were given: which row each is of, and its label as a model knows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidTable
from modelyard.ml_core.serving.keeping import id_text
from modelyard.ml_core.tasks import Task
from modelyard.ml_core.tasks.base import Truth
from modelyard.schemas import OutcomesRequest
from modelyard.schemas.showing import shown
from modelyard.tables import Contract, FileContent, FileOptions, RawTable, ReadingOptions
from modelyard.tables.inference import plan_columns
from modelyard.tables.sources import Cells, read_source

_MAX_DIGITS = 16
_LABEL, _PREDICTION, _ROW, _ID = "label", "prediction_id", "row", "id"


class OfRow(NamedTuple):
    """A row of a prediction."""

    prediction_id: str
    row: int

    def __str__(self) -> str:
        return f"{self.prediction_id}, row {self.row}"


class OfId(NamedTuple):
    """The rows with an id, as a text."""

    id: str

    def __str__(self) -> str:
        return f"id {self.id}"


@dataclass(frozen=True, slots=True)
class GivenOutcomes:
    """Outcomes in the order in which they were given: what each is of, and the column of labels as it came."""

    of: list[OfRow | OfId]
    raw: RawTable
    request: OutcomesRequest

    def labels_for(self, rows: Sequence[int], task: Task, contract: Contract) -> Truth:
        """Read the labels of some of the n outcomes as a model knows them: codes of classes, or numbers.

        Returns shape (n,); in the places of others it holds nothing of use. Raises InvalidTable naming the outcomes
        whose labels are none of the model.
        """
        known = contract.classes or (0,)
        filler = str(known[0]) if self.raw.text_cells else known[0]
        column = [filler] * self.raw.height  # in the places of others, so that rows keep their numbers
        given = _cells(self.raw.columns[_LABEL])
        for row in rows:
            column[row] = given[row]
        cells: Cells = pl.Series(_LABEL, column, dtype=pl.String) if self.raw.text_cells else column
        options = ReadingOptions(contract.missing_markers, self.request.decimal, self.request.thousands)
        plan = None
        if self.raw.text_cells and task.target_type is not None:
            types = {_LABEL: task.target_type}
            plan = plan_columns({_LABEL: cells}, types, options, text_cells=True)[0].get(_LABEL)
        truth = task.read_known_target(cells, _LABEL, contract, options, plan, text_cells=self.raw.text_cells)
        if contract.classes:
            classes = ", ".join(map(shown, contract.classes))
            _refuse(
                _wrong(row, _LABEL, f"must be one of the classes {classes}", given[row])
                for row in rows
                if truth[row] == len(contract.classes)
            )
        return truth


def read_outcomes(request: OutcomesRequest, max_file_bytes: int) -> GivenOutcomes:
    """Read what outcomes are of. Raises InvalidTable naming those that are of nothing, PayloadTooLarge."""
    is_file = isinstance(request.X, (Path, FileContent))
    options = FileOptions.usual(None, max_file_bytes)
    raw = read_source(request.X, None, None, options.told(request) if is_file else options)
    if _LABEL not in raw.columns or not {_PREDICTION, _ID} & set(raw.columns):
        known = ", ".join(map(repr, list(raw.columns)[:20]))
        raise InvalidTable(f"outcomes must have 'label', and 'prediction_id' or 'id'; they have {known}")
    nothing = [None] * raw.height
    predictions = [id_text(cell) or None for cell in _cells(raw.columns.get(_PREDICTION, nothing))]
    ids = [id_text(cell) or None for cell in _cells(raw.columns.get(_ID, nothing))]
    rows = _cells(raw.columns.get(_ROW, nothing))
    wrong: list[FieldError] = []
    of: list[OfRow | OfId] = []
    for place, (prediction, row, of_id) in enumerate(zip(predictions, rows, ids, strict=True)):
        number = _row(row)
        if (prediction is None) == (of_id is None):
            message = f"outcomes, row {place}: must have either prediction_id or id"
            wrong.append(FieldError(("outcomes", place), message))
        elif number is None:
            wrong.append(_wrong(place, _ROW, "must be a whole number from 0 on", row))
        else:
            of.append(OfId(of_id) if prediction is None else OfRow(prediction, number))  # type: ignore[arg-type]
        if len(wrong) == MAX_FIELD_ERRORS:
            break
    _refuse(iter(wrong))
    return GivenOutcomes(of, raw, request)


def _cells(column: Cells) -> Sequence[Any]:
    return column.to_list() if isinstance(column, pl.Series) else column


def _row(cell: Any) -> int | None:
    """Return the number of a row, 0 if it is left out; None if the cell is none."""
    text = id_text(cell) or "0"
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else None


def _wrong(place: int, column: str, problem: str, cell: Any) -> FieldError:
    return FieldError(("outcomes", place, column), f"{column}, row {place}: {problem}, got {shown(cell)}", cell)


def _refuse(wrong: Iterator[FieldError]) -> None:
    found = [error for error, _ in zip(wrong, range(MAX_FIELD_ERRORS), strict=False)]
    if found:
        raise InvalidTable.of(found)
