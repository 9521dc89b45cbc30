"""The statistics of drift, held to reference values and to simulations of model-days with fixed seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from modelyard.monitoring.bins import Apart, Counts, NumericBins
from modelyard.monitoring.drift import Sample, judge, overall
from modelyard.monitoring.statistics import g_test, holm, merged, psi

COLUMNS = 20


def counts(*numbers: int) -> Counts:
    return np.array(numbers, dtype=np.int64)


TABLES = [
    (counts(50, 50), counts(30, 70)),
    (counts(100, 100, 100), counts(110, 95, 99)),
    (counts(1000, 10, 500, 7), counts(90, 20, 60, 0)),
    (counts(10**6, 10**6), counts(10**6, 10**6 + 10**4)),
    (counts(0, 40, 60), counts(25, 35, 40)),
]


@pytest.mark.parametrize(("a", "b"), TABLES)
def test_the_g_test_is_scipys(a: Counts, b: Counts) -> None:
    reference = stats.chi2_contingency(np.array([a, b]), correction=False, lambda_="log-likelihood")
    assert g_test(a, b) == pytest.approx(reference.pvalue, rel=1e-9)


def test_the_g_test_tends_to_that_against_known_shares_as_training_grows() -> None:
    seen, shares = counts(30, 50, 120), np.array([0.2, 0.3, 0.5])
    reference = stats.power_divergence(seen, shares * seen.sum(), lambda_="log-likelihood")
    assert g_test((shares * 10**9).astype(np.int64), seen) == pytest.approx(reference.pvalue, rel=1e-5)


def test_one_cell_tells_nothing() -> None:
    assert g_test(counts(100), counts(7)) == 1.0
    assert psi(counts(100), counts(7)) == 0.0


def test_psi_is_its_formula_less_what_chance_makes_of_it() -> None:
    p, q = (0.5, 0.3, 0.2), (0.4, 0.3, 0.3)
    formula = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    many = 10**8
    a, b = (counts(*(round(share * many) for share in shares)) for shares in (p, q))
    assert psi(a, b) == pytest.approx(formula, rel=1e-6)
    few = psi(counts(100, 60, 40), counts(80, 60, 60))
    assert few == pytest.approx(formula - 2 * (1 / 200 + 1 / 200), abs=0.002)


def test_psi_of_cells_that_were_empty_is_finite_and_of_nothing_is_none() -> None:
    assert 1 < psi(counts(1000, 0), counts(0, 1000)) < 100
    assert psi(counts(10, 10), counts(0, 0)) == 0.0


def test_what_chance_makes_of_psi_is_what_is_taken_off() -> None:
    draw = np.random.default_rng(0)
    made = []
    for _ in range(3000):
        p, q = draw.multinomial(1000, [0.1] * 10) / 1000, draw.multinomial(300, [0.1] * 10) / 300
        made.append(((q - p) * np.log(q / p)).sum())
    a, b = np.repeat(counts(100_000, 101_000), 5), np.repeat(counts(101_000, 100_000), 5)
    formula = 10 / 1005 * math.log(1.01)
    assert formula - psi(a, b) == pytest.approx(9 * 2 / 1_005_000, rel=0.1)
    assert np.mean(made) == pytest.approx(9 * (1 / 1000 + 1 / 300), rel=0.03)


def test_holm_adjusts_as_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("n", [50, 200, 5000])
def test_cells_that_expect_too_few_are_put_together(n: int) -> None:
    draw = np.random.default_rng(n)
    shares = 1 / np.arange(1, 200) ** 1.5
    a, b = draw.multinomial(2000, shares / shares.sum()), draw.multinomial(n, shares / shares.sum())
    left, right = merged(a, b)
    assert (left.sum(), right.sum()) == (2000, n)
    assert 1 < len(left) < 199
    expected = (left / 2000 + right / n) / 2 * min(2000, n)
    assert expected.min() >= 5


def test_few_rows_are_one_cell() -> None:
    left, right = merged(counts(3, 2, 1), counts(1, 1, 1))
    assert (left.tolist(), right.tolist()) == ([6], [3])
    left, right = merged(counts(5, 0, 5), counts(0, 0, 0))
    assert (left.sum(), right.sum()) == (10, 0)


def test_a_class_that_a_large_sample_lacks_is_missed() -> None:
    a, b = merged(counts(31, 29), counts(0, 100_000))
    assert g_test(a, b) < 1e-9
    assert psi(a, b) > 1


def deciles_of_a_sample(draw: np.random.Generator, n_training: int, n: int) -> tuple[Counts, Counts]:
    """Count two samples of one distribution by the deciles of the first, without drawing each number.

    The shares beyond and between order statistics of a sample are gamma variables over their sum.
    """
    ranks = np.round(np.linspace(0, n_training - 1, 11)).astype(int)
    gaps = draw.gamma(np.diff([-1, *ranks, n_training]).astype(float))
    below, *between, above = draw.multinomial(n, gaps / gaps.sum())
    training = np.diff(ranks)
    training[-1] += 1
    bins = NumericBins(tuple(map(float, range(11))), (False, False))
    a, b = counts(*training, 0, 0, 0), counts(*between, below, above, 0)
    return bins.compared(a), bins.compared(b)


def categories(draw: np.random.Generator, n_training: int, n: int, shares: np.ndarray) -> tuple[Counts, Counts]:
    """Count two samples by the most frequent categories of the first, as a training chooses and counts them."""
    chosen, between = (draw.multinomial(part, shares) for part in (n_training - n_training // 2, n_training // 2))
    seen = draw.multinomial(n, shares)
    often = np.argsort(-chosen, kind="stable")[:30]
    rest = [between.sum() - between[often].sum(), 0]
    return counts(*between[often], *rest), counts(*seen[often], seen.sum() - seen[often].sum(), 0)


KINDS = [
    np.array([0.5, 0.5]),
    np.array([0.97, 0.02, 0.006, 0.003, 0.001]),
    np.array([1 / k for k in range(1, 200)]) / sum(1 / k for k in range(1, 200)),
    np.full(5000, 1 / 5000),
]


def day(draw: np.random.Generator, n_training: int, n: int) -> list[Sample]:
    pairs = [deciles_of_a_sample(draw, n_training, n) for _ in range(COLUMNS - len(KINDS))]
    pairs += [categories(draw, n_training, n, shares) for shares in KINDS]
    return [Sample("", [], a, b, Apart()) for a, b in pairs]


@pytest.mark.parametrize("n", [200, 1000, 10_000, 100_000])
@pytest.mark.parametrize("n_training", [200, 1000, 30_000])
def test_hardly_a_day_without_drift_is_called_watch_or_drifted(n_training: int, n: int) -> None:
    draw = np.random.default_rng(1)
    days = 150
    off = sum(overall(judge(day(draw, n_training, n), n), n) != "ok" for _ in range(days))
    assert off <= 2  # of 12 times 150 model-days some 4 are off; one in a hundred is the bound


@pytest.mark.parametrize("n_training", [1000, 20_000])
def test_half_a_deviation_in_one_column_is_seen_within_a_thousand_rows(n_training: int) -> None:
    draw = np.random.default_rng(2)
    seen = 0
    for _ in range(100):
        training, shifted = draw.normal(size=n_training), draw.normal(0.5, size=1000)
        bins = NumericBins.of(training)
        moved = Sample("", [], bins.compared(bins.count(training)), bins.compared(bins.count(shifted)), Apart())
        found = judge([moved, *day(draw, n_training, 1000)[1:]], 1000)
        seen += found[0].status in ("watch", "drifted")
    assert seen >= 95
