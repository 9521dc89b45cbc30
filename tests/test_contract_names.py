"""Models by their names, the same behind every door."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from modelyard.errors import InvalidRequest, ModelClassNotFound
from modelyard.schemas import AliasRequest, Decision, Evaluation, LinePoint, ModelQuery, NameQuery, UpdateRequest
from modelyard.verbs import Verbs
from tests.test_contract import DOORS, order


@pytest.fixture(scope="module", params=list(DOORS))
def yard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verbs]:
    with DOORS[request.param](tmp_path_factory.mktemp("names") / "models_storage") as opened:
        for name in ("churn", "leads", "churn", "old", "churn"):
            opened.train(order(name, target="bought" if name == "leads" else None))
        opened.train(order("judged", model_class_key="lightgbm_classifier", evaluation=Evaluation()))
        opened.set_alias("churn", "champion", AliasRequest(version=1))
        opened.update_model("leads", UpdateRequest(tags=["Quarterly"]))
        opened.set_decision("judged", Decision.model_validate({"rule": "threshold", "threshold": 0.25}))
        opened.delete("churn:2")
        opened.delete("old")
        yield opened


def names(yard: Verbs, **fields: object) -> list[str]:
    return [one.name for one in yard.list_names(NameQuery.model_validate(fields)).names]


def test_a_name_is_one_line_of_versions_whatever_their_number(yard: Verbs) -> None:
    page = yard.list_names()
    assert ([one.name for one in page.names], page.total, page.next_cursor) == (["judged", "churn", "leads"], 3, None)
    judged, churn, _ = page.names
    assert (churn.version, churn.versions, churn.aliases, churn.metric) == (3, 2, {"champion": 1}, "train_accuracy")
    newest = yard.get_model("churn")
    assert churn.model_id == newest.model_id
    assert [point.version for point in churn.line] == [1, 3]
    assert churn.line[1] == LinePoint(version=3, value=newest.metrics["train_accuracy"])
    assert (judged.decision, churn.decision) == (yard.get_model("judged").decision, None)
    assert judged.decision is not None
    assert judged.decision.threshold == 0.25
    assert (judged.metric, judged.n_rows, judged.task) == ("validation_accuracy", 60, "classification")


def test_names_are_found_by_all_that_is_asked_of_one_version(yard: Verbs) -> None:
    assert names(yard, search="CHU") == ["churn"]
    assert names(yard, search="quarter") == ["leads"]
    assert names(yard, search="nothing") == []
    assert names(yard, alias="champion") == ["churn"]
    assert names(yard, alias="champion", search="leads") == []
    assert names(yard, model_class_key="LightGBM-Classifier") == ["judged"]
    assert names(yard, status="deleted") == ["old", "churn"]
    assert names(yard, status="all") == ["judged", "churn", "old", "leads"]
    assert [one.version for one in yard.list_models(ModelQuery(search="CHU")).models] == [3, 1]
    deleted = yard.list_names(NameQuery(status="deleted", search="churn")).names[0]
    assert (deleted.version, deleted.versions, deleted.status) == (2, 1, "deleted")


def test_names_come_page_by_page(yard: Verbs) -> None:
    found, cursor = [], None
    while True:
        page = yard.list_names(NameQuery(limit=1, cursor=cursor))
        assert (len(page.names), page.total) == (1, 3)
        found += page.names
        if (cursor := page.next_cursor) is None:
            break
    assert [one.name for one in found] == ["judged", "churn", "leads"]


def test_what_is_asked_wrongly_is_refused(yard: Verbs) -> None:
    with pytest.raises(InvalidRequest, match="cursor 'nonsense' is none"):
        yard.list_names(NameQuery(cursor="nonsense"))
    with pytest.raises(ModelClassNotFound):
        yard.list_names(NameQuery(model_class_key="none"))
