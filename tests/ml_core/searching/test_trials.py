"""Trials: judged by rows that their fits had not seen, and given up when they are hopeless."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelyard.errors import InvalidTable
from modelyard.ml_core.searching.folds import Folds
from modelyard.ml_core.searching.trials import is_hopeless, run_trial
from modelyard.ml_core.training.orders import order_training
from modelyard.ml_core.training.plan import TrainingPlan
from modelyard.schemas import TrainRequest, parse

N = 100
RNG = np.random.default_rng(5)
X = {"a": RNG.normal(size=N).tolist(), "b": RNG.choice(["u", "v"], N).tolist()}
Y = [("no", "yes")[int(a + RNG.normal() / 2 > 0)] for a in X["a"]]


def plan(**fields: Any) -> TrainingPlan:
    given = {"model_class_key": "logistic_regression", "X": X, "y": Y, **fields}
    return order_training(parse(TrainRequest, given), ()).plan


@pytest.mark.parametrize(
    ("values", "others", "hopeless"),
    [
        ([0.9], [], False),
        ([0.9], [[0.5, 0.6, 0.7]], True),
        ([0.65], [[0.5, 0.6, 0.7]], False),
        ([0.56], [[0.5, 0.9], [0.6, 0.9]], True),
        ([0.54], [[0.5, 0.9], [0.6, 0.9]], False),
        ([0.5, 0.8], [[0.5, 0.6], [0.6, 0.6], [0.9]], True),  # the third never came to a second fold
        ([0.5, 0.6], [[0.5, 0.4, 0.3], [0.7, 0.7, 0.7], [0.7, 0.7, 0.7]], True),  # usual is not enough any more
        ([0.5, 0.5], [[0.6, 0.4, 0.1], [0.4, 0.4, 0.9], [0.7, 0.7, 0.7]], False),
    ],
)
def test_a_trial_is_hopeless_if_it_is_worse_than_what_is_usual(
    values: list[float], others: list[list[float]], hopeless: bool
) -> None:
    assert is_hopeless(values, others, lower=True) is hopeless
    assert is_hopeless([-one for one in values], [[-one for one in other] for other in others], lower=False) is hopeless


def test_a_trial_sees_no_row_that_the_evaluation_holds_out() -> None:
    ordered = plan()
    (outer,) = ordered.task.split(ordered.evaluation, ordered.table).parts
    folds = Folds.of(ordered, "log_loss", seed=0)
    assert folds.table.frame["a"].to_list() == ordered.table.frame[outer.train]["a"].to_list()
    held_out = np.concatenate([part.validation for part in folds.parts])
    assert sorted(held_out) == list(range(len(outer.train)))


@pytest.mark.parametrize("groups", [3, 4, 6])
def test_groups_that_are_left_are_dealt_to_folds_none_of_which_is_empty(groups: int) -> None:
    by_group = plan(X={**X, "g": [row % groups for row in range(N)]}, column_roles={"g": "group"})
    folds = Folds.of(by_group, "log_loss", seed=0)
    assert folds.table.groups is not None
    sides = [(folds.table.groups[part.train], folds.table.groups[part.validation]) for part in folds.parts]
    assert all(len(fitted) and len(out) and not set(fitted) & set(out) for fitted, out in sides)
    assert sorted(group for _, out in sides for group in set(out)) == sorted(set(folds.table.groups))


def test_rows_that_no_trial_could_be_judged_by_are_refused_with_the_evaluation_that_left_them() -> None:
    two = plan(X={**X, "g": [row % 2 for row in range(N)]}, column_roles={"g": "group"})
    with pytest.raises(InvalidTable, match=r"the rows that evaluation 'holdout' leaves, .*'g' all are of one$"):
        Folds.of(two, "log_loss", seed=0)


def test_two_rows_are_too_few_to_search_by() -> None:
    two = plan(model_class_key="linear_regression", X={"a": [1.0, 2.0]}, y=[1.5, 2.5])
    with pytest.raises(InvalidTable, match=r"needs rows to judge its trials by: at least three$"):
        Folds.of(two, "rmse", seed=0)


def test_rows_that_do_not_count_cannot_judge_a_trial() -> None:
    first = [1.0 if row < N / 2 else 0.0 for row in range(N)]
    roles = {"day": "time", "w": "weight"}
    weighed = plan(X={**X, "day": list(range(N)), "w": first}, column_roles=roles, evaluation={"method": "time"})
    with pytest.raises(InvalidTable, match=r"^column 'w' gives all rows that a trial is judged by the weight 0"):
        Folds.of(weighed, "log_loss", seed=0)


@pytest.mark.parametrize(("rows", "folds"), [(999, 5), (1000, 3), (20_001, 1)])
def test_the_more_rows_the_fewer_folds(rows: int, folds: int) -> None:
    table = {"X": {"a": list(range(rows))}, "y": [("no", "yes")[row % 2] for row in range(rows)]}
    assert len(Folds.of(plan(**table, evaluation={"method": "none"}), "log_loss", seed=0).parts) == folds


def test_a_trial_without_a_hold_out_sees_all_rows() -> None:
    assert Folds.of(plan(evaluation={"method": "none"}), "log_loss", seed=0).table.frame.height == N


def test_the_trials_of_a_search_by_time_are_judged_by_later_rows() -> None:
    days = list(range(N))
    by_time = plan(X={**X, "day": days}, column_roles={"day": "time"}, evaluation={"method": "time", "fraction": 0.25})
    (part,) = Folds.of(by_time, "log_loss", seed=0).parts
    assert part.train.tolist() == list(range(56))
    assert part.validation.tolist() == list(range(56, 75))


def test_no_group_stands_on_both_sides_of_a_fold() -> None:
    groups = [f"g{row % 20}" for row in range(N)]
    folds = Folds.of(plan(X={**X, "g": groups}, column_roles={"g": "group"}), "log_loss", seed=0)
    numbers = folds.table.groups
    assert numbers is not None
    for part in folds.parts:
        assert not set(numbers[part.train]) & set(numbers[part.validation])


def test_a_complete_trial_has_a_score_for_each_row_and_the_mean_of_its_folds() -> None:
    ordered = plan()
    folds = Folds.of(ordered, "log_loss", seed=0)
    trial = run_trial(ordered, folds, [])
    assert (trial.status, len(trial.folds)) == ("complete", 5)
    assert trial.scores is not None
    assert trial.scores.shape == (80, 2)
    assert trial.told(4, "logistic_regression", {})["metric"] == pytest.approx(np.mean(trial.folds))
    own = trial.scores[np.arange(80), folds.truth]
    assert folds.value(trial.scores) == pytest.approx(-np.log(own).mean())


def test_a_hopeless_trial_is_given_up_after_its_first_fold() -> None:
    ordered = plan()
    trial = run_trial(ordered, Folds.of(ordered, "log_loss", seed=0), [[0.0] * 5, [0.0] * 5])
    assert (trial.status, len(trial.folds), trial.scores) == ("pruned", 1, None)
