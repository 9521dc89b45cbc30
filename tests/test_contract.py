"""What every door promises, held against each of them: the core itself, and its clients on real servers."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from uuid import uuid4

import joblib
import polars as pl
import pytest

from modelyard import errors
from modelyard.schemas import (
    Evaluation,
    JobQuery,
    ModelMetadata,
    ModelQuery,
    PredictRequest,
    RetrainRequest,
    TrainRequest,
    UpdateRequest,
    is_model_id,
)
from modelyard.verbs import Verbs
from tests import doors

DOORS: dict[str, Callable[[Path], AbstractContextManager[Verbs]]] = {
    "core": doors.core,
    "rest": doors.rest,
    "grpc": doors.grpc,
}

RECORDS: list[dict[str, Any]] = [
    {"age": 20 + i % 40, "income": 1000.5 * (i % 7), "job": ["clerk", "smith", None][i % 3], "member": i % 2 == 0}
    for i in range(60)
]
LABELS = ["yes" if row["age"] > 40 else "no" for row in RECORDS]
QUICK: dict[str, dict[str, Any]] = {
    "logistic_regression": {},
    "catboost_classifier": {"iterations": 20},
    "lightgbm_classifier": {"n_estimators": 20},
}
LIBRARY = {"logistic_regression": "scikit-learn", "catboost_classifier": "catboost", "lightgbm_classifier": "lightgbm"}


@pytest.fixture(scope="module", params=[*DOORS, "core-on-servers"])
def yard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verbs]:
    folder = tmp_path_factory.mktemp("yard") / "models_storage"
    if request.param == "core-on-servers":
        bucket = request.getfixturevalue("s3").new_bucket()
        url = request.getfixturevalue("postgres").new_yard()
        opening: AbstractContextManager[Verbs] = doors.core(folder, database_url=url, **bucket)
    else:
        opening = DOORS[request.param](folder)
    with opening as opened:
        yield opened


@pytest.fixture
def name() -> str:
    return f"model-{uuid4().hex[:8]}"


def order(name: str | None = None, **fields: Any) -> TrainRequest:
    """A training without a validation, which would take as long again, unless one is asked for."""
    defaults: dict[str, Any] = {"model_class_key": "logistic_regression", "X": RECORDS, "y": LABELS, "name": name}
    return TrainRequest(**{**defaults, "evaluation": Evaluation(method="none"), **fields})


@pytest.fixture
def model(yard: Verbs, name: str) -> ModelMetadata:
    """A model of the test's own."""
    return yard.train(order(name))


@pytest.fixture(scope="module")
def shared(yard: Verbs) -> ModelMetadata:
    """A model for tests that change nothing; one of the 60 rows in five is held out."""
    return yard.train(order("shared", evaluation=Evaluation()))


@pytest.mark.parametrize("key", list(QUICK))
def test_a_trained_model_has_its_whole_metadata(yard: Verbs, name: str, key: str) -> None:
    wanted = order(name, model_class_key=key, hyperparams=QUICK[key], tags=["a", "b"], evaluation=Evaluation())
    model = yard.train(wanted)
    assert is_model_id(model.model_id)
    assert (model.name, model.version, model.parent_id, model.status) == (name, 1, None, "active")
    assert model.model_class_key == key
    assert QUICK[key].items() <= model.hyperparams.items()
    assert model.feature_names == ["age", "income", "job", "member"]
    assert model.feature_types == {
        "age": "numeric",
        "income": "numeric",
        "job": "categorical",
        "member": "categorical",
    }
    assert (model.classes, model.n_rows, model.tags) == (["no", "yes"], 60, ["a", "b"])
    assert {"train_accuracy", "validation_accuracy", "validation_roc_auc"} <= model.metrics.keys()
    assert model.artifact.file == "model.pkl"
    assert model.artifact.bytes > 0
    assert model.training_seconds > 0
    assert {"python", LIBRARY[key]} <= model.environment.keys()
    assert model.message
    found = yard.get_model(model.model_id)
    assert found.model_copy(update={"message": ""}) == model.model_copy(update={"message": ""})


