"""The compare page judges its models by a labelled table that the visitor gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.dashboard import session
from modelyard.dashboard.evaluated import PURPOSE
from modelyard.dashboard.tables import open_table
from modelyard.schemas import Evaluation, TrainRequest
from tests.dashboard.test_pages import Yard, button, texts, yard

__all__ = ["yard"]

pytestmark = pytest.mark.filterwarnings("default")  # Streamlit's own


def test_models_are_judged_on_the_same_rows(yard: Yard, penguins_csv: Path) -> None:
    fields = {"model_class_key": "logistic_regression", "X": penguins_csv, "target": "species"}
    none = Evaluation(method="none")
    left_out = {"blind": ["bill_length_mm", "bill_depth_mm", "flipper_length_mm"], "seeing": []}
    orders = [TrainRequest(**fields, name=name, exclude=names, evaluation=none) for name, names in left_out.items()]
    app = yard.open("compare", ids=",".join(yard.client.train(order).model_id for order in orders))
    assert "On the same rows" in texts(app)
    app.session_state[session._KEY].tables[PURPOSE] = open_table(penguins_csv, "new.csv")
    app = app.run()
    assert app.selectbox(key=f"evaluate-target-{penguins_csv.name}").value == "species"
    app = app.text_input(key="evaluate-label").set_value("all penguins").run()
    app = button(app, "evaluate-go").click().run()
    assert not app.exception
    assert not app.error
    metrics, pairs = (table.value for table in app.table[-2:])
    assert list(metrics.columns)[1:] == ["blind · v1", "seeing · v1"]
    assert "100\xa0%" in metrics.to_string()
    assert "seeing:1 is better" in pairs.to_string().replace("\\", "")
    app = app.selectbox(key="evaluate-metric").set_value("log_loss").run()
    assert "seeing:1 is better" in app.table[-1].value.to_string().replace("\\", "")
    assert [one.label for one in yard.client.list_evaluations("seeing").evaluations] == ["all penguins"]
    app = app.text_input(key="evaluate-label").set_value("another").run()
    assert len(app.table) < 4  # what was shown was of what was asked before


def test_the_column_with_the_answers_is_asked_for_if_it_is_not_the_models_target(
    yard: Yard, penguins_csv: Path, tmp_path: Path
) -> None:
    fields = {"model_class_key": "logistic_regression", "X": penguins_csv, "target": "species"}
    ids = [yard.client.train(TrainRequest(**fields, evaluation=Evaluation(method="none"))).model_id for _ in range(2)]
    path = tmp_path / "kinds.csv"
    path.write_text(penguins_csv.read_text().replace("species", "kind"))
    app = yard.open("compare", ids=",".join(ids))
    app.session_state[session._KEY].tables[PURPOSE] = open_table(path, "kinds.csv")
    app = app.run()
    key = "evaluate-target-kinds.csv"
    assert app.selectbox(key=key).value is None
    assert button(app, "evaluate-go").disabled
    app = button(app.selectbox(key=key).set_value("kind").run(), "evaluate-go").click().run()
    assert not app.error
    assert app.table[-2].value.to_string().count("100\xa0%") > 1


def test_models_of_one_table_are_judged_by_the_rows_held_out_of_both_without_any(
    yard: Yard, penguins_csv: Path
) -> None:
    fields = {"model_class_key": "logistic_regression", "X": penguins_csv, "target": "species", "name": "twice"}
    first, second = (yard.client.train(TrainRequest(**fields, hyperparams={"C": C})) for C in (1e-5, 1.0))
    ids = f"{first.model_id},{second.model_id}"
    for page, query in (("compare", {"ids": ids}), ("name", {"name": "twice", "tab": "rivals"})):
        app = yard.open(page, **query)
        assert not app.exception
        assert not app.error
        assert "Without a table: on the 69 rows of the training table that were held out of all of them." in texts(app)
        assert "twice:2 is better" in app.table[-1].value.to_string().replace("\\", "")
    assert yard.client.list_evaluations("twice").evaluations == []


def test_models_that_cannot_be_judged_together_are_said_to_be(yard: Yard) -> None:
    X = [[float(row)] for row in range(10)]
    none = Evaluation(method="none")
    numbers = TrainRequest(model_class_key="linear_regression", X=X, y=[row[0] for row in X], evaluation=none)
    labels = TrainRequest(model_class_key="logistic_regression", X=X, y=["a", "b"] * 5, evaluation=none)
    ids = [yard.client.train(order).model_id for order in (numbers, labels)]
    app = yard.open("compare")
    app = app.multiselect(key="compared").set_value(ids).run()
    assert "Only models of one task" in texts(app)
