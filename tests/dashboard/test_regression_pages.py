"""The pages for regression: what is asked, what a report, a prediction and a comparison show."""

from __future__ import annotations

import re

import polars as pl
import pytest

from modelyard.dashboard import formats
from modelyard.dashboard.charts.waterfall import waterfall
from modelyard.schemas import ModelMetadata, TrainRequest
from tests.dashboard.test_pages import Yard, button, penguin_model, plain, texts, wait_for_model, yard

__all__ = ["penguin_model", "yard"]

pytestmark = pytest.mark.filterwarnings("default")  # Streamlit's own


@pytest.fixture(scope="module")
def weights(yard: Yard, penguins: pl.DataFrame) -> ModelMetadata:
    X = penguins.drop_nulls("body_mass_g")
    return yard.client.train(
        TrainRequest(model_class_key="linear_regression", X=X, target="body_mass_g", name="weights")
    )


@pytest.fixture(scope="module")
def tree_weights(yard: Yard, penguins: pl.DataFrame) -> ModelMetadata:
    request = TrainRequest(
        model_class_key="catboost_regressor",
        X=penguins.drop_nulls("body_mass_g"),
        target="body_mass_g",
        name="weights",
        hyperparams={"iterations": 20},
    )
    return yard.client.train(request)


def test_the_form_asks_what_a_column_holds_and_offers_the_algorithms_for_it(yard: Yard) -> None:
    app = yard.open("train")
    app = app.button[-1].click().run()
    offered = {box.key for box in app.checkbox if str(box.key).startswith("class-")}
    assert offered == {
        "class-auto",
        "class-logistic_regression",
        "class-catboost_classifier",
        "class-lightgbm_classifier",
    }
    app = app.selectbox(key="target-penguins.csv-").set_value("body_mass_g").run()
    (task,) = (one for one in app.segmented_control if str(one.key).startswith("task-"))
    assert task.value == "regression"
    offered = {box.key for box in app.checkbox if str(box.key).startswith("class-")}
    assert offered == {"class-auto", "class-linear_regression", "class-catboost_regressor", "class-lightgbm_regressor"}
    assert "Numbers: 2700 … 6300" in texts(app)


def test_a_regression_is_trained_from_the_form(yard: Yard) -> None:
    app = yard.open("train")
    app = app.button[-1].click().run()
    app = app.selectbox(key="target-penguins.csv-").set_value("year").run()
    (task,) = (one for one in app.segmented_control if str(one.key).startswith("task-"))
    assert task.value == "classification"
    app = task.set_value("regression").run()
    app = app.text_input[0].set_value("years").run()
    app = wait_for_model(button(app, "train-go").click().run())
    assert "years · v1" in app.success[0].value
    assert yard.client.get_model("years").task == "regression"
    assert [metric.label for metric in app.metric] == [
        "RMSE",
        "Mean absolute error",
        "R²",
        "Mean absolute percentage error",
    ]


@pytest.mark.parametrize("page", ["overview", "predict", "models", "compare", "model"])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_page_shows_a_regression_in_both_languages(
    yard: Yard, weights: ModelMetadata, tree_weights: ModelMetadata, page: str, language: str
) -> None:
    assert tree_weights.version == weights.version + 1
    app = yard.open(page, lang=language, id=weights.model_id)
    assert not app.exception
    assert not app.error
    assert bool(re.search("[\u0400-\u04ff]", texts(app))) == (language == "ru")


def test_a_report_shows_the_residuals_and_no_classes(yard: Yard, weights: ModelMetadata) -> None:
    app = yard.open("model", id=weights.model_id)
    said = texts(app)
    assert "Predicted against true" in said
    assert "Residuals" in said
    assert "Confusion matrix" not in said
    app = yard.open("model", id=weights.model_id, tab="details")
    facts = [fact for table in app.table for fact in table.value.iloc[:, 0].to_list()]
    assert "Task" in facts
    assert not any(str(fact).startswith("Classes") for fact in facts)


def test_a_table_with_true_numbers_shows_the_error_at_once(yard: Yard, weights: ModelMetadata) -> None:
    app = yard.open("predict")
    app = app.selectbox(key="predict-model").set_value(weights.model_id).run()
    app = next(one for one in app.button if "sample" in one.label).click().run()
    app = button(app, "predict-go").click().run()
    assert not app.exception
    assert [metric.label for metric in app.metric] == ["RMSE", "Mean absolute error"]
    assert 100 < float(app.metric[0].value) < 600
    assert "Measured on 342 rows" in texts(app)
    assert "Rows that the model learned from look better than new ones" in texts(app)


def test_numbers_are_shown_with_an_interval_around_each_if_it_is_asked_for(yard: Yard, weights: ModelMetadata) -> None:
    app = yard.open("predict")
    app = app.selectbox(key="predict-model").set_value(weights.model_id).run()
    app = next(one for one in app.button if "sample" in one.label).click().run()
    app = app.selectbox(key="predict-interval").set_value(0.9).run()
    app = button(app, "predict-go").click().run()
    assert not app.exception
    shown = app.dataframe[-1].value
    assert list(shown.columns[:3]) == ["prediction", "low", "high"]
    margins = shown["high"] - shown["prediction"]
    assert margins.min() == pytest.approx(margins.max())
    assert margins.min() > 100
    app = app.segmented_control(key="in-address-way").set_value("row").run()
    assert app.selectbox(key="predict-interval").value == 0.9
    low, high = map(float, app.metric[0].delta.split(" … "))
    assert low < float(app.metric[0].value) < high