@pytest.mark.parametrize("key", list(QUICK))
def test_a_model_predicts_by_rows_records_columns_and_frames_alike(yard: Verbs, name: str, key: str) -> None:
    yard.train(order(name, model_class_key=key, hyperparams=QUICK[key]))
    head = RECORDS[:20]
    columns = {column: [row[column] for row in head] for column in head[0]}
    forms: list[Any] = [head, [list(row.values()) for row in head], columns, pl.DataFrame(head)]
    answers = [yard.predict(PredictRequest(model_id=name, X=X, probabilities=True)) for X in forms]
    assert set(answers[0].predictions) <= {"no", "yes"}
    assert answers[0].classes == ["no", "yes"]
    for answer in answers:
        assert answer.predictions == answers[0].predictions
        assert answer.probabilities is not None
        assert answers[0].probabilities is not None
        for row, first in zip(answer.probabilities, answers[0].probabilities, strict=True):
            assert row == pytest.approx(first, abs=1e-12)
            assert sum(row) == pytest.approx(1.0)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json", "jsonl", "arrow"])
def test_a_file_trains_and_predicts_like_its_rows(yard: Verbs, name: str, tmp_path: Path, suffix: str) -> None:
    by_rows = yard.train(order(name, evaluation=Evaluation()))
    path = tmp_path / f"table.{suffix}"
    frame = pl.DataFrame(RECORDS).with_columns(outcome=pl.Series(LABELS))
    writers: dict[str, Callable[[Path], object]] = {
        "csv": frame.write_csv,
        "parquet": frame.write_parquet,
        "json": frame.write_json,
        "jsonl": frame.write_ndjson,
        "arrow": frame.write_ipc,
    }
    writers[suffix](path)
    by_file = yard.train(TrainRequest(model_class_key="logistic_regression", X=path, target="outcome", name=name))
    assert (by_file.version, by_file.target) == (2, "outcome")
    assert by_file.feature_types == by_rows.feature_types
    assert by_file.metrics == by_rows.metrics
    first = yard.predict(PredictRequest(model_id=f"{name}:1", X=RECORDS))
    second = yard.predict(PredictRequest(model_id=f"{name}:2", X=path))
    assert first.predictions == second.predictions
    assert [warning.code for warning in second.warnings] == ["extra_columns", "training_table"]


@pytest.mark.parametrize(
    "labels", [["x", "y"], [0, 1], [True, False], [3, 7, -1]], ids=["text", "integers", "booleans", "multiclass"]
)
def test_labels_come_back_as_the_type_they_went_in(yard: Verbs, name: str, labels: list[Any]) -> None:
    y = [labels[row["age"] % len(labels)] for row in RECORDS]
    model = yard.train(order(name, y=y))
    assert model.classes == sorted(labels)
    found = yard.predict(PredictRequest(model_id=name, X=RECORDS))
    assert {type(label) for label in found.predictions} == {type(labels[0])}
    assert [type(label) for label in model.classes] == [type(labels[0])] * len(labels)


def test_versions_count_up_and_are_never_used_twice(yard: Verbs, name: str) -> None:
    first, second = yard.train(order(name)), yard.train(order(name))
    assert (first.version, second.version) == (1, 2)
    yard.delete(second.model_id, hard=True)
    assert yard.train(order(name)).version == 3


def test_a_model_without_a_name_gets_one(yard: Verbs) -> None:
    model = yard.train(order())
    assert model.name.startswith("logistic_regression-")
    assert yard.get_model(model.name).model_id == model.model_id


def test_retraining_keeps_what_is_not_changed(yard: Verbs, name: str) -> None:
    parent = yard.train(
        order(
            name,
            hyperparams={"C": 0.25},
            tags=["t"],
            feature_types={"age": "categorical"},
            evaluation=Evaluation(fraction=0.4),
        )
    )
    child = yard.retrain(RetrainRequest(model_id=name, X=RECORDS[:50], y=LABELS[:50], hyperparams={"max_iter": 500}))
    assert (child.parent_id, child.name, child.version) == (parent.model_id, name, 2)
    assert (child.hyperparams["C"], child.hyperparams["max_iter"]) == (0.25, 500)
    assert child.feature_types == parent.feature_types
    assert child.evaluation.fraction == 0.4
    assert (child.n_rows, child.tags) == (50, ["t"])


