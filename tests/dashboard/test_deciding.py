"""The model's page as a place to decide: its head, thresholds, money, other rules, and whom to act on first."""

from __future__ import annotations

import io
import re
from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from modelyard.dashboard import formats
from modelyard.dashboard.as_decided import as_decided, decided_by
from modelyard.dashboard.first_rows import Ranked, as_file
from modelyard.dashboard.predicted import Predicted
from modelyard.dashboard.predicted_shown import rarest
from modelyard.dashboard.report_file import html_report
from modelyard.dashboard.tables import open_table
from modelyard.schemas import Decision, Evaluation, ModelMetadata, TrainRequest
from tests.dashboard.test_pages import Yard, button, penguin_model, plain, said, texts, yard

__all__ = ["penguin_model", "yard"]

pytestmark = pytest.mark.filterwarnings("default")  # Streamlit's own

X = [[(i * 37 % 101) / 10] for i in range(300)]
Y = ["yes" if row[0] + (i * 53 % 17) / 4 > 9 else "no" for i, row in enumerate(X)]


MACRO = ("balanced_accuracy", "precision", "recall", "f1")


@pytest.fixture
def churn(yard: Yard) -> ModelMetadata:
    fields = {"model_class_key": "logistic_regression", "X": X, "y": Y, "target": "churned", "name": "churn"}
    return yard.client.train(TrainRequest(**fields))


def test_the_head_says_what_is_predicted_and_how_good_that_is(yard: Yard, churn: ModelMetadata) -> None:
    page = yard.open("model", id=churn.model_id)
    assert not page.exception
    shown = texts(page)
    assert "Predicts **churned** from 1 column · Logistic regression" in shown
    interval = formats.metric_interval("validation_accuracy", churn.metrics)
    assert [(one.label, one.delta) for one in page.metric] == [
        ("Right", f"{interval} ({formats.with_unit('90')})"),
        ("Always “no”", "one for all rows"),
    ]
    (rarer,) = [row for row in yard.client.get_report(churn.model_id).per_class or [] if row["label"] == "yes"]
    assert f"It finds **{100 * rarer['recall']:.1f} %** of the rows that are “yes”" in shown
    assert "It answers" not in shown
    yard.client.set_decision(churn.model_id, Decision.model_validate({"rule": "threshold", "threshold": 0.0}))
    shown = texts(page.run())
    assert "It finds **100 %** of the rows that are “yes”" in shown
    assert "It answers “yes” from a probability of 0 % on; all numbers here are counted so." in shown


def test_a_model_whose_calls_are_all_false_is_not_said_to_call_no_row(yard: Yard) -> None:
    y = ["yes" if 6 < row[0] < 9.5 else "no" for row in X]
    model = yard.client.train(
        TrainRequest(model_class_key="logistic_regression", X=X, y=y, target="churned", name="falsely")
    )
    called = [point for point in yard.client.get_decision(model.model_id, "yes").curve if point.share]
    assert called[-1].precision == 0
    decision = {"rule": "threshold", "class": "yes", "threshold": called[-1].threshold}
    yard.client.set_decision(model.model_id, Decision.model_validate(decision))
    assert "It finds **no row** of “yes”." in texts(yard.open("model", id=model.model_id))


@pytest.mark.parametrize("weighted", [False, True])
def test_a_decision_at_one_half_counts_as_the_evaluation_did(yard: Yard, *, weighted: bool) -> None:
    fields = {"model_class_key": "logistic_regression", "y": Y, "target": "churned", "name": "half"}
    rows = [{"x": row[0], "w": 1 + i % 3} for i, row in enumerate(X)]
    roles = {"w": "weight" if weighted else "ignore"}
    model = yard.client.train(TrainRequest(**fields, X=rows, column_roles=roles))
    report = yard.client.get_report(model.model_id)
    assert as_decided(report, decided_by(yard.client, model)) is report
    model = yard.client.set_decision(model.model_id, Decision.model_validate({"rule": "threshold", "threshold": 0.5}))
    counted = as_decided(report, decided_by(yard.client, model))
    assert counted.confusion_matrix == report.confusion_matrix
    assert counted.per_class is not None
    for row, before in zip(counted.per_class, report.per_class or [], strict=True):
        assert row == pytest.approx(before)
    left_out = {f"validation_{name}_{end}" for name in MACRO for end in ("low", "high")}
    assert counted.metrics.keys() == report.metrics.keys() - left_out
    values = {name: value for name, value in counted.metrics.items() if "accuracy_" not in name}
    assert values == pytest.approx({name: report.metrics[name] for name in values})


