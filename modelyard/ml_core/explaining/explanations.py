"""From a table and a loaded model to why the model says what it says: each column's contribution to each row's score.

The model classes take their scores apart. Here the parts of a column become one again, and the strongest are picked.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard import models_registry
from modelyard.errors import FailedPrecondition, PayloadTooLarge
from modelyard.ml_core.serving import predicting
from modelyard.ml_core.serving.loaded import LoadedModel
from modelyard.models_registry.contributions import Contributions
from modelyard.schemas import ExplainRequest, Explanations, Label, Prediction
from modelyard.tables import FewRows, Table
from modelyard.tables.contract import Contract

MOST_NUMBERS = 10_000_000
"""The most contributions of one answer: as JSON they are some 200 MB."""

Shares = npt.NDArray[np.float64]


def explain(model: LoadedModel, request: ExplainRequest) -> Explanations:
    """Explain the prediction for each row of a request.

    Raises InvalidTable naming the rows and columns that break the model's contract, PayloadTooLarge for more than
    MOST_NUMBERS contributions, FailedPrecondition if the model's class cannot explain.
    """
    contract = model.contract
    checked = predicting.check(model, request)
    frame = _framed(model, checked)
    outputs = outputs_of(contract)
    _check_size(frame.height, len(outputs), frame.width)
    found = _contributions(model, frame)
    names, shares = list(contract.feature_names), _joined(found.shares, contract)
    other: Shares | None = None
    if request.top is not None:
        kept = strongest(shares, request.top)
        other = np.delete(shares, kept, axis=2).sum(axis=2)
        names, shares = [names[at] for at in kept], shares[:, :, kept]
    predictions, probabilities = _answers(model, checked, frame)
    return Explanations(
        model_id=model.model_id,
        unit="log_odds" if contract.classes else "target",
        outputs=outputs,
        feature_names=names,
        base=found.base.tolist(),
        contributions=shares.tolist(),
        predictions=predictions,
        other=None if other is None else other.tolist(),
        probabilities=probabilities if request.probabilities and contract.classes else None,
        warnings=[*checked.warnings, *found.warnings],
        ids=checked.ids,
        id_column=None if checked.ids is None else model.reader.id_column,
    )


def outputs_of(contract: Contract) -> list[Label]:
    """Return what the scores are of: the classes, of two the second alone, for regression the target."""
    if not contract.classes:
        return ["target"]
    return list(contract.classes[1:] if len(contract.classes) == 2 else contract.classes)


def strongest(shares: Shares, top: int) -> list[int]:
    """Return the places of at most `top` columns of shape (n, d, c), by the sum of the sizes of all their shares."""
    sizes = np.abs(shares).sum(axis=(0, 1))
    found: list[int] = np.argsort(-sizes, kind="stable")[:top].tolist()
    return found


def _framed(model: LoadedModel, checked: FewRows | Table) -> pl.DataFrame:
    if isinstance(checked, FewRows):
        return checked.frame(model.contract)
    return checked.frame if model.model_class.reads_enums else checked.text_frame


def _answers(
    model: LoadedModel, checked: FewRows | Table, frame: pl.DataFrame
) -> tuple[list[Prediction], list[list[float]]]:
    """Return to the bit what `predict` answers for a checked table, which `frame` is as the model class takes it.

    The second are the scores: of classes their probabilities.
    """
    decider = model.deciding.decider
    if isinstance(checked, FewRows):
        few = model.predictor.few(checked.rows)
        return model.task.answers(few, model.contract, decider), few
    many = model.predictor.many(frame)
    scores: list[list[float]] = many.tolist()
    return model.task.many_answers(many, model.contract, decider), scores


def _contributions(model: LoadedModel, frame: pl.DataFrame) -> Contributions:
    model_class = model.model_class
    found = model_class.contributions(model.raw_predictor, frame)
    if found is None:
        can = ", ".join(map(repr, models_registry.keys_that_explain()))
        raise FailedPrecondition(f"models of the class {model_class.key!r} cannot be explained; those of {can} can")
    return found


def _joined(shares: Shares, contract: Contract) -> Shares:
    """Return one share a column of callers, the sum over its parts, of shares of the expanded contract's columns."""
    if not contract.parts:
        return shares
    widths = [len(contract.parts.get(name, "1")) for name in contract.feature_names]
    joined: Shares = np.add.reduceat(shares, np.cumsum([0, *widths[:-1]]), axis=2)
    return joined


def _check_size(rows: int, outputs: int, columns: int) -> None:
    numbers = rows * outputs * columns
    if numbers > MOST_NUMBERS:
        raise PayloadTooLarge(
            f"an explanation may have at most {MOST_NUMBERS:,} contributions (rows times outputs times columns), "
            f"got {numbers:,} for {rows:,} rows; explain fewer rows at a time"
        )