def test_a_report_shows_intervals_the_baseline_and_what_intervals_of_predictions_hold(
    yard: Yard, weights: ModelMetadata
) -> None:
    app = yard.open("model", id=weights.model_id)
    interval = formats.metric_interval("validation_rmse", weights.metrics)
    always = formats.number(weights.metrics["baseline_rmse"], 3)
    assert [(one.label, one.delta) for one in app.metric] == [
        ("Error (RMSE)", f"{interval} ({formats.with_unit('90')})"),
        ("Always the mean", "one for all rows"),
    ]
    assert app.metric[1].value == always
    said = texts(app)
    assert "explains" in said
    assert re.search("Intervals of 90 % held [0-9.]+ % of the rows held out", said)
    names = [name for table in app.table for name in table.value.iloc[:, 0].to_list()]
    assert {"RMSE", "RMSE of the baseline", "RMSE on training rows"} <= set(names)
    app = yard.open("compare")
    app = app.multiselect(key="compared").set_value([weights.model_id]).run()
    assert not app.exception


def test_one_row_is_answered_with_a_number(yard: Yard, weights: ModelMetadata) -> None:
    app = yard.open("predict")
    app = app.selectbox(key="predict-model").set_value(weights.model_id).run()
    app = app.segmented_control(key="in-address-way").set_value("row").run()
    assert not app.exception
    assert 2000 < float(app.metric[0].value) < 7000
    assert min(column.weight for column in app.columns if column.metric) > 0.5  # else a long interval is cut off


@pytest.mark.parametrize(
    ("shares", "digits"), [({"area": 8984968.1, "rooms": -732000.3}, ".0f"), ({"age": 0.387, "kind": -0.0225}, ".3~r")]
)
def test_the_steps_to_a_large_number_are_whole_and_add_up(shares: dict[str, float], digits: str) -> None:
    base = 16611473.9 if digits == ".0f" else -0.179
    drawn = waterfall(base, shares, base + sum(shares.values())).to_json()
    assert (f'"+,{digits}"' in drawn, f'",{digits}"' in drawn) == (True, True)


def test_labels_and_numbers_are_not_compared(
    yard: Yard, weights: ModelMetadata, tree_weights: ModelMetadata, penguin_model: ModelMetadata
) -> None:
    app = yard.open("compare")
    pick = app.multiselect(key="compared")
    app = pick.set_value([weights.model_id, tree_weights.model_id]).run()
    assert not app.exception
    assert "RMSE" in app.table[0].value.iloc[:, 0].to_list()
    assert not any("different things" in warning.value for warning in app.warning)
    app = app.multiselect(key="compared").set_value([weights.model_id, penguin_model.model_id]).run()
    assert any("different things" in warning.value for warning in app.warning)
    assert {"RMSE", "Accuracy"} <= set(app.table[0].value.iloc[:, 0].to_list())


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("validation_rmse", 1234.5678, "1235"),
        ("validation_rmse_std", 0.0123456, "0.0123"),
        ("validation_r2", -0.5, "-0.5"),
        ("validation_mape", 1.5, "150 %"),
        ("train_rmse", 0.25, "0.25"),
        ("validation_accuracy", 0.5, "50.0 %"),
        ("validation_log_loss", 0.5, "0.5"),
    ],
)
def test_metrics_are_written_in_their_unit(metric: str, value: float, text: str) -> None:
    assert plain(formats.metric_value(metric, value)) == text


def test_monotone_columns_are_asked_of_algorithms_that_can_and_shown(yard: Yard) -> None:
    app = yard.open("train")
    app = app.button[-1].click().run()
    app = app.selectbox(key="target-penguins.csv-").set_value("year").run()
    (task,) = (one for one in app.segmented_control if str(one.key).startswith("task-"))
    app = task.set_value("regression").run()
    asked = [str(one.key) for one in app.multiselect]
    assert not [key for key in asked if key.startswith("monotone-")], "the linear model is chosen first, and cannot"
    app = app.checkbox(key="class-lightgbm_regressor").check().run()
    app = app.checkbox(key="class-linear_regression").uncheck().run()
    rises = app.multiselect(key="monotone-rises-")
    assert "flipper_length_mm" in rises.options
    assert "species" not in rises.options
    app = rises.set_value(["flipper_length_mm"]).run()
    assert "flipper_length_mm" not in app.multiselect(key="monotone-falls-").options
    app = app.multiselect(key="monotone-falls-").set_value(["body_mass_g"]).run()
    app = app.text_input[0].set_value("monotone").run()
    wait_for_model(button(app, "train-go").click().run())
    model = yard.client.get_model("monotone")
    assert model.monotone == {"flipper_length_mm": 1, "body_mass_g": -1}
    shown = yard.open("model", id=model.model_id, tab="details")
    assert not shown.exception
    cells = [str(cell) for table in shown.table for cell in table.value.to_numpy().ravel()]
    assert "Rises with: flipper_length_mm; Falls with: body_mass_g" in [cell.replace("\\", "") for cell in cells], cells
    again = yard.open("train", parent=model.model_id)
    assert not again.exception