def test_the_head_the_report_and_its_file_count_by_the_decision(yard: Yard, churn: ModelMetadata) -> None:
    before = yard.open("model", id=churn.model_id)
    model = yard.client.set_decision(churn.model_id, Decision.model_validate({"rule": "threshold", "threshold": 0.2}))
    decided = yard.client.get_decision(churn.model_id)
    assert decided.metrics is not None
    assert decided.confusion_matrix is not None
    accuracy = formats.percent(decided.metrics.accuracy)
    assert accuracy != formats.percent(churn.metrics["validation_accuracy"])
    for page in (yard.open("model", id=churn.model_id), before.run()):
        assert not page.exception
        right = page.metric[0]
        assert (right.label, right.value) == ("Right", accuracy)
        low, high = (100 * (1 - cost) for cost in (decided.metrics.cost_high, decided.metrics.cost_low))
        assert right.delta == f"{low:.1f}–{formats.with_unit(f'{high:.1f}')} ({formats.with_unit('90')})"  # noqa: RUF001
        (classes,) = [one.value for one in page.dataframe if "Class" in one.value.columns]
        recalls = dict(zip(classes["Class"], classes["Recall"], strict=True))
        assert recalls["yes"] == pytest.approx(100 * (decided.metrics.recall or 0))
        (metrics,) = [one.value for one in page.table if "Metric" in one.value.columns]
        assert accuracy in metrics.to_numpy()[list(metrics["Metric"]).index("Accuracy")][1]
    report = yard.client.get_report(churn.model_id)
    text = html_report(model, report, kind="Logistic regression", language="en", decided=decided)
    words = " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", text, flags=re.DOTALL).split())
    assert plain(f"Accuracy {accuracy}") in words
    (_, alarms), (misses, hits) = decided.confusion_matrix.matrix
    assert f" yes {misses} {hits} " in words
    assert alarms
    assert report.confusion_matrix is not None
    assert report.confusion_matrix.matrix[1] != [misses, hits]


def test_numbers_that_cannot_be_counted_by_the_decision_say_so(yard: Yard) -> None:
    none = Evaluation(method="none")
    fields = {"model_class_key": "logistic_regression", "X": X, "y": Y, "name": "uncounted", "evaluation": none}
    decision = Decision.model_validate({"rule": "threshold", "threshold": 0.2})
    model = yard.client.train(TrainRequest(**fields, decision=decision))
    page = yard.open("model", id=model.model_id)
    assert not page.exception
    said = "on, but the numbers here are those of the most probable class: no rows held out are kept."
    assert f"It answers “yes” from a probability of 20 % {said}" in texts(page)


def test_learning_by_heart_and_training_without_a_judgement_are_said(yard: Yard) -> None:
    noise = {"a": [i * 7919 % 1009 for i in range(300)], "b": [i * 104729 % 997 for i in range(300)]}
    y = ["yes" if i * 7 % 13 < 6 else "no" for i in range(300)]
    trees = {
        "model_class_key": "catboost_classifier",
        "hyperparams": {"iterations": 60, "depth": 8, "learning_rate": 0.5},
    }
    learned = yard.client.train(TrainRequest(X=noise, y=y, name="by-heart", **trees))
    assert "overfitted" in {warning.code for warning in learned.warnings}
    shown = texts(yard.open("model", id=learned.model_id))
    assert "It learned by heart: " in shown
    assert "- Far better on the rows it was fitted to. More rows, " in shown
    assert "Not clearly better than one and the same answer for every row." in shown
    none = Evaluation(method="none")
    flattered = yard.client.train(
        TrainRequest(model_class_key="logistic_regression", X=X, y=Y, name="flattered", evaluation=none)
    )
    page = yard.open("model", id=flattered.model_id)
    assert [one.label for one in page.metric] == ["Right"]
    assert "which flatters" in texts(page)
    page = yard.open("model", id=flattered.model_id, tab="decision")
    assert not page.exception
    assert "keeps no predictions for rows held out" in texts(page)


def test_of_many_classes_the_weakest_is_named(yard: Yard, penguin_model: ModelMetadata) -> None:
    assert "Weakest at “" in texts(yard.open("model", id=penguin_model.model_id))


