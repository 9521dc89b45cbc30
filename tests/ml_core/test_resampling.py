"""The bootstrap: its weights, the metrics it measures by them, and whether its intervals hold the truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from modelyard.ml_core.resampling import (
    Confusion,
    Measure,
    Ranking,
    bootstrap,
    interval,
    intervals,
    mean_of_folds,
    means,
    medians,
    replicates,
)

ROUNDS = 7
World = tuple[Callable[[np.ndarray], np.ndarray], float]
"""What measures resamples of rows drawn from a world, and the truth in that world."""


def rows(n: int = 60, k: int = 3, *, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n + k)
    codes = np.concatenate((np.arange(k), rng.integers(k, size=n - k)))
    scores = rng.random((n, k)) + 0.5 * np.eye(k)[codes]
    return codes, scores.round(1) if ties else scores


def drawn(n: int, **options: Any) -> np.ndarray:
    return np.concatenate(list(bootstrap(n, 1, rounds=ROUNDS, **options)))


def test_a_round_draws_as_many_rows_as_there_are() -> None:
    weights = drawn(50)

    assert weights.shape == (ROUNDS, 50)
    assert (weights == weights.astype(int)).all()
    assert (weights.sum(axis=1) == 50).all()
    assert len({row.tobytes() for row in weights}) == ROUNDS
    assert (drawn(50) == weights).all()


def test_rounds_come_in_blocks_that_a_cache_holds() -> None:
    blocks = list(bootstrap(100_000, 0))

    assert sum(map(len, blocks)) == 40
    assert max(block.nbytes for block in blocks) <= 800_000
    assert all(abs(block.mean() - 1) < 1e-9 for block in blocks)


def test_groups_are_drawn_whole() -> None:
    groups = np.arange(40) % 8 * 10
    weights = drawn(40, groups=groups)

    assert all(len(set(row[groups == group])) == 1 for row in weights for group in set(groups))
    assert (weights.sum(axis=1) == 40).all()


def test_the_rows_own_weights_multiply() -> None:
    own = np.linspace(0.5, 3, 30)

    assert drawn(30, weights=own) == pytest.approx(drawn(30) * own)


@pytest.mark.parametrize("ties", [False, True])
def test_rankings_are_those_of_the_rows_drawn(ties: bool) -> None:
    codes, scores = rows(ties=ties)
    weights = drawn(60)
    auc, average = Ranking(codes == 1, scores[:, 1]).measure(weights)

    for round_, row in enumerate(weights.astype(int)):
        truth, ranked = np.repeat(codes == 1, row), np.repeat(scores[:, 1], row)
        assert auc[round_] == pytest.approx(sk.roc_auc_score(truth, ranked), abs=1e-12)
        assert average[round_] == pytest.approx(sk.average_precision_score(truth, ranked), abs=1e-12)


def test_a_ranking_without_rows_of_both_kinds_is_not_defined() -> None:
    weights = np.array([[1.0, 1, 0, 0], [0, 0, 2, 2], [0, 0, 0, 0]])
    auc, average = Ranking(np.array([True, True, False, False]), np.arange(4.0)).measure(weights)

    assert np.isnan([auc, average]).all()


@pytest.mark.parametrize("own", [None, np.linspace(0.2, 2, 60)])
def test_means_over_classes_are_scikit_learns(own: np.ndarray | None) -> None:
    codes, scores = rows(k=7)
    predicted = scores.argmax(axis=1)
    weights = drawn(60, weights=own)
    measured = Confusion(codes, predicted, 7).measure(weights)

    for round_, row in enumerate(weights):
        kept = row > 0
        truth, answers, weight = codes[kept], predicted[kept], row[kept]
        told = sk.precision_recall_fscore_support(
            truth, answers, average="macro", zero_division=0, sample_weight=weight
        )
        recall = sk.recall_score(
            truth, answers, labels=np.unique(truth), average="macro", zero_division=0, sample_weight=weight
        )
        assert [measured[name][round_] for name in ("precision", "recall", "f1")] == pytest.approx(told[:3])
        assert measured["balanced_accuracy"][round_] == pytest.approx(recall)


@pytest.mark.parametrize("n", [9, 10])
def test_means_and_medians_are_those_of_the_rows_drawn(n: int) -> None:
    losses = np.random.default_rng(n).random((n, 2))
    weights = drawn(n)
    mean, median = means(losses)(weights), medians(losses[:, 0])(weights)

    for round_, row in enumerate(weights.astype(int)):
        repeated = np.repeat(losses, row, axis=0)
        assert mean[round_] == pytest.approx(repeated.mean(axis=0))
        assert median[round_] == pytest.approx(np.median(repeated[:, 0]))


def test_an_interval_leaves_a_twentieth_on_either_side() -> None:
    assert interval(np.arange(1.0, 100)) == pytest.approx((5, 95))
    assert interval(np.array([np.nan, 2.0, np.inf])) == (2, 2)
    assert interval(np.array([np.nan])) is None


def accuracy_of(rng: np.random.Generator) -> World:
    """Draw 300 rows of which a model answers 80 % rightly."""
    return means((rng.random((300, 1)) < 0.8).astype(float)), 0.8


def rmse_of(rng: np.random.Generator) -> World:
    """Draw 300 errors of deviation 2."""
    squared = means(rng.normal(0, 2, (300, 1)) ** 2)
    return lambda weights: np.sqrt(squared(weights)), 2.0


def auc_of(rng: np.random.Generator) -> World:
    """Draw 300 rows, 40 % positive, whose scores lie a deviation higher: the area is Φ(1 / √2)."""
    positive = rng.random(300) < 0.4
    ranking = Ranking(positive, rng.normal(positive.astype(float)))
    return lambda weights: ranking.measure(weights)[0], 0.7602499


@pytest.mark.parametrize("world", [accuracy_of, rmse_of, auc_of])
def test_nine_in_ten_intervals_hold_the_truth(world: Callable[[np.random.Generator], World]) -> None:
    rng = np.random.default_rng(5)
    held = 0
    for world_number in range(300):
        measure, truth = world(rng)
        blocks = bootstrap(300, world_number, rounds=150)
        found = interval(replicates(lambda weights: {"it": measure(weights).ravel()}, blocks)["it"])  # noqa: B023
        held += found is not None and found[0] <= truth <= found[1]

    assert 0.86 <= held / 300 <= 0.94


def test_folds_count_by_their_rows_and_not_if_nothing_is_measured() -> None:
    def first_mean(losses: np.ndarray) -> Measure:
        measured = means(losses[:, None])
        return lambda weights: {"it": np.where(weights[:, 0] > 0, measured(weights)[:, 0], np.nan)}

    folds = mean_of_folds([first_mean(np.array([1.0, 3])), first_mean(np.array([5.0, 5, 5]))], [2, 3])
    weights = np.array([[1.0, 1, 1, 1, 1], [2, 0, 0, 3, 0], [0, 5, 0, 0, 0]])

    assert folds(weights)["it"] == pytest.approx([(2 * 2 + 3 * 5) / 5, 1, np.nan], nan_ok=True)


def test_an_interval_holds_the_metric_it_is_of() -> None:
    blocks = [np.ones((9, 2))]
    found = intervals(
        {"a": 2.0, "b": None}, lambda _: {"a": np.arange(3.0, 12), "b": np.ones(9), "c": np.ones(9)}, blocks
    )

    assert found == {"a_low": 2.0, "a_high": 11.0}
