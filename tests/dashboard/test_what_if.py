"""One row: typed in or taken from a table, kept while it is left, explained, varied, and not counted as drift."""

from __future__ import annotations

import io
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelyard.dashboard import why
from modelyard.dashboard.charts import HEIGHT
from modelyard.dashboard.formats import label, percent
from modelyard.dashboard.predicted import Predicted
from modelyard.dashboard.predicted_file import Wanted, as_file
from modelyard.dashboard.tables import open_table
from modelyard.dashboard.typed import typed_row
from modelyard.dashboard.why import can_give_reasons, reasons_of
from modelyard.schemas import (
    Decision,
    Evaluation,
    ExplainRequest,
    KeepAnswersRequest,
    ModelMetadata,
    OutcomesRequest,
    PredictRequest,
    Reading,
    TrainRequest,
)
from tests.dashboard.test_pages import Yard, button, field, penguin_model, said, texts, yard
from tests.waiting import wait_until

__all__ = ["penguin_model", "yard"]

pytestmark = pytest.mark.filterwarnings("default")  # Streamlit's own


def open_form(yard: Yard, model: ModelMetadata) -> Any:
    page = yard.open("predict", id=model.model_id, way="row")
    assert not page.exception
    assert not page.error
    return page


def test_what_was_typed_stays_while_another_way_is_looked_at(yard: Yard, penguin_model: ModelMetadata) -> None:
    page = open_form(yard, penguin_model)
    page = field(page, "bill_length_mm").set_value(50.512345).run()
    page = field(page, "bill_depth_mm").set_value(None).run()
    page = page.segmented_control(key="in-address-way").set_value("table").run()
    page = page.segmented_control(key="in-address-way").set_value("row").run()
    assert (field(page, "bill_length_mm").value, field(page, "bill_depth_mm").value) == (50.512345, None)


def test_a_field_begins_empty_if_its_column_mostly_is(yard: Yard) -> None:
    """Neither the rare cabin nor the rare price is what is typical: both would turn the answer."""
    rows = range(60)
    table = {
        "cabin": [None if row % 3 else "B96" for row in rows],
        "deck": [None if row % 5 == 0 else "low" for row in rows],
        "price": [None if row % 3 else 7.5 for row in rows],
        "age": [None if row % 3 == 0 else 30.0 for row in rows],
    }
    y = ["no" if row % 3 else "yes" for row in rows]
    none = Evaluation(method="none")
    model = yard.client.train(TrainRequest(model_class_key="logistic_regression", X=table, y=y, evaluation=none))
    page = open_form(yard, model)
    begun = {one.label: one.value for one in [*page.number_input, *page.selectbox] if one.label in table}
    assert begun == {"cabin": None, "deck": "low", "price": None, "age": 30}
    assert page.metric[0].value == "no"


def test_the_answer_is_that_of_the_row_as_it_is_now(yard: Yard, penguin_model: ModelMetadata) -> None:
    page = open_form(yard, penguin_model)
    names = penguin_model.feature_names
    for value in (33.0, 58.0):
        page = field(page, "bill_length_mm").set_value(value).run()
        row = {one.label: one.value for one in [*page.number_input, *page.selectbox] if one.label in names}
        answer = yard.client.predict(PredictRequest(model_id=penguin_model.model_id, X=[row], probabilities=True))
        assert page.metric[0].value == answer.predictions[0]
        assert page.metric[0].delta == percent(max((answer.probabilities or [[]])[0]))
        assert f"Why {answer.predictions[0]}" in texts(page)
    assert "What if bill_length_mm were another" in texts(page)
    page = page.selectbox(key="effect-column").set_value("island").run()
    assert "What if island were another" in texts(page)
    assert not page.error


def test_what_if_is_not_counted_as_what_the_model_was_asked(yard: Yard, penguins_csv: Path) -> None:
    fields: dict[str, Any] = {"model_class_key": "logistic_regression", "X": penguins_csv, "target": "species"}
    model = yard.client.train(TrainRequest(name="counted", **fields))
    page = open_form(yard, model)
    field(page, "bill_length_mm").set_value(50.5).run()
    wait_until(lambda: yard.client.get_drift("counted").rows >= 2)
    assert yard.client.get_drift("counted").rows == 2


