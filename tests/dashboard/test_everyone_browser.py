"""Pages for everyone: nothing serious for axe in either theme, two screens at most, by keyboard, Russian in Russian.

axe-core (https://github.com/dequelabs/axe-core, MPL-2.0) stands beside this file and is no part of the dashboard.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from modelyard.models_registry import describe_all
from modelyard.rest_api.client import RestClient
from modelyard.schemas import AliasRequest, TrainRequest
from tests.dashboard.test_browser import dashboard
from tests.dashboards import Dashboard
from tests.gestures import click, upload, wait_until_drawn
from tests.waiting import PATIENCE_MS

__all__ = ["dashboard"]

AXE = (Path(__file__).parent / "axe.min.js").read_text(encoding="utf-8")
SCREEN: ViewportSize = {"width": 1280, "height": 720}
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")
PAGES = [
    "train",
    "predict",
    "models",
    "compare",
    "audit",
    *(f"name?name=birds&tab={tab}" for tab in ("versions", "aliases", "rivals", "production", "use")),
    *(f"model?id=birds&tab={tab}" for tab in ("report", "decision", "errors", "drift", "versions", "details")),
    "model?id=nobody",
    "name?name=nobody",
    "predict?id=birds:1&way=row",
    "jobs",
    "",
]
TURN = "path => { history.pushState({}, '', path); dispatchEvent(new PopStateEvent('popstate')) }"
"""Turn to another page of the session, which need not load all scripts again."""
SHOWN = "document.title + (document.querySelector('[role=tab][aria-selected=true]')?.innerText ?? '')"
"""What differs between any two of the pages, and changes while the next one is drawn."""
HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
  .filter(one => one.getClientRects().length && one.innerText.trim()).map(one => Number(one.tagName[1]))"""
HEIGHT = "document.querySelector('[data-testid=stMain]').scrollHeight"
WORDS = """() => {
  const shadows = [...document.querySelectorAll("*")].flatMap((one) => one.shadowRoot ?? [])
  const walkers = [document.body, ...shadows].map((root) => document.createTreeWalker(root, NodeFilter.SHOW_TEXT))
  const found = []
  for (const walker of walkers) while (walker.nextNode()) {
    const element = walker.currentNode.parentElement
    if (!element) continue
    if (element.closest("code, pre, style, script, [data-testid=stIconMaterial], [translate=no]")) continue
    const style = getComputedStyle(element)
    const box = element.getBoundingClientRect()
    if (style.visibility === "hidden" || style.fontSize === "0px" || box.width < 2 || box.height < 2) continue
    found.push(walker.currentNode.nodeValue)
  }
  return found
}"""
ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NAMES = """
    English Modelyard REST gRPC CSV TSV JSON lines Parquet Arrow Excel xlsx gzip UTF UTC PSI ROC AUC RMSE SHA CatBoost
    LightGBM id ids hash live latest birds csv pkl html python catboost lightgbm numpy scikit learn joblib null auto
    species island bill length depth mm flipper body mass sex year Adelie Chinstrap Gentoo Biscoe Dream Torgersen male
    curl grpcurl Python female modelyard audit verify yyyy mm dd MODELYARD KEEP ANSWERS DAYS nobody balanced lbfgs
"""


@pytest.fixture(scope="module")
def visitor(browser: Browser, dashboard: Dashboard, penguins_csv: Path) -> Iterator[BrowserContext]:
    """A Russian visitor in the dark, of a yard with two versions of a name."""
    with RestClient(dashboard.rest_url) as client:
        for _ in range(2):
            request = TrainRequest(
                model_class_key="logistic_regression", X=penguins_csv, target="species", name="birds"
            )
            client.train(request)
        client.set_alias("birds", "live", AliasRequest(version=1))
    context = browser.new_context(viewport=SCREEN, locale="ru-RU", color_scheme="dark")
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def page(visitor: BrowserContext) -> Iterator[Page]:
    page = visitor.new_page()
    yield page
    page.close()


@pytest.fixture(scope="module")
def walker(visitor: BrowserContext, dashboard: Dashboard) -> Iterator[Page]:
    """A page that goes on from one page of the dashboard to the next within its session, with axe at hand."""
    page = visitor.new_page()
    opened(page, dashboard, "name?name=nobody")
    page.evaluate(AXE)
    page.add_style_tag(content="* { transition: none !important }")  # else colours are between both themes
    yield page
    page.close()


def opened(page: Page, dashboard: Dashboard, path: str) -> Page:
    """Open a page and wait until all of it is drawn."""
    page.goto(f"{dashboard.url}/{path}")
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    wait_until_drawn(page)
    return page


