"""Decisions on arrays: ties and ends of thresholds, what is found on a validation, and that costs are never dearer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import FailedPrecondition
from modelyard.ml_core.deciding import decider, judge, resolve
from modelyard.ml_core.deciding.resolving import answered
from modelyard.ml_core.validation_predictions import ValidationPredictions
from modelyard.schemas import MOST_PROBABLE, Decision, ResolvedDecision

Floats = npt.NDArray[np.float64]
TWO, THREE = ("no", "yes"), ("a", "b", "c")
FALSE_POSITIVE, FALSE_NEGATIVE = 1.0, 10.0
COSTS = {"yes": {"no": FALSE_NEGATIVE}, "no": {"yes": FALSE_POSITIVE}}


def held_out(yes: Any, truth: Any, **more: Any) -> ValidationPredictions:
    """Return a validation of two classes by the probabilities of the second and the true codes."""
    shares = np.asarray(yes, dtype=np.float64)
    scores = np.stack([1 - shares, shares], axis=1)
    return ValidationPredictions(np.arange(len(shares)), np.asarray(truth, dtype=np.int64), scores, **more)


def found(validation: ValidationPredictions, **fields: Any) -> ResolvedDecision:
    return resolve(Decision.model_validate(fields), TWO, lambda: validation)


def answers(decision: ResolvedDecision, rows: list[list[float]], classes: tuple[str, ...] = TWO) -> list[str]:
    made = decider(decision, classes)
    assert made is not None
    codes = made.few(rows)
    assert made.many(np.array(rows)).tolist() == codes
    assert [made.few([row])[0] for row in rows] == codes
    return [classes[code] for code in codes]


@pytest.mark.parametrize(
    ("threshold", "due"),
    [
        (0.0, ["yes", "yes", "yes", "yes"]),
        (0.5, ["no", "no", "yes", "yes"]),
        (1.0, ["no", "no", "no", "yes"]),
        (0.25, ["no", "yes", "yes", "yes"]),
    ],
)
def test_a_probability_equal_to_the_threshold_reaches_it(threshold: float, due: list[str]) -> None:
    decision = ResolvedDecision(rule="threshold", label="yes", threshold=threshold)
    assert answers(decision, [[1.0, 0.0], [0.75, 0.25], [0.5, 0.5], [0.0, 1.0]]) == due


def test_the_last_bits_of_a_probability_do_not_decide() -> None:
    decision = ResolvedDecision(rule="threshold", label="yes", threshold=0.31)
    assert answers(decision, [[0.69, np.nextafter(0.31, 0)], [0.69, 0.31], [0.6901, 0.3099]]) == ["yes", "yes", "no"]


def test_among_the_others_the_most_probable_is_answered_of_equals_the_first() -> None:
    decision = ResolvedDecision(rule="threshold", label="b", threshold=0.4)
    rows = [[0.6, 0.4, 0.0], [0.31, 0.38, 0.31], [0.2, 0.39, 0.41]]
    assert answers(decision, rows, THREE) == ["b", "a", "c"]


@given(
    st.lists(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), min_size=1, max_size=20),
    st.lists(st.floats(-10, 10), min_size=9, max_size=9),
)
def test_costs_answer_the_label_of_least_expected_cost(rows: list[list[float]], cells: list[float]) -> None:
    scores = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    matrix = np.array(cells).reshape(3, 3)
    costs = {true: dict(zip(THREE, matrix[code].tolist(), strict=True)) for code, true in enumerate(THREE)}
    decision = ResolvedDecision(rule="costs", costs=costs)
    expected = scores @ matrix
    for code, row in zip(map(THREE.index, answers(decision, scores.tolist(), THREE)), expected, strict=True):
        assert row[code] == pytest.approx(row.min(), abs=1e-9)


def test_of_equally_cheap_answers_the_most_probable_is_given() -> None:
    decision = ResolvedDecision(rule="costs", costs={"a": {"b": 5.0}})
    assert answers(decision, [[0.2, 0.2, 0.6], [0.5, 0.1, 0.4], [0.0, 1.0, 0.0]], THREE) == ["c", "a", "b"]


def test_two_classes_whose_wrong_answers_are_cheaper_have_no_threshold_and_a_warning() -> None:
    costs = {"yes": {"yes": 5.0}, "no": {"no": 2.0}}
    decision = found(held_out([0.2, 0.8], [0, 1]), rule="costs", costs=costs)
    assert decision.threshold is None
    assert answers(decision, [[0.9, 0.1], [0.1, 0.9]]) == ["yes", "no"]
    (warning,) = judge(decision, TWO, None)["warnings"]
    assert (warning.code, warning.count) == ("dear_right_answers", 2)


@pytest.mark.parametrize(("metric", "due"), [("f1", 0.3), ("balanced_accuracy", 0.3)])
def test_a_metric_finds_the_middle_between_what_it_parts(metric: str, due: float) -> None:
    validation = held_out([0.1, 0.2, 0.4, 0.6, 0.9], [0, 0, 1, 1, 1])
    assert found(validation, rule="threshold", metric=metric).threshold == pytest.approx(due)


def test_a_precision_is_kept_by_the_lowest_threshold_that_has_it() -> None:
    validation = held_out([0.9, 0.8, 0.7, 0.6, 0.5, 0.1], [1, 0, 1, 1, 1, 0])
    assert found(validation, rule="threshold", min_precision=0.8).threshold == pytest.approx(0.3)
    with pytest.raises(FailedPrecondition, match=r"min_precision 1 of class 'yes' .*; the highest precision is 0.75"):
        found(held_out([0.9, 0.9, 0.9, 0.9, 0.1], [1, 1, 1, 0, 0]), rule="threshold", min_precision=1.0)


def test_a_capacity_is_a_quantile_of_the_validation_and_warns_of_equal_probabilities() -> None:
    shares = np.arange(100) / 100
    decision = found(held_out(shares, np.arange(100) % 2), rule="capacity", share=0.05)
    assert decision.threshold == pytest.approx(0.945)
    assert not judge(decision, TWO, held_out(shares, np.arange(100) % 2))["warnings"]
    equal = held_out(np.where(shares > 0.79, 0.9, 0.1), np.arange(100) % 2)
    crowded = found(equal, rule="capacity", share=0.05)
    assert crowded.threshold == pytest.approx(0.5)
    assert [warning.code for warning in judge(crowded, TWO, equal)["warnings"]] == ["over_capacity"]


def test_weights_count_as_rows() -> None:
    few = held_out([0.9, 0.6, 0.4, 0.2], [1, 0, 1, 0], weights=np.array([1.0, 5.0, 1.0, 3.0]))
    many = held_out([0.9] + [0.6] * 5 + [0.4] + [0.2] * 3, [1] + [0] * 5 + [1] + [0] * 3)
    for fields in ({"rule": "threshold", "metric": "f1"}, {"rule": "capacity", "share": 0.6}):
        assert found(few, **fields).threshold == found(many, **fields).threshold
    decision = ResolvedDecision(rule="threshold", label="yes", threshold=0.5)
    first, second = judge(decision, TWO, few), judge(decision, TWO, many)
    for name in ("precision", "recall", "share", "accuracy", "cost"):
        assert getattr(first["metrics"], name) == pytest.approx(getattr(second["metrics"], name))
    for one, other in zip(first["curve"], second["curve"], strict=False):
        if one.threshold == other.threshold:
            assert (one.cost, one.share) == pytest.approx((other.cost, other.share))


def test_an_interval_of_groups_is_as_wide_as_their_number_makes_it() -> None:
    rng = np.random.default_rng(0)
    shares, copies = rng.random(60), 20
    truth = (rng.random(60) < shares).astype(np.int64)
    rows = held_out(np.repeat(shares, copies), np.repeat(truth, copies))
    grouped = held_out(rows.scores[:, 1], rows.truth, groups=np.repeat(np.arange(60), copies))
    wide, narrow = (judge(MOST_PROBABLE, TWO, one)["metrics"] for one in (grouped, rows))
    assert (wide.cost_high - wide.cost_low) > 3 * (narrow.cost_high - narrow.cost_low)


def test_many_rows_have_the_interval_of_the_textbook() -> None:
    rng = np.random.default_rng(1)
    shares = rng.random(40_000)
    metrics = judge(MOST_PROBABLE, TWO, held_out(shares, rng.random(40_000) < shares))["metrics"]
    width = 2 * 1.645 * np.sqrt(metrics.cost * (1 - metrics.cost) / 40_000)
    assert metrics.cost_high - metrics.cost_low == pytest.approx(width, rel=0.15)


def test_a_found_threshold_is_measured_on_rows_that_it_was_not_found_on() -> None:
    rng = np.random.default_rng(3)
    validation = held_out(rng.random(80), rng.integers(0, 2, 80))  # nothing can be known of these
    decision = found(validation, rule="threshold", metric="balanced_accuracy")
    told = judge(decision, TWO, validation)
    assert told["cross_fitted"]
    itself = (answered(decision, TWO, validation.scores) == validation.truth).mean()
    assert itself > 0.53
    assert told["metrics"].accuracy < itself


def losses_at(threshold: float, shares: Floats, truth: Floats) -> Floats:
    return np.where(shares >= threshold, (1 - truth) * FALSE_POSITIVE, truth * FALSE_NEGATIVE)


@pytest.mark.parametrize("distortion", [1.0, 0.7, 1.6], ids=["right", "timid", "overconfident"])
@pytest.mark.parametrize("n", [60, 250, 1000])
def test_costs_are_never_dearer_than_their_formula_beyond_noise(n: int, distortion: float) -> None:
    """By simulation, on rows never seen: right probabilities, and ones whose log-odds are too small or too large."""
    rng = np.random.default_rng(n)

    def drawn(rows: int) -> tuple[Floats, Floats]:
        odds = rng.normal(-1.5, 1.5, rows)
        return 1 / (1 + np.exp(-odds * distortion)), (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.float64)

    unseen, truth = drawn(100_000)
    losses = losses_at(1 / 11, unseen, truth)
    plain, half_an_interval = losses.mean(), 1.645 * losses.std() / np.sqrt(n)
    extra = []
    for _ in range(40):
        shares, labels = drawn(n)
        decision = found(held_out(shares, labels), rule="costs", costs=COSTS)
        assert decision.threshold is not None
        extra.append(losses_at(decision.threshold, unseen, truth).mean() - plain)
    assert np.mean(extra) <= 0.002 * plain
    assert max(extra) <= half_an_interval


def test_costs_take_the_validations_threshold_if_the_probabilities_are_far_off() -> None:
    rng = np.random.default_rng(5)
    odds = rng.normal(-1.5, 1.5, 3000)
    truth = rng.random(3000) < 1 / (1 + np.exp(-odds))
    shifted = 1 / (1 + np.exp(-(odds + 2.5)))  # as of a model whose classes were balanced by weights
    decision = found(held_out(shifted, truth), rule="costs", costs=COSTS)
    assert decision.threshold is not None
    assert decision.threshold > 0.2
    told = judge(decision, TWO, held_out(shifted, truth))
    assert told["cross_fitted"]
    formula = [point for point in told["curve"] if point.threshold <= 1 / 11][-1]
    assert told["metrics"].cost < formula.cost_low


def test_a_gain_is_saved_in_its_own_unit() -> None:
    rng = np.random.default_rng(2)
    shares = rng.beta(1, 4, 2000)
    validation = held_out(shares, rng.random(2000) < shares)
    decision = found(validation, rule="costs", costs={"yes": {"yes": -20.0}, "no": {"yes": 2.0}})
    told = judge(decision, TWO, validation)
    assert told["metrics"].cost < told["most_probable"].cost < 0
    assert "saving" not in told
    assert " a row less than answering by the most probable class (between " in told["words"]


def test_words_tell_a_saving_only_if_there_is_one() -> None:
    rng = np.random.default_rng(4)
    shares = rng.beta(1, 4, 2000)
    validation = held_out(shares, rng.random(2000) < shares)
    saved = judge(found(validation, rule="costs", costs=COSTS), TWO, validation)
    assert saved["words"].startswith(
        f"costs {saved['saving'] * 100:.0f} % less than answering by the most probable class"
    )
    assert saved["saving_low"] < saved["saving"] < saved["saving_high"]
    even = found(validation, rule="costs", costs={"yes": {"no": 1.0}, "no": {"yes": 1.0}})
    assert judge(even, TWO, validation)["words"] == "no saving shown against answering by the most probable class"
    dear = judge(found(validation, rule="threshold", threshold=0.01), TWO, validation)
    assert " more errors than answering by the most probable class (between " in dear["words"]