@pytest.mark.parametrize("way", ["numbers", "missing", "unknown"])
def test_every_kind_of_cell_can_be_varied(yard: Yard, way: str) -> None:
    moments = [f"2024-{1 + row % 12:02}-{1 + row % 28:02}T10:30:00Z" for row in range(60)]
    X = {"when": moments, "n": [row % 7 for row in range(60)], "job": [f"job {row % 3}" for row in range(60)]}
    X["flat"] = [1] * 60
    y = [row % 7 + 0.5 * (row % 3) for row in range(60)]
    model = yard.client.train(TrainRequest(model_class_key="linear_regression", X=X, y=y, name=f"varied-{way}"))
    page = open_form(yard, model)
    if way == "missing":
        page.datetime_input[0].set_value(None)
        field(page, "n").set_value(None)
        next(one for one in page.selectbox if one.label == "job").set_value(None)
    elif way == "unknown":
        field(page, "n").set_value(99.0)
    for name in model.feature_names:
        page = page.selectbox(key="effect-column").set_value(name).run()
        assert not page.exception
        assert not page.error
    page = page.selectbox(key="effect-column").set_value("flat").run()
    assert "Nothing is known of the range" in texts(page)


def a_model(penguin_model: ModelMetadata, **fields: Any) -> ModelMetadata:
    types = {"n": "numeric", "when": "datetime", "job": "categorical"}
    return penguin_model.model_copy(update={"feature_names": list(types), "feature_types": types, **fields})


@pytest.mark.parametrize(
    ("cells", "row"),
    [
        ({"n": "1.5", "when": "2024-01-05T10:30:20Z", "job": "cook"}, (1.5, datetime(2024, 1, 5, 10, 30), "cook")),  # noqa: DTZ001
        ({"n": "1,5", "when": "2024-01-05", "job": "007"}, (1.5, datetime(2024, 1, 5), "007")),  # noqa: DTZ001
        ({"n": 3, "when": datetime(2024, 1, 5, tzinfo=UTC), "job": 7}, (3.0, datetime(2024, 1, 5), "7")),  # noqa: DTZ001
        ({"n": "?", "when": None, "job": "NA"}, (None, None, None)),
        ({"n": None, "job": 7.0}, (None, None, "7")),
        ({"n": 2.5, "when": "", "job": True}, (2.5, None, "true")),
    ],
)
def test_a_row_of_a_table_is_typed_as_the_model_reads_it(
    penguin_model: ModelMetadata, cells: dict[str, Any], row: tuple[Any, ...]
) -> None:
    found, unread = typed_row(a_model(penguin_model), cells, {})
    assert (tuple(found.values()), unread) == (row, [])


def test_how_numbers_are_written_is_obeyed_and_what_cannot_be_read_is_named(penguin_model: ModelMetadata) -> None:
    reading = Reading(missing_markers=["gone"], decimal=",", thousands=".")
    model = a_model(penguin_model, reading=reading)
    assert typed_row(model, {"n": "1.234,5", "when": "gone"}, {})[0] == {"n": 1234.5, "when": None, "job": None}
    assert typed_row(model, {"n": "1,234.5"}, {"decimal": ".", "thousands": ","})[0]["n"] == 1234.5
    assert typed_row(model, {"n": "many", "when": "soon"}, {}) == (
        {"n": None, "when": None, "job": None},
        ["n", "when"],
    )


def test_a_row_of_a_table_opens_in_the_form(yard: Yard, penguin_model: ModelMetadata) -> None:
    page = yard.open("predict", id=penguin_model.model_id)
    page = next(one for one in page.button if "sample" in one.label).click().run()
    page = button(page, "predict-go").click().run()
    assert button(page, "open-row").disabled
    page = field(page, "Line").set_value(345).run()  # the file's last line
    page = button(page, "open-row").click().run()
    assert not page.exception
    assert said(page, "way") == "row"
    assert (field(page, "bill_length_mm").value, field(page, "body_mass_g").value) == (50.2, 3775)
    assert "Why Chinstrap" in texts(page)