def test_a_retraining_asks_for_the_evaluation_its_parent_had_too_few_rows_for(yard: Verbs, name: str) -> None:
    rows = [RECORDS[0], RECORDS[-1]]
    parent = yard.train(order(name, X=rows, y=["no", "yes"], evaluation=Evaluation()))
    assert "validation_accuracy" not in parent.metrics
    assert [warning.code for warning in parent.warnings] == ["rare_classes", "evaluation_fallback"]
    child = yard.retrain(RetrainRequest(model_id=name, X=RECORDS, y=LABELS))
    assert "validation_accuracy" in child.metrics


def test_a_reference_is_an_id_a_name_or_a_version(yard: Verbs, name: str) -> None:
    first, second = yard.train(order(name)), yard.train(order(name))
    assert yard.get_model(name).model_id == second.model_id
    assert yard.get_model(f"{name}:1").model_id == first.model_id
    assert yard.get_model(first.model_id).version == 1
    yard.delete(second.model_id)
    assert yard.get_model(name).model_id == first.model_id
    assert yard.get_model(second.model_id).status == "deleted"


def test_a_soft_deleted_model_does_not_predict_until_restored(yard: Verbs, model: ModelMetadata) -> None:
    deleted = yard.delete(model.model_id)
    assert deleted is not None
    assert deleted.status == "deleted"
    with pytest.raises(errors.ModelNotFound, match="deleted"):
        yard.predict(PredictRequest(model_id=model.model_id, X=RECORDS[:1]))
    with pytest.raises(errors.ModelNotFound):
        yard.retrain(RetrainRequest(model_id=model.model_id, X=RECORDS, y=LABELS))
    assert yard.restore(model.model_id).status == "active"
    assert yard.predict(PredictRequest(model_id=model.model_id, X=RECORDS[:1])).predictions


def test_the_history_of_a_model_is_told_by_every_door(yard: Verbs, model: ModelMetadata) -> None:
    second = yard.retrain(RetrainRequest(model_id=model.model_id, X=RECORDS, y=LABELS))
    yard.delete(second.model_id)
    yard.restore(second.model_id)
    yard.delete(second.model_id, hard=True)
    for reference in (second.model_id, f"{model.name}:2"):
        history = yard.get_history(reference)
        assert (history.model_id, history.name, history.version) == (second.model_id, model.name, 2)
        assert history.parent_id == model.model_id
        assert [(event.verb, event.status) for event in history.events] == [
            ("retrain", "active"),
            ("delete", "deleted"),
            ("restore", "active"),
            ("delete", "gone"),
        ]
        assert [event.at for event in history.events] == sorted(event.at for event in history.events)
    first = yard.get_history(model.name)
    assert (first.version, first.parent_id, first.events[0].at) == (1, None, model.created_at)
    with pytest.raises(errors.ModelNotFound):
        yard.get_history("nothing-of-that-name")


def test_a_hard_deleted_model_is_gone_for_good(yard: Verbs, model: ModelMetadata) -> None:
    assert yard.delete(model.model_id, hard=True) is None
    with pytest.raises(errors.ModelNotFound):
        yard.get_model(model.model_id)
    with pytest.raises(errors.ModelNotFound):
        yard.delete(model.model_id, hard=True)
    with pytest.raises(errors.ModelGone):
        yard.restore(model.model_id)


def test_models_are_listed_newest_first_by_pages(yard: Verbs, name: str) -> None:
    ids = [yard.train(order(name, tags=[f"tag-{i % 2}"])).model_id for i in range(5)]
    seen: list[str] = []
    cursor = None
    while True:
        page = yard.list_models(ModelQuery(name=name, limit=2, cursor=cursor))
        seen += [model.model_id for model in page.models]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ids[::-1]
    yard.delete(ids[0])
    listed = {
        status: yard.list_models(ModelQuery(name=name, status=status)).models for status in ("active", "deleted", "all")
    }
    assert {status: len(models) for status, models in listed.items()} == {"active": 4, "deleted": 1, "all": 5}
    assert len(yard.list_models(ModelQuery(name=name, tag="tag-1")).models) == 2
    assert len(yard.list_models(ModelQuery(name=name, model_class_key="LogisticRegression")).models) == 4
    assert yard.list_models(ModelQuery(name=name, model_class_key="catboost_classifier")).models == []


