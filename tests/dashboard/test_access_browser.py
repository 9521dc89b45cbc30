"""Signing in to the dashboard and out of it, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from modelyard.ml_core.yard import Yard
from modelyard.schemas import KeyRequest, Role, TrainRequest
from tests import dashboards, doors
from tests.dashboards import Dashboard
from tests.gestures import press, turn_to, wait_until_drawn
from tests.waiting import PATIENCE_MS

WRONG = "my_00000000_" + "0" * 49
STORED = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("access") / "models_storage"


@pytest.fixture(scope="module")
def core(folder: Path, penguins_csv: Path) -> Iterator[Yard]:
    with doors.core(folder) as core:
        core.train(TrainRequest(model_class_key="logistic_regression", X=penguins_csv, target="species", name="birds"))
        yield core


@pytest.fixture(scope="module")
def dashboard(core: Yard, folder: Path) -> Iterator[Dashboard]:
    with ExitStack() as stack:
        rest_url = stack.enter_context(doors.rest_thread(folder, auth="keys"))
        grpc_target = stack.enter_context(doors.grpc_thread(folder, auth="keys"))
        yield stack.enter_context(dashboards.dashboard_on(rest_url, grpc_target, folder))
        log = folder.with_name("dashboard.log").read_text()
        assert "my_" not in log


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    context.set_default_timeout(PATIENCE_MS)
    return context.new_page()


def make_key(core: Yard, name: str, role: Role) -> str:
    return core.create_key(KeyRequest(name=name, role=role)).key


def sign_in(page: Page, dashboard: Dashboard, key: str, path: str = "") -> None:
    page.goto(dashboard.url + path)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    show_key(page, key)


def show_key(page: Page, key: str) -> None:
    wait_until_drawn(page)
    field = page.get_by_label("Key", exact=True)
    field.fill(key)
    expect(field).to_have_attribute("type", "password")
    press(page, "Sign in")


def test_a_key_lets_in_and_the_page_never_holds_it(core: Yard, dashboard: Dashboard, page: Page) -> None:
    sign_in(page, dashboard, WRONG, "/models")
    expect(page.get_by_text("it is misspelt, unknown, revoked or expired")).to_be_visible()
    expect(page.get_by_label("Key", exact=True)).to_have_value("")
    assert WRONG not in page.content()
    key = make_key(core, "anna", "trainer")
    show_key(page, key)
    expect(page.get_by_role("heading", level=1)).to_have_text("Models")
    expect(page.get_by_text("anna · trainer")).to_be_visible()
    turn_to(page, "Train")
    expect(page.get_by_role("heading", name="Models")).to_have_count(0)
    for held in (page.content(), page.evaluate(STORED)):
        assert key not in held
        assert key[12:] not in held

    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    show_key(page, key)
    expect(page.get_by_role("heading", level=1)).to_have_text("Train")
    press(page, "Sign out")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("heading", name="Train")).to_have_count(0)
    expect(page.get_by_role("link", name="Models", exact=True)).to_have_count(0)


def test_a_reader_is_shown_models_and_no_training(core: Yard, dashboard: Dashboard, page: Page) -> None:
    sign_in(page, dashboard, make_key(core, "ben", "reader"))
    expect(page.get_by_text("Latest models")).to_be_visible()
    expect(page.get_by_role("link", name="Models", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Train", exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="Train a model")).to_have_count(0)


def test_a_page_whose_key_is_revoked_says_so_by_itself(core: Yard, dashboard: Dashboard, page: Page) -> None:
    sign_in(page, dashboard, make_key(core, "cora", "admin"))
    expect(page.get_by_text("Latest models")).to_be_visible()
    core.revoke_key("cora")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_text("it is misspelt, unknown, revoked or expired")).to_be_visible()
    expect(page.get_by_text("Latest models")).to_have_count(0)
