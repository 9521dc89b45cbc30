"""Journeys to a decision in a real browser: the head, a threshold, why and what if, where a model is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Locator, Page, expect

from modelyard.rest_api.client import RestClient
from modelyard.schemas import ModelMetadata, TrainRequest
from tests.dashboard.test_browser import dashboard, page, visitor
from tests.dashboard.test_errors_found import table, train
from tests.dashboards import Dashboard
from tests.gestures import choose, click, pick, press, turn_to_tab, upload, wait_until_drawn, write

__all__ = ["dashboard", "page", "table", "visitor"]


@pytest.fixture(scope="module")
def people(dashboard: Dashboard, table: Path) -> ModelMetadata:
    with RestClient(dashboard.rest_url) as client:
        return train(client, table)


def pick_first_row(page: Page, offered: Locator) -> None:
    """Pick the first row of the last table, which enables what is offered for it."""
    rows = page.get_by_test_id("stDataFrame").last
    for _ in range(4):  # a table that is still being drawn may miss the click
        wait_until_drawn(page)
        rows.scroll_into_view_if_needed()
        rows.click(position={"x": 18, "y": 55})
        try:
            expect(offered).to_be_enabled(timeout=20_000)
        except AssertionError:
            continue
        return
    expect(offered).to_be_enabled()


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844)])
def test_the_head_leaves_room_for_a_chart_and_nothing_is_wider_than_the_screen(
    dashboard: Dashboard, people: ModelMetadata, page: Page, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{dashboard.url}/model?id=people")
    expect(page.get_by_text("It finds")).to_be_visible()
    chart = page.get_by_test_id("stVegaLiteChart").first
    expect(chart).to_be_visible()
    title = page.get_by_role("heading", level=1).bounding_box()
    tabs = page.get_by_role("tablist").bounding_box()
    assert title is not None
    assert tabs is not None
    if width == 1280:
        drawn = chart.bounding_box()
        assert drawn is not None
        assert tabs["y"] - title["y"] < 300
        assert drawn["y"] + 100 < height
    for tab, key in (("Decision", "&tab=decision"), ("Where it is wrong", "&tab=errors"), ("Report", "")):
        turn_to_tab(page, tab)
        expect(page).to_have_url(re.compile(rf"id=[^&]+{key}$"))
        wait_until_drawn(page)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0
    page.set_viewport_size({"width": 1280, "height": 900})


def test_no_number_of_the_head_is_cut_off(dashboard: Dashboard, page: Page) -> None:
    X = [[float(row % 50)] for row in range(400)]
    numbers = [1e12 * (row % 50 + row % 7) + 1 / 3 for row in range(400)]
    with RestClient(dashboard.rest_url) as client:
        client.train(TrainRequest(model_class_key="linear_regression", X=X, y=numbers, name="large"))
    page.goto(f"{dashboard.url}/model?id=large")
    numbers_shown = page.locator("[data-testid=stMetricValue] p, [data-testid=stMetricDelta] p")
    expect(numbers_shown).to_have_count(4)
    cut = numbers_shown.evaluate_all(
        """all => all.filter(one => {
          const words = document.createRange()
          words.selectNodeContents(one)
          const card = one.closest('[data-testid=stMetric]').getBoundingClientRect()
          return words.getBoundingClientRect().right > card.right
        }).map(one => one.innerText)"""
    )
    assert cut == []


def test_a_threshold_is_chosen_kept_and_shown_in_the_head(
    dashboard: Dashboard, people: ModelMetadata, page: Page
) -> None:
    page.goto(f"{dashboard.url}/model?id=people")
    turn_to_tab(page, "Decision")
    expect(page).to_have_url(re.compile("tab=decision"))
    choose(page, "class that matters", "yes")
    money = page.get_by_role("spinbutton", name="Rightly “yes”")
    expect(money).to_be_visible()
    wait_until_drawn(page)
    best = page.get_by_role("button", name=re.compile("^Best profit: 0"))
    before = best.inner_text()
    write(page, money, "30")
    expect(best).not_to_have_text(before)
    click(page, best)
    slider = page.get_by_role("slider").first
    expect(slider).not_to_have_attribute("aria-valuetext", "0.5")
    use = page.get_by_role("button", name=re.compile("Use 0.[0-9]+ from now on"))
    click(page, use)
    expect(page.get_by_text("This is how it answers")).to_be_visible()
    expect(page.get_by_text(re.compile("It answers “yes” from a probability of"))).to_be_visible()
    page.reload()
    expect(page.get_by_role("tab", name="Decision", exact=True)).to_have_attribute("aria-selected", "true")
    with RestClient(dashboard.rest_url) as client:
        decision = client.get_model("people").decision
        assert decision is not None
        assert decision.threshold is not None
        assert decision.threshold < 0.5


def test_an_answer_changes_as_a_cell_does_and_the_curve_shows_how(dashboard: Dashboard, page: Page) -> None:
    frame = pl.DataFrame({"age": [18 + row % 60 for row in range(300)], "noise": [row * 7 % 11 for row in range(300)]})
    y = ["old" if age > 45 else "young" for age in frame["age"]]
    with RestClient(dashboard.rest_url) as client:
        request = TrainRequest(model_class_key="logistic_regression", X=frame, y=y, target="kind", name="ages")
        client.train(request)
    page.goto(f"{dashboard.url}/predict?id=ages&way=row")
    expect(page).to_have_title("Predict · ages · v1 · Modelyard")
    value = page.locator('[data-testid="stMetricValue"]').first
    for age, kind in (("70", "old"), ("20", "young")):
        write(page, page.get_by_role("spinbutton", name="age"), age)
        expect(value).to_have_text(kind)
        expect(page.get_by_text(f"Why {kind}")).to_be_visible()
        expect(page.get_by_role("heading", name="What if age were another")).to_be_visible()
    pick(page, "A table")
    expect(page).to_have_url(re.compile(r"predict\?id=[^&]+$"))
    pick(page, "One row")
    expect(page.get_by_role("spinbutton", name="age")).to_have_value("20")


def test_a_cell_and_a_mistake_lead_to_why(dashboard: Dashboard, people: ModelMetadata, page: Page, table: Path) -> None:
    page.goto(f"{dashboard.url}/model?id=people&tab=errors")
    expect(page).to_have_title("people · v1 · Modelyard")
    upload(page, table)
    press(page, "Find where it is wrong")
    expect(page.get_by_text("job = farmer").first).to_be_visible()
    expect(page.get_by_role("heading", name="The surest mistakes")).to_be_visible()
    chart = page.locator('[data-testid="stVegaLiteChart"]').last
    chart.locator("canvas, svg").first.scroll_into_view_if_needed()
    box = chart.locator("canvas, svg").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.2)
    expect(page.get_by_role("heading", name="Rows that are “no” and taken for “yes”")).to_be_visible()
    pick_first_row(page, page.get_by_role("button", name="Why this row, and what if", exact=True))
    press(page, "Why this row, and what if")
    expect(page.get_by_text(f"says people · v{people.version}")).to_be_visible()
    expect(page).to_have_url(f"{dashboard.url}/predict?id={people.model_id}&way=row")
    expect(page.get_by_role("combobox", name="job", exact=False).first).to_have_value("farmer")