def test_the_report_says_how_good_the_model_is(yard: Verbs, shared: ModelMetadata) -> None:
    report = yard.get_report(shared.model_id)
    assert report.metrics == shared.metrics
    assert report.confusion_matrix is not None
    assert report.confusion_matrix.labels == ["no", "yes"]
    assert sum(map(sum, report.confusion_matrix.matrix)) == report.rows["validation"] == 12
    assert report.columns.keys() == set(shared.feature_names)
    assert report.feature_importances is not None
    assert max(report.feature_importances, key=lambda column: (report.feature_importances or {})[column]) == "age"


def test_the_artifact_is_the_librarys_own_estimator(yard: Verbs, shared: ModelMetadata) -> None:
    content = yard.get_artifact(shared.model_id)
    assert len(content) == shared.artifact.bytes
    assert type(joblib.load(io.BytesIO(content))).__module__.startswith("sklearn.")


def test_model_classes_describe_their_hyperparams(yard: Verbs) -> None:
    described = {info.key: info for info in yard.list_model_classes()}
    assert {"logistic_regression", "catboost_classifier"} <= described.keys()
    assert described["catboost_classifier"].hyperparams["properties"]["depth"]["maximum"] == 16
    assert described["logistic_regression"].import_path == "sklearn.linear_model.LogisticRegression"


def test_an_idempotency_key_trains_once(yard: Verbs, name: str) -> None:
    key = uuid4().hex
    first = yard.train(order(name), idempotency_key=key)
    again = yard.train(order(name), idempotency_key=key)
    assert again.model_id == first.model_id
    assert len(yard.list_models(ModelQuery(name=name)).models) == 1
    with pytest.raises(errors.IdempotencyConflict):
        yard.train(order(name, hyperparams={"C": 2.0}), idempotency_key=key)


def test_a_job_tells_the_file_and_the_target_that_it_was_ordered_with(yard: Verbs, name: str, tmp_path: Path) -> None:
    table = tmp_path / "people of may.csv"
    pl.DataFrame(RECORDS).with_columns(y=pl.Series(LABELS)).write_csv(table)
    job = yard.submit_training(TrainRequest(model_class_key="logistic_regression", X=table, target="y", name=name))
    *_, ended = yard.watch_job(job.job_id)
    assert (ended.status, ended.target, ended.source) == ("succeeded", "y", "people of may.csv")


def test_a_training_can_be_ordered_and_followed_to_its_end(yard: Verbs, name: str) -> None:
    fields: dict[str, Any] = {"model_class_key": "catboost_classifier", "hyperparams": {"iterations": 200}}
    fields["evaluation"] = Evaluation()
    job = yard.submit_training(order(name, **fields))
    assert (job.status, job.model_class_key, job.name) == ("queued", "catboost_classifier", name)
    assert (job.kind, job.target, job.source) == ("train", None, "rows")
    seen = list(yard.watch_job(job.job_id))
    assert seen[-1].status == "succeeded"
    assert [state.ended for state in seen] == [False] * (len(seen) - 1) + [True]
    fractions = [state.progress.fraction for state in seen]
    assert fractions == sorted(fractions)
    assert (seen[-1].progress.fraction, seen[-1].progress.step) == (1.0, seen[-1].progress.total)
    assert seen[-1].progress.metric is not None
    assert (seen[-1].progress.phase, seen[-1].progress.held_out) == ("fit 2 of 2", False)
    assert seen[-1].created_at <= (seen[-1].started_at or seen[-1].created_at) <= (seen[-1].ended_at or job.created_at)
    assert yard.get_job(job.job_id) == seen[-1]
    model = yard.get_model(name)
    assert model.model_id == seen[-1].model_id
    retraining = yard.submit_retraining(RetrainRequest(model_id=name, X=RECORDS, y=LABELS))
    *_, ended = yard.watch_job(retraining.job_id)
    assert (ended.parent_id, yard.get_model(name).parent_id) == (model.model_id, model.model_id)
    listed = yard.list_jobs(JobQuery(limit=1))
    assert [found.job_id for found in listed.jobs] == [ended.job_id]
    assert listed.next_cursor is not None
    older = yard.list_jobs(JobQuery(limit=1, cursor=listed.next_cursor, status="succeeded"))
    assert [found.job_id for found in older.jobs] == [job.job_id]


