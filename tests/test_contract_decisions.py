"""What every door promises of decisions: set, shown, obeyed, overridden, handed on, refused in the same words."""

from __future__ import annotations

import io
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
    Decision,
    Evaluation,
    ExplainRequest,
    ModelMetadata,
    PredictRequest,
    ResolvedDecision,
    RetrainRequest,
    TrainRequest,
)
from modelyard.verbs import Verbs
from tests import doors

DOORS: dict[str, Callable[[Path], AbstractContextManager[Verbs]]] = {
    "core": doors.core,
    "rest": doors.rest,
    "grpc": doors.grpc,
}

RECORDS: list[dict[str, Any]] = [{"x": (i * 37 % 101) / 10, "job": "abc"[i % 3]} for i in range(300)]
LABELS = ["yes" if row["x"] + (i * 53 % 17) / 4 > 9 else "no" for i, row in enumerate(RECORDS)]
WITHOUT = Evaluation(method="none")
THREE = [["low", "middle", "top"][int(row["x"] // 3.4) % 3] for row in RECORDS]
COSTS = {"yes": {"no": 10.0}, "no": {"yes": 1.0}}


@pytest.fixture(scope="module", params=list(DOORS))
def yard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verbs]:
    with DOORS[request.param](tmp_path_factory.mktemp("yard") / "models_storage") as opened:
        yield opened


def order(**fields: Any) -> TrainRequest:
    defaults: dict[str, Any] = {"model_class_key": "logistic_regression", "X": RECORDS, "y": LABELS}
    return TrainRequest(**{**defaults, "name": f"model-{uuid4().hex[:8]}", **fields})


def decide(**fields: Any) -> Decision:
    return Decision.model_validate(fields)


@pytest.fixture(scope="module")
def shared(yard: Verbs) -> ModelMetadata:
    return yard.train(order())


@pytest.fixture
def model(yard: Verbs, shared: ModelMetadata) -> ModelMetadata:
    """A model that answers the most probable class, whatever a test before has set."""
    return yard.set_decision(shared.model_id, decide(rule="most_probable"))


def answers(yard: Verbs, reference: str, X: Any = RECORDS, **fields: Any) -> list[Any]:
    return yard.predict(PredictRequest(model_id=reference, X=X, **fields)).predictions


def shares(yard: Verbs, reference: str) -> list[list[float]]:
    found = yard.predict(PredictRequest(model_id=reference, X=RECORDS, probabilities=True)).probabilities
    assert found is not None
    return found


RULES: dict[str, dict[str, Any]] = {
    "threshold": {"rule": "threshold", "class": "yes", "threshold": 0.31},
    "f1": {"rule": "threshold", "class": "yes", "metric": "f1"},
    "balanced_accuracy": {"rule": "threshold", "class": "no", "metric": "balanced_accuracy"},
    "min_precision": {"rule": "threshold", "class": "yes", "min_precision": 0.8},
    "costs": {"rule": "costs", "costs": COSTS},
    "capacity": {"rule": "capacity", "class": "yes", "share": 0.05},
}


@pytest.mark.parametrize("rule", RULES)
def test_a_decision_is_obeyed_from_the_next_request_on_in_every_form(
    yard: Verbs, model: ModelMetadata, rule: str, tmp_path: Path
) -> None:
    told = yard.set_decision(model.name, decide(**RULES[rule]))
    decision = told.decision
    assert decision is not None
    assert decision.threshold is not None
    assert decision.asked == decide(**RULES[rule])
    assert (
        told.message
        == f"{model.name!r} version 1 answers {decision.label!r} from a probability of {decision.threshold:.4g} on"
    )
    assert yard.get_model(model.model_id).decision == decision
    code = ["no", "yes"].index(str(decision.label))
    due = [
        decision.label if row[code] >= decision.threshold else ["yes", "no"][code] for row in shares(yard, model.name)
    ]
    file = tmp_path / "table.csv"
    pl.DataFrame(RECORDS).write_csv(file)
    forms: list[Any] = [RECORDS, [list(row.values()) for row in RECORDS], pl.DataFrame(RECORDS), file]
    for X in forms:
        found = yard.predict(PredictRequest(model_id=model.name, X=X))
        assert found.decision == decision
        assert found.predictions == due
    assert answers(yard, model.name, RECORDS[:40]) == due[:40]
    assert [answers(yard, model.name, [row])[0] for row in RECORDS[:20]] == due[:20]
    assert yard.get_history(model.name).events[-1].verb == "decision"
    assert yard.get_history(model.name).events[-1].decision == decision


def test_probabilities_never_change_by_a_decision(yard: Verbs, model: ModelMetadata) -> None:
    before = shares(yard, model.name)
    yard.set_decision(model.name, decide(**RULES["costs"]))
    assert shares(yard, model.name) == before


def test_models_without_a_decision_answer_the_most_probable_class(yard: Verbs) -> None:
    model = yard.train(order())
    assert model.decision is None
    found = yard.predict(PredictRequest(model_id=model.name, X=RECORDS[:3], probabilities=True))
    assert found.decision == ResolvedDecision(rule="most_probable")
    assert found.probabilities is not None
    assert found.predictions == ["yes" if share > 0.5 else "no" for _, share in found.probabilities]
    assert yard.get_decision(model.name).decision == ResolvedDecision(rule="most_probable")


def test_setting_the_same_decision_again_changes_nothing(yard: Verbs, model: ModelMetadata) -> None:
    first = yard.set_decision(model.name, decide(**RULES["f1"]))
    events = len(yard.get_history(model.name).events)
    assert yard.set_decision(model.name, decide(**RULES["f1"])).updated_at == first.updated_at
    assert len(yard.get_history(model.name).events) == events


@pytest.mark.parametrize("rule", RULES)
def test_a_request_to_predict_may_have_a_decision_of_its_own(yard: Verbs, model: ModelMetadata, rule: str) -> None:
    plain = answers(yard, model.name)
    for X in (RECORDS[:5], RECORDS):
        found = yard.predict(PredictRequest(model_id=model.name, X=X, decision=decide(**RULES[rule])))
        assert found.decision is not None
        assert found.decision.asked == decide(**RULES[rule])
        own = found.predictions
        assert answers(yard, model.name, X) == plain[: len(X)]
        yard.set_decision(model.name, decide(**RULES[rule]))
        assert answers(yard, model.name, X) == own
        assert answers(yard, model.name, X, decision=decide(rule="most_probable")) == plain[: len(X)]
        yard.set_decision(model.name, decide(rule="most_probable"))


def test_a_training_may_say_its_decision(yard: Verbs) -> None:
    model = yard.train(order(decision=decide(**RULES["capacity"])))
    assert model.decision is not None
    assert model.decision.threshold is not None
    report = yard.get_decision(model.name)
    assert report.decision == model.decision
    assert yard.predict(PredictRequest(model_id=model.name, X=RECORDS[:1])).decision == model.decision
    assert [event.verb for event in yard.get_history(model.name).events] == ["train"]


def test_a_retraining_derives_the_parents_decision_anew(yard: Verbs, model: ModelMetadata) -> None:
    parent = yard.set_decision(model.name, decide(**RULES["f1"])).decision
    child = yard.retrain(RetrainRequest(model_id=model.name, X=RECORDS[:200], y=LABELS[:200]))
    assert parent is not None
    assert child.decision is not None
    assert child.decision.asked == parent.asked
    assert child.decision.threshold != parent.threshold
    other = decide(**RULES["costs"])
    grandchild = yard.retrain(RetrainRequest(model_id=child.model_id, X=RECORDS[:200], y=LABELS[:200], decision=other))
    assert grandchild.decision is not None
    assert grandchild.decision.asked == other
    for one in (child, grandchild):
        yard.delete(one.model_id, hard=True)


def test_a_threshold_that_was_given_stays_in_a_retraining_with_a_warning(yard: Verbs, model: ModelMetadata) -> None:
    parent = yard.set_decision(model.name, decide(**RULES["threshold"])).decision
    child = yard.retrain(RetrainRequest(model_id=model.name, X=RECORDS[:200], y=LABELS[:200]))
    assert child.decision == parent
    (warning,) = [warning for warning in child.warnings if warning.code == "decision_kept"]
    assert "threshold 0.31" in warning.message
    yard.delete(child.model_id, hard=True)


def test_a_decision_that_does_not_fit_the_new_classes_is_left_out_with_a_warning(yard: Verbs) -> None:
    parent = yard.train(order(decision=decide(**RULES["costs"]), evaluation=WITHOUT))
    child = yard.retrain(RetrainRequest(model_id=parent.name, X=RECORDS, y=THREE))
    assert child.decision is None
    (warning,) = [warning for warning in child.warnings if warning.code == "decision_not_kept"]
    assert "none of the model's classes" in warning.message


def test_the_decision_of_a_model_is_shown_with_what_it_does(yard: Verbs, model: ModelMetadata) -> None:
    yard.set_decision(model.name, decide(**RULES["costs"]))
    report = yard.get_decision(model.name)
    assert (report.model_id, report.name, report.version, report.label) == (model.model_id, model.name, 1, "yes")
    assert report.n_rows == 60
    assert report.decision.threshold == pytest.approx(1 / 11)
    assert 100 < len(report.curve) <= 200
    thresholds = [point.threshold for point in report.curve]
    assert thresholds == sorted(thresholds)
    assert (thresholds[0], thresholds[-1]) == (0, 1)
    for point in report.curve:
        assert point.cost_low <= point.cost <= point.cost_high
        assert 0 <= point.share <= 1
    (own,) = [point for point in report.curve if point.threshold == report.decision.threshold]
    assert report.metrics is not None
    assert report.most_probable is not None
    assert report.metrics.cost == pytest.approx(own.cost)
    assert (report.metrics.share, report.metrics.recall) == pytest.approx((own.share, own.recall))
    assert not report.cross_fitted
    assert report.confusion_matrix is not None
    (_, alarms), (misses, hits) = report.confusion_matrix.matrix
    assert report.confusion_matrix.labels == ["no", "yes"]
    assert (hits + alarms, hits / (hits + misses)) == pytest.approx((60 * own.share, own.recall))
    assert report.saving is not None
    assert report.saving == pytest.approx(1 - report.metrics.cost / report.most_probable.cost)
    assert "than answering by the most probable class" in report.words or "no saving shown" in report.words


def test_costs_of_many_classes_answer_the_label_of_least_expected_cost(yard: Verbs) -> None:
    costs = {"top": {"low": 9.0, "middle": 3.0}, "middle": {"top": 1.0, "low": 2.0}, "low": {"top": 4.0, "low": -1.0}}
    model = yard.train(order(y=THREE, decision=decide(rule="costs", costs=costs)))
    assert model.decision is not None
    assert (model.decision.threshold, model.decision.label) == (None, None)
    labels = ["low", "middle", "top"]
    due = []
    for row in shares(yard, model.name):
        expected = [
            sum(share * costs[true].get(answer, 0.0) for true, share in zip(labels, row, strict=True))
            for answer in labels
        ]
        due.append(labels[expected.index(min(expected))])
    assert answers(yard, model.name) == due
    assert answers(yard, model.name, RECORDS[:7]) == due[:7]
    report = yard.get_decision(model.name)
    assert (report.curve, report.label) == ([], None)
    assert report.metrics is not None
    assert report.metrics.precision is None
    assert report.confusion_matrix is not None
    matrix = report.confusion_matrix.matrix
    assert sum(matrix[place][place] for place in range(3)) / report.n_rows == pytest.approx(report.metrics.accuracy)
    assert report.metrics.cost == pytest.approx(
        sum(
            rows * costs[true].get(answer, 0.0)
            for true, counts in zip(labels, matrix, strict=True)
            for answer, rows in zip(labels, counts, strict=True)
        )
        / report.n_rows
    )


def test_a_threshold_of_one_of_many_classes_leaves_the_others_to_the_most_probable(yard: Verbs) -> None:
    model = yard.train(order(y=THREE, decision=decide(rule="threshold", **{"class": "middle"}, threshold=0.2)))
    labels = ["low", "middle", "top"]
    due = ["middle" if row[1] >= 0.2 else labels[0 if row[0] >= row[2] else 2] for row in shares(yard, model.name)]
    assert answers(yard, model.name) == due
    assert answers(yard, model.name, RECORDS[:7]) == due[:7]
    report = yard.get_decision(model.name)
    assert (report.label, report.own_threshold) == ("middle", 0.2)


def test_thresholds_of_any_class_are_shown_beside_any_decision(yard: Verbs) -> None:
    model = yard.train(order(y=THREE, decision=decide(rule="threshold", **{"class": "middle"}, threshold=0.123)))
    report = yard.get_decision(model.name, "top")
    assert (report.label, report.decision.label, report.own_threshold) == ("top", "middle", None)
    assert 0.123 not in [point.threshold for point in report.curve]
    assert report.curve[0].precision == pytest.approx(THREE.count("top") / len(THREE), abs=0.05)
    assert report.metrics is not None
    assert report.metrics.recall is not None
    with pytest.raises(
        errors.InvalidRequest, match="class 'bottom' is none of the model's classes: 'low', 'middle', 't"
    ):
        yard.get_decision(model.name, "bottom")


@pytest.mark.parametrize("labels", [[0, 1], [False, True]], ids=["integers", "booleans"])
def test_labels_of_other_types_are_written_as_text(yard: Verbs, labels: list[Any]) -> None:
    model = yard.train(order(y=[labels[label == "yes"] for label in LABELS], evaluation=WITHOUT))
    texts = [str(label).lower() for label in labels]
    told = yard.set_decision(model.name, decide(rule="threshold", **{"class": labels[1]}, threshold=0.0)).decision
    assert told is not None
    assert told.label == texts[1]
    assert answers(yard, model.name, RECORDS[:3]) == [labels[1]] * 3
    yard.set_decision(model.name, decide(rule="costs", costs={texts[0]: {texts[1]: 1.0}, texts[1]: {texts[0]: 0.0}}))
    found = answers(yard, model.name, RECORDS[:3])
    assert {type(label) for label in found} == {type(labels[0])}


def test_only_rules_that_need_no_validation_are_taken_without_one(yard: Verbs) -> None:
    model = yard.train(order(evaluation=WITHOUT))
    yard.set_decision(model.name, decide(**RULES["threshold"]))
    decision = yard.set_decision(model.name, decide(**RULES["costs"])).decision
    assert decision is not None
    assert decision.threshold == 1 / 11
    report = yard.get_decision(model.name)
    assert (report.curve, report.metrics, report.confusion_matrix, report.words) == ([], None, None, "")
    assert [warning.code for warning in report.warnings] == ["no_validation"]
    for rule in ("f1", "min_precision", "capacity"):
        with pytest.raises(errors.FailedPrecondition, match="its training made no validation"):
            yard.set_decision(model.name, decide(**RULES[rule]))
        with pytest.raises(errors.FailedPrecondition, match="its training made no validation"):
            answers(yard, model.name, RECORDS[:1], decision=decide(**RULES[rule]))
        with pytest.raises(errors.InvalidRequest, match="finds its threshold on rows held out"):
            yard.train(order(evaluation=WITHOUT, decision=decide(**RULES[rule])))
    assert yard.get_model(model.name).decision == decision


WRONG: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "unknown class": (
        {"rule": "threshold", "class": "maybe", "threshold": 0.5},
        "class 'maybe' is none of the model's classes: 'no', 'yes'",
        ("class",),
    ),
    "unknown labels of costs": (
        {"rule": "costs", "costs": {"yes": {"nay": 1.0}, "Yes": {"no": 1.0}}},
        "costs 'Yes' is none of the model's classes: 'no', 'yes' (and 1 more error)",
        ("costs", "Yes"),
    ),
    "costs without a difference": (
        {"rule": "costs", "costs": {"yes": {"yes": 1.0, "no": 1.0}}},
        "costs must make a difference: here every answer to a row costs the same",
        ("costs",),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_decision_is_refused_in_the_same_words_by_every_door(
    yard: Verbs, model: ModelMetadata, case: str
) -> None:
    fields, words, place = WRONG[case]
    calls: list[tuple[Callable[[], object], tuple[str, ...]]] = [
        (lambda: yard.set_decision(model.name, decide(**fields)), place),
        (lambda: answers(yard, model.name, RECORDS[:1], decision=decide(**fields)), ("decision", *place)),
        (lambda: yard.train(order(decision=decide(**fields))), ("decision", *place)),
    ]
    for call, at in calls:
        with pytest.raises(errors.InvalidRequest) as caught:
            call()
        assert caught.value.detail == words
        assert caught.value.errors[0].loc == at


def test_a_class_must_be_named_if_there_are_more_than_two(yard: Verbs) -> None:
    model = yard.train(order(y=THREE, evaluation=WITHOUT))
    with pytest.raises(
        errors.InvalidRequest, match="needs field 'class' for a model of 3 classes: 'low', 'middle', 'top'"
    ):
        yard.set_decision(model.name, decide(rule="threshold", threshold=0.4))


def test_a_precision_that_is_not_reached_is_refused_with_the_highest_there_is(yard: Verbs) -> None:
    X, noise = [[row % 2] for row in range(300)], ["yes" if row % 7 < 3 else "no" for row in range(300)]
    model = yard.train(order(X=X, y=noise))
    with pytest.raises(
        errors.FailedPrecondition, match=r"min_precision 1 of class 'yes' is reached by no threshold on the"
    ):
        yard.set_decision(model.name, decide(rule="threshold", min_precision=1.0))
    kept = yard.train(order(X=X, y=noise, decision=decide(rule="threshold", min_precision=1.0)))
    assert kept.decision is None
    assert "decision_not_kept" in [warning.code for warning in kept.warnings]


def test_regression_has_no_decision(yard: Verbs) -> None:
    prices = [row["x"] for row in RECORDS]
    model = yard.train(order(model_class_key="linear_regression", y=prices, evaluation=WITHOUT))
    assert yard.predict(PredictRequest(model_id=model.name, X=RECORDS[:1])).decision is None
    with pytest.raises(errors.FailedPrecondition, match="has no decision, because its task is 'regression'"):
        yard.get_decision(model.name)
    words = "a decision goes with classification alone; regression predicts numbers"
    for call in (
        lambda: yard.set_decision(model.name, decide(rule="most_probable")),
        lambda: answers(yard, model.name, RECORDS[:1], decision=decide(rule="most_probable")),
        lambda: yard.train(order(model_class_key="linear_regression", y=prices, decision=decide(rule="most_probable"))),
    ):
        with pytest.raises(errors.InvalidRequest, match=words):
            call()


def test_a_deleted_model_takes_no_decision(yard: Verbs) -> None:
    model = yard.train(order(evaluation=WITHOUT))
    yard.delete(model.model_id)
    with pytest.raises(errors.ModelNotFound, match="deleted"):
        yard.set_decision(model.model_id, decide(**RULES["threshold"]))
    assert yard.get_decision(model.model_id).model_id == model.model_id


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_a_training_may_calibrate_and_its_versions_do_so_too(yard: Verbs, method: Any) -> None:
    fields: dict[str, Any] = {"model_class_key": "catboost_classifier", "hyperparams": {"iterations": 40}}
    fields["evaluation"] = WITHOUT
    plain = yard.train(order(**fields))
    model = yard.train(order(**fields, calibrate=method))
    assert (plain.calibrate, model.calibrate) == (None, method)
    assert yard.get_model(model.name).calibrate == method
    estimator = joblib.load(io.BytesIO(yard.get_artifact(model.name)))
    own = estimator.predict_proba(pl.DataFrame(RECORDS))
    assert own[:, 1].tolist() == pytest.approx([row[1] for row in shares(yard, plain.name)])
    made = shares(yard, model.name)
    assert made != shares(yard, plain.name)
    assert [sum(row) for row in made] == pytest.approx([1.0] * len(made))
    few = yard.predict(PredictRequest(model_id=model.name, X=RECORDS[:30], probabilities=True)).probabilities
    assert few is not None
    assert [row[1] for row in few] == pytest.approx([row[1] for row in made[:30]], abs=1e-12)
    child = yard.retrain(RetrainRequest(model_id=model.name, X=RECORDS, y=LABELS))
    assert child.calibrate == method
    back = yard.retrain(RetrainRequest(model_id=model.name, X=RECORDS, y=LABELS, calibrate="none"))
    assert back.calibrate is None


def test_calibration_needs_no_validation_but_classes(yard: Verbs) -> None:
    model = yard.train(order(evaluation=WITHOUT, calibrate="sigmoid", y=THREE))
    assert model.calibrate == "sigmoid"
    assert [sum(row) for row in shares(yard, model.name)] == pytest.approx([1.0] * len(RECORDS))
    prices = [row["x"] for row in RECORDS]
    with pytest.raises(errors.InvalidRequest, match="calibrate 'isotonic' goes with classification alone"):
        yard.train(order(model_class_key="linear_regression", y=prices, calibrate="isotonic"))


def test_explanations_answer_by_the_decision_and_of_scores_before_calibration(yard: Verbs) -> None:
    model = yard.train(order(calibrate="sigmoid", decision=decide(rule="threshold", threshold=0.0), evaluation=WITHOUT))
    told = yard.explain(ExplainRequest(model_id=model.name, X=RECORDS[:5]))
    assert told.predictions == ["yes"] * 5
    estimator = joblib.load(io.BytesIO(yard.get_artifact(model.name)))
    raw = estimator.decision_function(pl.DataFrame(RECORDS[:5]))
    sums = [told.base[0] + sum(row[0]) for row in told.contributions]
    assert sums == pytest.approx(raw.tolist(), abs=1e-6)
