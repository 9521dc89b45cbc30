"""The page Compare: what is compared stands in the address, and nothing is marked as better that does not compare."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from modelyard.dashboard.formats import percent
from modelyard.dashboard.listing import entry
from modelyard.schemas import Decision, Evaluation, ModelMetadata, TrainRequest
from tests.dashboard.test_pages import Yard, plain, said, texts, yard

__all__ = ["yard"]

pytestmark = pytest.mark.filterwarnings("default")  # Streamlit's own


@pytest.fixture(scope="module")
def models(yard: Yard, penguins_csv: Path) -> dict[str, ModelMetadata]:
    """Two versions of a name on the same rows, one of another target, one judged by other rows."""

    def train(name: str, target: str = "species", C: float = 1.0, seed: int = 0) -> ModelMetadata:
        fields = {"X": penguins_csv, "target": target, "name": name, "hyperparams": {"C": C}}
        evaluation = Evaluation(seed=seed)
        return yard.client.train(TrainRequest(model_class_key="logistic_regression", evaluation=evaluation, **fields))

    return {
        "island": train("islands", target="island"),
        "other rows": train("other-rows", C=0.001, seed=7),
        "weak": train("birds", C=0.0001),
        "good": train("birds"),
    }


def bold(app: AppTest) -> bool:
    return "**" in app.table[0].value.iloc[:, 1:].to_string()


def test_the_newest_two_versions_of_a_name_are_compared_and_stand_in_the_address(
    yard: Yard, models: dict[str, ModelMetadata]
) -> None:
    app = yard.open("compare")
    ids = f"{models['good'].model_id},{models['weak'].model_id}"
    assert not app.exception
    assert said(app, "ids") == ids
    assert list(app.table[0].value.columns)[1:] == ["birds · v2", "birds · v1"]
    assert bold(app)
    app = app.multiselect(key="compared").set_value([models["island"].model_id, models["good"].model_id]).run()
    assert said(app, "ids") == f"{models['island'].model_id},{models['good'].model_id}"
    colleague = yard.open("compare", ids=ids)
    assert list(colleague.table[0].value.columns)[1:] == ["birds · v2", "birds · v1"]


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("compare", {}),
        ("overview", {}),
        ("models", {}),
        ("name", {"name": "birds"}),
        ("name", {"name": "birds", "tab": "rivals"}),
        ("model", {"id": "birds", "tab": "versions"}),
    ],
)
def test_metrics_of_models_that_decide_say_that_they_do_not_go_by_it(
    yard: Yard, models: dict[str, ModelMetadata], page: str, query: dict[str, str]
) -> None:
    words = "every model is counted by its most probable class, whatever its decision is"
    assert words not in texts(yard.open(page, **query))
    decision = Decision.model_validate({"rule": "threshold", "class": "Gentoo", "threshold": 0.2})
    yard.client.set_decision(models["good"].model_id, decision)
    app = yard.open(page, **query)
    assert not app.exception
    assert words in texts(app)
    yard.client.set_decision(models["good"].model_id, Decision(rule="most_probable"))


def test_an_entry_of_a_picker_says_that_its_metric_is_not_that_of_the_models_answers(
    yard: Yard, models: dict[str, ModelMetadata]
) -> None:
    assert "by the most probable class" not in entry(models["good"])
    decision = Decision.model_validate({"rule": "threshold", "class": "Gentoo", "threshold": 0.2})
    decided = yard.client.set_decision(models["good"].model_id, decision)
    accuracy = plain(percent(decided.metrics["validation_accuracy"]))
    assert f"birds · v2 — {accuracy} by the most probable class, " in plain(entry(decided))
    assert f"Newest: v2, {accuracy} by the most probable class, " in texts(yard.open("name", name="birds"))
    undecided = yard.client.set_decision(models["good"].model_id, Decision(rule="most_probable"))
    assert "by the most probable class" not in entry(undecided)


@pytest.mark.parametrize(
    ("other", "words"), [("island", "predict different columns"), ("other rows", "Judged by different rows")]
)
def test_no_number_is_marked_as_better_across_targets_or_rows(
    yard: Yard, models: dict[str, ModelMetadata], other: str, words: str
) -> None:
    app = yard.open("compare", ids=f"{models['good'].model_id},{models[other].model_id}")
    assert not app.exception
    assert any(words in warning.value for warning in app.warning)
    assert not bold(app)


def test_models_that_are_not_offered_are_found_by_a_word_or_named_by_a_reference(
    yard: Yard, models: dict[str, ModelMetadata], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.dashboard.picker._OFFERED", 1)
    app = yard.open("compare")
    app = app.multiselect(key="compared").set_value([models["good"].model_id, "islands", "birds:1"]).run()
    assert said(app, "ids") == ",".join(models[name].model_id for name in ("good", "island", "weak"))
    app = app.multiselect(key="compared").set_value([models["good"].model_id, "nobody"]).run()
    assert "nobody" in app.error[0].value
    assert "Choose two to four models" in texts(app)
    app = app.text_input(key="compare-search").set_value("ROWS").run()
    options = app.multiselect(key="compared").options
    assert [one.split(" — ")[0] for one in options] == ["other-rows · v1", "birds · v2"]
    app = app.text_input(key="compare-search").set_value("nobody").run()
    assert "No model has “nobody” in its name or a tag" in texts(app)


def test_a_word_finds_the_model_to_predict_with(
    yard: Yard, models: dict[str, ModelMetadata], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.dashboard.picker._OFFERED", 1)
    app = yard.open("predict")
    assert said(app, "id") == models["good"].model_id
    app = app.text_input(key="predict-search").set_value("isl").run()
    assert not app.exception
    picked = app.selectbox(key="predict-model")
    assert [one.split(" — ")[0] for one in picked.options] == ["islands · v1", "birds · v2"]
    app = picked.set_value(models["island"].model_id).run()
    assert said(app, "id") == models["island"].model_id
    app = app.text_input(key="predict-search").set_value("").run()
    assert [one.split(" — ")[0] for one in app.selectbox(key="predict-model").options] == ["birds · v2", "islands · v1"]


def test_models_of_different_classes_at_their_defaults_are_not_said_to_have_the_same_hyperparams(
    yard: Yard, models: dict[str, ModelMetadata], penguins_csv: Path
) -> None:
    trees = yard.client.train(
        TrainRequest(model_class_key="lightgbm_classifier", X=penguins_csv, target="species", name="trees")
    )
    page = texts(yard.open("compare", ids=f"{models['good'].model_id},{trees.model_id}"))
    assert "what is not set has the default of its algorithm" in page
    assert "same hyperparams" not in page
