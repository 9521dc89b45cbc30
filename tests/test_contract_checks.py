"""Checks of tables behind every door: the table as a training would read it, and what its owner should know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelyard import errors
from modelyard.schemas import CheckRequest, Evaluation, ModelWarning, TableCheck, TrainRequest
from modelyard.verbs import Verbs
from tests.test_contract import name, yard

__all__ = ["name", "yard"]

ROWS = 200
LABELS = ["yes" if (7 * i) % 10 < 3 else "no" for i in range(ROWS)]
TABLE: list[dict[str, Any]] = [
    {
        "customer": f"c{i:04}",
        "age": 18.5 + (11 * i) % 61,
        "job": ["clerk", "smith", None][i % 3],
        "note": "x" if i % 5 == 0 else None,
        "country": "de",
        "refunded": LABELS[i] == "yes",
        "seen": f"2024-01-{1 + i % 28:02}",
    }
    for i in range(ROWS)
]
WITHOUT = Evaluation(method="none")


def request(**fields: Any) -> CheckRequest:
    return CheckRequest(**{"X": TABLE, "y": LABELS, **fields})


def findings(warnings: list[ModelWarning]) -> list[tuple[str, str | None, int | None]]:
    return [(warning.code, warning.column, warning.count) for warning in warnings]


def test_a_table_is_described_and_its_findings_named(yard: Verbs) -> None:
    found = yard.check_table(request())
    assert (found.n_rows, found.n_features, found.target, found.task) == (200, 7, None, "classification")
    assert found.feature_names == list(TABLE[0])
    assert found.feature_types == {
        "customer": "categorical",
        "age": "numeric",
        "job": "categorical",
        "note": "categorical",
        "country": "categorical",
        "refunded": "categorical",
        "seen": "datetime",
    }
    assert [(one.label, one.count) for one in found.classes or ()] == [("no", 140), ("yes", 60)]
    assert found.columns["age"]["min"] == 18.5
    assert found.columns["note"]["missing"] == 160
    assert findings(found.warnings) == [
        ("identifier_like", "customer", 200),
        ("mostly_missing", "note", 160),
        ("constant", "country", 200),
        ("leak", "refunded", None),
    ]
    (identifier, missing, constant, leak) = (warning.message for warning in found.warnings)
    assert "'customer' looks like an identifier or free text (200 of 200 values differ)" in identifier
    assert "'note' is missing in 160 of 200 rows (80%)" in missing
    assert "'country' has the same value in all 200 rows" in constant
    assert "'refunded' alone tells the target almost without error (AUC 1.000)" in leak


def test_a_training_warns_of_what_a_check_finds(yard: Verbs, name: str) -> None:
    checked = yard.check_table(request())
    model = yard.train(
        TrainRequest(model_class_key="logistic_regression", X=TABLE, y=LABELS, name=name, evaluation=WITHOUT)
    )
    assert model.warnings == checked.warnings
    report = yard.get_report(model.model_id)
    assert checked.columns == report.columns
    assert checked.feature_types == model.feature_types


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_is_checked_as_its_rows_are(yard: Verbs, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table.{suffix}"
    frame = pl.DataFrame(TABLE).with_columns(bought=pl.Series(LABELS))
    frame.write_csv(path) if suffix == "csv" else frame.write_parquet(path)
    said = {"column_roles": {"customer": "id"}, "exclude": ["note"]}
    by_file = yard.check_table(CheckRequest(X=path, target="bought", **said))
    by_rows = yard.check_table(request(target="bought", **said))
    assert by_file == by_rows
    assert by_file.column_roles == {"customer": "id", "note": "ignore"}
    assert by_file.n_features == 5
    assert [code for code, _, _ in findings(by_file.warnings)] == ["constant", "leak"]


@pytest.mark.parametrize(
    ("y", "fields", "task"),
    [
        ([i % 3 for i in range(ROWS)], {}, "classification"),
        ([i % 3 for i in range(ROWS)], {"task": "regression"}, "regression"),
        ([(i * i) % 83 for i in range(ROWS)], {}, "regression"),
        ([(i * i) % 83 for i in range(ROWS)], {"model_class_key": "LogisticRegression"}, "classification"),
        ([i / 7 for i in range(ROWS)], {}, "regression"),
        ([i % 2 == 0 for i in range(ROWS)], {}, "classification"),
    ],
)
def test_the_task_is_the_one_asked_for_or_that_of_the_target(
    yard: Verbs, y: list[Any], fields: dict[str, Any], task: str
) -> None:
    found = yard.check_table(request(y=y, **fields))
    assert found.task == task
    assert (found.classes is None) == (task == "regression")
    if found.classes is not None:
        assert [one.label for one in found.classes] == sorted(set(y))
        assert sum(one.count for one in found.classes) == ROWS


@pytest.mark.parametrize(
    "fields",
    [
        {"y": None},
        {"y": None, "target": "bougt"},
        {"y": ["yes"] * ROWS},
        {"y": LABELS[:-1]},
        {"y": [*LABELS[:-1], None]},
        {"X": [{**row, "age": "old"} if i == 3 else row for i, row in enumerate(TABLE)]},
        {"feature_types": {"aeg": "numeric"}},
        {"column_roles": {"age": "purpose"}},
        {"column_roles": {"age": "id", "job": "id"}},
        {"model_class_key": "logistic_regresion"},
        {"model_class_key": "linear_regression"},
        {"model_class_key": "linear_regression", "task": "classification"},
    ],
    ids=str,
)
def test_what_is_wrong_is_refused_as_a_training_refuses_it(yard: Verbs, fields: dict[str, Any]) -> None:
    with pytest.raises(errors.ModelyardError) as checked:
        yard.check_table(request(**fields))
    said = {"model_class_key": "logistic_regression", "X": TABLE, "y": LABELS, "evaluation": WITHOUT, **fields}
    with pytest.raises(errors.ModelyardError) as trained:
        yard.train(TrainRequest(**said))
    assert (type(checked.value), checked.value.detail) == (type(trained.value), trained.value.detail)
    assert checked.value.errors == trained.value.errors


def test_nothing_is_kept_of_a_check(yard: Verbs) -> None:
    before = (yard.list_models().models, yard.list_jobs().jobs)
    assert isinstance(yard.check_table(request()), TableCheck)
    assert (yard.list_models().models, yard.list_jobs().jobs) == before
