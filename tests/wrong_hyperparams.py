"""Values of hyperparams that their declarations refuse."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from modelyard.models_registry.hyperparams import Hyperparam


def examples_of_wrong_values(hyperparam: Hyperparam) -> Iterator[Any]:
    """Yield values that break the declaration in each way it can be broken."""
    kinds = set(hyperparam.kinds)
    yield []
    yield {"value": hyperparam.default}
    if not hyperparam.nullable:
        yield None
    if "bool" not in kinds:
        yield True
    if "str" not in kinds:
        yield "no value of this hyperparam"
    elif hyperparam.choices is not None:
        yield "".join(hyperparam.choices) + "-"
    if kinds.isdisjoint({"int", "float"}):
        yield 1
        yield 0.5
        return
    yield from (math.nan, math.inf, -math.inf)
    if "float" not in kinds:
        yield 1.5 if hyperparam.minimum is None else hyperparam.minimum + 0.5
    yield from _outside(hyperparam)


def _outside(hyperparam: Hyperparam) -> Iterator[float]:
    if hyperparam.minimum is not None:
        yield hyperparam.minimum - max(1, abs(hyperparam.minimum))
    if hyperparam.maximum is not None:
        yield hyperparam.maximum + max(1, abs(hyperparam.maximum))  # a large one plus 1 is itself
    if hyperparam.exclusive_minimum is not None:
        yield hyperparam.exclusive_minimum
    if hyperparam.exclusive_maximum is not None:
        yield hyperparam.exclusive_maximum
