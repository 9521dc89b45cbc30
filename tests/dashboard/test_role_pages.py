"""Column roles on the pages: a retraining begins with its parent's, predictions with the ids."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from modelyard.dashboard.algorithms import Algorithm
from modelyard.dashboard.columns import Mapping
from modelyard.dashboard.naming import Naming
from modelyard.dashboard.order import Order
from modelyard.dashboard.predicted import Predicted
from modelyard.dashboard.predicted_file import as_file
from modelyard.dashboard.tables import open_table
from modelyard.schemas import Evaluation, TrainRequest
from tests.dashboard.test_pages import Yard, button, texts, wait_for_model, yard

__all__ = ["yard"]

pytestmark = pytest.mark.filterwarnings("default")  # Streamlit's own


def test_roles_are_kept_by_a_retraining_and_shown_with_predictions(yard: Yard, penguins_csv: Path) -> None:
    roles = {"sex": "id", "year": "time", "bill_depth_mm": "ignore"}
    request = TrainRequest(
        model_class_key="logistic_regression",
        X=penguins_csv,
        target="species",
        column_roles=roles,
        evaluation=Evaluation(method="time", fraction=0.2),
        name="roles",
    )
    parent = yard.client.train(request)
    app = yard.open("train", parent=parent.model_id)
    app = next(one for one in app.button if "sample" in one.label).click().run()
    assert not app.exception
    app = wait_for_model(button(app, "train-go").click().run())
    child = yard.client.get_model("roles")
    assert (child.version, child.column_roles, child.evaluation) == (2, parent.column_roles, parent.evaluation)
    assert child.feature_names == parent.feature_names
    assert "Measured on the latest 20 % of the rows" in texts(app)
    app = yard.open("model", id=child.model_id, tab="details")
    assert any("id of the row" in str(cell) for table in app.table for cell in table.value.to_numpy().ravel())
    app = yard.open("predict", id=child.model_id)
    app = next(one for one in app.button if "sample" in one.label).click().run()
    app = button(app, "predict-go").click().run()
    assert app.dataframe[-1].value.columns[:2].tolist() == ["sex", "prediction"]


def test_what_was_chosen_is_sent_as_roles_and_ignored_columns_in_full(penguins_csv: Path) -> None:
    mapping = Mapping({"year": "categorical"}, {"sex": "id", "island": "ignore"})
    order = Order(Algorithm("logistic_regression", {}), Evaluation(), Naming(None, []), mapping, "species", {})
    request = order.training(open_table(penguins_csv, "penguins.csv"))
    assert (request.column_roles, request.exclude) == ({"sex": "id", "island": "ignore"}, ["island"])
    assert request.feature_types == {"year": "categorical"}


def test_downloaded_predictions_begin_with_the_ids_as_they_came(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,id\n1,007\n2,008\n")
    ids = pl.DataFrame({"id": ["007", "008"]})
    predicted = Predicted("m", open_table(path, "t.csv"), pl.DataFrame({"prediction": [0.5, 1.5]}), (), (), ids)
    assert as_file(predicted, tmp_path) == b"id,a,prediction\n007,1,0.5\n008,2,1.5\n"
