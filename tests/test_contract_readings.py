"""How cells are read, said by every door, kept with the model and inherited by its next version."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.errors import InvalidRequest
from modelyard.schemas import ModelMetadata, PredictRequest, Reading, RetrainRequest, TrainRequest, parse
from modelyard.settings import DEFAULT_MISSING_MARKERS
from modelyard.verbs import Verbs
from tests.test_contract import name, yard

__all__ = ["name", "yard"]


def write(path: Path, cells: list[str], labels: list[str]) -> Path:
    lines = [f"{cell};{kind};{label}" for cell, kind, label in zip(cells, "xyz" * len(cells), labels, strict=False)]
    path.write_text("\n".join(["size;kind;y", *lines]) + "\n")
    return path


def order(name: str, X: Path, **fields: object) -> TrainRequest:
    common = {"model_class_key": "logistic_regression", "name": name, "X": X, "target": "y"}
    return parse(TrainRequest, {**common, "evaluation": {"method": "none"}, **fields})


def codes(model: ModelMetadata) -> set[str]:
    return {warning.code for warning in model.warnings}


def test_a_model_keeps_how_it_was_read_and_its_next_version_too(yard: Verbs, name: str, tmp_path: Path) -> None:
    labels = ["no", "yes"] * 15
    X = write(tmp_path / "t.csv", [f"{row},{500 + row}" if row else "gone" for row in range(30)], labels)
    model = yard.train(order(name, X, thousands=",", missing_markers=["gone"]))
    assert model.reading == Reading(thousands=",", missing_markers=["", "gone"])
    assert model.feature_types == {"size": "numeric", "kind": "categorical"}
    assert yard.get_report(name).columns["size"]["max"] == 29529.0
    again = yard.retrain(RetrainRequest(model_id=name, X=X))
    assert again.reading == model.reading
    assert yard.get_report(name).columns["size"]["max"] == 29529.0
    other = yard.retrain(RetrainRequest(model_id=name, X=X, decimal=",", thousands=""))
    assert other.reading == Reading(decimal=",", thousands="", missing_markers=["", "gone"])
    assert yard.get_report(name).columns["size"]["max"] == 29.529


def test_a_prediction_is_read_as_in_training_or_as_told(yard: Verbs, name: str, tmp_path: Path) -> None:
    labels = ["no"] * 15 + ["yes"] * 15
    model = yard.train(order(name, write(tmp_path / "t.csv", [f"{row},5" for row in range(30)], labels)))
    assert model.reading == Reading(missing_markers=list(DEFAULT_MISSING_MARKERS))
    german = write(tmp_path / "german.csv", ["1,5", "28,5"], labels[:2])
    english = write(tmp_path / "english.csv", ["1.5", "28.5"], labels[:2])
    answers = [
        yard.predict(PredictRequest(model_id=name, X=german)),
        yard.predict(PredictRequest(model_id=name, X=english, decimal=".")),
        yard.predict(PredictRequest(model_id=name, X=[[1.5, "x"], [28.5, "y"]])),
    ]
    assert [answer.predictions for answer in answers] == [["no", "yes"]] * 3


def test_a_class_that_is_never_predicted_and_one_that_changed_are_named(yard: Verbs, name: str) -> None:
    rare = [[float(row % 5)] for row in range(60)]
    first = yard.train(
        TrainRequest(model_class_key="logistic_regression", name=name, X=rare, y=["a"] * 50 + ["b"] * 10)
    )
    assert "class_never_predicted" in codes(first)
    changed = yard.retrain(RetrainRequest(model_id=name, X=rare, y=["a"] * 30 + ["c"] * 30))
    (warning,) = [found for found in changed.warnings if found.code == "classes_changed"]
    assert (warning.count, "new: 'c'; gone: 'b'" in warning.message) == (2, True)
    assert "classes_changed" not in codes(yard.retrain(RetrainRequest(model_id=name, X=rare, y=["a", "c"] * 30)))
    typed = yard.retrain(RetrainRequest(model_id=name, X=rare, y=[1, 2] * 30))
    assert "new: 1, 2; gone: 'a', 'c'" in next(w.message for w in typed.warnings if w.code == "classes_changed")


def test_two_marks_cannot_be_the_same() -> None:
    with pytest.raises(InvalidRequest, match="decimal and thousands must be two marks, got ',' for both"):
        parse(PredictRequest, {"model_id": "m", "X": [[1]], "decimal": ",", "thousands": ","})
    with pytest.raises(InvalidRequest, match=r"field 'decimal' must be '\.' or ',', got ';'"):
        parse(PredictRequest, {"model_id": "m", "X": [[1]], "decimal": ";"})
