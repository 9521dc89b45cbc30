"""What is found in training tables that their owners should know, and that nothing is found in sound ones."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn import datasets

from modelyard.ml_core.tasks import TASKS
from modelyard.settings import DEFAULT_MISSING_MARKERS
from modelyard.tables import ReadingOptions, TrainingTable, read_training
from modelyard.tables.checks import check_table

N = 1000
RNG = np.random.default_rng(7)
NOISE = RNG.normal(size=N)
OTHER = RNG.normal(size=N)
BALANCED = ["yes" if one else "no" for one in RNG.random(N) < 0.4]


def read(X: Any, y: Any = None, *, task: str = "classification", target: str | None = None) -> TrainingTable:
    options = ReadingOptions(("", *DEFAULT_MISSING_MARKERS))
    reader = TASKS[task].read_target(lambda _: ())
    return read_training(
        X, y, target=target, feature_types=None, feature_names=None, options=options, read_target=reader
    )


def found(X: Any, y: Any = None, **options: Any) -> list[tuple[str, str | None, int | None]]:
    return [(warning.code, warning.column, warning.count) for warning in check_table(read(X, y, **options))]


# Identifiers.


def test_a_column_that_nearly_all_differs_is_an_identifier() -> None:
    X = {"who": [f"p{n}" for n in range(30)], "kind": ["x", "y", "z"] * 10}
    assert found(X, ["no", "yes"] * 15) == [("identifier_like", "who", 30)]


def test_a_column_that_numbers_the_rows_is_an_identifier() -> None:
    X = {"id": list(range(1, 31)), "even": list(range(0, 60, 2)), "real": [n + 0.5 for n in range(30)]}
    assert found(X, ["no", "yes"] * 15) == [("identifier_like", "id", 30)]


def test_of_few_rows_no_column_is_called_an_identifier() -> None:
    assert found({"who": [f"p{n}" for n in range(20)]}, ["no", "yes"] * 10) == []


@pytest.mark.parametrize("turned", [1, -1])
def test_whole_numbers_that_rise_with_sorted_labels_are_an_index(turned: int) -> None:
    gaps = [row * 3 + row % 2 for row in range(40)][::turned]
    sorted_labels, mixed = ["a"] * 20 + ["b"] * 20, ["a", "b"] * 20
    assert found({"i": gaps}, sorted_labels) == [("identifier_like", "i", 40)]
    assert found({"i": gaps}, mixed) == []
    assert ("identifier_like", "i", 40) not in found({"i": [row % 7 for row in range(40)]}, sorted_labels)


# Columns.


@pytest.mark.parametrize("value", [1.5, "x", True, "2024-01-05"])
def test_a_column_of_one_value_is_constant(value: Any) -> None:
    assert found({"a": NOISE[:50].tolist(), "same": [value] * 50}, BALANCED[:50]) == [("constant", "same", 50)]
    assert found({"a": NOISE[:50].tolist(), "same": [value] * 49 + [None]}, BALANCED[:50]) == []


@pytest.mark.parametrize("value", [1.5, "x", "2024-01-05"])
def test_a_column_of_which_more_than_half_is_missing_is_named_with_its_share(value: Any) -> None:
    gaps = {"a": NOISE[:50].tolist(), "gaps": [value, None] * 24 + [None, None]}
    (warning,) = check_table(read(gaps, BALANCED[:50]))
    assert (warning.code, warning.column, warning.count) == ("mostly_missing", "gaps", 26)
    assert "missing in 26 of 50 rows (52%)" in warning.message
    assert found({**gaps, "gaps": [value, None] * 25}, BALANCED[:50]) == []


# Rows.


def test_rows_equal_to_an_earlier_one_are_counted() -> None:
    X = pl.DataFrame({"a": NOISE, "b": OTHER})
    table, labels = pl.concat([X, X[:10], X[:10]]), [*BALANCED, *BALANCED[:10], *BALANCED[:10]]
    assert found(table, labels) == [("duplicate_rows", None, 20)]
    assert found(pl.concat([X, X[:9]]), [*BALANCED, *BALANCED[:9]]) == []  # under 1 %
    assert found(pl.concat([X, X]), [*BALANCED, *BALANCED]) == [("duplicate_rows", None, 1000)]


def test_rows_that_contradict_each_other_are_counted() -> None:
    X = pl.DataFrame({"a": NOISE, "b": OTHER})
    turned = ["no" if label == "yes" else "yes" for label in BALANCED[:10]]
    assert found(pl.concat([X, X[:10]]), [*BALANCED, *turned]) == [("contradicting_rows", None, 20)]
    numbers = pl.concat([X, X[:100]])
    assert found(numbers, RNG.normal(size=N + 100).tolist(), task="regression") == []


def test_equal_rows_of_a_coarse_table_are_usual() -> None:
    assert found({"a": RNG.integers(0, 5, N), "b": RNG.integers(0, 5, N)}, BALANCED) == []
    assert found({"age": RNG.integers(18, 80, 200)}, BALANCED[:200]) == []
    towns = RNG.integers(0, 20, N)
    assert found({"town": towns, "county": towns // 3, "land": towns // 9, "code": towns * 7}, BALANCED) == []


# Targets.


def test_classes_with_few_rows_are_named() -> None:
    (warning,) = check_table(read({"a": NOISE}, ["rare"] * 9 + ["often"] * (N - 9)))
    assert (warning.code, warning.count) == ("rare_classes", 1)
    assert "a class has few of the 1,000 rows ('rare' 9)" in warning.message
    assert found({"a": NOISE}, ["b"] * 10 + ["a"] * (N - 10)) == []
    twice = {"a": RNG.normal(size=2 * N)}
    assert found(twice, ["b"] * 19 + ["a"] * (2 * N - 19)) == [("rare_classes", None, 1)]  # under 1 %
    assert found(twice, ["b"] * 20 + ["a"] * (2 * N - 20)) == []


def test_labels_of_which_most_occur_once_are_like_an_identifier() -> None:
    labels = [f"name {row}" for row in range(40)] + ["other"] * (N - 40)
    assert found({"a": NOISE}, labels) == [("target_like_identifier", None, 41)]


# Leaks.


def flags(share: float) -> list[str]:
    """Return the labels in other words, with this share of the yeses missed."""
    wrong = RNG.random(N) < share
    return [
        ("paid" if label == "yes" else "open") if not w else "open" for label, w in zip(BALANCED, wrong, strict=True)
    ]


def test_a_column_that_tells_the_label_is_a_leak() -> None:
    is_yes = np.array([label == "yes" for label in BALANCED])
    columns: dict[str, Any] = {
        "text": flags(0.0),
        "number": np.where(is_yes, NOISE + 9, NOISE).tolist(),
        "ring": np.where(is_yes, NOISE % 1, 5 * np.sign(OTHER) + OTHER / 9).tolist(),
        "day": [f"2024-{7 if one else 1:02}-{1 + row % 28:02}" for row, one in enumerate(is_yes)],
        "filled": [1.5 * row if one else None for row, one in enumerate(is_yes)],
    }
    for name, cells in columns.items():
        expected = [("mostly_missing", name, N - int(is_yes.sum()))] if name == "filled" else []
        assert found({"a": NOISE, name: cells}, BALANCED) == [*expected, ("leak", name, None)], name


def test_a_good_column_is_no_leak() -> None:
    is_yes = np.array([label == "yes" for label in BALANCED])
    assert found({"a": NOISE + 2.5 * is_yes, "b": flags(0.1)}, BALANCED) == []  # an AUC of 0.96


def test_a_column_that_tells_one_of_many_classes_is_a_leak() -> None:
    kinds = RNG.integers(0, 5, N)
    labels = [f"kind {kind}" for kind in kinds]
    assert found({"a": NOISE, "code": kinds}, labels) == [("leak", "code", None)]
    assert found({"a": NOISE, "code": np.minimum(kinds, 3)}, labels) == []
    often = np.where(RNG.random(N) < 0.992, 0, kinds)
    assert ("leak", "two") not in {one[:2] for one in found({"a": NOISE, "two": kinds % 2}, often.tolist())}


def test_a_column_that_tells_a_number_is_a_leak() -> None:
    y = np.exp(3 * NOISE)
    assert found({"a": OTHER, "log": NOISE}, y.tolist(), task="regression") == [("leak", "log", None)]
    assert found({"a": OTHER, "near": NOISE + 0.3 * OTHER}, y.tolist(), task="regression") == []


def test_in_few_rows_nothing_is_called_a_leak() -> None:
    X, y = {"a": NOISE[:99], "b": flags(0.0)[:99]}, BALANCED[:99]
    assert found(X, y) == []


def test_chance_makes_no_leak_of_hundreds_of_columns() -> None:
    columns = {f"c{number}": RNG.integers(0, 40, 120).astype(str) for number in range(300)}
    assert found(columns, ["yes"] * 12 + ["no"] * 108) == []


# Tables that people know.


def of_sklearn(name: str) -> tuple[pl.DataFrame, list[Any]]:
    data = getattr(datasets, f"load_{name}")()
    return pl.DataFrame(data.data, schema=[str(column) for column in data.feature_names]), data.target.tolist()


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("iris", "classification"),
        ("wine", "classification"),
        ("breast_cancer", "classification"),
        ("diabetes", "regression"),
    ],
)
def test_sound_tables_are_left_alone(name: str, task: str) -> None:
    assert found(*of_sklearn(name), task=task) == []


def test_digits_have_pixels_that_are_never_dark() -> None:
    never_dark = [("constant", f"pixel_{pixel}", 1797) for pixel in ("0_0", "4_0", "4_7")]
    assert found(*of_sklearn("digits")) == never_dark


def test_penguins_are_a_sound_table() -> None:
    path = Path(str(files("palmerpenguins") / "data" / "penguins.csv"))
    assert found(path, target="species") == []


@pytest.mark.parametrize(
    ("name", "target", "findings"),
    [
        ("penguins", "species", []),
        ("titanic", "survived", [("identifier_like", "name", 891), ("mostly_missing", "cabin", 687)]),
        ("adult", "income", []),
    ],
)
def test_known_tables_have_the_findings_that_people_know(
    data_dir: Path, name: str, target: str, findings: list[tuple[str, str | None, int | None]]
) -> None:
    assert found(data_dir / f"{name}.csv", target=target) == findings
