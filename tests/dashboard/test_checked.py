"""The training page tells of a table's findings before a training; the model's page edits tags and description."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from modelyard.dashboard import checked, session
from modelyard.dashboard.pages.train import PURPOSE
from modelyard.dashboard.tables import open_table
from modelyard.schemas import Evaluation, TrainRequest
from tests.dashboard.test_pages import Yard, button, yard

__all__ = ["yard"]

pytestmark = pytest.mark.filterwarnings("default")  # Streamlit's own

IDENTIFIER = "**who** looks like an identifier: 60 different values."


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    columns = {
        "who": [f"p{n}" for n in range(60)],
        "age": [18.5 + (7 * n) % 59 for n in range(60)],
        "y": [0, 0, 1] * 20,
    }
    pl.DataFrame(columns).write_csv(path)
    return path


def test_findings_are_shown_before_the_training(yard: Yard, table: Path) -> None:
    app = yard.open("train")
    app.session_state[session._KEY].tables[PURPOSE] = open_table(table, "people.csv")
    app = app.run()
    assert not app.warning
    app = app.selectbox(key=f"target-{table.name}-").set_value("y").run()
    assert not app.exception
    assert not app.error
    assert [IDENTIFIER in warning.value for warning in app.warning] == [True]


def test_a_large_table_is_checked_if_the_visitor_asks(yard: Yard, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "ASKED_BYTES", 10)
    app = yard.open("train")
    app.session_state[session._KEY].tables[PURPOSE] = open_table(table, "people.csv")
    app = app.run()
    app = app.selectbox(key=f"target-{table.name}-").set_value("y").run()
    assert not app.warning
    app = button(app, "check-go").click().run()
    assert [IDENTIFIER in warning.value for warning in app.warning] == [True]
    assert app.run().warning  # it is kept, and not asked for anew


def test_a_retraining_is_checked_as_the_parent_reads_tables(yard: Yard, table: Path) -> None:
    fields = {"model_class_key": "logistic_regression", "X": table, "target": "y", "name": "people"}
    without = Evaluation(method="none")
    model = yard.client.train(TrainRequest(**fields, evaluation=without, column_roles={"who": "id"}))
    app = yard.open("train", parent=model.model_id)
    app.session_state[session._KEY].tables[PURPOSE] = open_table(table, "people.csv")
    app = app.run()
    assert not app.exception
    assert not app.error
    assert not app.warning
    assert any("nothing to worry about was found" in caption.value for caption in app.caption)


def test_tags_and_description_are_edited_on_the_models_page(yard: Yard, table: Path) -> None:
    fields = {"model_class_key": "logistic_regression", "X": table, "target": "y", "name": "people", "tags": ["march"]}
    model = yard.client.train(TrainRequest(**fields, evaluation=Evaluation(method="none")))
    app = yard.open("model", id=model.model_id)
    app.text_area(key=f"edit-description-{model.model_id}").set_value("Of <b>April</b>.")
    app.multiselect(key=f"edit-tags-{model.model_id}").set_value([])
    app = button(app, f"edit-save-{model.model_id}").click().run()
    assert not app.exception
    assert not app.error
    assert "Of <b>April</b>." in [text.value for text in app.text]
    edited = yard.client.get_model("people")
    assert (edited.tags, edited.description) == ([], "Of <b>April</b>.")
