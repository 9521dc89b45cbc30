"""Journeys through the registry in a real browser: from all names to one, its aliases, its rivals, its outcomes."""

from __future__ import annotations

import csv
import os
import random
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from modelyard.rest_api.client import RestClient
from modelyard.schemas import AliasRequest, Evaluation, PredictRequest, RetrainRequest, TrainRequest
from tests import dashboards
from tests.dashboards import Dashboard
from tests.gestures import choose, click, go_on, press, turn_to_tab, unfold, upload, wait_until_drawn
from tests.waiting import PATIENCE_MS


def customers(n: int, seed: int) -> tuple[list[dict[str, Any]], list[str]]:
    draw = random.Random(seed)
    rows: list[dict[str, Any]] = [
        {"id": f"c{seed}-{i}", "months": draw.gauss(30, 12), "plan": draw.choice("abc")} for i in range(n)
    ]
    return rows, ["yes" if row["months"] + draw.gauss(0, 6) < 28 else "no" for row in rows]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboards.dashboard(tmp_path_factory.mktemp("registry") / "models_storage") as dashboard:
        with RestClient(dashboard.rest_url) as client:
            X, y = customers(400, 1)
            first: dict[str, Any] = {"model_class_key": "logistic_regression", "column_roles": {"id": "id"}}
            client.train(TrainRequest(**first, X=X, y=y, name="churn", target="left", tags=["crm"]))
            client.retrain(RetrainRequest(model_id="churn", X=X, y=y, hyperparams={"C": 0.01}))
            client.train(TrainRequest(**first, X=X, y=y, name="other", evaluation=Evaluation(method="none")))
            for version in (1, 2):
                client.set_alias("churn", "champion", AliasRequest(version=version))
        yield dashboard


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    context = browser.new_context(viewport={"width": 1280, "height": 720}, locale="en-US")
    context.set_default_timeout(PATIENCE_MS)
    return context.new_page()


def address(page: Page, expected: str) -> None:
    expect(page).to_have_url(re.compile(re.escape(expected) + "$"))


def test_from_all_names_to_one_whose_alias_is_rolled_back(dashboard: Dashboard, page: Page) -> None:
    page.goto(f"{dashboard.url}/models")
    names = page.get_by_role("table", name="Models")
    expect(names.get_by_role("link")).to_have_text(["other", "churn"])
    expect(page).to_have_title("Models · Modelyard")
    expect(page.get_by_role("textbox", name="Search")).to_be_editable()
    wait_until_drawn(page)
    page.get_by_role("textbox", name="Search").fill("CRM")
    page.keyboard.press("Enter")
    address(page, "/models?q=CRM")
    expect(names.get_by_role("link")).to_have_text(["churn"])
    expect(names.get_by_role("img", name=re.compile("Accuracy by version"))).to_be_visible()
    page.reload()  # a refresh shows the same
    expect(page.get_by_role("textbox", name="Search")).to_have_value("CRM")
    expect(names.get_by_role("link")).to_have_text(["churn"])

    click(page, names.get_by_role("link", name="churn"))
    expect(page.get_by_role("heading", level=1)).to_have_text("churn")
    expect(page).to_have_title("churn · Modelyard")
    versions = page.get_by_role("table", name="Versions")
    expect(versions.get_by_role("row")).to_have_count(3)
    turn_to_tab(page, "Aliases")
    address(page, "/name?name=churn&tab=aliases")
    press(page, "Roll back to v1")
    expect(page.get_by_text("churn@champion is v1 now.")).to_be_visible()
    with RestClient(dashboard.rest_url) as client:
        assert client.get_model("churn@champion").version == 1


def test_a_colleague_sees_the_same_in_a_language_of_their_own(dashboard: Dashboard, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, locale="ru-RU")
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"{dashboard.url}/name?name=churn&tab=use")
    expect(page.get_by_role("tab", name="Как вызвать")).to_have_attribute("aria-selected", "true")
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    expect(page.get_by_test_id("stCode").first).to_contain_text("curl -s")
    page.goto(f"{dashboard.url}/name?name=churn&tab=use&lang=en")
    expect(page.get_by_role("tab", name="Use it")).to_have_attribute("aria-selected", "true")
    address(page, "/name?name=churn&tab=use")
    page.wait_for_function("document.cookie.includes('modelyard_language=en')")
    page.goto(f"{dashboard.url}/models")  # what was chosen last stays
    expect(page.get_by_role("heading", level=1)).to_have_text("Models")
    context.close()


