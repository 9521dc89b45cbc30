"""Where models are wrong: groups of rows with planted errors are found, chance is not, and answers obey decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from modelyard.errors import PayloadTooLarge
from modelyard.ml_core.evaluating import weaknesses as module
from modelyard.ml_core.evaluating.scores import Answered
from modelyard.ml_core.evaluating.weaknesses import weaknesses
from modelyard.ml_core.tasks.classification import Classification
from modelyard.ml_core.tasks.regression import Regression
from modelyard.schemas import Condition, ResolvedDecision, Weaknesses
from modelyard.tables.contract import MISSING_CATEGORY, Contract

N = 2000


def contract(*classes: str) -> Contract:
    return Contract({}, {}, classes, ())


def table(seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    numbers = rng.uniform(0, 100, N)
    numbers[:100] = np.nan
    jobs = rng.choice(["clerk", "cook", "smith", MISSING_CATEGORY], N)
    return pl.DataFrame({"age": numbers, "job": jobs, "noise": rng.normal(size=N)})


def of_errors(frame: pl.DataFrame, wrong: Any) -> Answered:
    """Return answers that are wrong in these rows, all of which are of the first class."""
    second = np.where(wrong, 0.9, 0.2)
    truth = np.zeros(N, dtype=np.int64)
    scores = np.column_stack([1 - second, second])
    return Answered(Classification(), contract("no", "yes"), truth, scores, frame, ())


def conditions(found: Weaknesses) -> list[list[tuple[str, str]]]:
    return [[(one.column, one.kind) for one in segment.where] for segment in found.segments]


def test_a_planted_segment_of_one_column_is_found_and_no_other() -> None:
    frame, rng = table(), np.random.default_rng(1)
    cook = (frame["job"] == "cook").to_numpy()
    found = weaknesses(of_errors(frame, rng.random(N) < np.where(cook, 0.4, 0.05)), None)
    first = found.segments[0]
    assert first.where[0] == Condition(column="job", kind="value", value="cook")
    assert first.n_rows == cook.sum()
    assert 0.5 < first.low < first.value < first.high < found.value
    assert all(("job", "value") in where for where in conditions(found))


def test_a_planted_segment_of_two_columns_is_found_as_such() -> None:
    frame, rng = table(), np.random.default_rng(2)
    old_cooks = ((frame["job"] == "cook") & (frame["age"] > 75)).to_numpy()
    found = weaknesses(of_errors(frame, rng.random(N) < np.where(old_cooks, 0.8, 0.03)), None)
    where = {one.column: one for one in found.segments[0].where}
    assert where.keys() == {"job", "age"}
    assert where["job"].value == "cook"
    assert (where["age"].low or 0) > 70


@pytest.mark.parametrize("seed", range(5))
def test_chance_is_no_segment(seed: int) -> None:
    found = weaknesses(of_errors(table(seed), np.random.default_rng(seed + 10).random(N) < 0.2), None)
    assert found.segments == []


def test_every_row_is_in_one_group_of_each_column() -> None:
    frame = table()
    found = weaknesses(of_errors(frame, np.arange(N) % 7 == 0), None)
    assert found.columns.keys() == {"age", "job", "noise"}
    assert all(sum(group.n_rows for group in groups) == N for groups in found.columns.values())
    kinds = [group.where[0].kind for group in found.columns["age"]]
    assert kinds == ["range"] * 8 + ["missing"]
    job = {group.where[0].value: group for group in found.columns["job"]}
    assert job.keys() == {"clerk", "cook", "smith", None}
    assert all(group.low <= group.value <= group.high for groups in found.columns.values() for group in groups)


def test_few_different_numbers_have_a_group_each_and_many_categories_one_for_the_rest() -> None:
    row = np.arange(N)
    frame = pl.DataFrame(
        {"n": (row % 3).astype(float), "c": [f"c{i % 15:02}" for i in row], "none": np.full(N, np.nan)}
    )
    found = weaknesses(of_errors(frame, row % 7 == 0), None)
    assert [(group.where[0].low, group.where[0].high) for group in found.columns["n"]] == [(0, 0), (1, 1), (2, 2)]
    assert len(found.columns["c"]) == 13
    assert found.columns["c"][-1].where[0].kind == "others"
    assert [group.where[0].kind for group in found.columns["none"]] == ["missing"]


def test_answers_obey_the_decision_and_a_label_that_is_not_known_is_wrong() -> None:
    frame = pl.DataFrame({"a": [1.0, 2.0, 3.0]})
    scores = np.array([[0.8, 0.2], [0.6, 0.4], [0.9, 0.1]])
    answers = Answered(
        Classification(), contract("no", "yes"), np.array([1, 1, 2]), scores, frame, (), np.array([3, 5, 9])
    )
    plain = weaknesses(answers, None)
    assert (plain.value, plain.answers.predicted) == (0, ["no", "no", "no"])
    decision = ResolvedDecision.model_validate({"rule": "threshold", "class": "yes", "threshold": 0.3})
    decided = weaknesses(answers, decision)
    assert decided.value == pytest.approx(1 / 3)
    assert decided.answers.predicted == ["no", "yes", "no"]
    assert (decided.answers.rows, decided.answers.actual) == ([3, 5, 9], ["yes", "yes", None])
    assert decided.answers.probabilities == scores.tolist()


def test_numbers_are_judged_by_how_far_they_are_off() -> None:
    frame, rng = table(), np.random.default_rng(3)
    cook = (frame["job"] == "cook").to_numpy()
    truth = rng.normal(size=N) * np.where(cook, 10, 1)
    found = weaknesses(Answered(Regression(), contract(), truth, np.zeros((N, 1)), frame, ()), None)
    assert found.measure == "mae"
    assert found.value == pytest.approx(np.abs(truth).mean())
    first = found.segments[0]
    assert first.where[0].value == "cook"
    assert found.value < first.low < first.value < first.high
    assert (found.answers.probabilities, found.answers.actual) == (None, truth.tolist())


def test_more_answers_than_an_answer_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NUMBERS", 9_999)
    with pytest.raises(PayloadTooLarge, match="got 10,000 for 2,000 rows"):
        weaknesses(of_errors(table(), np.zeros(N, dtype=bool)), None)
