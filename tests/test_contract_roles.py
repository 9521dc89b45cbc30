"""Column roles behind every door: what is fitted, what is held out, what counts how much, and ids in every answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelyard import errors
from modelyard.schemas import Evaluation, PredictRequest, RetrainRequest, TrainRequest
from modelyard.verbs import Verbs
from tests.test_contract import name, yard

__all__ = ["name", "yard"]

RECORDS: list[dict[str, Any]] = [
    {
        "customerID": f"{row:05d}",
        "age": 20 + row * 7 % 40,
        "job": ["clerk", "smith", None][row % 3],
        "visited": f"2024-{1 + row // 8:02d}-{1 + row % 8:02d}",
        "clinic": f"clinic {row % 9}",
        "w": 0.5 + row % 4,
        "note": f"text {row}",
    }
    for row in range(80)
]
LABELS = ["yes" if row["age"] > 38 else "no" for row in RECORDS]
ROLES = {"customerID": "id", "visited": "time", "clinic": "group", "w": "weight", "note": "ignore"}
FEATURES = ["age", "job"]
NO_VALIDATION = Evaluation(method="none")


def order(name: str, **fields: Any) -> TrainRequest:
    defaults: dict[str, Any] = {"model_class_key": "logistic_regression", "X": RECORDS, "y": LABELS, "name": name}
    return TrainRequest(**{**defaults, "column_roles": ROLES, **fields})


def only(*columns: str) -> list[dict[str, Any]]:
    return [{name: row[name] for name in columns} for row in RECORDS]


@pytest.mark.parametrize("key", ["logistic_regression", "catboost_classifier"])
def test_only_features_are_fitted_and_the_roles_are_kept(yard: Verbs, name: str, key: str) -> None:
    hyperparams = {"iterations": 10} if key == "catboost_classifier" else {}
    model = yard.train(order(name, model_class_key=key, hyperparams=hyperparams))
    assert (model.feature_names, model.column_roles) == (FEATURES, ROLES)
    assert yard.get_model(name).column_roles == ROLES
    report = yard.get_report(name)
    assert list(report.columns) == FEATURES
    assert report.confusion_matrix is not None
    total = sum(map(sum, report.confusion_matrix.matrix))
    assert total != report.rows["validation"]
    assert total == sum(row["support"] for row in report.per_class or [])
    plain = yard.predict(PredictRequest(model_id=name, X=only(*FEATURES)[:70]))
    assert (plain.ids, plain.id_column, plain.warnings) == (None, None, [])
    whole = yard.predict(PredictRequest(model_id=name, X=RECORDS[:70]))
    assert (whole.predictions, whole.warnings) == (plain.predictions, [])
    assert (whole.ids, whole.id_column) == ([row["customerID"] for row in RECORDS[:70]], "customerID")


@pytest.fixture
def with_ids(yard: Verbs, name: str) -> str:
    roles = {"customerID": "id", **dict.fromkeys(("visited", "clinic", "w", "note"), "ignore")}
    yard.train(order(name, column_roles=roles, evaluation=NO_VALIDATION))
    return name


@pytest.mark.parametrize("rows", [1, 5, 70])
def test_ids_come_back_as_they_came_by_every_form(yard: Verbs, with_ids: str, tmp_path: Path, rows: int) -> None:
    records = [{**row, "extra": 1} for row in only("customerID", *FEATURES)[:rows]]
    columns = {column: [row[column] for row in records] for column in records[0]}
    frame = pl.DataFrame(records, schema_overrides={"job": pl.String})
    forms: dict[str, Any] = {"records": records, "columns": columns, "frame": frame}
    for suffix in ("csv", "parquet", "json", "jsonl", "arrow"):
        forms[suffix] = tmp_path / f"t.{suffix}"
    frame.write_csv(forms["csv"])
    frame.write_parquet(forms["parquet"])
    frame.write_json(forms["json"])
    frame.write_ndjson(forms["jsonl"])
    frame.write_ipc(forms["arrow"])
    for form, X in forms.items():
        answer = yard.predict(PredictRequest(model_id=with_ids, X=X))
        assert (form, answer.ids, answer.id_column) == (form, [row["customerID"] for row in records], "customerID")
        assert [(warning.code, warning.count) for warning in answer.warnings] == [("extra_columns", 1)]
    by_position = [[row[name] for name in FEATURES] for row in records]
    assert yard.predict(PredictRequest(model_id=with_ids, X=by_position)).ids is None
    by_name = [[row["job"], row["customerID"], row["age"]] for row in records]
    names = ["job", "customerID", "age"]
    answer = yard.predict(PredictRequest(model_id=with_ids, X=by_name, feature_names=names))
    assert answer.ids == [row["customerID"] for row in records]


@pytest.mark.parametrize("rows", [6, 90])
def test_an_id_may_be_of_any_plain_type_or_missing(yard: Verbs, with_ids: str, rows: int) -> None:
    ids = [7, "00123", None, True, 2.5, ""] * (rows // 6)
    X = [{"customerID": cell, "age": 30, "job": "smith"} for cell in ids]
    found = yard.predict(PredictRequest(model_id=with_ids, X=X)).ids
    assert found == ids
    assert list(map(type, found or [])) == list(map(type, ids))
    del X[1]["customerID"]
    assert yard.predict(PredictRequest(model_id=with_ids, X=X)).ids == [ids[0], None, *ids[2:]]


def test_a_retraining_inherits_the_roles_and_changes_what_it_names(yard: Verbs, name: str) -> None:
    yard.train(order(name, evaluation=NO_VALIDATION))
    again = yard.retrain(RetrainRequest(model_id=name, X=RECORDS, y=LABELS))
    assert (again.column_roles, again.feature_names, again.version) == (ROLES, FEATURES, 2)
    told = {"note": "feature", "clinic": "ignore"}
    changed = yard.retrain(RetrainRequest(model_id=name, X=RECORDS, y=LABELS, column_roles=told))
    assert changed.column_roles == {"customerID": "id", "visited": "time", "w": "weight", "clinic": "ignore"}
    assert changed.feature_names == [*FEATURES, "note"]
    typed = yard.retrain(RetrainRequest(model_id=name, X=RECORDS, y=LABELS, feature_types={"w": "numeric"}))
    assert "w" in typed.feature_names
    assert "w" not in typed.column_roles


def test_what_a_retraining_lacks_is_refused_unless_no_fit_needs_it(yard: Verbs, name: str) -> None:
    yard.train(order(name, evaluation=NO_VALIDATION))
    without_id = only("age", "job", "visited", "clinic", "w")
    assert yard.retrain(RetrainRequest(model_id=name, X=without_id, y=LABELS)).column_roles == ROLES
    without_weight = only("age", "job", "visited", "clinic")
    request = RetrainRequest(model_id=name, X=without_weight, y=LABELS)
    with pytest.raises(errors.InvalidTable, match="column 'w' has the role 'weight' in the parent model and is not in"):
        yard.retrain(request)
    undone = yard.retrain(request.model_copy(update={"column_roles": {"w": "ignore"}}))
    assert undone.column_roles["w"] == "ignore"
    both = [{"account": row["customerID"], **row} for row in only("customerID", "age", "job", "visited", "clinic")]
    request = RetrainRequest(model_id=name, X=both, y=LABELS, column_roles={"account": "id"})
    with pytest.raises(errors.InvalidTable, match="at most one column can be 'id', got 'account' and 'customerID'"):
        yard.retrain(request)
    moved = [{name: cell for name, cell in row.items() if name != "customerID"} for row in both]
    model = yard.retrain(request.model_copy(update={"X": moved}))
    assert [name for name, role in model.column_roles.items() if role == "id"] == ["account"]


def test_the_latest_rows_are_held_out_and_their_dates_are_told(yard: Verbs, name: str) -> None:
    roles = {**ROLES, "clinic": "ignore"}
    model = yard.train(order(name, column_roles=roles, evaluation=Evaluation(method="time", fraction=0.25)))
    assert (model.evaluation.method, model.evaluation.fraction) == ("time", 0.25)
    assert yard.get_report(name).rows == {"total": 80, "train": 60, "validation": 20}
    (told,) = [warning.message for warning in model.warnings if warning.code == "held_out_by_time"]
    assert "60 rows from 2024-01-01 to 2024-08-04" in told
    assert "20 rows from 2024-08-05 to 2024-10-08" in told
    assert yard.retrain(RetrainRequest(model_id=name, X=RECORDS, y=LABELS)).evaluation == model.evaluation


@pytest.mark.parametrize(
    ("fields", "error", "loc", "words"),
    [
        (
            {"column_roles": {"age": "key"}},
            errors.InvalidTable,
            ("column_roles", "age"),
            "column_roles: column 'age' must be 'feature', 'ignore', 'id', 'time', 'group' or 'weight', got 'key'",
        ),
        (
            {"column_roles": {"clinics": "group"}},
            errors.InvalidTable,
            ("column_roles", "clinics"),
            "column_roles: column 'clinics' is not in X (did you mean 'clinic'?); it has 'customerID', 'age'",
        ),
        (
            {"column_roles": {"note": "id", "customerID": "id"}},
            errors.InvalidTable,
            ("column_roles", "note"),
            "column_roles: at most one column can be 'id', got 'customerID' and 'note'",
        ),
        (
            {"exclude": ["clinic"]},
            errors.InvalidTable,
            ("column_roles", "clinic"),
            "column_roles: column 'clinic' is in exclude, too, so its role can only be 'ignore', got 'group'",
        ),
        (
            {"feature_types": {"w": "numeric"}},
            errors.InvalidTable,
            ("column_roles", "w"),
            "column_roles: column 'w' has a type in feature_types, so it cannot have the role 'weight'",
        ),
        (
            {"y": None, "target": "note"},
            errors.InvalidTable,
            ("column_roles", "note"),
            "column_roles: column 'note' is the target, so it cannot have the role 'ignore'",
        ),
        (
            {"X": only("age", "w"), "column_roles": {"age": "id", "w": "ignore"}},
            errors.InvalidTable,
            None,
            "X has no columns besides those with a role ('age': id, 'w': ignore); at least one must be a feature",
        ),
        (
            {"column_roles": {"note": "time"}},
            errors.InvalidTable,
            ("X", 0, "note"),
            "column 'note', row 0: must be a date, with or without a time, as ISO 8601 writes it",
        ),
        (
            {"column_roles": {}, "evaluation": Evaluation(method="time")},
            errors.InvalidRequest,
            ("evaluation", "method"),
            "evaluation method 'time' needs a column with the role 'time'",
        ),
        (
            {"evaluation": Evaluation(method="time")},
            errors.InvalidTable,
            ("column_roles", "visited"),
            "evaluation 'time' cannot keep the groups of column 'clinic' apart, because each has rows among the latest",
        ),
    ],
)
def test_roles_that_cannot_be_are_refused_by_name(
    yard: Verbs, fields: dict[str, Any], error: type[errors.ModelyardError], loc: Any, words: str
) -> None:
    with pytest.raises(error, match=re.escape(words)) as caught:
        yard.train(order("refused", **fields))
    assert [one.loc for one in caught.value.errors][:1] == ([] if loc is None else [loc])


def test_an_identifier_without_a_role_stays_a_feature_and_is_told_of_the_role(yard: Verbs, name: str) -> None:
    model = yard.train(order(name, X=only("customerID", *FEATURES), column_roles=None))
    assert "customerID" in model.feature_names
    (told,) = [warning.message for warning in model.warnings if warning.code == "identifier_like"]
    assert told.endswith('column_roles {"customerID": "id"}')


def test_rows_without_names_keep_their_roles_in_a_retraining(yard: Verbs, name: str) -> None:
    X = [[row["customerID"], row["age"], row["job"]] for row in RECORDS]
    model = yard.train(order(name, X=X, column_roles={"f0": "id"}, evaluation=NO_VALIDATION))
    again = yard.retrain(RetrainRequest(model_id=name, X=X, y=LABELS))
    assert again.feature_names == model.feature_names == ["f1", "f2"]
    assert again.column_roles == model.column_roles == {"f0": "id"}
    assert again.fingerprint == model.fingerprint
    answer = yard.predict(PredictRequest(model_id=name, X=X[:3], feature_names=["f0", "f1", "f2"]))
    assert answer.ids == ["00000", "00001", "00002"]
    assert yard.predict(PredictRequest(model_id=name, X=[row[1:] for row in X[:3]])).predictions == answer.predictions


def test_the_columns_of_roles_are_part_of_the_fingerprint(yard: Verbs, name: str) -> None:
    prints = set()
    for cell in ("00000", "zero"):
        X = [{**RECORDS[0], "customerID": cell}, *RECORDS[1:]]
        prints.add(yard.train(order(name, X=X, evaluation=NO_VALIDATION)).fingerprint)
    prints.add(yard.train(order(name, column_roles={**ROLES, "w": "ignore"}, evaluation=NO_VALIDATION)).fingerprint)
    assert len(prints) == 3
