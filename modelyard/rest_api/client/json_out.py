"""Requests as JSON, for RestClient: what the server reads is what the core would read from the objects themselves.

Tables of plain cells are written as they are. What JSON has no word for is left to `cells_out`, which costs more and
is imported only then.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import orjson

from modelyard.schemas import (
    CheckRequest,
    Decision,
    EvaluateRequest,
    Evaluation,
    OutcomesRequest,
    Promote,
    RetrainRequest,
    SearchRequest,
    ServingRequest,
    TrainRequest,
    check_unicode,
)

AnyRequest = (
    TrainRequest | SearchRequest | RetrainRequest | EvaluateRequest | CheckRequest | ServingRequest | OutcomesRequest
)

_PLAIN = frozenset({str, int, float, bool, type(None)})


def is_plain(X: Any) -> bool:
    """Whether X is rows, records or columns of nothing but texts, numbers, booleans and None."""
    if type(X) not in (dict, list, tuple):
        return False
    kinds: set[type] = set()
    for cells in X.values() if type(X) is dict else X:
        if type(cells) is dict:
            kinds.update(map(type, cells.values()))
        elif type(cells) in (list, tuple):
            kinds.update(map(type, cells))
        else:
            return False
    return kinds <= _PLAIN


def write(fields: dict[str, Any], request: AnyRequest) -> bytes:
    """Return a body: the fields, as `fields_of` returns them, and the table. Raises InvalidTable."""
    return orjson.dumps({**fields, "X": _table(request)})


def fields_of(request: AnyRequest) -> dict[str, Any]:
    """Return the fields that the caller gave, all but X, as orjson writes them. Raises what the core raises."""
    given = {name: value for name, value in request if name != "X" and name in request.model_fields_set}
    return {name: _field(name, value) for name, value in given.items()}


def _field(name: str, value: Any) -> Any:
    if name == "y":
        return _labels(value)
    if isinstance(value, Evaluation | Decision | Promote):
        value = value.model_dump(exclude_unset=True)
    if name == "hyperparams" and not all(map(_is_json, value.values())):
        from modelyard.tables import wire

        value = wire.send_hyperparams(value, _hyperparam)
    check_unicode(**{name: value})
    return value


def _table(request: AnyRequest) -> Any:
    X = request.X
    if X is None and isinstance(request, EvaluateRequest):
        return None
    if is_plain(X):
        written = _written(X, X.values() if isinstance(X, dict) else X)
        if written is not None:
            return written
    from modelyard.rest_api.client import cells_out
    from modelyard.tables import wire

    if isinstance(request, OutcomesRequest):
        return cells_out.table(X, None)
    if not isinstance(request, ServingRequest) and request.y is None:
        wire.check_target(X, request.target, request.feature_names)
    return cells_out.table(X, request.feature_names)


def _labels(y: Any) -> Any:
    if y is None:
        return None
    if type(y) in (list, tuple) and set(map(type, y)) <= _PLAIN:
        written = _written(y, [y])
        if written is not None:
            return written
    from modelyard.tables import wire

    return wire.plain_labels(y)


def _is_json(value: Any) -> bool:
    """Whether a hyperparam can be written as it is, at a glance."""
    kind = type(value)
    return value is None or kind is bool or (kind is str and value.isascii()) or _is_short(value)


def _is_short(number: Any) -> bool:
    """Whether a number is finite, and no integer of more than 64 bits."""
    return type(number) in (int, float) and abs(number) < 2**63


def _hyperparam(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be a finite number")
    return float(value) if type(value) is int and not _is_short(value) else value


def _written(value: Any, rows: Collection[Any]) -> orjson.Fragment | None:
    """Return plain cells as JSON; None if there are infinite numbers, large integers or broken texts among them."""
    try:
        content = orjson.dumps(value)
    except orjson.JSONEncodeError:
        return None
    if b"null" in content and any(_holds_infinity(cells) for cells in rows):  # orjson writes null for them, too
        return None
    return orjson.Fragment(content)


def _holds_infinity(cells: Any) -> bool:
    found = cells.values() if isinstance(cells, dict) else cells
    return math.inf in found or -math.inf in found