def test_of_many_classes_one_is_chosen_and_has_its_threshold_marks_and_money(
    yard: Yard, penguin_model: ModelMetadata
) -> None:
    key = penguin_model.model_id
    page = yard.open("model", id=key, tab="decision")
    assert page.selectbox(key=f"cut-class-{key}").value == "Chinstrap"  # the rarest
    assert page.select_slider(key=f"cut-{key}-Chinstrap").value == 0.5
    page = page.selectbox(key=f"cut-class-{key}").set_value("Gentoo").run()
    assert any(one.label.startswith("Best profit") for one in page.button)
    assert page.number_input(key=f"money-hit-{key}-Gentoo").label == "Rightly “Gentoo”"
    page = page.select_slider(key=f"cut-{key}-Gentoo").set_value(0.3).run()
    page = button(page, f"cut-use-{key}").click().run()
    assert not page.exception
    decision = yard.client.get_model(key).decision
    assert decision is not None
    assert (decision.label, decision.threshold) == ("Gentoo", 0.3)
    page = page.selectbox(key=f"cut-class-{key}").set_value("Adelie").run()
    assert not page.exception
    assert page.select_slider(key=f"cut-{key}-Adelie").value == 0.5
    page = yard.open("model", id=key, tab="decision", lang="ru")
    assert page.selectbox(key=f"cut-class-{key}").value == "Gentoo"
    assert page.select_slider(key=f"cut-{key}-Gentoo").value == 0.3
    assert "Модель отвечает: «Gentoo» при вероятности от 30 %" in texts(page)
    yard.client.set_decision(key, Decision(rule="most_probable"))


def test_of_two_classes_the_rarer_matters_whatever_their_order(yard: Yard) -> None:
    y = ["да" if label == "yes" else "нет" for label in Y]
    fields = {"model_class_key": "logistic_regression", "X": X, "y": y, "target": "ушёл", "name": "leavers"}
    key = yard.client.train(TrainRequest(**fields)).model_id
    page = yard.open("model", id=key, tab="decision")
    assert page.selectbox(key=f"cut-class-{key}").value == "да"
    assert page.select_slider(key=f"cut-{key}-да").label == "Call a row “да” from this probability on"
    page = page.selectbox(key=f"cut-class-{key}").set_value("нет").run()
    page = page.select_slider(key=f"cut-{key}-нет").set_value(0.8).run()
    page = button(page, f"cut-use-{key}").click().run()
    assert not page.exception
    decision = yard.client.get_model(key).decision
    assert decision is not None
    assert decision.label == "нет"
    assert decision.threshold == pytest.approx(0.8, abs=0.01)
    assert yard.open("model", id=key, tab="decision").selectbox(key=f"cut-class-{key}").value == "нет"


