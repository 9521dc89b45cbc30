"""A server that hangs: it takes connections and never answers. The page says so, and finds it again."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from modelyard.dashboard.patience import QUICK_S, Patience, ask_anew
from modelyard.errors import DeadlineExceeded, Unavailable
from modelyard.verbs import Verbs
from tests import dashboards, doors
from tests.gestures import press, turn_to
from tests.waiting import PATIENCE_MS


class Hanging:
    """A yard that notes what it is asked, and answers as long as it does not hang."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.hangs = False

    def __getattr__(self, verb: str) -> object:
        def ask(*_: object) -> str:
            self.asked.append(verb)
            if self.hangs:
                raise DeadlineExceeded("it did not answer in time")
            return verb

        return ask


def test_a_yard_that_hangs_is_asked_once_and_never_patiently() -> None:
    quick, patient, now = Hanging(), Hanging(), [0.0]
    yard: Verbs = Patience(quick, patient, lambda: now[0])  # type: ignore[arg-type]
    assert (yard.list_jobs(), yard.predict(None)) == ("list_jobs", "predict")  # type: ignore[arg-type, comparison-overlap]
    assert (quick.asked, patient.asked) == (["list_jobs", "whoami"], ["predict"])
    quick.hangs = True
    for ask in (yard.list_jobs, yard.health, lambda: yard.predict(None)):  # type: ignore[arg-type]
        with pytest.raises(Unavailable, match="has not answered for 8 s"):
            ask()
    assert (quick.asked[2:], patient.asked) == (["list_jobs"], ["predict"])
    quick.hangs = False
    with pytest.raises(Unavailable, match="has not answered for 8 s"):
        yard.list_jobs()
    ask_anew(yard)
    assert yard.list_jobs() == "list_jobs"  # type: ignore[comparison-overlap]
    quick.hangs = True
    with pytest.raises(Unavailable, match="has not answered for 8 s"):
        yard.list_jobs()
    quick.hangs, now[0] = False, QUICK_S
    assert yard.list_jobs() == "list_jobs"  # type: ignore[comparison-overlap]


def test_a_server_that_hangs_is_said_and_found_again(browser: Browser, tmp_path: Path) -> None:
    port = doors.free_port()
    folder, url = tmp_path / "models_storage", f"http://127.0.0.1:{port}"
    with (
        dashboards.dashboard_on(url, "127.0.0.1:1", tmp_path / "other") as other,
        dashboards.rest_on(port, folder) as process,
    ):
        page = browser.new_page(locale="en-US")
        page.set_default_timeout(PATIENCE_MS)
        page.goto(other.url)
        expect(page.get_by_text("Your first model in a minute")).to_be_visible()
        turn_to(page, "Models")
        process.send_signal(signal.SIGSTOP)
        try:
            press(page, "Refresh")
            expect(page.get_by_text("takes connections, but has not answered")).to_be_visible()
        finally:
            process.send_signal(signal.SIGCONT)
        press(page, "Try again")
        expect(page.get_by_text("There are no models here yet")).to_be_visible()
