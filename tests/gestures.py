"""What a person does on a page of the dashboard, one gesture at a time.

Each waits until the page is drawn, since a page that is still being drawn may take an element away from under a click,
or what was written. Each is judged by what it shows, if that is the same on every page.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

_TRIES = 4
_A_TRY_MS = 20_000


def wait_until_drawn(page: Page) -> None:
    """Wait until no script runs for the page and no part of it is still awaited."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)


def click(page: Page, element: Locator) -> None:
    """Click on whatever it is."""
    wait_until_drawn(page)
    element.click()


def press(page: Page, name: str | re.Pattern[str]) -> None:
    """Press a button, by its whole name."""
    click(page, page.get_by_role("button", name=name, exact=True))


def go_on(page: Page, button: str, title: str) -> None:
    """Press a button that leads to another page, which has this title."""
    press(page, button)
    expect(page.get_by_role("heading", level=1)).to_have_text(title)


def turn_to(page: Page, name: str, title: str = "") -> None:
    """Turn to a page of the menu, whose title is the name of its link if no other is said."""
    click(page, page.get_by_role("link", name=name, exact=True))
    expect(page.get_by_role("heading", level=1)).to_have_text(title or name)


def turn_to_tab(page: Page, name: str) -> None:
    """Turn to a tab of a page."""
    tab = page.get_by_role("tab", name=name, exact=True)
    click(page, tab)
    expect(tab).to_have_attribute("aria-selected", "true")


def pick(page: Page, name: str) -> None:
    """Pick one of the few that are offered beside each other."""
    radio = page.get_by_role("radio", name=name, exact=True)
    click(page, radio)
    expect(radio).to_be_checked()


def unfold(page: Page, title: str) -> None:
    """Open what is folded away under a title."""
    summary = page.locator("summary", has_text=title)
    click(page, summary)
    expect(page.locator("details[open] > summary", has_text=title)).to_be_visible()


def upload(page: Page, table: Path) -> None:
    """Give a table to the only field of the page that takes one."""
    wait_until_drawn(page)
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(table)


def write(page: Page, field: Locator, text: str) -> None:
    """Write into a field, and leave it."""
    wait_until_drawn(page)
    field.fill(text)
    page.keyboard.press("Tab")


def tick(page: Page, name: str, *, on: bool = True) -> None:
    """Tick a box, or take its tick away."""
    box = page.get_by_role("checkbox", name=name, exact=True)

    def click_if_needed() -> None:
        if box.is_checked() is not on:
            page.locator("label", has=box).click()
        expect(box).to_be_checked(checked=on, timeout=_A_TRY_MS)

    _insist(page, click_if_needed)


def choose(page: Page, label: str, option: str | re.Pattern[str]) -> None:
    """Choose one of the options that a field lists."""
    offered = page.get_by_role("option", name=option, exact=True)

    def open_and_click() -> None:
        page.get_by_role("combobox", name=re.compile(label)).click()
        try:
            offered.click(timeout=_A_TRY_MS)
        except PlaywrightTimeoutError:
            page.keyboard.press("Escape")
            raise

    _insist(page, open_and_click)


def _insist(page: Page, act: Callable[[], None]) -> None:
    """Act again if a page that was being drawn took the click away, or the list that it opened."""
    for _ in range(_TRIES):
        wait_until_drawn(page)
        try:
            act()
        except (AssertionError, PlaywrightTimeoutError):
            continue
        return
    act()