def test_the_rows_to_act_on_are_of_the_rarer_class_at_first(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n2\n")
    frame = pl.DataFrame({"prediction": ["нет", "да"], "probability да": [0.1, 0.6], "probability нет": [0.9, 0.4]})
    table = open_table(path, path.name)
    assert rarest(Predicted("m", table, frame, ("да", "нет"), (), pl.DataFrame())) == "да"
    swapped = frame.rename({"probability да": "probability нет", "probability нет": "probability да"})
    assert rarest(Predicted("m", table, swapped, ("да", "нет"), (), pl.DataFrame())) == "нет"


def test_a_threshold_is_moved_looked_at_and_kept(yard: Yard, churn: ModelMetadata) -> None:
    page = yard.open("model", id=churn.model_id, tab="decision")
    assert not page.exception
    assert "The model answers the most probable class" in texts(page)
    slider = page.select_slider(key=f"cut-{churn.model_id}-yes")
    assert slider.value == 0.5
    before = shown_counts(page)
    page = slider.set_value(0.2).run()
    after = shown_counts(page)
    assert sum(after) == sum(before) == 60
    assert after[0] + after[2] > before[0] + before[2]
    share = next(one.value for one in page.metric if one.label == "Acted on")
    assert share == formats.with_unit(f"{100 * (after[0] + after[2]) / 60:.1f}")
    page = button(page, f"cut-use-{churn.model_id}").click().run()
    assert not page.exception
    decision = yard.client.get_model(churn.model_id).decision
    assert decision is not None
    assert (decision.label, decision.threshold) == ("yes", 0.2)
    assert "It answers “yes” from a probability of 20 % on; all numbers here are counted so." in texts(page)
    assert button(page, f"cut-use-{churn.model_id}").disabled


def shown_counts(page: AppTest) -> list[int]:
    (table,) = [one.value for one in page.table if "not called so" in one.value.columns]
    return [int(str(cell).strip("*")) for cell in table.iloc[:, 1:].to_numpy().ravel()]


def test_money_moves_the_best_threshold_and_may_decide(yard: Yard, churn: ModelMetadata) -> None:
    page = yard.open("model", id=churn.model_id, tab="decision")
    first = best_profit(page)
    page = page.number_input(key=f"money-hit-{churn.model_id}-yes").set_value(50.0).run()
    assert not page.exception
    assert best_profit(page) < first
    (mark,) = [one for one in page.button if one.label.startswith("Best profit")]
    page = mark.click().run()
    assert page.select_slider(key=f"cut-{churn.model_id}-yes").value == pytest.approx(best_profit(page), abs=0.01)
    page = button(page, "money-decide").click().run()
    assert not page.exception
    decision = yard.client.get_model(churn.model_id).decision
    assert decision is not None
    assert decision.costs == {"yes": {"yes": -50, "no": 1}, "no": {"yes": 1, "no": 0}}
    page = yard.open("model", id=churn.model_id, tab="decision")
    assert page.number_input(key=f"money-hit-{churn.model_id}-yes").value == 50


def best_profit(page: AppTest) -> float:
    (mark,) = [one.label for one in page.button if one.label.startswith("Best profit")]
    return float(mark.removeprefix("Best profit: "))


def test_any_other_rule_is_set_in_its_form(yard: Yard, churn: ModelMetadata, penguin_model: ModelMetadata) -> None:
    page = yard.open("model", id=churn.model_id, tab="decision")
    page.radio(key=f"decision-way-{churn.model_id}").set_value("costs").run()
    page.number_input(key=f"decision-cost-False-{churn.model_id}").set_value(20.0).run()
    button(page, f"decision-save-{churn.model_id}").click().run()
    assert not page.exception
    decision = yard.client.get_model(churn.model_id).decision
    assert decision is not None
    assert decision.costs == {"no": {"yes": 1.0}, "yes": {"no": 20.0}}
    assert "The model answers “yes” from a probability of 4.76 % on" in texts(page)
    assert "Measured on 60 rows that were held out" in texts(page)
    page = yard.open("model", id=churn.model_id, tab="details")
    told = [plain(str(cell)) for table in page.table for cell in table.value.to_numpy().ravel()]
    assert "given a decision: “yes” from a probability of 4.76 % on" in told
    page = yard.open("model", id=penguin_model.model_id, tab="decision")
    page.radio(key=f"decision-way-{penguin_model.model_id}").set_value("costs").run()
    button(page, f"decision-save-{penguin_model.model_id}").click().run()
    assert not page.exception
    assert "The model answers the class of least expected cost" in texts(page)
    decision = yard.client.get_model(penguin_model.model_id).decision
    assert decision is not None
    assert decision.costs is not None
    assert decision.costs["Adelie"] == {"Adelie": 0.0, "Chinstrap": 1.0, "Gentoo": 1.0}
    yard.client.set_decision(penguin_model.model_id, Decision(rule="most_probable"))


def test_whom_to_act_on_first_is_said_and_a_table_at_hand_gives_the_rows(yard: Yard, churn: ModelMetadata) -> None:
    page = yard.open("model", id=churn.model_id, tab="decision")
    assert "The top **10.0 %** of rows hold **" in texts(page)
    page = page.select_slider(key=f"gain-share-{churn.model_id}").set_value(0.25).run()
    (says,) = re.findall(r"The top \*\*25.0 %\*\* of rows hold \*\*([\d.]+) %\*\* .*: ([\d.]+) times", texts(page))
    assert float(says[0]) == pytest.approx(25 * float(says[1]), rel=0.01)
    assert "To download these rows, show a table under “Where it is wrong”" in texts(page)


def test_the_rows_to_act_on_come_with_their_cells_the_most_probable_first(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("name,row\nann,a\nbob,b\ncarl,c\ndora,d\n")
    table = open_table(path, path.name)
    ranked = Ranked(table, pl.Series([0, 2, 3], dtype=pl.Int64), pl.Series([0.2, 0.9, 0.5]))
    found = pl.read_csv(io.BytesIO(as_file(table, ranked.first(0.67), "yes", tmp_path)))
    assert found.rows() == [(0.9, "carl", "c"), (0.5, "dora", "d")]
    assert found.columns == ["probability yes", "name", "row"]
    assert ranked.first(0.001).height == 1


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_tab_stands_in_the_address_by_one_word_in_both_languages(
    yard: Yard, churn: ModelMetadata, language: str
) -> None:
    for tab in ("report", "decision", "errors", "drift", "versions", "details"):
        page = yard.open("model", id=churn.model_id, tab=tab, lang=language)
        assert not page.exception
        assert not page.error
        assert said(page, "tab") == tab
    page = yard.open("model", id=churn.model_id, tab="nonsense", lang=language)
    assert not page.exception
