"""The rows that a new version and the one before it are judged by, and what both say of them.

The new version's answers are those of its evaluation, by fits that had not seen the rows. The old version answers as it
is served, so rows that it was fitted on are left out. Rows of a table that was given are answered by both as they are
served, without those that either was fitted on, as far as that is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.errors import FailedPrecondition, InvalidTable
from modelyard.ml_core.deciding.calibration import CalibratedPredictor, Calibration
from modelyard.ml_core.deciding.halves import only
from modelyard.ml_core.deciding.resolving import answered, crossed, is_found
from modelyard.ml_core.promoting.asked import new_version, read_given
from modelyard.ml_core.row_hashes import RowHashes
from modelyard.ml_core.serving.loaded import LoadedModel
from modelyard.ml_core.tasks.base import MAX_NAMED, Scores
from modelyard.ml_core.training.orders import TrainingOrder
from modelyard.ml_core.validation_predictions import ValidationPredictions
from modelyard.models_registry.base import Predictor
from modelyard.schemas import MOST_PROBABLE, ModelMetadata, ResolvedDecision
from modelyard.storage import CALIBRATION_FILE, ESTIMATOR_FILE, ROWS_FILE, VALIDATION_FILE, StoredFile, read_made
from modelyard.storage.artifacts.estimators import unpickle
from modelyard.tables import Table
from modelyard.tables.contract import unescape_category

MOST_ROWS = 20_000
"""Of more rows so many are taken, spread evenly: more would show little more, and hold up the thread of jobs."""

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Made:
    """What a run has made: the order that it carried out, its `folder` of files, and its decision."""

    order: TrainingOrder
    folder: Path
    files: dict[str, StoredFile]
    decision: ResolvedDecision | None

    def read(self, name: str) -> bytes:
        """Return the content of one of its files. Raises Unavailable, DataLoss."""
        return read_made(self.folder, name, self.files)


@dataclass(frozen=True, slots=True)
class Old:
    """The version that has the alias: loaded, and the hashes of the rows that it was fitted on, None if it has none."""

    model: LoadedModel
    metadata: ModelMetadata
    hashes: RowHashes | None

    @property
    def called(self) -> str:
        """What it is called in sentences."""
        return f"{self.metadata.name}:{self.metadata.version}"


@dataclass(frozen=True, slots=True)
class Judged:
    """The rows, with the new version's scores, and the old one's; both have shape (n, k).

    `answers` are the codes that each version answers, obeying its decision; None for regression.
    """

    rows: ValidationPredictions
    old_scores: Scores
    answers: tuple[Codes, Codes] | None


def held_out(made: Made, old: Old) -> Judged:
    """Return the rows held out of a training that the old version was not fitted on.

    Raises FailedPrecondition, in words, if there are none or the old version cannot answer them.
    """
    if VALIDATION_FILE not in made.files:
        raise FailedPrecondition(
            "no rows were held out to judge it by; ask for evaluation 'holdout', 'time' or 'cv', or give promote.on"
        )
    if old.hashes is None:
        raise FailedPrecondition(
            f"{old.called} keeps no hashes of its training rows (an earlier release trained it, or a repair left them "
            "out), so nobody can tell which of the rows it was fitted on; give other rows as promote.on"
        )
    table = made.order.plan.table
    rows = ValidationPredictions.from_bytes(made.read(VALIDATION_FILE), table.contract)
    _check_classes(made, old)
    try:
        read = old.model.reader.read_table(as_sent(table.frame[rows.rows]))
    except InvalidTable as error:
        raise _cannot_read(made, old) from error
    unseen = ~old.hashes.hold(read.frame, rows.truth, old.model.contract.classes)
    if rows.weights is not None:
        unseen &= rows.weights > 0
    kept = _taken(unseen)
    answers = _new_answers(made, rows)[kept] if table.contract.classes else None
    return _judged(old, only(rows, kept), read.frame[kept], answers)


def given(made: Made, old: Old) -> Judged:
    """Return the rows of the table `promote.on` that neither version is known to have been fitted on.

    Raises FailedPrecondition, in words, if the old version cannot answer them.
    """
    order = made.order
    assert order.promote is not None
    on, new = order.promote.on, new_version(order)
    assert on is not None
    _check_classes(made, old)
    labelled = read_given(new, on, order.plan.table.target)
    try:
        read = read_given(old.model, on, order.plan.table.target).table
    except InvalidTable as error:
        raise _cannot_read(made, old) from error
    hashes = RowHashes.from_bytes(made.read(ROWS_FILE))
    unseen = ~hashes.hold(labelled.table.frame, labelled.truth, new.contract.classes)
    if old.hashes is not None:
        unseen &= ~old.hashes.hold(read.frame, labelled.truth, old.model.contract.classes)
    kept = _taken(unseen)
    truth, frame = labelled.truth[kept], labelled.table.frame[kept]
    if not len(truth):
        return _judged(old, ValidationPredictions(np.arange(0), truth, np.empty((0, 1))), frame, None)
    scores = _scores(_predictor(made), frame, reads_enums=order.plan.model_class.reads_enums)
    rows = ValidationPredictions(np.arange(len(truth)), truth, scores)
    answers = answered(made.decision or MOST_PROBABLE, new.contract.classes, scores) if new.contract.classes else None
    return _judged(old, rows, read.frame[kept], answers)


def as_sent(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a checked frame as a caller would send it: categories as their own texts, null for a missing one."""
    return frame.with_columns(
        _texts(column, column.dtype.categories) for column in frame.get_columns() if isinstance(column.dtype, pl.Enum)
    )


