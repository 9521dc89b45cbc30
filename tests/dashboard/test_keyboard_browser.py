"""A whole journey by the keyboard alone: a model is trained, told how to decide, and asked."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
from playwright.sync_api import Locator, Page, expect

from modelyard.rest_api.client import RestClient
from tests.dashboard.test_browser import dashboard, page, visitor
from tests.dashboards import Dashboard
from tests.gestures import wait_until_drawn

__all__ = ["dashboard", "page", "visitor"]

MOST_STEPS = 150


def reach(page: Page, sought: Locator) -> None:
    """Press Tab until the focus is on an element, and Escape to leave tables."""
    wait_until_drawn(page)
    expect(sought.first).to_be_enabled()
    for _ in range(MOST_STEPS):
        in_table = page.evaluate("Boolean(document.activeElement.closest('[data-testid=stDataFrame]'))")
        page.keyboard.press("Escape" if in_table else "Tab")
        if sought.evaluate_all("found => found.includes(document.activeElement)"):
            return
    raise AssertionError(f"Tab does not reach {sought}")


def press(page: Page, name: str | re.Pattern[str]) -> None:
    reach(page, page.get_by_role("button", name=name, exact=True))
    page.keyboard.press("Enter")


def choose_a_file(page: Page) -> None:
    reach(page, page.get_by_role("button", name="Upload"))
    page.keyboard.press("Enter")


def test_a_model_is_trained_told_how_to_decide_and_asked_by_the_keyboard_alone(
    dashboard: Dashboard, page: Page, tmp_path: Path
) -> None:
    table = tmp_path / "people.csv"
    ages = [18 + row % 60 for row in range(240)]
    pl.DataFrame(
        {
            "age": ages,
            "noise": [row * 7 % 11 for row in range(240)],
            "kind": ["old" if age + row % 13 > 50 else "young" for row, age in enumerate(ages)],
        }
    ).write_csv(table)
    # Heard throughout, because Chromium takes a moment to hand over the choice of files.
    page.on("filechooser", lambda chooser: chooser.set_files(table))
    page.goto(f"{dashboard.url}/train")
    choose_a_file(page)
    reach(page, page.get_by_role("combobox", name=re.compile("Column to predict")))
    page.keyboard.type("kind")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Algorithm", exact=True)).to_be_visible()
    reach(page, page.get_by_role("textbox", name="Name", exact=True))
    page.keyboard.type("by-keyboard")
    press(page, "Train")
    expect(page.get_by_text("by-keyboard · v1 is ready")).to_be_visible()
    press(page, "Open its page")
    expect(page.get_by_role("heading", level=1)).to_have_text("by-keyboard · v1")

    reach(page, page.get_by_role("tab", selected=True))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("tab=decision"))
    reach(page, page.get_by_role("slider"))
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    press(page, re.compile(r"^(check )?Use 0\.\d+ from now on$"))
    expect(page.get_by_text("This is how it answers")).to_be_visible()
    with RestClient(dashboard.rest_url) as client:
        decision = client.get_model("by-keyboard").decision
    assert decision is not None
    assert decision.threshold is not None

    press(page, "Predict")
    expect(page.get_by_role("heading", level=1)).to_have_text("Predict")
    choose_a_file(page)
    expect(page.get_by_text("240 rows")).to_be_visible()
    press(page, "Predict")
    expect(page.get_by_role("heading", name="Row by row")).to_be_visible()