def serious(page: Page, *rules: str) -> list[Any]:
    """Return what axe finds that is serious, by all rules or some."""
    found = page.evaluate(
        f"axe.run(document, {json.dumps({'runOnly': rules or TAGS, 'resultTypes': ['violations'], 'preload': False})})"
    )
    return [
        (one["id"], [node["html"][:200] for node in one["nodes"]])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def english(texts: list[str]) -> set[str]:
    """Return the English words that no name explains."""
    titles = {
        word
        for info in describe_all()
        for one in info.hyperparams["properties"].values()
        for word in one["title"].split()
    }
    words = {word for text in texts for word in re.findall(r"[A-Za-z]{2,}", ID.sub("", text))}
    return words - set(NAMES.split()) - titles


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_for_everyone(walker: Page, path: str) -> None:
    walker.emulate_media(color_scheme="dark")
    shown = walker.evaluate(SHOWN)
    walker.evaluate(TURN, f"/{path}")
    walker.wait_for_function(f"shown => shown !== {SHOWN}", arg=shown)
    wait_until_drawn(walker)
    assert english(walker.evaluate(WORDS)) == set()
    assert serious(walker) == []
    levels = walker.evaluate(HEADINGS)
    assert levels[:1] == [1]
    assert all(below <= above + 1 for above, below in pairwise(levels)), levels
    if "tab=decision" not in path:  # 1,448 with the choice among three classes; the head sums it up
        assert walker.evaluate(HEIGHT) <= 2 * SCREEN["height"]
    walker.emulate_media(color_scheme="light")
    expect(walker.get_by_test_id("stApp")).to_have_css("color-scheme", "light")
    assert serious(walker, "color-contrast") == []


@pytest.mark.parametrize(
    ("path", "pressed", "shown"),
    [
        ("predict?id=birds", [".st-key-predict-go button"], ".st-key-open-row"),
        ("model?id=birds&tab=errors", [".st-key-errors-go button"], ".st-key-mistake-open"),
        ("train?parent=birds", [], ".st-key-train-go"),
    ],
)
def test_a_page_with_a_table_is_two_screens_high(  # noqa: PLR0917 - three are of pytest
    page: Page, dashboard: Dashboard, penguins_csv: Path, path: str, pressed: list[str], shown: str
) -> None:
    upload(opened(page, dashboard, path), penguins_csv)
    for button in pressed:
        click(page, page.locator(button))
    expect(page.locator(shown)).to_be_visible()
    wait_until_drawn(page)
    assert page.evaluate(HEIGHT) <= 2 * SCREEN["height"]


def test_an_error_about_a_table_is_russian(page: Page, dashboard: Dashboard, tmp_path: Path) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text("a,b\n1,2\n")
    upload(opened(page, dashboard, "predict?id=birds"), path)
    click(page, page.locator(".st-key-predict-go button"))
    alert = page.get_by_test_id("stAlert").first
    expect(alert).to_contain_text("'island'")
    texts = [re.sub("'[^']*'", "", text) for text in page.get_by_test_id("stAlert").all_inner_texts()]
    assert english(texts) <= {"error"}  # the name of its icon


def test_how_good_answers_for_a_table_are_stands_on_the_first_screen(
    page: Page, dashboard: Dashboard, penguins_csv: Path, tmp_path: Path
) -> None:
    path = tmp_path / "others.csv"  # the training table is another way
    path.write_text("".join(penguins_csv.read_text().splitlines(keepends=True)[:200]))
    upload(opened(page, dashboard, "predict?id=birds"), path)
    click(page, page.locator(".st-key-predict-go button"))
    right = page.get_by_test_id("stMetric")
    expect(right).to_contain_text("%")
    expect(page.locator("[data-testid=stVegaLiteChart]").first).to_be_visible()
    assert right.evaluate("metric => metric.getBoundingClientRect().bottom") < SCREEN["height"]


def test_the_keyboard_finds_the_content_and_leaves_tables(page: Page, dashboard: Dashboard) -> None:
    opened(page, dashboard, "model?id=birds&tab=versions")
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    expect(skip).to_have_attribute("data-testid", "stSkipToContent")
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).to_have_attribute("id", "stMain")
    reach(page, "canvas, [data-testid=stDataFrame] *")
    page.keyboard.press("Escape")
    assert not page.evaluate("Boolean(document.activeElement.closest('[data-testid=stDataFrame]'))")
    assert page.evaluate("document.activeElement !== document.body")


def test_the_focus_is_seen(page: Page, dashboard: Dashboard) -> None:
    opened(page, dashboard, "model?id=birds")
    for kind in ('[data-testid="stSidebarNavLink"]', "button", '[role="tab"]'):
        reach(page, kind)
        assert page.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"


def reach(page: Page, kind: str) -> None:
    """Press Tab until the focus is on an element of a kind."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("kind => document.activeElement.matches(kind)", kind):
            return
    raise AssertionError(f"Tab does not reach {kind}")
