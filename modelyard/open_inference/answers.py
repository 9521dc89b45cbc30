"""Answers: predictions as output tensors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import orjson

from modelyard.errors import InvalidRequest
from modelyard.schemas import Predictions

PREDICT, PROBABILITIES = "predict", "probabilities"
OUTPUTS = (PREDICT, PROBABILITIES)
BY_DEFAULT: tuple[str, ...] = (PREDICT,)

_DATATYPES: dict[type, str] = {bool: "BOOL", int: "INT64", str: "BYTES"}


class Output(NamedTuple):
    """An output tensor: `cells` are flat, in row-major order."""

    name: str
    datatype: str
    shape: list[int]
    cells: list[Any]
    parameters: dict[str, Any] | None = None


def datatype_of(classes: Sequence[bool | int | str] | None) -> str:
    """Return the datatype of predictions: that of the labels, which are of one type; FP64 if there are none."""
    return _DATATYPES[type(classes[0])] if classes else "FP64"


def outputs_of(found: Predictions, names: Sequence[str]) -> list[Output]:
    """Return predictions as the outputs with these names. Raises InvalidRequest if a regression has no such output.

    The parameter `classes` of PROBABILITIES are the labels as a JSON list, in the order of the columns.
    """
    n = len(found.predictions)
    outputs = []
    for name in names:
        if name == PREDICT:
            outputs.append(Output(PREDICT, datatype_of(found.classes), [n], found.predictions))
        elif found.probabilities is None or found.classes is None:
            raise InvalidRequest(f"output '{PROBABILITIES}' is of classifications alone; this model predicts numbers")
        else:
            flat = list(chain.from_iterable(found.probabilities))
            labels = {"classes": orjson.dumps(found.classes).decode()}
            outputs.append(Output(PROBABILITIES, "FP64", [n, len(found.classes)], flat, labels))
    return outputs


def parameters_of(found: Predictions) -> dict[str, str]:
    """Return the parameters of an answer: the model's id, the prediction's if it is kept, warnings as a JSON list."""
    parameters = {"model_id": found.model_id}
    if found.prediction_id is not None:
        parameters["prediction_id"] = found.prediction_id
    if found.warnings:
        shown = [warning.model_dump(exclude_none=True) for warning in found.warnings]
        parameters["warnings"] = orjson.dumps(shown).decode()
    return parameters
