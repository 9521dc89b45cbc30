"""How far a regression's answers may be off: half the width of an interval around each, by the rows held out.

The margin is the ⌈(n + 1) p⌉-th smallest of the n absolute residuals of the validation. That is split conformal
prediction (Lei et al. 2018): a new row's true number is within it with a probability of at least p, if the n rows were
held out at random and the fit that was judged by them answers.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from modelyard.errors import DataLoss, FailedPrecondition, FieldError, InvalidRequest
from modelyard.ml_core.tasks.regression.residuals import fewest_rows, margin
from modelyard.ml_core.validation_predictions import load_validation
from modelyard.storage import ModelRecord, ModelStore
from modelyard.tables import Contract

Residuals = npt.NDArray[np.float64]


class Margins:
    """The margins of one model, from its sorted absolute residuals; `model` names it in errors.

    `load` reads the residuals and raises what is wrong with them. A model without them answers all the same: only who
    asks for a margin is told.
    """

    def __init__(self, model: str, load: Callable[[], Residuals]) -> None:
        self._model = model
        self._load = load
        self._residuals: Residuals | None = None
        with suppress(DataLoss, FailedPrecondition, InvalidRequest):
            self._residuals = load()

    @property
    def size_bytes(self) -> int:
        """The memory that the residuals take."""
        return 0 if self._residuals is None else self._residuals.nbytes

    def of(self, share: float) -> float:
        """Return the margin of an interval that is to hold this share of the true numbers.

        Raises InvalidRequest for a classifier, FailedPrecondition if too few rows were held out or none, DataLoss.
        """
        if self._residuals is None:
            self._residuals = self._load()
        found = margin(self._residuals, share)
        if found is None:
            raise FailedPrecondition(
                f"an interval of {share:g} needs at least {fewest_rows(share)} rows held out, but the validation of "
                f"model {self._model} had {len(self._residuals)}; ask for a narrower one, or retrain on more rows"
            )
        return found


def margins_of(store: ModelStore, record: ModelRecord, contract: Contract) -> Margins:
    """Return the margins of a model that is being loaded."""
    model = f"{record.metadata.name}:{record.metadata.version}"

    def load() -> Residuals:
        if contract.classes:
            message = f"field 'interval' is for regression, but model {model} predicts labels; ask for probabilities"
            raise InvalidRequest.of([FieldError(("interval",), message)])
        kept = load_validation(store, record, contract)
        counted = slice(None) if kept.weights is None else kept.weights > 0
        return np.sort(np.abs(kept.truth - kept.scores[:, 0])[counted])

    return Margins(model, load)