def _texts(column: pl.Series, categories: pl.Series) -> pl.Series:
    texts = pl.Series(column.name, [unescape_category(text) for text in categories], dtype=pl.String)
    return texts.gather(column.to_physical())


def _judged(old: Old, rows: ValidationPredictions, frame: pl.DataFrame, answers: Codes | None) -> Judged:
    if not len(rows.truth):
        return Judged(rows, np.empty((0, 1)), None)
    model = old.model
    scores = _scores(model.predictor, frame, reads_enums=model.model_class.reads_enums)
    if answers is None:
        return Judged(rows, scores, None)
    theirs = answered(old.metadata.decision or MOST_PROBABLE, model.contract.classes, scores)
    return Judged(rows, scores, (answers, theirs))


def _new_answers(made: Made, rows: ValidationPredictions) -> Codes:
    """Return what the new version answers for the rows held out; a threshold was found on others of them."""
    classes, decision = made.order.plan.table.contract.classes, made.decision or MOST_PROBABLE
    if is_found(decision, classes):
        return crossed(decision, classes, rows)
    return answered(decision, classes, rows.scores)


def _predictor(made: Made) -> Predictor:
    model_class, contract = made.order.plan.model_class, made.order.plan.table.contract
    estimator = unpickle(made.read(ESTIMATOR_FILE), "the new version")
    predictor = model_class.predictor(estimator, contract.expanded)
    if CALIBRATION_FILE not in made.files:
        return predictor
    return CalibratedPredictor(predictor, Calibration.from_bytes(made.read(CALIBRATION_FILE)))


def _scores(predictor: Predictor, frame: pl.DataFrame, *, reads_enums: bool) -> Scores:
    table = Table(frame)
    return predictor.many(table.frame if reads_enums else table.text_frame)


def _taken(unseen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return the places of the rows that count, of more than MOST_ROWS so many, spread evenly."""
    places = np.flatnonzero(unseen)
    if len(places) <= MOST_ROWS:
        return places
    return places[np.linspace(0, len(places) - 1, MOST_ROWS).astype(np.int64)]


def _check_classes(made: Made, old: Old) -> None:
    """Raise FailedPrecondition if the old version predicts something else."""
    order, before = made.order.plan, old.metadata
    if before.task != order.model_class.task:
        raise FailedPrecondition(f"{old.called} is a model of {before.task}")
    target = order.table.target
    if None not in (target, before.target) and target != before.target:
        raise FailedPrecondition(f"{old.called} predicts {before.target!r}, the new version {target!r}")
    ours, theirs = order.table.contract.classes, old.model.contract.classes
    if ours != theirs or [*map(type, ours)] != [*map(type, theirs)]:
        raise FailedPrecondition(f"the classes of {old.called} are not those of the new version")


def _cannot_read(made: Made, old: Old) -> FailedPrecondition:
    """Say why the old version refuses the rows, without the cells that its own words would quote."""
    ours, theirs = made.order.plan.table.contract.feature_types, old.model.contract.feature_types
    why = {
        "they lack its columns": [name for name in theirs if name not in ours],
        "they have other types in its columns": [name for name, kind in theirs.items() if ours.get(name, kind) != kind],
    }
    told = [f"{words} {', '.join(map(repr, names[:MAX_NAMED]))}" for words, names in why.items() if names]
    return FailedPrecondition(f"{old.called} cannot read the rows{': ' if told else ''}{', and '.join(told)}")