def test_the_training_table_is_told_apart_and_its_answers_do_not_flatter(
    yard: Yard, penguin_model: ModelMetadata
) -> None:
    page = yard.open("predict", id=penguin_model.model_id)
    page = next(one for one in page.button if "sample" in one.label).click().run()
    page = button(page, "predict-go").click().run()
    accuracy = penguin_model.metrics["validation_accuracy"] or 0
    assert (page.metric[0].label, page.metric[0].value) == ("Accuracy", percent(accuracy))
    assert "The model was trained on this table" in texts(page)
    assert "rows are right" not in texts(page)
    decision = {"rule": "threshold", "class": "Gentoo", "threshold": 0.0}
    yard.client.set_decision(penguin_model.model_id, Decision.model_validate(decision))
    page = button(page.run(), "predict-go").click().run()
    decided = yard.client.get_decision(penguin_model.model_id).metrics
    assert decided is not None
    assert page.metric[0].value == percent(decided.accuracy)
    assert decided.accuracy < accuracy
    page = button(page, "predict-errors").click().run()
    assert not page.exception
    assert said(page, "tab") == "errors"
    assert "penguins.csv" in texts(page)
    yard.client.set_decision(penguin_model.model_id, Decision(rule="most_probable"))


def test_a_table_with_other_rows_and_true_labels_shows_the_accuracy_at_once(
    yard: Yard, penguin_model: ModelMetadata, penguins: pl.DataFrame
) -> None:
    page = yard.open("predict", id=penguin_model.model_id)
    here = page.session_state["modelyard"]
    path = here.scratch / "some.csv"
    penguins.head(200).write_csv(path)
    here.tables["predict"] = open_table(path, "some.csv", None, penguin_model.reading)
    page = button(page.run(), "predict-go").click().run()
    assert page.metric[0].label == "Accuracy"
    assert "of 200 rows are right" in texts(page)
    assert "Rows that the model learned from look better than new ones" in texts(page)
    page = button(page, "predict-errors").click().run()
    page = button(page, "errors-go").click().run()
    assert not page.exception
    assert r"model was fitted to, in all features and the target\: 200 of 200" in texts(page)


def test_answers_that_are_not_those_of_the_choice_are_gone(yard: Yard, penguins: pl.DataFrame) -> None:
    X = penguins.drop_nulls("body_mass_g")
    model = yard.client.train(
        TrainRequest(model_class_key="linear_regression", X=X, target="body_mass_g", name="heavy")
    )
    page = yard.open("predict", id=model.model_id)
    page = next(one for one in page.button if "sample" in one.label).click().run()
    page = button(page, "predict-go").click().run()
    assert "Row by row" in texts(page)
    page = page.selectbox(key="predict-interval").set_value(0.9).run()
    assert "Row by row" not in texts(page)