@contextmanager
def held_up(dashboard: Dashboard) -> Iterator[None]:
    """Let the page be drawn only after what is done here, as on a slow machine."""
    os.kill(dashboard.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(dashboard.pid, signal.SIGCONT)


def test_what_is_typed_stays_while_something_comes_above_it(dashboard: Dashboard, page: Page, tmp_path: Path) -> None:
    X, y = customers(30, 4)
    with RestClient(dashboard.rest_url) as client:
        ids = ",".join(client.get_model(f"churn:{version}").model_id for version in (1, 2))
    page.goto(f"{dashboard.url}/compare?ids={ids}")
    upload(page, write(tmp_path / "rows.csv", [{**row, "left": label} for row, label in zip(X, y, strict=True)]))
    of_table = page.get_by_role("textbox", name="What this table is")
    expect(of_table).to_be_visible()
    with held_up(dashboard):
        choose(page, "Models", re.compile("^other · v1"))
        page.keyboard.press("Escape")  # closes the list, which hides the rest from those who look by roles
        of_table.press_sequentially("june")
    expect(page.get_by_role("columnheader", name="other · v1").first).to_be_visible()
    wait_until_drawn(page)
    expect(of_table).to_have_value("june")


def test_the_form_of_an_alias_closes_once_it_is_made(dashboard: Dashboard, page: Page) -> None:
    page.goto(f"{dashboard.url}/name?name=churn&tab=aliases")
    press(page, "New alias")
    page.get_by_role("textbox", name="Alias").fill("spare")
    press(page, "Make it")
    expect(page.get_by_text("churn@spare is v2 now.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Alias")).not_to_be_visible()


def test_a_challenger_wins_on_the_same_rows_and_is_promoted(dashboard: Dashboard, page: Page, tmp_path: Path) -> None:
    X, y = customers(300, 2)
    labelled = [{**row, "left": label} for row, label in zip(X, y, strict=True)]
    with RestClient(dashboard.rest_url) as client:
        client.set_alias("churn", "champion", AliasRequest(version=2))
    page.goto(f"{dashboard.url}/name?name=churn&tab=rivals&challenger=1")
    expect(page.get_by_role("columnheader", name="churn · v1")).to_be_visible()
    upload(page, write(tmp_path / "labelled.csv", labelled))
    choose(page, "Column with the answers", "left")
    press(page, "Judge")
    expect(page.get_by_role("cell", name=re.compile("churn · v2 . churn · v1")).first).to_be_visible()
    press(page, "Promote: point champion at v1")
    expect(page.get_by_text("churn@champion is v1 now.")).to_be_visible()
    expect(page.get_by_role("button", name="Promote: point champion at v2")).to_be_visible()
    with RestClient(dashboard.rest_url) as client:
        assert client.get_model("churn@champion").version == 1


def test_outcomes_are_given_and_say_how_the_model_fares(dashboard: Dashboard, page: Page, tmp_path: Path) -> None:
    X, y = customers(300, 3)
    with RestClient(dashboard.rest_url) as client:
        client.set_alias("churn", "champion", AliasRequest(version=1))
        client.predict(PredictRequest(model_id="churn@champion", X=X, keep_answers=True))
    page.goto(f"{dashboard.url}/name?name=churn&tab=production")
    expect(page.get_by_text("Too few outcomes in")).to_be_visible()
    unfold(page, "Give outcomes")
    table = [{"id": row["id"], "label": "no" if label == "yes" else "yes"} for row, label in zip(X, y, strict=True)]
    upload(page, write(tmp_path / "outcomes.csv", [*table, {"id": "nobody", "label": "no"}]))
    press(page, "Join them to churn")
    expect(page.get_by_text("300 of 301 outcomes belong to kept answers")).to_be_visible()
    expect(page.get_by_text("1 belongs to no kept answer")).to_be_visible()
    expect(page.get_by_text("worse than its validation beyond noise")).to_be_visible()
    go_on(page, "Retrain v1 on new rows", "A new version of churn")
