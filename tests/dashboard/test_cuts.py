"""What thresholds do, by the points of a decision's curve, held against counting the rows themselves."""

from __future__ import annotations

import numpy as np
import pytest

from modelyard.dashboard.cuts import Money, best_f1, best_profit, cuts_of, found_in, nearest
from modelyard.ml_core.deciding import judge
from modelyard.ml_core.validation_predictions import ValidationPredictions
from modelyard.schemas import DecisionReport, ResolvedDecision

N = 400


@pytest.fixture(scope="module")
def validation() -> ValidationPredictions:
    rng = np.random.default_rng(0)
    shares = rng.random(N).round(2)
    truth = (rng.random(N) < shares**2).astype(np.int64)
    return ValidationPredictions(np.arange(N), truth, np.column_stack([1 - shares, shares]))


@pytest.fixture(scope="module")
def found(validation: ValidationPredictions) -> DecisionReport:
    decision = ResolvedDecision.model_validate({"rule": "threshold", "class": "yes", "threshold": 0.305})
    fields = judge(decision, ["no", "yes"], validation)
    return DecisionReport(model_id="m", name="n", version=1, decision=decision, **fields)


def test_each_cut_counts_what_the_rows_themselves_are(found: DecisionReport, validation: ValidationPredictions) -> None:
    truth, shares = validation.truth == 1, validation.scores[:, 1]
    for cut in cuts_of(found):
        called = shares + 1e-12 >= cut.threshold
        counts = [(called & truth).sum(), (called & ~truth).sum(), (~called & truth).sum(), (~called & ~truth).sum()]
        assert [cut.hit, cut.alarm, cut.miss, cut.rest] == pytest.approx(counts, abs=1e-6)
        assert cut.share == pytest.approx(called.mean())
        if called.any():
            assert cut.precision == pytest.approx(truth[called].mean())
            assert cut.lift == pytest.approx(truth[called].mean() / truth.mean())
        assert cut.recall == pytest.approx((called & truth).sum() / truth.sum())


def test_the_best_cut_is_the_best_of_all(found: DecisionReport) -> None:
    cuts = cuts_of(found)
    assert best_f1(cuts).f1 == max(cut.f1 for cut in cuts)
    money = Money(hit=20, alarm=-3, miss=-5, rest=0.5)
    by_hand = [(20 * cut.hit - 3 * cut.alarm - 5 * cut.miss + 0.5 * cut.rest) / N for cut in cuts]
    assert best_profit(cuts, money).profit(money) == pytest.approx(max(by_hand))
    assert best_profit(cuts, Money(0, 0, 0, 0)).threshold == 0.5
    dear = Money(hit=1, alarm=-100, miss=0, rest=0)
    assert best_profit(cuts, dear).threshold > best_profit(cuts, Money(hit=100, alarm=-1, miss=0, rest=0)).threshold


def test_the_decisions_own_threshold_is_found_among_the_cuts(found: DecisionReport) -> None:
    assert nearest(cuts_of(found), 0.305).threshold == 0.305


def test_a_share_of_the_rows_holds_what_exactly_these_rows_are(
    found: DecisionReport, validation: ValidationPredictions
) -> None:
    """Rows of equal probability are as many of the class as is usual among them, because which come first is chance."""
    cuts, shares, truth = cuts_of(found), validation.scores[:, 1], validation.truth == 1
    for chosen in (1, 7, 40, 100, 399, 400):
        last = np.sort(shares)[-chosen]
        above, level = shares > last, shares == last
        hits = truth[above].sum() + (chosen - above.sum()) * truth[level].mean()
        assert found_in(cuts, chosen / N) == pytest.approx(hits / truth.sum(), abs=0.5 / truth.sum())
    assert found_in(cuts, 1) == 1


def test_without_validation_predictions_there_are_no_cuts() -> None:
    decision = ResolvedDecision(rule="most_probable")
    assert cuts_of(DecisionReport(model_id="m", name="n", version=1, decision=decision)) == []


def test_nothing_found_is_no_error() -> None:
    validation = ValidationPredictions(np.arange(5), np.zeros(5, dtype=np.int64), np.tile([0.7, 0.3], (5, 1)))
    decision = ResolvedDecision(rule="most_probable")
    fields = judge(decision, ["no", "yes"], validation)
    cuts = cuts_of(DecisionReport(model_id="m", name="n", version=1, decision=decision, **fields))
    assert {cut.recall for cut in cuts} == {None}
    assert {cut.lift for cut in cuts} == {None}
    assert found_in(cuts, 0.1) is None
    assert {cut.f1 for cut in cuts} == {0.0}
    assert cuts[-1].precision is None