def test_the_download_names_the_three_main_reasons(
    yard: Yard, penguin_model: ModelMetadata, penguins_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = open_table(penguins_csv, "penguins.csv")
    labels = yard.client.predict(PredictRequest(model_id=penguin_model.model_id, X=penguins_csv)).predictions
    frame = pl.DataFrame({"prediction": labels})
    classes = tuple(map(str, penguin_model.classes or ()))
    predicted = Predicted(penguin_model.model_id, table, frame, classes, (), pl.DataFrame())
    reasons = reasons_of(yard.client, predicted)
    found = yard.client.explain(ExplainRequest(model_id=penguin_model.model_id, X=penguins_csv))
    for row in (0, 200):
        shares = dict(zip(found.feature_names, found.contributions[row][found.output_of(row)], strict=True))
        strongest = sorted(shares, key=lambda name: -abs(shares[name]))[:3]
        assert list(reasons.row(row)) == [f"{name} {shares[name]:+.3g}" for name in strongest]
    lines = pl.read_csv(io.BytesIO(as_file(predicted, tmp_path, yard=yard.client)), null_values="NA")
    assert lines.columns[-4:] == ["prediction", "reason 1", "reason 2", "reason 3"]
    assert lines.height == 344
    assert can_give_reasons(predicted, penguin_model)
    monkeypatch.setattr(why, "MOST_NUMBERS", 100)
    assert not can_give_reasons(predicted, penguin_model)


def test_the_download_of_kept_answers_becomes_outcomes_by_one_more_column(
    yard: Yard, penguin_model: ModelMetadata, penguins_csv: Path, tmp_path: Path
) -> None:
    yard.client.set_keep_answers(penguin_model.name, KeepAnswersRequest(keep=True))
    page = yard.open("predict", id=penguin_model.model_id)
    page = next(one for one in page.button if "sample" in one.label).click().run()
    page = button(page, "predict-go").click().run()
    yard.client.set_keep_answers(penguin_model.name, KeepAnswersRequest(keep=False))
    predicted = page.session_state["modelyard"].kept["predicted"]
    assert f"Kept as `{predicted.prediction_id}`" in texts(page)
    first = as_file(predicted, tmp_path, wanted=Wanted(predicted.frame.columns[1], 100))
    outcomes = pl.read_csv(io.BytesIO(first), null_values="NA").rename({"species": "label"})
    assert outcomes.columns[:2] == ["prediction_id", "row"]
    added = yard.client.add_outcomes(OutcomesRequest(model_id=penguin_model.name, X=outcomes.to_dicts()))
    assert (added.matched, added.unknown) == (100, 0)
    (week,) = yard.client.get_performance(penguin_model.name).weeks
    assert (week.metrics["accuracy"] or 0.0) > 0.9  # each label stands with the answer to its own row


def test_a_name_along_an_axis_is_no_longer_than_the_chart(yard: Yard) -> None:
    X = [{"f" * 150: float(row)} for row in range(40)]
    model = yard.client.train(
        TrainRequest(model_class_key="linear_regression", X=X, y=[2.0 * row for row in range(40)], name="long")
    )
    charts = [json.loads(chart.proto.spec) for chart in open_form(yard, model).get("vega_lite_chart")]
    assert any("f" * 150 in json.dumps(chart) for chart in charts)
    assert {chart["config"]["axisY"]["titleLimit"] for chart in charts} == {HEIGHT}
    assert all(chart["config"]["axisX"]["titleLimit"] < 1280 / 2 for chart in charts)


def test_all_columns_that_a_table_needs_can_be_read(yard: Yard) -> None:
    X = {f"column-{place:02}": [place * row % 7 for row in range(40)] for place in range(1, 41)}
    y = ["a" if row % 2 else "b" for row in range(40)]
    model = yard.client.train(TrainRequest(model_class_key="logistic_regression", X=X, y=y, name="wide"))
    page = yard.open("predict", id=model.model_id)
    assert "in any order (40)" in texts(page)
    assert all(name in texts(page) for name in X)
    assert [one.label for one in page.expander] == ["and 10 more"]


def test_the_form_of_a_wide_table_shows_what_counts_most_and_sends_all_columns(yard: Yard) -> None:
    draw = random.Random(1)
    X = {f"column-{place:02}": [draw.randrange(10) for _ in range(100)] for place in range(1, 41)}
    y = [1e6 * X["column-33"][row] + 1e5 * X["column-07"][row] for row in range(100)]
    model = yard.client.train(TrainRequest(model_class_key="linear_regression", X=X, y=y, name="wide-numbers"))
    page = open_form(yard, model)
    folded = next(one for one in page.expander if one.label == "28 columns that count less")
    hidden = [one.label for one in folded.number_input]
    assert len(hidden) == 28
    assert not {"column-33", "column-07"} & set(hidden)
    row = {one.label: one.value for one in page.number_input if one.label in X}
    row[hidden[0]] = 3.0
    page = field(page, hidden[0]).set_value(3.0).run()
    (answer,) = yard.client.predict(PredictRequest(model_id=model.model_id, X=[row])).predictions
    assert page.metric[0].value == label(answer)
    table = pl.DataFrame({name: cells[:3] for name, cells in X.items()})
    found = yard.client.explain(ExplainRequest(model_id=model.model_id, X=table))
    assert all("e+" not in why._signed(share) for one in found.contributions for share in one[0])


def test_a_wrong_cell_is_told_by_its_line_in_the_file(yard: Yard, penguin_model: ModelMetadata) -> None:
    page = yard.open("predict", id=penguin_model.model_id)
    here = page.session_state["modelyard"]
    path = here.scratch / "wrong.csv"
    head = ",".join(penguin_model.feature_names)
    rows = [f"Biscoe,{bill},18,190,3700,male,2007" for bill in ("40", "long", "41")]
    path.write_text("\n".join(["a title", head, *rows]))
    here.tables["predict"] = open_table(path, "wrong.csv", {"skip_rows": 1}, penguin_model.reading)
    page.session_state[f"reading-predict-{path.name}-skip_rows"] = 1
    page = button(page.run(), "predict-go").click().run()
    assert "row 1" not in page.error[0].value
    assert "column 'bill_length_mm', line 4 of wrong.csv" in page.error[0].value
