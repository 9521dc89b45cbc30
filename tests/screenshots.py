"""Make the pictures of the dashboard that the documentation shows: `python -m tests.screenshots`.

They land in `docs/img/`, made on a yard of their own with the sample table.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, expect

from modelyard.rest_api.client import RestClient
from modelyard.schemas import RetrainRequest, TrainRequest
from tests import dashboards

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "img"
MOST_BYTES = 150_000
PENGUINS = Path(str(distribution("palmerpenguins").locate_file("palmerpenguins/data/penguins.csv")))


def main() -> None:
    """Make every picture."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, dashboards.dashboard(Path(folder) / "models_storage") as dashboard:
        fill(dashboard.rest_url)
        with dashboards.chromium() as browser:
            for name, take in {
                "overview": overview,
                "train": train,
                "model": model,
                "predict": predict,
                "compare": compare,
            }.items():
                take_picture(browser, dashboard.url, name, take)
            take_picture(browser, dashboard.url, "model-ru", model_in_russian, schemes=("light",), locale="ru-RU")


def fill(url: str) -> None:
    """Train the models that the pictures show."""
    with RestClient(url) as yard:
        table, target = PENGUINS, "species"
        lines = {"penguins": "logistic_regression", "penguin-trees": "catboost_classifier"}
        for name, key in lines.items():
            yard.train(TrainRequest(model_class_key=key, X=table, target=target, name=name, tags=["demo"]))
        yard.retrain(RetrainRequest(model_id="penguins", X=table, target=target, hyperparams={"C": 0.1}))
        yard.retrain(RetrainRequest(model_id="penguin-trees", X=table, target=target, hyperparams={"depth": 3}))


def take_picture(
    browser: Browser,
    url: str,
    name: str,
    take: object,
    *,
    schemes: Sequence[Literal["light", "dark"]] = ("light", "dark"),
    locale: str = "en-US",
) -> None:
    """Take one picture in light and in dark."""
    for scheme in schemes:
        context = browser.new_context(
            viewport={"width": 1280, "height": 900},
            color_scheme=scheme,
            locale=locale,
        )
        page = context.new_page()
        assert callable(take)
        take(page, url)
        page.mouse.move(5, 5)
        expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=30_000)
        page.wait_for_timeout(1500)  # charts are drawn
        path = IMAGES / f"{name}{'-dark' if scheme == 'dark' else ''}.png"
        page.screenshot(path=path)
        assert path.stat().st_size < MOST_BYTES, path
        context.close()


def overview(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_text("Latest models").wait_for()
    page.wait_for_timeout(6000)  # once the first answers are over, the latency is the usual one


def train(page: Page, url: str) -> None:
    page.goto(f"{url}/train")
    page.get_by_role("button", name="Take the sample").click()
    page.get_by_text("How to judge it").wait_for()
    page.mouse.move(800, 600)
    page.mouse.wheel(0, 430)


def model(page: Page, url: str) -> None:
    page.goto(f"{url}/model?id=penguin-trees:1")
    page.get_by_text("What counts").wait_for()


def model_in_russian(page: Page, url: str) -> None:
    page.goto(f"{url}/model?id=penguin-trees:1")
    page.locator("html[lang=ru] canvas, html[lang=ru] svg.marks").first.wait_for()


def predict(page: Page, url: str) -> None:
    page.goto(f"{url}/predict")
    page.get_by_role("button", name="Take the sample").click()
    page.get_by_role("button", name="Predict", exact=True).click()
    page.get_by_text("Row by row").wait_for()
    page.mouse.move(800, 600)
    page.mouse.wheel(0, 330)


def compare(page: Page, url: str) -> None:
    page.goto(f"{url}/compare")
    page.get_by_text("Hyperparams that differ").wait_for()


if __name__ == "__main__":
    main()
