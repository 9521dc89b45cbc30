"""Weights: what is found for scores whose best blend is known, and when one model alone is enough."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from modelyard.ml_core.searching.folds import Folds
from modelyard.ml_core.searching.leaderboard import AS_GOOD, CHOSEN, WORSE, Board
from modelyard.ml_core.searching.weighing import greedy_weights, smallest_best
from modelyard.ml_core.training.orders import order_training
from modelyard.schemas import TrainRequest, parse

N = 400
RNG = np.random.default_rng(11)
NOISE = {key: RNG.normal(size=N) for key in "abc"}
TRUTH = RNG.normal(size=N)


@pytest.fixture(scope="module")
def folds() -> Folds:
    request = parse(
        TrainRequest,
        {
            "model_class_key": "linear_regression",
            "X": {"x": TRUTH.tolist()},
            "y": TRUTH.tolist(),
            "evaluation": {"method": "none"},
        },
    )
    return Folds.of(order_training(request, ()).plan, "rmse", seed=0)


def scores(folds: Folds, **noise: float) -> npt.NDArray[np.float64]:
    """The truth with some noise, in the order of the folds."""
    return np.asarray(folds.truth + sum(size * NOISE[key] for key, size in noise.items())).reshape(-1, 1)


def test_equally_good_members_with_errors_of_their_own_count_alike(folds: Folds) -> None:
    weights = greedy_weights([scores(folds, a=1), scores(folds, b=1)], folds)
    assert weights.sum() == pytest.approx(1)
    assert weights == pytest.approx([0.5, 0.5], abs=0.1)


def test_a_member_that_only_adds_noise_gets_no_weight(folds: Folds) -> None:
    assert greedy_weights([scores(folds, a=0.1), scores(folds, a=0.1, b=3)], folds).tolist() == [1, 0]


def test_members_that_are_better_together_win(folds: Folds) -> None:
    best = smallest_best({key: scores(folds, **{key: 1}) for key in "abc"}, folds)
    assert sorted(best.weights) == ["a", "b", "c"]
    assert best.value == pytest.approx(np.sqrt(1 / 3), abs=0.05)


def test_one_model_alone_wins_if_no_difference_is_shown(folds: Folds) -> None:
    best = smallest_best({"a": scores(folds, a=1), "b": scores(folds, a=1, b=0.05)}, folds)
    assert dict(best.weights) == {"a": 1.0}


def test_the_leaderboard_says_what_is_as_good_within_noise(folds: Folds) -> None:
    each = {0: scores(folds, a=1), 1: scores(folds, a=1, b=0.05), 2: scores(folds, a=1, c=1)}
    best = smallest_best({"a": each[0], "b": each[1]}, folds)
    told = [
        {"number": number, "model_class_key": str(number), "hyperparams": {}, "seconds": 1.0, "status": "complete"}
        for number in each
    ]
    pruned = {**told[0], "number": 3, "model_class_key": "3", "status": "pruned", "metric": 0.1, "folds": [0.1, 0.1]}
    failed = {**told[0], "number": 4, "model_class_key": "4", "status": "failed", "error": {"detail": "no"}}
    entries = Board(folds, each, best, {0: 1.0}).entries([failed, pruned, *reversed(told)])
    assert [entry.model_class_key for entry in entries] == ["0", "1", "2", "3", "4"]
    assert [entry.words for entry in entries] == [
        CHOSEN,
        AS_GOOD,
        WORSE,
        "given up after 2 of 5 folds, which were worse than usual",
        "no",
    ]
    assert [entry.weight for entry in entries] == [1.0, 0.0, 0.0, 0.0, 0.0]
