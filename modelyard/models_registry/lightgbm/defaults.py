"""The hyperparams of LightGBM's model classes, with defaults of ours.

LightGBM's own suit large tables: on a few hundred rows its leaves of 20 rows learn too little, and 31 leaves at a rate
of 0.1 too much. `benchmarks/defaults.py` holds these against CatBoost.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from modelyard.models_registry.hyperparams import Hyperparam

BOOSTING = (
    Hyperparam("n_estimators", ("int",), 300, "The number of trees.", minimum=1, maximum=1_000_000),
    Hyperparam(
        "learning_rate",
        ("float",),
        None,
        "The step of each tree; null: chosen by the numbers of rows and trees.",
        nullable=True,
        exclusive_minimum=0,
        maximum=1,
    ),
    Hyperparam(
        "num_leaves",
        ("int",),
        None,
        "The most leaves of a tree; null: chosen by the number of rows.",
        nullable=True,
        minimum=2,
        maximum=131_072,
    ),
    Hyperparam(
        "max_depth", ("int",), -1, "The most levels of a tree; -1: as many as there are.", minimum=-1, maximum=1_000
    ),
    Hyperparam("min_child_samples", ("int",), 1, "The fewest rows of a leaf.", minimum=0, maximum=1_000_000),
    Hyperparam(
        "subsample",
        ("float",),
        0.6,
        "The share of the rows that each tree is fitted to.",
        exclusive_minimum=0,
        maximum=1,
    ),
    Hyperparam(
        "colsample_bytree",
        ("float",),
        0.7,
        "The share of the columns that each tree may use.",
        exclusive_minimum=0,
        maximum=1,
    ),
    Hyperparam("reg_alpha", ("float",), 0.0, "The l1 penalty on the values of the leaves.", minimum=0, maximum=1e30),
    Hyperparam("reg_lambda", ("float",), 0.0, "The l2 penalty on the values of the leaves.", minimum=0, maximum=1e30),
    Hyperparam(
        "verbose",
        ("bool", "int"),
        False,
        "Whether LightGBM logs its progress: true: each tree, a number: every so many, false or 0: never.",
        minimum=0,
        maximum=1_000_000,
    ),
    Hyperparam("random_state", ("int",), 0, "The seed of all that is random.", minimum=0, maximum=2**31 - 1),
)
EARLY_STOPPING = Hyperparam(
    "early_stopping_rounds",
    ("int",),
    None,
    "Stop after so many trees without a better loss on the held-out rows; null: never.",
    nullable=True,
    minimum=1,
    maximum=1_000_000,
)

SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        "subsample_freq": 1,  # without it LightGBM passes over subsample
        "max_cat_to_onehot": 10,
        "min_data_per_group": 25,
    }
)
"""Settings that differ from LightGBM's own and are no hyperparams."""

_FEW_ROWS, _GROWTH = 500, 0.3
_STEPS, _LARGEST_RATE = 6.5, 0.3
_LEAVES, _FEWEST_LEAVES, _MOST_LEAVES = 6.0, 5, 63


def in_full(hyperparams: Mapping[str, Any], rows: float) -> dict[str, Any]:
    """Return hyperparams with those that are null chosen for a table of so many rows that tell (`rows_that_tell`).

    On 500 rows the steps of all trees add up to 6.5, and a tree has 6 leaves; both grow with the rows to the power of
    0.3. Numbers found by trying, on tables of 100 to 24,000 rows.
    """
    growth = (rows / _FEW_ROWS) ** _GROWTH
    chosen = {
        "learning_rate": min(_LARGEST_RATE, _STEPS * growth / hyperparams["n_estimators"]),
        "num_leaves": min(_MOST_LEAVES, max(_FEWEST_LEAVES, round(_LEAVES * growth))),
    }
    return {name: chosen.get(name) if value is None else value for name, value in hyperparams.items()}
