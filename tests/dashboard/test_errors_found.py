"""Where a model is wrong, on its page: its training table shown again, other tables, groups, cells and mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from modelyard.dashboard import judged
from modelyard.dashboard.errors_found import in_words
from modelyard.dashboard.tables import open_table
from modelyard.rest_api.client import RestClient
from modelyard.schemas import Condition, ModelMetadata, TrainRequest
from tests.dashboard.test_pages import Yard, button, texts, yard

__all__ = ["yard"]

pytestmark = pytest.mark.filterwarnings("default")  # Streamlit's own

N = 1500


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People whose job tells who buys, but for farmers, of whom nothing tells it."""
    rng = np.random.default_rng(0)
    jobs = rng.choice(["clerk", "cook", "farmer"], N)
    buys = np.where(jobs == "farmer", rng.random(N) < 0.5, jobs == "cook")
    path = tmp_path_factory.mktemp("errors") / "people.csv"
    pl.DataFrame({"age": rng.integers(18, 80, N), "job": jobs, "buys": np.where(buys, "yes", "no")}).write_csv(path)
    return path


@pytest.fixture(scope="module")
def people(yard: Yard, table: Path) -> ModelMetadata:
    return train(yard.client, table)


def train(client: RestClient, table: Path) -> ModelMetadata:
    return client.train(TrainRequest(model_class_key="logistic_regression", X=table, target="buys", name="people"))


def turn(app: AppTest, tab: str) -> AppTest:
    """Turn to another tab."""
    app.session_state["tabs-tab-en"] = tab
    return app.run()


def press_go(app: AppTest) -> AppTest:
    judged: AppTest = button(app, "errors-go").click().run()
    return judged


def show(yard: Yard, model: ModelMetadata, path: Path) -> AppTest:
    """Open the tab with a table given, and judge the model by it."""
    app = yard.open("model", id=model.model_id, tab="errors")
    app.session_state["modelyard"].tables["train"] = open_table(path, path.name)
    app = next(one for one in app.run().button if one.label == f"Take {path.name}").click().run()
    app = press_go(app)
    assert not app.exception
    assert not app.error
    return app


def test_the_training_table_shown_again_is_judged_by_its_rows_held_out(
    yard: Yard, people: ModelMetadata, table: Path
) -> None:
    app = show(yard, people, table)
    accuracy = people.metrics["validation_accuracy"] or 0
    assert f"Right in **{100 * accuracy:.1f} %** of 300 rows" in texts(app)
    assert "This is its own training table" in texts(app)
    segments = app.table[-1].value
    assert segments.iloc[0, 0] == "job = farmer"
    mistakes = app.dataframe[-1].value
    frame = pl.read_csv(table)
    for line, actual, predicted in mistakes.iloc[:5, :3].itertuples(index=False):
        row = frame.row(line - 2, named=True)
        assert (row["buys"], row["job"]) == (actual, "farmer")
        assert predicted != actual
    assert list(mistakes.columns[-2:]) == ["age", "job"]
    app = yard.open("model", id=people.model_id, tab="decision")
    (kept, *_) = yard.client.list_evaluations(people.model_id).evaluations
    assert kept.label == "people.csv"


def test_a_table_at_hand_offers_the_rows_to_act_on_first(yard: Yard, people: ModelMetadata, table: Path) -> None:
    app = show(yard, people, table)
    app = turn(app, "Decision")
    assert not app.exception
    assert "Of people.csv: rows held out of the training" in texts(app)
    assert "Download these 30 rows" in [getattr(one, "label", "") for one in app.get("download_button")]


def test_a_table_of_other_rows_and_of_numbers_is_judged_whole(yard: Yard, table: Path, tmp_path: Path) -> None:
    frame = pl.read_csv(table).with_columns(cost=pl.col("age") * 2.5)
    request = TrainRequest(model_class_key="linear_regression", X=frame.drop("buys"), target="cost", name="costs")
    model = yard.client.train(request)
    path = tmp_path / "other.parquet"
    frame.drop("buys").head(400).write_parquet(path)
    app = show(yard, model, path)
    assert "On average off by" in texts(app)
    assert "in 400 rows" in texts(app)
    assert "The largest errors" in texts(app)
    assert "own training table" not in texts(app)


def test_a_table_without_the_target_asks_for_it_and_one_too_large_is_told(
    yard: Yard, people: ModelMetadata, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "renamed.csv"
    pl.read_csv(table).rename({"buys": "bought"}).head(100).write_csv(path)
    app = yard.open("model", id=people.model_id, tab="errors")
    app.session_state["modelyard"].tables["judge"] = open_table(path, path.name)
    app = app.run()
    (asked,) = [one for one in app.selectbox if one.label == "Column with the answers"]
    assert asked.options == ["bought"]
    app = button(asked.set_value("bought").run(), "errors-go").click().run()
    assert not app.exception
    assert "of 100 rows" in texts(app)
    monkeypatch.setattr(judged, "MOST_NUMBERS", 299)
    assert "100 rows are too many to be shown row by row here" in texts(app.run())


def test_answers_of_a_decision_that_is_no_longer_kept_are_gone(yard: Yard, people: ModelMetadata, table: Path) -> None:
    app = show(yard, people, table)
    app = turn(app, "Decision")
    app = app.selectbox(key=f"cut-class-{people.model_id}").select("yes").run()
    app = app.select_slider(key=f"cut-{people.model_id}-yes").set_value(0.2).run()
    app = button(app, f"cut-use-{people.model_id}").click().run()
    app = turn(app, "Where it is wrong")
    assert "Groups that stand out" not in texts(app)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"kind": "value", "value": "cook"}, "job = cook"),
        ({"kind": "range", "low": 18.0, "high": 24.0}, "job 18 … 24"),
        ({"kind": "range", "low": 1.0, "high": 1.0}, "job = 1"),
        ({"kind": "others"}, "job: rarer values"),
        ({"kind": "missing"}, "job missing"),
    ],
)
def test_conditions_are_said_in_words(condition: dict[str, object], words: str) -> None:
    found = Condition.model_validate({"column": "job", **condition})
    assert in_words([found]) == words
    assert in_words([found, found]) == f"{words} and {words}"
