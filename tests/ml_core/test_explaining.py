"""What an explanation refuses, and what models of earlier releases say."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from modelyard import models_registry
from modelyard.bootstrap import build
from modelyard.errors import FailedPrecondition, PayloadTooLarge
from modelyard.ml_core.explaining import explanations
from modelyard.ml_core.yard import Yard
from modelyard.models_registry import BUILT_IN
from modelyard.models_registry.base import ModelClass
from modelyard.models_registry.linear.pipeline import LinearModelClass
from modelyard.schemas import ExplainRequest, PredictRequest, TrainRequest
from modelyard.settings import Settings
from tests import doors
from tests.data.freeze import LABELS, ROWS
from tests.storage.test_frozen import DATA


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with doors.core(tmp_path_factory.mktemp("yard") / "models_storage") as opened:
        opened.train(TrainRequest(model_class_key="logistic_regression", X=ROWS, y=LABELS, name="sizes"))
        yield opened


def test_more_numbers_than_an_answer_holds_are_refused_with_their_count(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explanations, "MOST_NUMBERS", 87)
    assert len(yard.explain(ExplainRequest(model_id="sizes", X=ROWS[:29])).contributions) == 29
    with pytest.raises(PayloadTooLarge, match=r"at most 87 contributions .*, got 90 for 30 rows; explain fewer rows"):
        yard.explain(ExplainRequest(model_id="sizes", X=ROWS))


def test_a_class_that_cannot_explain_names_those_that_can(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LinearModelClass, "contributions", ModelClass.contributions)
    can = [key for key in BUILT_IN if not key.startswith(("logistic", "linear"))]
    assert models_registry.keys_that_explain() == can
    with pytest.raises(FailedPrecondition) as caught:
        yard.explain(ExplainRequest(model_id="sizes", X=ROWS))
    named = ", ".join(map(repr, can))
    assert caught.value.detail == (
        f"models of the class 'logistic_regression' cannot be explained; those of {named} can"
    )


def test_a_model_of_a_release_that_counted_no_categories_is_explained_with_a_warning(tmp_path: Path) -> None:
    folder = shutil.copytree(DATA / "frozen-1", tmp_path / "frozen-1")
    with build(Settings(storage_dir=folder)) as yard:
        found = yard.explain(ExplainRequest(model_id="logistic_regression", X=ROWS))
        answer = yard.predict(PredictRequest(model_id="logistic_regression", X=ROWS, probabilities=True))
    (warning,) = found.warnings
    assert (warning.code, warning.count) == ("categories_not_counted", 1)
    assert "'kind'" in warning.message
    likely = np.array(answer.probabilities)
    scores = found.base[0] + np.array(found.contributions)[:, 0].sum(axis=1)
    np.testing.assert_allclose(1 / (1 + np.exp(scores)), likely[:, 0], rtol=1e-9)
