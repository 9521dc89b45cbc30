"""Requests as JSON, for RestClient: what the server reads is what the core would read from the objects themselves.

Tables of plain cells are written as they are. What JSON has no word for is left to `cells_out`, which costs more and
is imported only then.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import orjson

from modelyard.schemas import Evaluation, PredictRequest, RetrainRequest, TrainRequest, not_unicode

AnyRequest = TrainRequest | RetrainRequest | PredictRequest

_PLAIN = frozenset({str, int, float, bool, type(None)})


def is_plain(X: Any) -> bool:
    """Tell whether X is rows, records or columns of nothing but texts, numbers, booleans and None."""
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


def write(fields: dict[str, Any], X: Any, *, training: bool) -> bytes:
    """Return a body: the fields, as `fields_of` returns them, and the table. Raises InvalidTable."""
    return orjson.dumps({**fields, "X": _table(X, training=training)})


def fields_of(request: AnyRequest) -> dict[str, Any]:
    """Return the fields that the caller gave, all but X, as orjson writes them. Raises what the core raises."""
    given = {name: value for name, value in request if name != "X" and name in request.model_fields_set}
    return {name: _field(name, value) for name, value in given.items()}


def _field(name: str, value: Any) -> Any:
    if name == "y":
        return _labels(value)
    if isinstance(value, Evaluation):
        return value.model_dump(exclude_unset=True)
    try:
        if name == "hyperparams":
            value = {key: _hyperparam(one) for key, one in value.items()}
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise not_unicode(name, value) from None
    return value


def _table(X: Any, *, training: bool) -> Any:
    if is_plain(X):
        written = _written(X, X.values() if isinstance(X, dict) else X)
        if written is not None:
            return written
    from modelyard.rest_api import cells_out

    return cells_out.table(X, training=training)


def _labels(y: Any) -> Any:
    if y is None:
        return None
    if type(y) in (list, tuple) and set(map(type, y)) <= _PLAIN:
        written = _written(y, [y])
        if written is not None:
            return written
    from modelyard.rest_api import cells_out

    return cells_out.labels(y)


def _hyperparam(value: Any) -> Any:
    kind = type(value)
    if kind in (str, bool, type(None)) or (kind in (int, float) and abs(value) < 2**63):
        return value
    from modelyard.rest_api import cells_out

    return cells_out.hyperparam(value)


def _written(value: Any, rows: Collection[Any]) -> orjson.Fragment | None:
    """Return plain cells as JSON; None where there are infinite numbers, large integers or broken texts among them."""
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