LONG: dict[str, Any] = {
    "model_class_key": "catboost_classifier",
    "hyperparams": {"iterations": 1_000_000},
}


def test_a_cancelled_job_has_no_model(yard: Verbs, name: str) -> None:
    running = yard.submit_training(order(name, **LONG))
    assert any(state.status == "running" for state in yard.watch_job(running.job_id) if not state.ended)
    for job in (running, yard.submit_training(order(name, **LONG))):
        assert yard.cancel_job(job.job_id).status == "cancelled"
        *_, ended = yard.watch_job(job.job_id)
        assert (ended.status, ended.model_id) == ("cancelled", None)
        assert ended.error is not None
        assert isinstance(ended.error.exception(), errors.Cancelled)
        with pytest.raises(errors.FailedPrecondition, match="cancelled already"):
            yard.cancel_job(job.job_id)
    assert yard.list_models(ModelQuery(name=name, status="all")).models == []


def test_a_job_that_does_not_exist_is_not_found(yard: Verbs) -> None:
    for job_id in ("nobody", "0190163d-8694-739b-aea5-966c26f8ad90"):
        with pytest.raises(errors.JobNotFound):
            yard.get_job(job_id)
        with pytest.raises(errors.JobNotFound):
            yard.cancel_job(job_id)
        with pytest.raises(errors.JobNotFound):
            list(yard.watch_job(job_id))


def test_a_key_stands_for_one_job(yard: Verbs, name: str) -> None:
    key = uuid4().hex
    first = yard.submit_training(order(name), idempotency_key=key)
    assert yard.submit_training(order(name), idempotency_key=key).job_id == first.job_id
    model = yard.train(order(name), idempotency_key=key)
    assert yard.get_job(first.job_id).model_id == model.model_id
    with pytest.raises(errors.IdempotencyConflict):
        yard.submit_training(order(name, tags=["other"]), idempotency_key=key)


def test_a_retraining_sent_again_is_the_same_one_whatever_its_parents_name_means_by_now(
    yard: Verbs, model: ModelMetadata
) -> None:
    key = uuid4().hex
    again = RetrainRequest(model_id=model.name, X=RECORDS, y=LABELS, hyperparams={"C": 0.1})
    first = yard.retrain(again, idempotency_key=key)
    yard.delete(model.model_id)
    assert yard.retrain(again, idempotency_key=key).model_id == first.model_id
    with pytest.raises(errors.IdempotencyConflict):
        yard.retrain(again.model_copy(update={"hyperparams": {"C": 0.2}}), idempotency_key=key)


def test_a_retraining_on_other_columns_says_so_and_takes_no_target_for_a_feature(yard: Verbs, name: str) -> None:
    table = pl.DataFrame(RECORDS).with_columns(outcome=pl.Series(LABELS))
    parent = yard.train(TrainRequest(model_class_key="logistic_regression", X=table, target="outcome", name=name))
    child = yard.retrain(RetrainRequest(model_id=name, X=table.drop("job").with_columns(new=pl.lit(1.5))))
    assert [warning.code for warning in child.warnings] == ["columns_changed", "constant", "few_rows_held_out"]
    assert "'new'" in child.warnings[0].message
    assert "'job'" in child.warnings[0].message
    with pytest.raises(errors.InvalidTable, match="'outcome'"):
        yard.retrain(RetrainRequest(model_id=parent.model_id, X=table, y=LABELS))


