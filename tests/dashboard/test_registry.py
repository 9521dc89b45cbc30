"""The registry's logic: names by pages, one name's tabs, and what their addresses say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from modelyard.access.permissions import NEEDED
from modelyard.access.verification import PRUNE, REPAIR, SIGN
from modelyard.dashboard.production import life
from modelyard.dashboard.registry import line as lines
from modelyard.dashboard.registry import versions
from modelyard.dashboard.texts.verbs import VERBS
from modelyard.schemas import (
    AddedOutcomes,
    AliasRequest,
    Decision,
    Evaluation,
    Freshness,
    KeepAnswersRequest,
    Performance,
    RetrainRequest,
    TrainRequest,
    UpdateRequest,
    WeekPerformance,
)
from tests.dashboard.test_pages import Yard, button, linked_table, said, texts, yard

__all__ = ["yard"]

pytestmark = pytest.mark.filterwarnings("default")  # Streamlit's own

X = [[float(i % 10), i // 30] for i in range(60)]
Y = ["yes" if row[1] else "no" for row in X]


def train(yard: Yard, name: str, **fields: Any) -> None:
    unjudged = {"evaluation": Evaluation(method="none"), **fields}
    yard.client.train(TrainRequest(model_class_key="logistic_regression", X=X, y=Y, name=name, **unjudged))


def titles(app: AppTest) -> list[str]:
    return [row["title"] for row in linked_table(app)["rows"]]


@pytest.fixture(scope="module")
def line(yard: Yard) -> str:
    """A name of three versions, the second one deleted, with an alias that was moved."""
    train(yard, "line", evaluation=Evaluation(), tags=["quarterly"], target="bought")
    for _ in range(2):
        yard.client.retrain(RetrainRequest(model_id="line", X=X, y=Y))
    yard.client.delete("line:2")
    for version in (3, 1):
        yard.client.set_alias("line", "champion", AliasRequest(version=version))
    return "line"


def test_a_name_is_one_row_with_its_line_and_aliases(yard: Yard, line: str) -> None:
    app = yard.open("models", q="QUARTERLY")
    assert not app.exception
    assert titles(app) == [line]
    (row,) = linked_table(app)["rows"]
    name, newest, spark, versions, aliases, target, *_ = row["cells"]
    assert name[0] == {"text": line, "page": "name", "query": {"name": line}}
    assert {"badge": "quarterly", "color": ""} in name
    assert newest[0].endswith("%")
    assert (len(spark["line"]), versions, target) == (2, "2", "bought")
    assert aliases == [{"badge": "champion v1", "color": "strong"}]
    assert "1 of 1 name" in texts(app)


def test_filters_stand_in_the_address_and_a_change_begins_at_the_first_page(yard: Yard, line: str) -> None:
    for number in range(26):
        train(yard, f"many-{number:02}")
    app = yard.open("models", q="many-", status="all")
    assert titles(app) == [f"many-{number:02}" for number in range(25, 0, -1)]
    app = button(app, "next-after").click().run()
    assert titles(app) == ["many-00"]
    assert said(app, "after")
    app = app.text_input(key="in-address-q").set_value("lin").run()
    assert (said(app, "q"), said(app, "after"), said(app, "status")) == ("lin", None, "all")
    assert titles(app) == [line]
    app = app.segmented_control(key="in-address-status").set_value("active").run()
    assert said(app, "status") is None
    app = app.text_input(key="in-address-alias").set_value("@nobody").run()
    assert "No name is all that is asked for" in texts(app)
    app = button(app, "clear-filters").click().run()
    assert said(app, "alias") is said(app, "q") is None
    assert len(titles(app)) == 25


@pytest.mark.parametrize("tab", ["versions", "aliases", "rivals", "production", "use"])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_tab_is_what_the_address_says(yard: Yard, line: str, tab: str, language: str) -> None:
    app = yard.open("name", name=line, tab=tab, lang=language)
    assert not app.exception
    assert not app.error
    assert said(app, "lang") is None
    marks: dict[str, Callable[[], Any]] = {
        "versions": lambda: len(linked_table(app)["rows"]) == 3,
        "aliases": lambda: button(app, "back-line-champion-1-2"),
        "rivals": lambda: app.selectbox(key="in-address-challenger").value == "3",
        "production": lambda: app.toggle(key="keep-line").value is False,
        "use": lambda: len(app.code) == 4,
    }
    assert marks[tab]()


def test_an_alias_is_moved_from_where_it_is_seen_and_rolled_back(yard: Yard) -> None:
    train(yard, "moving")
    train(yard, "moving")
    yard.client.set_alias("moving", "live", AliasRequest(version=1))
    app = yard.open("name", name="moving", tab="aliases")
    app = button(app, "move-now-moving-live-1").click().run()
    assert "moving@live is v2 now" in texts(app)
    assert yard.client.get_model("moving@live").version == 2

    stale = yard.open("name", name="moving", tab="aliases")
    button(app, "back-moving-live-2-2").click().run()
    assert yard.client.get_model("moving@live").version == 1
    stale = button(stale, "move-now-moving-live-2").click().run()  # by somebody who sees the past
    assert "**v1**" in texts(stale)
    assert len(yard.client.get_alias_history("moving", "live").moves) == 3


def test_a_challenger_is_promoted(yard: Yard) -> None:
    train(yard, "rivals", evaluation=Evaluation())
    train(yard, "rivals", evaluation=Evaluation())
    yard.client.set_alias("rivals", "champion", AliasRequest(version=1))
    yard.client.set_alias("rivals", "challenger", AliasRequest(version=2))
    for tab, asked in (("use", "ref"), ("production", "of")):  # the one that answers, not the first by its letters
        assert yard.open("name", name="rivals", tab=tab).selectbox(f"in-address-{asked}").value == "rivals@champion"
    app = yard.open("name", name="rivals", tab="rivals")
    promote = next(one for one in app.button if one.label == "Promote: point champion at v2")
    promote.click().run()
    assert yard.client.get_model("rivals@champion").version == 2


def test_a_challenger_that_was_judged_worse_is_not_the_main_offer(yard: Yard) -> None:
    for C in (1e-5, 10.0):
        train(yard, "worse", evaluation=Evaluation(), hyperparams={"C": C})
    yard.client.set_alias("worse", "champion", AliasRequest(version=1))
    app = yard.open("name", name="worse", tab="rivals")
    assert [promotion(app).proto.type, *app.warning] == ["primary"]
    app = promotion(app).click().run()
    assert yard.client.get_model("worse@champion").version == 2
    assert promotion(app).proto.type == "secondary"
    assert "v1 was judged worse than v2." in app.warning[0].value
    app = yard.open("name", name="worse", tab="rivals", lang="ru")
    assert "v1 оценена хуже, чем v2." in app.warning[0].value


def promotion(app: AppTest) -> Any:
    return next(one for one in app.button if str(one.key).startswith("promote-"))


def test_tags_and_description_of_a_version_are_changed(yard: Yard) -> None:
    train(yard, "said")
    train(yard, "said")
    app = yard.open("name", name="said", version="1")
    first = yard.client.get_model("said:1")
    app.text_area(key=f"edit-description-{first.model_id}").set_value("The first one.").run()
    button(app, f"edit-save-{first.model_id}").click().run()
    assert yard.client.get_model("said:1").description == "The first one."
    assert yard.client.get_model("said:2").description == ""


def test_two_people_who_edit_a_version_at_once_lose_nothing_of_each_other(yard: Yard) -> None:
    train(yard, "shared", tags=["old"])
    model = yard.client.get_model("shared:1")
    words, tags = f"edit-description-{model.model_id}", f"edit-tags-{model.model_id}"
    app = yard.open("name", name="shared")
    app = app.multiselect(key=tags).set_value(["mine"]).run()
    yard.client.update_model("shared:1", UpdateRequest(tags=["old", "theirs"], description="Theirs."))
    app = button(app, f"edit-save-{model.model_id}").click().run()
    now = yard.client.get_model("shared:1")
    assert (now.tags, now.description) == (["theirs", "mine"], "Theirs.")
    assert (app.multiselect(key=tags).value, app.text_area(key=words).value) == (["theirs", "mine"], "Theirs.")

    app = app.text_area(key=words).set_value("Mine.").run()
    yard.client.update_model("shared:1", UpdateRequest(description="Theirs, *again*."))
    app = button(app, f"edit-save-{model.model_id}").click().run()
    assert "“Theirs, \\*again\\*.”" in app.warning[0].value
    assert yard.client.get_model("shared:1").description == "Theirs, *again*."
    assert app.text_area(key=words).value == "Mine."
    button(app, f"edit-save-{model.model_id}").click().run()
    assert yard.client.get_model("shared:1").description == "Mine."


def test_a_form_that_nobody_has_touched_shows_what_others_have_saved(yard: Yard) -> None:
    train(yard, "untouched")
    model = yard.client.get_model("untouched:1")
    app = yard.open("name", name="untouched")
    yard.client.update_model("untouched:1", UpdateRequest(tags=["theirs"], description="Theirs."))
    app = app.run()
    assert app.multiselect(key=f"edit-tags-{model.model_id}").value == ["theirs"]
    assert app.text_area(key=f"edit-description-{model.model_id}").value == "Theirs."


def test_a_name_that_never_was_is_said_and_one_without_versions(yard: Yard) -> None:
    app = yard.open("name", name="never")
    assert "there is no model named 'never'" in app.error[0].value
    assert not yard.open("name").exception  # as of a link without one: the registry


def test_the_next_alias_begins_with_an_empty_field(yard: Yard) -> None:
    train(yard, "aliased")
    app = yard.open("name", name="aliased", tab="aliases")
    for number, alias in enumerate(("champion", "live")):
        field = app.text_input(key=f"new-alias-name-aliased-{number}")
        assert field.value == ""
        app = button(field.set_value(alias).run(), f"new-alias-go-aliased-{number}").click().run()
        assert not app.error
    assert [one.alias for one in yard.client.list_aliases("aliased").aliases] == ["champion", "live"]


def test_the_switch_of_kept_answers_is_the_servers(yard: Yard, line: str) -> None:
    app = yard.open("name", name=line, tab="production")
    app = app.toggle(key="keep-line").set_value(True).run()
    assert yard.client.get_performance(line).keep_answers
    assert app.toggle(key="keep-line").value is True


@pytest.mark.parametrize(("outcomes", "words"), [(0, "No outcome is known yet"), (40, "show no harm")])
def test_no_harm_is_seen_only_if_there_are_outcomes(
    yard: Yard, line: str, monkeypatch: pytest.MonkeyPatch, outcomes: int, words: str
) -> None:
    model = yard.client.get_model(f"{line}:1")
    week = WeekPerformance(
        week="2026-W48", model_id=model.model_id, version=1, rows=900, outcomes=outcomes, status="drifting"
    )
    found = Performance(name=line, keep_answers=True, weeks=[week])
    monkeypatch.setattr(life, "ask_performance", lambda _name: found)
    assert words in texts(yard.open("name", name=line, tab="production", of=f"{line}:1"))


@pytest.mark.parametrize(
    ("of", "words"),
    [("line@champion", "As good as its validation in 2026-W47"), ("line:1", "In 2026-W48 worse than its validation")],
)
def test_a_version_is_judged_as_it_was_asked_and_by_the_newest_week_that_can_tell(
    yard: Yard, line: str, monkeypatch: pytest.MonkeyPatch, of: str, words: str
) -> None:
    model = yard.client.get_model(f"{line}:1")

    def week(number: int, alias: str | None, outcomes: int, status: Freshness) -> WeekPerformance:
        told: dict[str, Any] = {"alias": alias, "rows": 90, "outcomes": outcomes, "status": status}
        return WeekPerformance(week=f"2026-W{number}", model_id=model.model_id, version=1, metrics={}, **told)

    weeks = [
        week(49, None, 0, "unknown"),  # what really happened is not known yet
        week(49, "champion", 2, "unknown"),
        week(48, None, 90, "stale"),
        week(47, "champion", 90, "fresh"),
    ]
    found = Performance(name=line, keep_answers=True, weeks=weeks)
    monkeypatch.setattr(life, "ask_performance", lambda _name: found)
    assert words in texts(yard.open("name", name=line, tab="production", of=of))


def test_validation_promises_no_accuracy_of_answers_that_are_decided_otherwise(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(yard, "promised", evaluation=Evaluation())
    model = yard.client.get_model("promised:1")
    week = WeekPerformance(
        week="2026-W48",
        model_id=model.model_id,
        version=1,
        rows=90,
        outcomes=90,
        status="fresh",
        metrics={"accuracy": 0.8, "log_loss": 0.5},
    )
    found = Performance(name="promised", keep_answers=True, weeks=[week])
    monkeypatch.setattr(life, "ask_performance", lambda _name: found)

    def promises(metric: str) -> bool:
        return "what the validation of v1 promised" in texts(
            yard.open("name", name="promised", tab="production", metric=metric)
        )

    assert [promises("accuracy"), promises("log_loss")] == [True, True]
    yard.client.set_decision("promised:1", Decision(rule="threshold", threshold=0.2))
    assert [promises("accuracy"), promises("log_loss")] == [False, True]


def test_an_outcome_of_no_answer_is_named_in_the_pages_language(yard: Yard, line: str) -> None:
    app = yard.open("name", name=line, tab="production", lang="ru")
    added = AddedOutcomes(
        name=line, outcomes=1, matched=0, replaced=0, unknown=1, unknown_examples=["20260302-9f3c, row 7"]
    )
    app.session_state["modelyard"].kept["outcomes"] = added
    assert "20260302-9f3c, строка 7" in app.run().warning[0].value


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_audit_says_who_did_what_page_by_page(yard: Yard, line: str, language: str) -> None:
    app = yard.open("audit", verb="set_alias", lang=language)
    assert not app.exception
    rows = linked_table(app)["rows"]
    who, verb = ("anonymous", "set_alias") if language == "en" else ("аноним", "установка псевдонима")
    assert {tuple(row["cells"][1:3]) for row in rows} == {(who, verb)}
    assert app.selectbox(key="in-address-verb").value == "set_alias"
    assert titles(yard.open("audit", verb="set_alias", key=who, lang=language)) == titles(app)
    whole = yard.open("audit", lang=language)
    assert ("each carries the hash" if language == "en" else "несёт хеш") in texts(whole)
    none = yard.open("audit", verb="nothing", lang=language)
    assert not none.exception
    assert none.info
    wrong = yard.open("audit", since="yesterday", lang=language)
    assert "since" in wrong.error[0].value


def test_every_verb_of_the_servers_has_its_words() -> None:
    assert set(NEEDED) | {PRUNE, REPAIR, SIGN} <= set(VERBS)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_who_moved_an_alias_is_said_in_words(yard: Yard, line: str, language: str) -> None:
    app = yard.open("name", name=line, tab="aliases", lang=language)
    (by,) = {who for table in app.table for who in table.value["By" if language == "en" else "Кем"]}
    assert by == ("anonymous" if language == "en" else "аноним")


@pytest.mark.parametrize(("page", "query"), [("model", "id"), ("name", "name")])
def test_a_page_of_what_is_not_there_has_a_title(yard: Yard, page: str, query: str) -> None:
    app = yard.open(page, **{query: "nothing"})
    assert len(app.title) == len(app.error) == 1


def test_a_version_that_has_not_answered_is_not_said_to_keep_nothing(yard: Yard, line: str) -> None:
    kept = {True: "answers are kept", False: "none were kept"}
    for keep, words in kept.items():
        yard.client.set_keep_answers(line, KeepAnswersRequest(keep=keep))
        assert words in texts(yard.open("name", name=line, tab="production", of=f"{line}:1"))


def test_the_latest_models_are_links_to_their_pages(yard: Yard, line: str) -> None:
    train(yard, "latest-of-all")
    app = yard.open("overview")
    cells = linked_table(app)["rows"][0]["cells"]
    model = yard.client.get_model("latest-of-all")
    assert cells[0][0] == {"text": "latest-of-all · v1", "page": "model", "query": {"id": model.model_id}}


def test_the_versions_of_a_page_and_those_of_aliases_are_shown(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        train(yard, "long")
    yard.client.set_alias("long", "old", AliasRequest(version=1))
    for module in (lines, versions):
        monkeypatch.setattr(module, "PAGE", 2)
    app = yard.open("name", name="long")
    assert titles(app) == ["long · v5", "long · v4", "long · v1"]
    app = button(app, "next-after").click().run()
    assert titles(app) == ["long · v3", "long · v2"]
    assert "Newest: v5" in texts(app)
