"""What the dashboard shows to whom, if the servers ask for keys; run by Streamlit's own test harness."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from modelyard.dashboard.listing import selection_key
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.client import RestClient
from modelyard.schemas import KeyRequest, ModelMetadata, Role, TrainRequest
from tests import doors
from tests.dashboard import test_pages
from tests.dashboard.test_pages import button, linked_table, texts

pytestmark = pytest.mark.filterwarnings("default")  # Streamlit's own


@dataclass(frozen=True, slots=True)
class KeyedYard:
    """Two servers that ask for keys, and the core on their folder, which makes them."""

    rest_url: str
    grpc_target: str
    core: Yard

    def key(self, name: str, role: Role, *models: str) -> str:
        """Make a key."""
        return self.core.create_key(KeyRequest(name=name, role=role, models=list(models))).key

    def open(self, page: str, **query: str) -> AppTest:
        """Open a page as a new visitor without a key."""
        return test_pages.open_page(self.rest_url, self.grpc_target, page, **query)

    def open_with(self, key: str, page: str, **query: str) -> AppTest:
        """Open a page and sign in."""
        return sign_in(self.open(page, **query), key)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedYard]:
    folder = tmp_path_factory.mktemp("access") / "models_storage"
    with ExitStack() as stack:
        rest_url = stack.enter_context(doors.rest_thread(folder, auth="keys"))
        grpc_target = stack.enter_context(doors.grpc_thread(folder, auth="keys"))
        yield KeyedYard(rest_url, grpc_target, stack.enter_context(doors.core(folder)))


@pytest.fixture(scope="module")
def birds(keyed: KeyedYard, penguins_csv: Path) -> ModelMetadata:
    request = TrainRequest(model_class_key="logistic_regression", X=penguins_csv, target="species", name="birds")
    return keyed.core.train(request)


def sign_in(app: AppTest, key: str) -> AppTest:
    app.text_input(key="sign-in-key").set_value(key)
    app.button(key="sign-in-go").click()
    return app.run()


def asks_for_a_key(app: AppTest) -> bool:
    return [title.value for title in app.title] == ["Sign in"]


@pytest.mark.parametrize("page", ["overview", "train", "predict", "models", "compare", "jobs", "model"])
def test_no_page_shows_anything_without_a_key(keyed: KeyedYard, birds: ModelMetadata, page: str) -> None:
    app = keyed.open(page, id=birds.model_id)
    assert asks_for_a_key(app)
    assert not app.error  # nobody has done anything wrong yet
    assert "birds" not in texts(app)
    assert not app.dataframe


@pytest.mark.parametrize("door", ["rest", "grpc"])
def test_a_key_lets_in_and_says_who_it_is(keyed: KeyedYard, birds: ModelMetadata, door: str) -> None:
    app = keyed.open("models")
    app.session_state["modelyard"].door = door
    app = sign_in(app, keyed.key(f"by-{door}", "trainer", "birds*", "rocks"))
    assert [title.value for title in app.title] == ["Models"]
    assert f"**by-{door}** · trainer · birds\\*, rocks" in texts(app)


@pytest.mark.parametrize("shown", ["", "my_key", "not even\na key", "ключ"])
def test_what_is_no_key_leads_nowhere(keyed: KeyedYard, shown: str) -> None:
    app = sign_in(keyed.open("models"), shown)
    assert not app.exception
    assert asks_for_a_key(app)
    assert len(app.error) + len(app.warning) == 1


def test_a_wrong_key_gets_the_servers_words(keyed: KeyedYard) -> None:
    revoked = keyed.key("gone", "admin")
    keyed.core.revoke_key("gone")
    app = sign_in(keyed.open("models"), revoked)
    assert "it is misspelt, unknown, revoked or expired" in app.error[0].value


@pytest.mark.parametrize("role", ["reader", "predictor", "trainer", "admin"])
def test_a_role_is_offered_what_it_may(keyed: KeyedYard, birds: ModelMetadata, role: Role) -> None:
    key = keyed.key(f"offered-{role}", role)
    app = keyed.open_with(key, "model", id=birds.model_id)
    assert app.title[0].value == "birds · v1"
    rank = ["reader", "predictor", "trainer", "admin"].index(role)
    for verb, needed in (("predict", 1), ("retrain", 2), ("edit-save", 2), ("delete-soft", 2), ("delete-hard", 3)):
        assert (f"{verb}-{birds.model_id}" in {one.key for one in app.button}) == (rank >= needed), verb
    assert len(app.get("download_button")) == 3 + (rank >= 3)  # the report as HTML in two languages and as JSON
    more = ["predictor", "trainer", "admin"][rank:]
    assert (f"More is offered here to the roles: {', '.join(more)}." in texts(app)) == bool(more)
    deciding = keyed.open_with(key, "model", id=birds.model_id, tab="decision")
    assert (f"decision-save-{birds.model_id}" in {one.key for one in deciding.button}) == (rank >= 2)


def test_a_reader_is_offered_no_training(keyed: KeyedYard, birds: ModelMetadata) -> None:
    key = keyed.key("looks-on", "reader")
    app = keyed.open_with(key, "overview")
    assert "overview-train" not in {one.key for one in app.button}
    for page, role in (("train", "trainer"), ("predict", "predictor"), ("compare", "trainer")):
        app = keyed.open_with(key, page)
        assert not app.exception
        assert not app.get("file_uploader")
        if page != "compare":  # which asks for two models first
            assert f"More is offered here to the roles: {role}." in texts(app)


def test_a_key_for_some_models_shows_those_alone(keyed: KeyedYard, birds: ModelMetadata) -> None:
    key = keyed.key("elsewhere", "trainer", "rocks*")
    app = keyed.open_with(key, "models")
    assert "There are no models here yet." in texts(app)
    app = keyed.open_with(key, "model", id="birds")
    assert "it is limited to" in app.error[0].value


def test_signing_out_forgets_the_visitor(keyed: KeyedYard, birds: ModelMetadata) -> None:
    app = keyed.open_with(keyed.key("leaves", "trainer"), "train")
    app = app.button[-1].click().run()  # the sample table
    assert "penguins.csv" in texts(app)
    app = button(app, "sign-out").click().run()
    assert asks_for_a_key(app)
    app = sign_in(app, keyed.key("comes", "trainer"))
    assert "**comes**" in texts(app)
    assert "penguins.csv" not in texts(app)


def test_a_key_that_is_revoked_leads_back_to_the_way_in_with_words(keyed: KeyedYard, birds: ModelMetadata) -> None:
    app = keyed.open_with(keyed.key("leaver", "trainer"), "train")
    app = app.button[-1].click().run()
    assert "penguins.csv" in texts(app)
    keyed.core.revoke_key("leaver")
    app = app.run()
    assert asks_for_a_key(app)
    assert "revoked or expired" in app.error[0].value
    assert "penguins.csv" not in texts(app)
    other = sign_in(app, keyed.key("another", "trainer"))
    assert "penguins.csv" not in texts(other)


def test_whose_key_was_rotated_goes_on_with_the_new_one(keyed: KeyedYard) -> None:
    app = keyed.open_with(keyed.key("rotated", "trainer"), "train")
    app = app.button[-1].click().run()
    key = keyed.core.rotate_key("rotated").key
    app = app.run()
    assert asks_for_a_key(app)
    assert "penguins.csv" in texts(sign_in(app, key))


def test_a_new_key_of_a_revoked_ones_name_has_nothing_of_it(keyed: KeyedYard) -> None:
    app = keyed.open_with(keyed.key("followed", "trainer"), "train")
    app = app.button[-1].click().run()
    visit = test_pages.said(app, "visit")
    assert visit is not None
    keyed.core.revoke_key("followed")
    app, successor = app.run(), keyed.key("followed", "trainer")
    assert asks_for_a_key(app)
    assert "penguins.csv" not in texts(sign_in(app, successor))
    assert "penguins.csv" not in texts(keyed.open_with(successor, "train", visit=visit))


def test_a_page_loaded_anew_asks_again_and_then_has_everything_for_the_same_key_alone(keyed: KeyedYard) -> None:
    key = keyed.key("reloads", "trainer")
    app = keyed.open_with(key, "train")
    app = app.button[-1].click().run()
    visit = test_pages.said(app, "visit")
    assert visit is not None
    again = keyed.open("train", visit=visit)
    assert asks_for_a_key(again)
    assert "penguins.csv" in texts(sign_in(again, key))
    stranger = keyed.open_with(keyed.key("has-the-link", "admin"), "train", visit=visit)
    assert "penguins.csv" not in texts(stranger)


def test_the_key_is_in_nothing_that_is_shown_or_kept_by_widgets(keyed: KeyedYard) -> None:
    key = keyed.key("secret", "admin")
    app = keyed.open_with(key, "overview")
    assert key not in repr(app)
    assert key not in str(app.query_params)
    assert "Session(" in repr(app.session_state)
    assert key not in repr(app.session_state)


def test_without_keys_nobody_is_asked_and_nobody_is_named(tmp_path: Path) -> None:
    with doors.rest_thread(tmp_path / "models_storage") as url:
        app = test_pages.open_page(url, "127.0.0.1:1", "overview")
        assert [title.value for title in app.title] == ["Your yard of models"]
        assert "sign-out" not in {one.key for one in app.button}


def test_an_administrator_makes_rotates_and_revokes_keys(keyed: KeyedYard) -> None:
    app = keyed.open_with(keyed.key("ops", "admin"), "keys")
    app.text_input(key="new-key-name").set_value("crm")
    app.text_input(key="new-key-models").set_value("churn*, leads")
    app.selectbox(key="new-key-role").set_value("predictor")
    app = button(app, "new-key-go").click().run()
    key = app.code[0].value
    with RestClient(keyed.rest_url, key=key) as client:
        who = client.whoami()
        assert (who.name, who.role, who.models) == ("crm", "predictor", ["churn*", "leads"])
    app = button(app, "key-put-away").click().run()
    assert not app.code
    assert key not in repr(app)
    app = pick(keyed, app, "crm")
    began = datetime.now(UTC)
    app = button(app, "rotate-now-crm").click().run()
    days = {f"{moment + timedelta(hours=24):%Y-%m-%d}" for moment in (began, datetime.now(UTC))}
    app = button(app, "key-put-away").click().run()
    (keys,) = [one.value for one in app.dataframe]
    old = dict(zip(keys["name"], keys["old"], strict=True))
    assert old["crm"][:10] in days
    assert old["ops"] != old["crm"]
    app = pick(keyed, app, "crm")
    app = button(app, "revoke-now-crm").click().run()
    assert "crm" not in {one.name for one in keyed.core.list_keys().keys}
    app.text_input(key="new-key-name").set_value("no name")
    app = button(app, "new-key-go").click().run()
    assert "a key's name must be" in app.error[0].value


def test_an_administrator_who_rotates_their_own_key_sees_the_new_one(keyed: KeyedYard) -> None:
    app = pick(keyed, keyed.open_with(keyed.key("self", "admin"), "keys"), "self")
    app.number_input(key="grace-self").set_value(0.0)
    app = button(app, "rotate-now-self").click().run()
    assert [one.key for one in app.button] == ["sign-out", "key-put-away"]  # a second click would make another one
    with RestClient(keyed.rest_url, key=app.code[0].value) as client:
        assert client.whoami().name == "self"


def pick(keyed: KeyedYard, app: AppTest, name: str) -> AppTest:
    """Pick a key in the table, by what Streamlit keeps of the rows that were picked."""
    names = [key.name for key in keyed.core.list_keys().keys]
    state = {"selection": {"rows": [names.index(name)], "columns": [], "cells": []}}
    app.session_state[selection_key("keys", names)] = state
    return app.run()


@pytest.mark.parametrize("page", ["keys", "audit"])
@pytest.mark.parametrize("limit", [(), ("birds*",)])
def test_others_are_offered_no_keys_and_no_audit(keyed: KeyedYard, limit: tuple[str, ...], page: str) -> None:
    role: Role = "admin" if limit else "trainer"
    app = keyed.open_with(keyed.key(f"no-{page}-{len(limit)}", role, *limit), page)
    assert not app.dataframe
    assert not app.text_input
    assert ("limited to some models" if limit else "needs the role") in app.error[0].value


def test_a_key_that_has_expired_is_marked(keyed: KeyedYard) -> None:
    keyed.core.create_key(KeyRequest(name="brief", role="reader", expires_in_days=1e-9))
    keyed.core.create_key(KeyRequest(name="lasting", role="reader", expires_in_days=90))
    app = keyed.open_with(keyed.key("looks-at-keys", "admin"), "keys")
    expires = dict(app.dataframe[0].value[["name", "expires"]].itertuples(index=False))
    assert expires["brief"].endswith(", expired")
    assert expires["looks-at-keys"] == "never"
    assert len(expires["lasting"]) == len("2026-11-27")


def test_the_roles_of_keys_are_in_words(keyed: KeyedYard) -> None:
    keyed.key("in-words", "reader")
    app = keyed.open_with(keyed.key("in-russian", "admin"), "keys", lang="ru")
    roles = dict(app.dataframe[0].value[["name", "role"]].itertuples(index=False))
    assert (roles["in-words"], roles["in-russian"]) == ("чтение (reader)", "администрирование (admin)")


@pytest.mark.parametrize("tab", ["versions", "aliases", "rivals", "production", "use"])
def test_a_reader_looks_at_a_name_and_changes_nothing(keyed: KeyedYard, birds: ModelMetadata, tab: str) -> None:
    app = keyed.open_with(keyed.key(f"reads-{tab}", "reader"), "name", name="birds", tab=tab)
    assert not app.exception
    assert not app.error
    changes = ("edit-save", "move-now", "back-birds", "remove-now", "new-alias", "promote", "life-retrain", "outcomes")
    assert not [one.key for one in app.button if str(one.key).startswith(changes)]
    assert all(one.disabled for one in app.toggle)
    assert all("MODELYARD_KEY" in one.value for one in app.code if "curl" in one.value)
    assert any("put yours there first" in one.value for one in app.caption) == (tab == "use")


@pytest.mark.parametrize(
    "page",
    [
        *({"page": name} for name in ("overview", "models", "jobs", "compare")),
        *({"page": "name", "name": "birds", "tab": tab} for tab in ("versions", "aliases", "production", "use")),
        *(
            {"page": "model", "id": "birds", "tab": tab}
            for tab in ("report", "decision", "drift", "versions", "details")
        ),
    ],
    ids=lambda page: "-".join(page.values()),
)
def test_a_reader_sees_no_button_that_is_refused(keyed: KeyedYard, birds: ModelMetadata, page: dict[str, str]) -> None:
    key = keyed.key("presses-all-" + "-".join(page.values()), "reader")
    app = keyed.open_with(key, **page)
    assert not app.error
    buttons = [one.key for one in app.button if one.key is not None and not one.disabled]
    assert "sign-out" in buttons
    for pressed in buttons:
        app = keyed.open_with(key, **page)
        app = button(app, pressed).click().run()
        assert not [one.value for one in app.error], pressed


def test_an_administrator_sees_who_did_what(keyed: KeyedYard, birds: ModelMetadata) -> None:
    keyed.key("audited", "reader")
    app = keyed.open_with(keyed.key("auditor", "admin"), "audit", verb="create_key")
    assert not app.exception
    told = [row["cells"][3] for row in linked_table(app)["rows"]]
    assert ["audited", "reader"] in told
    russian = keyed.open_with(keyed.key("russian-auditor", "admin"), "audit", verb="create_key", lang="ru")
    assert ["audited", "чтение (reader)"] in [row["cells"][3] for row in linked_table(russian)["rows"]]