def test_a_retraining_on_rows_of_another_width_is_told_how_many_columns_the_model_has(yard: Verbs, name: str) -> None:
    rows = [list(record.values()) for record in RECORDS]
    yard.train(TrainRequest(model_class_key="logistic_regression", X=rows, y=LABELS, name=name))
    with pytest.raises(errors.InvalidTable, match=r"^row 0 has 2 cells, the model has 4 columns"):
        yard.retrain(RetrainRequest(model_id=name, X=[row[:2] for row in rows], y=LABELS))


def test_missing_cells_and_new_categories_are_legal_and_told_of(yard: Verbs, shared: ModelMetadata) -> None:
    rows = [{"age": None, "income": None, "job": None, "member": None}, {**RECORDS[0], "job": "pilot"}]
    found = yard.predict(PredictRequest(model_id=shared.model_id, X=rows))
    assert len(found.predictions) == 2
    assert {(warning.code, warning.column, warning.count) for warning in found.warnings} >= {
        ("unknown_categories", "job", 1)
    }


def _without(column: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != column} for row in RECORDS]


WRONG_TRAININGS: dict[str, tuple[dict[str, Any], type[errors.ModelyardError], str]] = {
    "no rows": ({"X": [], "y": []}, errors.InvalidTable, "row"),
    "ragged rows": ({"X": [[1, 2], [1]], "y": [0, 1]}, errors.InvalidTable, "row 1"),
    "other length": ({"y": LABELS[:-1]}, errors.InvalidTable, "60.*59|59.*60"),
    "one class": ({"y": ["no"] * 60}, errors.InvalidTable, "two classes"),
    "missing label": ({"y": [None, *LABELS[1:]]}, errors.InvalidTable, "missing"),
    "mixed labels": ({"y": [1, *LABELS[1:]]}, errors.InvalidTable, "labels"),
    "fractions as labels": ({"y": [0.5] * 30 + [1.5] * 30}, errors.InvalidTable, "0.5"),
    "duplicate names": ({"X": [[1, 2]] * 60, "feature_names": ["a", "a"]}, errors.InvalidTable, "'a'"),
    "infinite": ({"X": [{**row, "age": float("inf")} for row in RECORDS]}, errors.InvalidTable, "age"),
    "text for a number": (
        {"X": [{**RECORDS[0], "age": "old"}, *RECORDS[1:]], "feature_types": {"age": "numeric"}},
        errors.InvalidTable,
        "column 'age', row 0",
    ),
    "text among numbers": ({"X": [{**RECORDS[0], "age": "old"}, *RECORDS[1:]]}, errors.InvalidTable, "'old'"),
    "all missing": ({"X": [{**row, "age": None} for row in RECORDS]}, errors.InvalidTable, "'age'"),
    "unknown hyperparam": ({"hyperparams": {"c": 1}}, errors.InvalidHyperparams, "'c'"),
    "out of range": ({"hyperparams": {"C": -1}}, errors.InvalidHyperparams, "'C' must be .*got -1"),
    "wrong type": ({"hyperparams": {"max_iter": "many"}}, errors.InvalidHyperparams, "'max_iter'"),
    "bad pair": ({"hyperparams": {"penalty": "l1", "solver": "lbfgs"}}, errors.InvalidHyperparams, "saga"),
    "unknown model class": (
        {"model_class_key": "logistic_regresion"},
        errors.ModelClassNotFound,
        "logistic_regression",
    ),
    "unknown feature": ({"feature_types": {"ages": "numeric"}}, errors.InvalidTable, "'ages'"),
    "no target": ({"y": None, "target": "outcome"}, errors.InvalidTable, "'outcome'"),
}


@pytest.mark.parametrize("case", list(WRONG_TRAININGS))
def test_a_wrong_training_is_refused_in_words_and_nothing_is_stored(yard: Verbs, name: str, case: str) -> None:
    fields, kind, words = WRONG_TRAININGS[case]
    with pytest.raises(kind, match=words) as caught:
        yard.train(order(name, **fields))
    assert type(caught.value) is kind
    assert yard.list_models(ModelQuery(name=name, status="all")).models == []


