"""The gate: which rows it judges by, what it does if it cannot judge, and that a model is never lost by it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pytest

from modelyard.bootstrap import build
from modelyard.errors import InvalidTable
from modelyard.jobs import Finished
from modelyard.ml_core.promoting import gate, rows
from modelyard.ml_core.validation_predictions import ValidationPredictions, load_validation
from modelyard.ml_core.yard import Yard
from modelyard.schemas import (
    AliasRequest,
    DefaultAlias,
    EvaluateRequest,
    ModelMetadata,
    Promotion,
    RetrainRequest,
    TrainRequest,
)
from modelyard.settings import Settings
from modelyard.tables import MISSING_CATEGORY, contract_from_json
from tests.promotions import N, live, retrain, table, train

ALWAYS = live(**{"if": "always"})
X, Y = table(1)


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with build(Settings(storage_dir=tmp_path_factory.mktemp("yard"), train_workers=1)) as yard:
        yield yard


@pytest.fixture
def name(yard: Yard) -> str:
    """A name whose first version, of table 1, has the alias."""
    made = f"model-{uuid4().hex[:8]}"
    yard.train(train(made, 1, promote=live()))
    return made


def next_version(yard: Yard, name: str, X: Any, y: Any, **asked: Any) -> Promotion:
    fields = {"model_class_key": "logistic_regression", "name": name, "X": X, "y": y, "promote": live(), **asked}
    return promotion(yard.train(TrainRequest.model_validate(fields)))


def promotion(model: ModelMetadata) -> Promotion:
    assert model.promotion is not None
    return model.promotion


def validation(yard: Yard, model: ModelMetadata) -> ValidationPredictions:
    record = yard._store.get(model.model_id)
    return load_validation(yard._store, record, contract_from_json(yard._store.read_file(record, "contract.json")))


@pytest.mark.parametrize("form", [list, pl.DataFrame, "csv"], ids=["records", "frame", "csv"])
def test_rows_that_the_old_version_was_fitted_on_are_left_out(yard: Yard, name: str, form: Any, tmp_path: Path) -> None:
    assert next_version(yard, name, X, Y).n_rows == 0
    more, labels = table(2)
    mixed = [*X[::-1][: N // 2], *more]
    y = [*Y[::-1][: N // 2], *labels]
    sent: Any = list(mixed) if form is list else pl.DataFrame(mixed)
    if form == "csv":
        sent.with_columns(y=pl.Series(y)).write_csv(tmp_path / "t.csv")
        order = train(name, 1, X=tmp_path / "t.csv", y=None, target="y", promote=live())
    else:
        order = train(name, 1, X=sent, y=y, promote=live())
    model = yard.train(order)
    new_rows = int((validation(yard, model).rows >= N // 2).sum())
    assert 200 < new_rows < len(validation(yard, model).rows)
    assert promotion(model).n_rows == new_rows


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_difference_is_that_of_both_versions_metrics_on_these_rows(yard: Yard, task: str) -> None:
    called, regression = f"difference-{task}", task == "regression"
    metric = "rmse" if regression else "log_loss"

    def order(seed: int) -> TrainRequest:
        asked = train(called, seed, blurred=0.3 * seed, promote=live())
        y = [row["age"] * 2 + row["member"] + seed * (i % 7) for i, row in enumerate(asked.X)]
        key = "linear_regression" if regression else "logistic_regression"
        return asked.model_copy(update={"model_class_key": key, "y": y if regression else asked.y})

    old = yard.train(order(2))
    asked = order(1)
    model = yard.train(asked)
    found = promotion(model)
    held_out = validation(yard, model).rows
    evaluated = yard.evaluate(
        EvaluateRequest(
            model_ids=[old.model_id], X=[asked.X[row] for row in held_out], y=[asked.y[row] for row in held_out]
        )
    )
    before, now = evaluated.models[0].metrics[metric], model.metrics[f"validation_{metric}"]
    assert before is not None
    assert now is not None
    assert (found.metric, found.n_rows, found.moved) == (metric, len(held_out), True)
    assert found.difference == pytest.approx(before - now)


def test_a_model_of_regression_and_one_of_labels_are_not_compared(yard: Yard, name: str) -> None:
    numbers = [row["age"] for row in table(2)[0]]
    found = next_version(yard, name, table(2)[0], numbers, model_class_key="linear_regression")
    assert (found.moved, found.reason) == (False, f"{name}:1 is a model of classification")


def _without(column: str) -> list[dict[str, Any]]:
    return [{name: cell for name, cell in row.items() if name != column} for row in table(2)[0]]


def _with(column: str, cells: Callable[[int], Any]) -> list[dict[str, Any]]:
    return [{**row, column: cells(place)} for place, row in enumerate(table(2)[0])]


CANNOT: dict[str, tuple[dict[str, Any], str]] = {
    "column gone": ({"X": _without("job")}, "{0} cannot read the rows: they lack its columns 'job'"),
    "type": (
        {"X": _with("age", lambda row: f"about {row % 60}")},
        "{0} cannot read the rows: they have other types in its columns 'age'",
    ),
    "classes": (
        {"X": table(2)[0], "y": [*table(2)[1][:-40], *["maybe"] * 40]},
        "the classes of {0} are not those of the new version",
    ),
    "type of classes": (
        {"X": table(2)[0], "y": [label == "yes" for label in table(2)[1]]},
        "the classes of {0} are not those of the new version",
    ),
    "no validation": (
        {"X": table(2)[0], "evaluation": {"method": "none"}},
        "no rows were held out to judge it by; ask for evaluation 'holdout', 'time' or 'cv', or give promote.on",
    ),
    "few rows": (
        {"X": table(2)[0][:900], "y": table(2)[1][:900]},
        "the new version's validation has 180 rows that {0} was not fitted on; at least 200 are due",
    ),
}


@pytest.mark.parametrize("case", CANNOT)
def test_what_cannot_be_judged_stays_with_its_reason(yard: Yard, name: str, case: str) -> None:
    asked, words = CANNOT[case]
    found = next_version(yard, name, **{"y": table(2)[1], **asked})
    assert (found.moved, found.reason) == (False, words.format(f"{name}:1"))
    assert yard.get_model(f"{name}@live").version == 1


def test_another_target_is_another_question(yard: Yard) -> None:
    yard.train(train("asked", 1, target="churned", promote=live()))
    model = yard.train(train("asked", 2, target="bought", promote=live()))
    assert promotion(model).reason == "asked:1 predicts 'churned', the new version 'bought'"


def test_a_version_that_knows_more_columns_is_judged_against_one_that_does_not(yard: Yard, name: str) -> None:
    found = next_version(yard, name, _with("new", lambda row: row % 5), table(2)[1])
    assert (found.n_rows, found.metric) == (240, "log_loss")
    found = next_version(yard, name, [{**row, "new": 1.5 * (i % 5)} for i, row in enumerate(X)], Y)
    assert found.n_rows == 0  # the rows are known again by the old one's columns


def test_labels_of_other_rows_make_other_rows(yard: Yard, name: str) -> None:
    assert next_version(yard, name, X, Y[::-1]).n_rows in range(60, 180)


@pytest.mark.parametrize("evaluation", [{"method": "cv", "folds": 3}, {"method": "time"}], ids=["cv", "time"])
def test_every_evaluation_holds_rows_out_for_the_gate(yard: Yard, name: str, evaluation: dict[str, Any]) -> None:
    roles = {"since": "time"} if evaluation["method"] == "time" else {}
    found = next_version(yard, name, *table(2), evaluation=evaluation, column_roles=roles)
    assert found.n_rows is None or found.n_rows >= 200
    assert ("lack its columns 'since'" in found.reason) == bool(roles)


def test_rows_of_weight_0_do_not_count_and_groups_are_drawn_together(yard: Yard) -> None:
    def weighted(seed: int) -> dict[str, Any]:
        X, y = table(seed)
        rows = [{**row, "counts": float(place % 2), "home": f"h{place // 2}"} for place, row in enumerate(X)]
        return {"X": rows, "y": y, "column_roles": {"counts": "weight"}}

    evaluation = {"method": "cv", "folds": 3}
    yard.train(train("weighed", 1, **weighted(1), promote=live()))
    plain = promotion(yard.train(train("weighed", 2, **weighted(2), evaluation=evaluation, promote=live())))
    assert plain.n_rows == N // 2
    roles = {"counts": "weight", "home": "group"}
    fields = {**weighted(2), "column_roles": roles, "evaluation": evaluation}
    yard.train(train("grouped", 1, **{**weighted(1), "column_roles": roles}, promote=live()))
    grouped = promotion(yard.train(train("grouped", 2, **fields, promote=live())))
    assert grouped.n_rows == N // 2


def test_a_decision_by_costs_is_what_both_are_judged_by(yard: Yard) -> None:
    costs = {"rule": "costs", "costs": {"yes": {"no": 5.0}, "no": {"yes": 1.0}}}
    yard.train(train("dear", 1, blurred=0.8, decision=costs, promote=live()))
    model = yard.train(train("dear", 2, promote=live()))  # without a decision of its own
    assert (promotion(model).metric, promotion(model).moved) == ("cost", False)
    model = yard.train(train("dear", 2, decision=costs, promote=live(metric="cost")))
    assert (promotion(model).metric, promotion(model).n_rows) == ("cost", 240)
    # The old version, as unsure as it is, says yes to all, which costs 1 a row of no.
    assert 0 < (promotion(model).difference or 0) < 0.6
    assert promotion(model).moved


def test_a_metric_that_the_rows_do_not_have_moves_nothing(yard: Yard, name: str) -> None:
    on = {"X": table(3, n=300)[0], "y": ["yes"] * 300}
    found = next_version(yard, name, *table(2), promote=live(on=on, metric="roc_auc"))
    assert (found.moved, found.reason) == (False, "roc_auc is not defined on these 300 rows")


def test_a_given_table_is_judged_without_the_rows_of_both_trainings(yard: Yard, name: str) -> None:
    (fresh, y), (second, of_second) = table(3, n=250), table(2)
    on = {"X": [*X[:50], *second[:70], *fresh], "y": [*Y[:50], *of_second[:70], *y]}
    model = yard.train(train(name, 2, promote=live(on=on)))
    assert promotion(model).n_rows == 250
    assert "promotion_rows_not_known" not in [warning.code for warning in model.warnings]
    none = next_version(yard, name, second, of_second, promote=live(on={"X": X[:300], "y": Y[:300]}))
    assert (none.n_rows, none.moved) == (0, False)
    assert none.reason.startswith("promote.on has 0 rows that")


def test_a_calibrated_version_is_judged_by_its_calibrated_answers(yard: Yard, name: str) -> None:
    fresh, y = table(3, n=300)
    model = yard.train(train(name, 2, calibrate="sigmoid", promote=live(on={"X": fresh, "y": y})))
    found = yard.evaluate(EvaluateRequest(model_ids=[f"{name}:1", model.model_id], X=fresh, y=y))
    losses = [one.metrics["log_loss"] for one in found.models]
    assert None not in losses
    assert promotion(model).difference == pytest.approx(losses[0] - losses[1])  # type: ignore[operator]


def test_a_model_of_an_earlier_release_says_that_it_keeps_no_hashes(tmp_path: Path) -> None:
    frozen = Path(__file__).parents[1] / "data" / "frozen-2"
    with build(Settings(storage_dir=shutil.copytree(frozen, tmp_path / "yard"), train_workers=1)) as yard:
        yard.set_alias("logistic_regression", "live", AliasRequest(version=1))
        kinds: list[dict[str, Any]] = [
            {"size": i, "kind": "abc"[i % 3], "weight": i / 4, "key": f"{i:04}", "counts": 1} for i in range(1200)
        ]
        y = ["large" if row["size"] % 31 > 15 else "small" for row in kinds]

        def asked(**promote: Any) -> ModelMetadata:
            fields = {"model_id": "logistic_regression:1", "X": kinds, "y": y, "promote": live(**promote)}
            return yard.retrain(RetrainRequest.model_validate(fields))

        found = promotion(asked())
        assert not found.moved
        assert found.reason.startswith("logistic_regression:1 keeps no hashes of its training rows")
        model = asked(on={"X": [{**row, "size": row["size"] + 0.5} for row in kinds[:300]], "y": y[:300]})
        assert promotion(model).n_rows == 300
        assert [warning.code for warning in model.warnings].count("promotion_rows_not_known") == 1


def test_of_many_rows_some_are_taken_evenly(yard: Yard, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_ROWS", 210)
    cv = {"method": "cv", "folds": 3}
    assert next_version(yard, name, *table(2), evaluation=cv).n_rows == 210
    (more, labels), fresh = table(2, n=300), table(3, n=300)
    # Those are taken of the rows that count: 300 of 1,500.
    assert next_version(yard, name, [*X, *more], [*Y, *labels], evaluation=cv).n_rows == 210
    assert next_version(yard, name, *table(2), promote=live(on=dict(zip(("X", "y"), fresh, strict=True)))).n_rows == 210


def moving(yard: Yard, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """Let something happen after the gate has judged, before the model is published."""
    finisher: Any = yard.jobs._dispatcher._finisher
    asked = finisher._gate

    def ask(*args: Any) -> Any:
        proposal = asked(*args)
        meanwhile()
        return proposal

    monkeypatch.setattr(finisher, "_gate", ask)


@pytest.mark.parametrize("way", ["moved", "deleted", "set"])
def test_an_alias_that_was_moved_meanwhile_stays(
    yard: Yard, name: str, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    yard.retrain(retrain(name, 5, blurred=0.9, promote=ALWAYS))
    if way == "set":
        yard.delete_alias(name, "live")
    changes: dict[str, Callable[[], object]] = {
        "moved": lambda: yard.set_alias(name, "live", AliasRequest(version=1)),
        "deleted": lambda: yard.delete_alias(name, "live"),
        "set": lambda: yard.set_alias(name, "live", AliasRequest(version=1)),
    }
    moving(yard, monkeypatch, changes[way])
    model = yard.retrain(retrain(f"{name}:1", 4, promote=live()))
    where = "nowhere" if way == "deleted" else "at version 1"
    assert not promotion(model).moved
    assert promotion(model).reason == f"{name}@live was moved by somebody else meanwhile: it is {where}"
    assert model.aliases == []
    assert len(yard.get_alias_history(name, "live").moves) == {"moved": 3, "deleted": 3, "set": 4}[way]


def test_in_any_case_means_wherever_the_alias_is(yard: Yard, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.retrain(retrain(name, 5, n=300))
    moving(yard, monkeypatch, lambda: yard.set_alias(name, "live", AliasRequest(version=2)))
    assert yard.retrain(retrain(name, 4, n=300, promote=ALWAYS)).aliases == ["live"]


@pytest.mark.parametrize("by", ["y", "target"])
def test_labels_that_cannot_be_predicted_are_named(yard: Yard, name: str, by: str) -> None:
    given, labels = table(3, n=300)
    labels[7] = labels[9] = "maybe"
    on: dict[str, Any] = {"X": given, "y": labels}
    if by == "target":
        on = {"X": [{**row, "left": label} for row, label in zip(given, labels, strict=True)], "target": "left"}
    with pytest.raises(InvalidTable) as refused:
        yard.retrain(retrain(name, 2, promote=live(on=on)))
    has = "has the label 'maybe'" if by == "y" else "has a label"
    assert refused.value.detail == (
        f"promote.on: row 7 (and 1 more) {has} that the new version cannot predict; its classes are 'no', 'yes'"
    )


@pytest.mark.parametrize("content", [b"", b'{"promote": {"alias": 7}}'])
def test_an_order_that_cannot_be_read_moves_nothing(yard: Yard, name: str, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "order.json").write_bytes(content)
    made = Finished("any", yard.get_model(name), {})
    assert gate.Gate(yard._store, yard._aliases)(tmp_path, made) is None


def test_a_model_is_kept_whatever_fails_in_judging_it(
    yard: Yard, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError("of a third party")

    monkeypatch.setattr(gate, "compare", break_down)
    model = yard.retrain(retrain(name, 2, promote=live()))
    assert promotion(model).reason == "the versions could not be judged: see the server's log"
    assert "ZeroDivisionError: of a third party" in caplog.text
    assert yard.get_model(name).model_id == model.model_id


def test_damaged_hashes_of_the_old_version_move_nothing(yard: Yard, name: str) -> None:
    record = yard._store.get(f"{name}:1")
    path = yard._store.file_path(record, "training_rows.bin")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    found = promotion(yard.retrain(retrain(name, 2, promote=live())))
    path.write_bytes(content)
    assert not found.moved
    assert "training_rows.bin is damaged" in found.reason


def test_a_job_that_is_cancelled_moves_nothing(yard: Yard, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[str] = []
    moving(yard, monkeypatch, lambda: yard.cancel_job(jobs[0]))
    jobs.append(yard.submit_retraining(retrain(name, 4, n=300, promote=ALWAYS)).job_id)
    assert yard.jobs.wait(jobs[0]).status == "cancelled"
    assert yard.get_model(f"{name}@live").version == 1


def test_a_name_alone_keeps_the_default_alias_that_it_meant(yard: Yard, name: str) -> None:
    on = EvaluateRequest(model_ids=[name], X=X[:50], y=Y[:50])
    assert yard.evaluate(on).models[0].alias is None
    yard.set_default_alias(DefaultAlias(alias="live"))
    try:
        assert yard.evaluate(on).models[0].alias == "live"
        assert len(yard.list_evaluations(f"{name}@live").evaluations) == 1
    finally:
        yard.set_default_alias(DefaultAlias(alias=None))


def test_categories_are_sent_as_their_callers_wrote_them() -> None:
    kinds = ["\x00\x00b", MISSING_CATEGORY, "c"]
    frame = rows.as_sent(pl.DataFrame({"a": pl.Series(kinds, dtype=pl.Enum(kinds)), "b": [1.0, None, 3.0]}))
    assert frame["a"].to_list() == ["\x00b", None, "c"]
    assert frame["b"].to_list() == [1.0, None, 3.0]
