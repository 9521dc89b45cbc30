"""The predictions for a whole table, as a session keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from modelyard.dashboard import session
from modelyard.dashboard.formats import label
from modelyard.dashboard.tables import Table
from modelyard.schemas import (
    MOST_PROBABLE,
    ModelMetadata,
    ModelWarning,
    Prediction,
    Predictions,
    PredictRequest,
    ResolvedDecision,
    parse,
)

PREDICTION = "prediction"
ENDS = ("low", "high")
_END_OF_INT64 = 2**63


@dataclass(frozen=True, slots=True)
class Predicted:
    """The predictions for a table: `frame` holds the label and each class's probability, a row each.

    Without classes (regression) it holds the number, and `low` and `high` around it if an interval was asked for.
    `ids` has one column, or none if the rows have no ids. `interval` is how sure that was to be. `label_type` is what
    the labels are to the servers: text, whole numbers or booleans. `prediction_id` is what the answers are kept under,
    None if they are not kept.
    """

    model_id: str
    table: Table
    frame: pl.DataFrame
    classes: tuple[str, ...]
    warnings: tuple[ModelWarning, ...]
    ids: pl.DataFrame
    decision: ResolvedDecision | None = None
    interval: float | None = None
    label_type: type[pl.DataType] = pl.String
    prediction_id: str | None = None

    def belongs_to(self, model: ModelMetadata, table: Table, interval: float | None) -> bool:
        """Whether this is what that model says of that table, by the decision that it has now."""
        asked = (model.model_id, table.path, table.said, interval)
        if asked != (self.model_id, self.table.path, self.table.said, self.interval):
            return False
        return not self.classes or (self.decision or MOST_PROBABLE) == (model.decision or MOST_PROBABLE)

    @property
    def is_of_training(self) -> bool:
        """Whether the table is the one that the model was trained on."""
        return any(warning.code == "training_table" for warning in self.warnings)

    @property
    def keys(self) -> pl.DataFrame:
        """What a file tells the rows apart by: their ids; without ids, what outcomes name them by, if they are kept."""
        if self.ids.width or self.prediction_id is None:
            return self.ids
        return pl.select(
            pl.lit(self.prediction_id).repeat_by(self.frame.height).explode().alias("prediction_id"),
            pl.int_range(self.frame.height).alias("row"),
        )

    @property
    def typed(self) -> pl.DataFrame:
        """The predictions with labels of the servers' type, as files hold them."""
        column = pl.col(PREDICTION)
        if self.label_type == pl.Boolean:
            return self.frame.with_columns(column == "true")
        return self.frame.with_columns(column.cast(pl.Int64)) if self.label_type == pl.Int64 else self.frame

    @property
    def certainty(self) -> pl.Series:
        """The probability of the class that was chosen, a row each."""
        chosen = [
            pl.when(pl.col(PREDICTION) == name).then(pl.col(column))
            for name, column in zip(self.classes, self.frame.columns[1:], strict=True)
        ]
        return self.frame.select(pl.coalesce(chosen)).to_series().rename("certainty")


def predict_table(model: ModelMetadata, table: Table, interval: float | None = None) -> Predicted:
    """Send a table as a file and keep the answer as columns."""
    fields = {"model_id": model.model_id, "X": table.path, "probabilities": True, "interval": interval, **table.said}
    request = parse(PredictRequest, fields)
    answer = session.yard().predict(request)
    if answer.classes is None:
        numbers = pl.DataFrame({PREDICTION: answer.predictions}, schema={PREDICTION: pl.Float64})
        if answer.intervals is not None:
            ends = pl.DataFrame(answer.intervals, schema=dict.fromkeys(ENDS, pl.Float64), orient="row")
            numbers = pl.concat([numbers, ends], how="horizontal")
        return Predicted(
            answer.model_id,
            table,
            numbers,
            (),
            tuple(answer.warnings),
            _ids(answer),
            interval=interval,
            prediction_id=answer.prediction_id,
        )
    classes = tuple(label(name) for name in answer.classes)
    labels = pl.Series(PREDICTION, [label(value) for value in answer.predictions], dtype=pl.String)
    shares = pl.DataFrame(
        answer.probabilities or [], schema=[(f"probability {name}", pl.Float64) for name in classes], orient="row"
    )
    frame = pl.concat([labels.to_frame(), shares], how="horizontal")
    return Predicted(
        answer.model_id,
        table,
        frame,
        classes,
        tuple(answer.warnings),
        _ids(answer),
        answer.decision,
        label_type=_type_of(answer.classes),
        prediction_id=answer.prediction_id,
    )


def _type_of(classes: Sequence[Prediction]) -> type[pl.DataType]:
    if all(isinstance(name, bool) for name in classes):
        return pl.Boolean
    fits = all(isinstance(name, int) and not isinstance(name, bool) and abs(name) < _END_OF_INT64 for name in classes)
    return pl.Int64 if fits else pl.String


def _ids(answer: Predictions) -> pl.DataFrame:
    """Return the ids as texts, as they came; the table's own column may have lost zeros at the beginning."""
    if answer.ids is None or answer.id_column is None:
        return pl.DataFrame()
    texts = [label(cell) if isinstance(cell, bool) else None if cell is None else str(cell) for cell in answer.ids]
    return pl.DataFrame({answer.id_column: texts}, schema={answer.id_column: pl.String})