def test_every_wrong_cell_is_named(yard: Verbs, shared: ModelMetadata) -> None:
    rows = [{**row, "age": "old"} if i % 2 else row for i, row in enumerate(RECORDS[:10])]
    with pytest.raises(errors.InvalidTable) as caught:
        yard.predict(PredictRequest(model_id=shared.model_id, X=rows))
    assert [wrong.loc for wrong in caught.value.errors] == [("X", i, "age") for i in (1, 3, 5, 7, 9)]
    assert {wrong.value for wrong in caught.value.errors} == {"old"}


def test_a_missing_column_is_named(yard: Verbs, shared: ModelMetadata) -> None:
    for X in (_without("age"), pl.DataFrame(_without("age")), {"income": [1.0], "job": ["a"], "member": [True]}):
        with pytest.raises(errors.InvalidTable, match="'age'"):
            yard.predict(PredictRequest(model_id=shared.model_id, X=X))


def test_what_does_not_exist_is_not_found(yard: Verbs) -> None:
    for reference in ("nobody", "nobody:3", "0190163d-8694-739b-aea5-966c26f8ad90"):
        with pytest.raises(errors.ModelNotFound):
            yard.get_model(reference)
        with pytest.raises(errors.ModelNotFound):
            yard.predict(PredictRequest(model_id=reference, X=[[1]]))


def test_health_counts_the_models(yard: Verbs) -> None:
    before = yard.health().models
    assert before is not None
    yard.train(order())
    health = yard.health()
    assert (health.status, health.models) == ("ok", before + 1)
    assert re.fullmatch(r"ok(; PostgreSQL, as it was \d+\.\d{3} s ago)?", health.storage or "")


def test_tags_and_description_of_a_model_are_replaced(yard: Verbs, name: str) -> None:
    model = yard.train(order(name, tags=["march"], description="Of March.\nMerged by hand: ü, 'q'."))
    assert (model.tags, model.description) == (["march"], "Of March.\nMerged by hand: ü, 'q'.")
    tagged = yard.update_model(name, UpdateRequest(tags=["april", "risk"]))
    assert (tagged.tags, tagged.description) == (["april", "risk"], model.description)
    assert tagged.updated_at > model.updated_at
    assert tagged.message == f"updated '{name}' version 1"
    assert [found.model_id for found in yard.list_models(ModelQuery(name=name, tag="risk")).models] == [model.model_id]
    assert not yard.list_models(ModelQuery(name=name, tag="march")).models
    bare = yard.update_model(model.model_id, UpdateRequest(tags=[], description=""))
    assert (bare.tags, bare.description) == ([], "")
    for nothing_new in (UpdateRequest(), UpdateRequest(tags=[]), UpdateRequest(description="")):
        assert yard.update_model(name, nothing_new) == bare
    yard.delete(name)
    deleted = yard.update_model(model.model_id, UpdateRequest(description="x" * 2000))
    assert (deleted.status, len(deleted.description)) == ("deleted", 2000)
    said = {"message": ""}
    assert yard.get_model(model.model_id).model_copy(update=said) == deleted.model_copy(update=said)
    events = yard.get_history(model.model_id).events
    assert [(event.verb, event.status) for event in events] == [
        ("train", "active"),
        ("edit", "active"),
        ("edit", "active"),
        ("delete", "deleted"),
        ("edit", "deleted"),
    ]
    yard.delete(model.model_id, hard=True)
    for gone in (model.model_id, f"{name}:1", "no-such-model"):
        with pytest.raises(errors.ModelNotFound):
            yard.update_model(gone, UpdateRequest(tags=["late"]))


def test_a_retraining_has_a_description_of_its_own(yard: Verbs, name: str) -> None:
    yard.train(order(name, tags=["march"], description="The first."))
    assert yard.retrain(RetrainRequest(model_id=name, X=RECORDS, y=LABELS)).description == ""
    again = yard.retrain(RetrainRequest(model_id=name, X=RECORDS, y=LABELS, description="The third."))
    assert (again.tags, again.description) == (["march"], "The third.")
