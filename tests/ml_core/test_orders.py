"""What two orders share only if they ask for the same: the fingerprint of a table, the digest of a request."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from modelyard.ml_core.training.orders import TrainingOrder, order_training
from modelyard.schemas import TrainRequest

X: dict[str, list[Any]] = {"a": [1.0, 2.0, None, 4.0], "b": ["x", "y", None, "x"]}
Y = ["no", "yes", "no", "yes"]


def order(X: Any = X, y: Any = Y, **fields: Any) -> TrainingOrder:
    request = TrainRequest(model_class_key="logistic_regression", X=X, y=y, **fields)
    return order_training(request, ("?",))


def test_a_table_has_one_fingerprint_in_every_form() -> None:
    records = [dict(zip(X, row, strict=True)) for row in zip(*X.values(), strict=True)]
    written = [{**record, "b": record["b"] or " ? "} for record in records]
    forms = [X, records, written, pl.DataFrame(X), pl.DataFrame(X).cast({"b": pl.Categorical})]
    assert len({order(form).fingerprint() for form in forms}) == 1
    assert len({order(form).digest() for form in forms}) == 1


@pytest.mark.parametrize(
    ("other", "y"),
    [
        ({**X, "a": [1.0, 2.0, 3.0, 4.0]}, Y),
        ({**X, "b": ["y", "x", None, "y"]}, Y),
        ({**X, "b": ["x", "z", None, "x"]}, Y),
        ({**X, "b": ["v", "y", None, "v"]}, Y),
        ({**X, "b": ["x", "y", "\x00missing", "x"]}, Y),
        ({"a": X["a"], "c": X["b"]}, Y),
        (X, Y[::-1]),
        (X, ["no", "yeah", "no", "yeah"]),
    ],
)
def test_another_table_has_another_fingerprint(other: Any, y: list[str]) -> None:
    assert order(other, y).fingerprint() != order().fingerprint()
    assert order(other, y).digest() != order().digest()


def test_the_digest_is_of_all_that_is_asked_for() -> None:
    asked: list[dict[str, Any]] = [
        {},
        {"hyperparams": {"C": 2.0}},
        {"name": "n"},
        {"tags": ["t"]},
        {"evaluation": {"method": "none"}},
    ]
    orders = [order(**fields) for fields in asked]
    assert len({one.digest() for one in orders}) == len(asked)
    assert len({one.fingerprint() for one in orders}) == 1
