"""What a labelled table showed of one model, row by row, as a session keeps it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from modelyard.dashboard import session
from modelyard.dashboard.formats import NOTHING, label
from modelyard.dashboard.tables import Table
from modelyard.schemas import (
    EvaluatedModel,
    EvaluateRequest,
    ModelMetadata,
    ModelWarning,
    ResolvedDecision,
    Weaknesses,
    parse,
)

PURPOSE = "judge"
JUDGED = "judged"
"""Under what a session keeps it: the last one alone."""

MOST_NUMBERS = 2_000_000
"""So many answers (rows times classes) a page asks for; a session holds them."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The answers to a table's rows beside the truth; `frame` has a row each.

    Its columns are `row` (the number in the table), `actual` and `predicted` (labels as text, or numbers) and `sure`
    (the probability of what was predicted) or `error` (the true number minus the predicted one).
    """

    model_id: str
    decision: ResolvedDecision | None
    table: Table
    target: str
    found: Weaknesses
    warnings: tuple[ModelWarning, ...]
    frame: pl.DataFrame
    scores: dict[str, pl.Series]

    @property
    def held_out(self) -> bool:
        """Whether the table is the model's own, so that only rows held out of its training count."""
        return any(warning.code == "training_table" for warning in self.warnings)

    @property
    def rows(self) -> pl.Series:
        """The numbers of the rows."""
        return self.frame["row"]

    def belongs_to(self, model: ModelMetadata, table: Table, target: str) -> bool:
        """Whether it is of this model as it answers now, and of this table."""
        asked = (model.model_id, model.decision, table.path, table.said, target)
        return asked == (self.model_id, self.decision, self.table.path, self.table.said, self.target)


def is_too_large(model: ModelMetadata, table: Table) -> bool:
    """Whether a table has more rows than are shown row by row."""
    return (table.rows or 0) * (len(model.classes or ()) + 1) > MOST_NUMBERS


def judge(model: ModelMetadata, table: Table, target: str) -> Judged:
    """Ask the server where the model is wrong in a table. The evaluation is kept under the table's name."""
    fields = {"model_ids": [model.model_id], "X": table.path, "target": target, "label": table.name[:200], **table.said}
    request = parse(EvaluateRequest, {**fields, "weaknesses": True})
    (one,) = session.yard().evaluate(request).models
    assert one.weaknesses is not None
    return _kept(model, table, target, one, one.weaknesses)


def _kept(model: ModelMetadata, table: Table, target: str, one: EvaluatedModel, found: Weaknesses) -> Judged:
    answers, classes = found.answers, [label(name) for name in model.classes or ()]
    columns = {"row": pl.Series(answers.rows, dtype=pl.Int64)}
    scores: dict[str, pl.Series] = {}
    if answers.probabilities is None:
        columns |= {name: pl.Series(getattr(answers, name), dtype=pl.Float64) for name in ("actual", "predicted")}
        columns["error"] = columns["actual"] - columns["predicted"]
    else:
        shares = pl.DataFrame(answers.probabilities, schema=dict.fromkeys(classes, pl.Float64), orient="row")
        scores = {name: shares[name] for name in classes}
        said = [label(value) for value in answers.predicted]
        columns["actual"] = pl.Series([NOTHING if value is None else label(value) for value in answers.actual])
        columns["predicted"] = pl.Series(said, dtype=pl.String)
        columns["sure"] = pl.Series([scores[name][at] for at, name in enumerate(said)], dtype=pl.Float64)
    light = found.model_copy(update={"answers": answers.model_copy(update={"probabilities": None})})
    return Judged(
        model.model_id, model.decision, table, target, light, tuple(one.warnings), pl.DataFrame(columns), scores
    )
