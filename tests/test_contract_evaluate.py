"""Evaluations behind every door: models judged by a labelled table, compared pair by pair, and listed with each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelyard import errors
from modelyard.schemas import (
    EvaluatedModel,
    EvaluateRequest,
    Evaluation,
    EvaluationQuery,
    ModelMetadata,
    PredictRequest,
    TrainRequest,
    is_model_id,
)
from modelyard.verbs import Verbs
from tests.test_contract import RECORDS, name, order, yard

__all__ = ["name", "yard"]

JOBS = ["clerk", "smith", None, "cook"]
TABLE: list[dict[str, Any]] = [
    {"age": 18 + (7 * i) % 45, "income": 900.25 * (i % 11), "job": JOBS[i % 4], "member": i % 3 > 0} for i in range(200)
]
TRUTH = ["yes" if row["age"] > 40 else "no" for row in TABLE]
PRICES = [2.5 * row["age"] + 0.01 * row["income"] for row in TABLE]
METRICS = {
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "roc_auc",
    "average_precision",
    "log_loss",
    "brier",
}
WITHOUT = Evaluation(method="none")


@pytest.fixture(scope="module")
def models(yard: Verbs) -> dict[str, ModelMetadata]:
    """Three classifiers, the first two alike and the third without the age, and two regressions, one without it."""
    y = ["yes" if row["age"] > 40 else "no" for row in RECORDS]
    prices = [2.5 * row["age"] + 0.01 * row["income"] for row in RECORDS]
    numbers = TrainRequest(
        model_class_key="linear_regression", X=RECORDS, y=prices, name="price", target="cost", evaluation=WITHOUT
    )
    return {
        "good": yard.train(order("churn", y=y, target="churned", evaluation=WITHOUT)),
        "same": yard.train(order("churn", y=y, target="churned", evaluation=WITHOUT)),
        "weak": yard.train(order("blind", y=y, target="churned", evaluation=WITHOUT, exclude=["age"])),
        "price": yard.train(numbers),
        "flat": yard.train(numbers.model_copy(update={"name": "flat", "exclude": ["age"]})),
    }


def request(*references: str, **fields: Any) -> EvaluateRequest:
    return EvaluateRequest(**{"model_ids": list(references), "X": TABLE, "y": TRUTH, **fields})


def test_a_model_is_judged_by_a_labelled_table(yard: Verbs, models: dict[str, ModelMetadata]) -> None:
    found = yard.evaluate(request("churn:1", label="March"))
    assert is_model_id(found.evaluation_id)
    assert (found.task, found.label, found.n_rows, found.pairs) == ("classification", "March", 200, [])
    assert isinstance(found.at, datetime)
    assert found.at.tzinfo is not None
    (model,) = found.models
    assert (model.model_id, model.name, model.version) == (models["good"].model_id, "churn", 1)
    assert model.metrics.keys() == METRICS | {f"{metric}_{end}" for metric in METRICS for end in ("low", "high")}
    predicted = yard.predict(PredictRequest(model_id="churn:1", X=TABLE)).predictions
    right = sum(label == truth for label, truth in zip(predicted, TRUTH, strict=True))
    assert model.metrics["accuracy"] == pytest.approx(right / 200)
    for metric in METRICS:
        low, value, high = (model.metrics[f"{metric}{end}"] for end in ("_low", "", "_high"))
        assert low is not None
        assert value is not None
        assert high is not None
        assert low <= value <= high
    assert model.confusion_matrix is not None
    assert sum(map(sum, model.confusion_matrix.matrix)) == 200
    assert model.roc_curves is not None
    assert model.roc_curves.keys() == {"yes"}
    assert model.per_class is not None
    assert [row["label"] for row in model.per_class] == ["no", "yes"]
    assert (model.residuals, model.predicted_against_actual) == (None, None)
    assert [warning.code for warning in model.warnings] == ["unknown_categories"]


def test_pairs_of_models_are_compared_on_the_same_rows(yard: Verbs, models: dict[str, ModelMetadata]) -> None:
    found = yard.evaluate(request("churn:1", "churn:2", "blind"))
    good, same, weak = (models[key].model_id for key in ("good", "same", "weak"))
    assert [model.model_id for model in found.models] == [good, same, weak]
    pairs = {(pair.a, pair.b, pair.metric): pair for pair in found.pairs}
    assert pairs.keys() == {(a, b, m) for a, b in ((good, same), (good, weak), (same, weak)) for m in METRICS}
    alike = pairs[good, same, "roc_auc"]
    assert (alike.difference, alike.low, alike.high, alike.words) == (0, 0, 0, "no difference shown")
    for metric in ("roc_auc", "accuracy", "log_loss"):
        better = pairs[good, weak, metric]
        by_id = {model.model_id: model.metrics[metric] or 0 for model in found.models}
        assert better.difference == pytest.approx(by_id[good] - by_id[weak])
        assert better.words == "churn:1 is better"
        assert better.low <= better.difference <= better.high
        assert better.low * better.high > 0
        assert (better.difference < 0) == (metric == "log_loss")
    turned = yard.evaluate(request("blind", "churn:1"))
    assert {pair.words for pair in turned.pairs if pair.metric == "accuracy"} == {"churn:1 is better"}


def test_the_same_table_gives_the_same_evaluation(yard: Verbs, models: dict[str, ModelMetadata]) -> None:
    first, second = (yard.evaluate(request("churn:1", "blind")) for _ in range(2))
    assert (first.models, first.pairs) == (second.models, second.pairs)
    assert first.evaluation_id != second.evaluation_id


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json", "jsonl", "arrow", "xlsx"])
def test_a_file_judges_like_its_rows(
    yard: Verbs, models: dict[str, ModelMetadata], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"table.{suffix}"
    frame = pl.DataFrame(TABLE).with_columns(churned=pl.Series(TRUTH))
    writers: dict[str, Callable[[Path], object]] = {
        "csv": frame.write_csv,
        "parquet": frame.write_parquet,
        "json": frame.write_json,
        "jsonl": frame.write_ndjson,
        "arrow": frame.write_ipc,
        "xlsx": frame.write_excel,
    }
    writers[suffix](path)
    by_rows = yard.evaluate(request("churn:1", "blind"))
    for target in ("churned", None):  # left out, it is what the first model was trained to predict
        by_file = yard.evaluate(request("churn:1", "blind", X=path, y=None, target=target, label="a file"))
        assert by_file.models[0] == by_rows.models[0]
        assert by_file.pairs == by_rows.pairs


@pytest.mark.parametrize("form", ["rows", "columns", "frame", "records"])
def test_every_form_of_a_table_judges_alike(yard: Verbs, models: dict[str, ModelMetadata], form: str) -> None:
    columns = {column: [row[column] for row in TABLE] for column in TABLE[0]}
    forms: dict[str, Any] = {
        "rows": [list(row.values()) for row in TABLE],
        "columns": columns,
        "frame": pl.DataFrame(TABLE),
        "records": TABLE,
    }
    expected = yard.evaluate(request("churn:1")).models
    assert yard.evaluate(request("churn:1", X=forms[form])).models == expected
    with_labels: dict[str, Any] = {
        "rows": [[*row.values(), label] for row, label in zip(TABLE, TRUTH, strict=True)],
        "columns": {**columns, "churned": TRUTH},
        "frame": forms["frame"].with_columns(churned=pl.Series(TRUTH)),
        "records": [{**row, "churned": label} for row, label in zip(TABLE, TRUTH, strict=True)],
    }
    assert yard.evaluate(request("churn:1", X=with_labels[form], y=None, target="churned")).models == expected


def test_a_regression_is_judged_by_its_numbers(yard: Verbs, models: dict[str, ModelMetadata], tmp_path: Path) -> None:
    found = yard.evaluate(request("price", "flat", y=PRICES))
    metrics = {"rmse", "mae", "r2", "median_absolute_error", "mape"}
    for model in found.models:
        assert model.metrics.keys() == metrics | {f"{metric}_{end}" for metric in metrics for end in ("low", "high")}
        assert model.residuals is not None
        assert model.predicted_against_actual is not None
        assert model.predicted_against_actual.actual == PRICES
        assert (model.confusion_matrix, model.roc_curves, model.per_class) == (None, None, None)
    words = {pair.metric: pair.words for pair in found.pairs}
    assert words == dict.fromkeys(metrics, "price:1 is better")
    path = tmp_path / "prices.csv"
    written = pl.DataFrame(TABLE).with_columns(
        cost=pl.Series([f"{price:.4f}".replace(".", ",") for price in PRICES]),
        income=pl.col("income").map_elements(lambda value: f"{value}".replace(".", ","), pl.String),
    )
    written.write_csv(path, separator=";")
    by_file = yard.evaluate(request("price", X=path, y=None, target="cost", decimal=","))
    assert by_file.models[0].metrics["rmse"] == pytest.approx(found.models[0].metrics["rmse"], abs=1e-4)
    alone = yard.evaluate(request("price", X=TABLE[:1], y=PRICES[:1])).models[0].metrics
    assert alone["r2"] is None
    assert alone["rmse"] is not None


def test_labels_that_a_model_does_not_know_count_as_wrong(yard: Verbs, models: dict[str, ModelMetadata]) -> None:
    known = yard.evaluate(request("churn:1")).models[0]
    y = ["perhaps" if row % 10 == 0 else label for row, label in enumerate(TRUTH)]
    found = yard.evaluate(request("churn:1", y=y)).models[0]
    kept = [row for row in range(200) if row % 10]
    of_kept = yard.evaluate(request("churn:1", X=[TABLE[row] for row in kept], y=[TRUTH[row] for row in kept]))
    (warning,) = [one for one in found.warnings if one.code == "unknown_labels"]
    assert warning.count == 20
    assert "20 rows have labels that the model does not know (its classes are 'no', 'yes')" in warning.message
    assert found.metrics["accuracy"] == pytest.approx((of_kept.models[0].metrics["accuracy"] or 0) * 0.9)
    for metric in ("roc_auc", "average_precision", "log_loss", "brier"):
        assert found.metrics[metric] == of_kept.models[0].metrics[metric]
    for metric in ("balanced_accuracy", "precision", "recall", "f1"):
        assert (found.metrics[metric] or 0) < (known.metrics[metric] or 0)
        low, high = found.metrics[f"{metric}_low"], found.metrics[f"{metric}_high"]
        assert low is not None
        assert high is not None
        assert low <= (found.metrics[metric] or 0) <= high
    assert found.confusion_matrix is not None
    assert sum(map(sum, found.confusion_matrix.matrix)) == 180
    with pytest.raises(errors.InvalidTable, match="no row has a label that the model knows; its classes are 'no', 'ye"):
        yard.evaluate(request("churn:1", y=["perhaps"] * 200))


def test_a_table_of_one_class_is_judged_as_far_as_that_goes(yard: Verbs, models: dict[str, ModelMetadata]) -> None:
    rows = [row for row, label in enumerate(TRUTH) if label == "no"]
    found = yard.evaluate(request("churn:1", "blind", X=[TABLE[row] for row in rows], y=["no"] * len(rows)))
    assert found.models[0].metrics["roc_auc"] is None
    assert found.models[0].metrics["accuracy"] is not None
    assert "roc_auc" not in {pair.metric for pair in found.pairs}
    assert "accuracy" in {pair.metric for pair in found.pairs}


def test_few_rows_show_nothing(yard: Verbs, models: dict[str, ModelMetadata]) -> None:
    found = yard.evaluate(request("churn:1", "blind", X=TABLE[:12], y=TRUTH[:12]))
    assert {pair.words for pair in found.pairs} == {"too few rows to tell: 12, at least 30 are due"}


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"y": TRUTH[:-1]}, errors.InvalidTable, "y has 199 labels, X has 200 rows"),
        ({"y": None, "target": "nothing"}, errors.InvalidTable, "column 'nothing' is missing"),
        ({"y": [None, *TRUTH[1:]]}, errors.InvalidTable, "y, row 0: must not be missing"),
        ({"y": [1, *TRUTH[1:]]}, errors.InvalidTable, "y, row 0: must be text like the model's labels, got 1"),
        ({"X": [{"age": 1}], "y": ["no"]}, errors.InvalidTable, "column 'income' is missing"),
        ({"X": {name: [] for name in TABLE[0]}, "y": []}, errors.InvalidTable, "the table has no rows"),
        (
            {"model_ids": ["churn:1", "price"]},
            errors.InvalidRequest,
            "price:1 is a model of regression, churn:1 of cla",
        ),
        ({"model_ids": ["churn:2", "churn"]}, errors.InvalidRequest, "churn:2 is named twice"),
        ({"model_ids": ["churn:1", "gone"]}, errors.ModelNotFound, "gone"),
        ({"model_ids": ["churn:1", "churn:x"]}, errors.InvalidRequest, "churn:x"),
    ],
)
def test_what_cannot_be_judged_is_refused_and_not_kept(
    yard: Verbs, models: dict[str, ModelMetadata], fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    before = yard.list_evaluations("churn:1")
    with pytest.raises(error) as refused:
        yard.evaluate(request("churn:1", **fields))
    assert words in str(refused.value)
    assert yard.list_evaluations("churn:1") == before


def test_evaluations_are_listed_with_each_of_their_models(yard: Verbs, models: dict[str, ModelMetadata]) -> None:
    y = ["yes" if row["age"] > 40 else "no" for row in RECORDS]
    yard.train(order("listed", y=y, evaluation=WITHOUT))
    assert yard.list_evaluations("listed").evaluations == []
    made = [yard.evaluate(request("listed", *others, label=str(n))) for n, others in enumerate(([], ["blind"], []))]
    found = yard.list_evaluations("listed")
    assert [one.label for one in found.evaluations] == ["2", "1", "0"]
    assert found.next_cursor is None
    for kept, answered in zip(found.evaluations, reversed(made), strict=True):
        assert (kept.evaluation_id, kept.at, kept.n_rows) == (answered.evaluation_id, answered.at, answered.n_rows)
        assert (kept.task, kept.pairs) == (answered.task, answered.pairs)
        assert [model.metrics for model in kept.models] == [model.metrics for model in answered.models]
        assert not isinstance(kept.models[0], EvaluatedModel)
    assert yard.list_evaluations("blind").evaluations[0] == found.evaluations[1]
    first = yard.list_evaluations("listed", EvaluationQuery(limit=2))
    assert first.evaluations == found.evaluations[:2]
    rest = yard.list_evaluations("listed", EvaluationQuery(limit=2, cursor=first.next_cursor))
    assert (rest.evaluations, rest.next_cursor) == (found.evaluations[2:], None)


def test_evaluations_outlive_their_models(yard: Verbs, models: dict[str, ModelMetadata]) -> None:
    y = ["yes" if row["age"] > 40 else "no" for row in RECORDS]
    gone = yard.train(order("gone-one", y=y, evaluation=WITHOUT))
    made = yard.evaluate(request("gone-one", "blind"))
    yard.delete(gone.model_id)
    with pytest.raises(errors.ModelNotFound):
        yard.evaluate(request(gone.model_id))
    yard.delete(gone.model_id, hard=True)
    for reference in (gone.model_id, "gone-one:1", "blind"):
        assert yard.list_evaluations(reference).evaluations[0].evaluation_id == made.evaluation_id
    with pytest.raises(errors.ModelNotFound):
        yard.list_evaluations("never-there")
    with pytest.raises(errors.InvalidRequest, match="cursor"):
        yard.list_evaluations("blind", EvaluationQuery(cursor="nonsense"))


def test_a_model_is_judged_by_its_training_table_as_it_was_in_its_training(yard: Verbs) -> None:
    first, *_ = [
        yard.train(order(f"own{at}", X=TABLE, y=TRUTH, evaluation=evaluation))
        for at, evaluation in enumerate((Evaluation(), Evaluation(method="cv", folds=4), WITHOUT))
    ]
    found = yard.evaluate(request("own0"))
    assert found.n_rows == 40
    (judged,) = found.models
    assert [(warning.code, warning.count) for warning in judged.warnings] == [("training_table", 40)]
    told = {name: first.metrics[f"validation_{name}"] for name in METRICS}
    assert {name: judged.metrics[name] for name in METRICS} == pytest.approx(told)

    found = yard.evaluate(request("own0", "own1", "own2", label="together"))
    assert found.n_rows == 40
    counts = [(model.name, model.warnings[0].code, model.warnings[0].count) for model in found.models]
    assert counts == [("own0", "training_table", 40), ("own1", "training_table", 200), ("own2", "training_table", 200)]
    assert {name: found.models[0].metrics[name] for name in METRICS} == pytest.approx(told)
    assert yard.evaluate(request("own1")).n_rows == 200


def counts(model: EvaluatedModel) -> dict[str, int]:
    """Return what the warnings count, by their codes."""
    return {warning.code: warning.count or 0 for warning in model.warnings}


def test_rows_that_a_model_learned_from_are_counted(yard: Verbs, tmp_path: Path) -> None:
    yard.train(order("part", X=TABLE[:150], y=TRUTH[:150]))
    seen = {str((row, truth)) for row, truth in zip(TABLE[:150], TRUTH[:150], strict=True)}
    truths = [*TRUTH[100:190], *["yes" if truth == "no" else "no" for truth in TRUTH[:7]], "perhaps", "perhaps"]
    rows = [*TABLE[100:190], *TABLE[:9]]
    due = sum(str((row, truth)) in seen for row, truth in zip(rows, truths, strict=True))
    assert 50 <= due < 90
    path = tmp_path / "later.csv"
    pl.DataFrame(rows).with_columns(truth=pl.Series(truths)).write_csv(path)
    for asked in ({"X": rows, "y": truths}, {"X": path, "y": None, "target": "truth"}):
        (judged,) = yard.evaluate(request("part", **asked)).models
        assert counts(judged) == {"learned_rows": due, "unknown_labels": 2}
    fresh = [{**row, "age": row["age"] + 0.5} for row in rows]
    (judged,) = yard.evaluate(request("part", X=fresh, y=truths)).models
    assert [warning.code for warning in judged.warnings] == ["unknown_labels"]

    yard.train(order("whole", X=TABLE, y=TRUTH, evaluation=Evaluation()))
    found = yard.evaluate(request("part", "whole"))
    part, whole = map(counts, found.models)
    assert whole == {"training_table": 40}
    assert 0 < part["learned_rows"] <= found.n_rows == 40  # of the rows by which both are judged


def test_numbers_that_a_model_learned_from_are_counted(yard: Verbs) -> None:
    fields = {"model_class_key": "linear_regression", "name": "part-of-prices", "target": "cost"}
    yard.train(TrainRequest(**fields, X=TABLE[:150], y=PRICES[:150]))
    (judged,) = yard.evaluate(request("part-of-prices", X=TABLE[140:], y=[*PRICES[140:150], *[0.5] * 50])).models
    assert counts(judged) == {"learned_rows": 10}


def test_models_that_held_out_other_rows_of_the_table_cannot_be_compared_by_it(yard: Verbs) -> None:
    few = {"X": TABLE[:60], "y": TRUTH[:60]}
    for seed in range(3):
        yard.train(order("split", **few, evaluation=Evaluation(fraction=0.1, seed=seed)))
    asked = [f"split:{version}" for version in range(1, 4)]
    with pytest.raises(errors.FailedPrecondition, match="no row of it was held out by all of them"):
        yard.evaluate(request(*asked, **few))


def test_without_a_table_the_rows_held_out_of_all_judge(yard: Verbs) -> None:
    fields = {"X": TABLE, "y": TRUTH}
    evaluations = (Evaluation(), Evaluation(method="cv", folds=4), Evaluation(seed=1), WITHOUT)
    for evaluation in evaluations:
        yard.train(order("kept", **fields, evaluation=evaluation))
    by_table = yard.evaluate(request("kept:1", "kept:2"))
    held_out = EvaluateRequest(model_ids=["kept:1", "kept:2"])
    before = yard.list_evaluations("kept:1")
    found = yard.evaluate(held_out)
    assert (found.n_rows, found.pairs) == (40, by_table.pairs)
    assert [one.metrics for one in found.models] == [one.metrics for one in by_table.models]
    assert yard.list_evaluations("kept:1") == before
    both = yard.evaluate(EvaluateRequest(model_ids=["kept:1", "kept:3"])).n_rows
    first, second = (yard.evaluate(request(f"kept:{version}", weaknesses=True)).models[0] for version in (1, 3))
    assert first.weaknesses is not None
    assert second.weaknesses is not None
    assert both == len({*first.weaknesses.answers.rows} & {*second.weaknesses.answers.rows}) < 40
    with pytest.raises(errors.FailedPrecondition, match="kept:4 has no validation predictions"):
        yard.evaluate(EvaluateRequest(model_ids=["kept:1", "kept:4"]))


def test_without_a_table_numbers_are_judged_alike(yard: Verbs) -> None:
    for alpha in (0.1, 100.0):
        fields = {"hyperparams": {"alpha": alpha}, "X": TABLE, "y": PRICES, "name": "held"}
        yard.train(TrainRequest(model_class_key="linear_regression", **fields))
    by_table = yard.evaluate(request("held:1", "held:2", y=PRICES))
    found = yard.evaluate(EvaluateRequest(model_ids=["held:1", "held:2"]))
    assert (found.n_rows, found.pairs) == (by_table.n_rows, by_table.pairs)


@pytest.mark.parametrize(
    "fields", [{"y": TRUTH}, {"target": "churned"}, {"weaknesses": True}], ids=["y", "target", "weaknesses"]
)
def test_what_needs_a_table_is_refused_without_one(
    yard: Verbs, models: dict[str, ModelMetadata], fields: dict[str, Any]
) -> None:
    with pytest.raises(errors.InvalidRequest, match="X is due if y, target or weaknesses are given"):
        yard.evaluate(EvaluateRequest(model_ids=["churn:1"], **fields))


def test_models_of_several_tables_are_not_compared_without_one(yard: Verbs, models: dict[str, ModelMetadata]) -> None:
    with pytest.raises(errors.FailedPrecondition, match="blind:1 was not trained on the very table of churn:1"):
        yard.evaluate(EvaluateRequest(model_ids=["churn:1", "blind"]))


def test_where_a_model_is_wrong_is_said_row_by_row_and_not_kept(yard: Verbs, models: dict[str, ModelMetadata]) -> None:
    found = yard.evaluate(request("blind", "churn:1", weaknesses=True))
    blind, good = (model.weaknesses for model in found.models)
    assert blind is not None
    assert good is not None
    predicted = yard.predict(PredictRequest(model_id="blind", X=TABLE, probabilities=True))
    assert (blind.answers.rows, blind.answers.actual) == (list(range(200)), TRUTH)
    assert (blind.answers.predicted, blind.answers.probabilities) == (predicted.predictions, predicted.probabilities)
    assert blind.value == found.models[0].metrics["accuracy"]
    assert blind.columns.keys() == {"income", "job", "member"}
    assert good.columns.keys() == {"age", *blind.columns}
    assert {group.where[0].kind for group in blind.columns["job"]} == {"value", "missing"}
    assert yard.evaluate(request("blind")).models[0].weaknesses is None
    (kept, *_) = yard.list_evaluations("blind").evaluations
    assert "weaknesses" not in kept.models[0].model_dump()
    prices = yard.evaluate(request("flat", y=PRICES, weaknesses=True)).models[0].weaknesses
    assert prices is not None
    assert (prices.measure, prices.answers.actual, prices.answers.probabilities) == ("mae", PRICES, None)


def test_the_rows_of_a_training_table_are_those_held_out(yard: Verbs) -> None:
    fields: dict[str, Any] = {"model_class_key": "logistic_regression", "X": TABLE, "y": TRUTH, "name": "shown-again"}
    yard.train(TrainRequest(**fields))
    (model,) = yard.evaluate(request("shown-again", weaknesses=True)).models
    assert model.weaknesses is not None
    answers = model.weaknesses.answers
    assert len(answers.rows) == 40
    assert answers.rows == sorted(answers.rows)
    assert answers.actual == [TRUTH[row] for row in answers.rows]
    (job,) = [groups for name, groups in model.weaknesses.columns.items() if name == "job"]
    assert sum(group.n_rows for group in job) == 40
