"""The report as one file: opened without a network, in either language, whatever names a table has."""

from __future__ import annotations

import html
import re
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Browser

from modelyard.dashboard import formats
from modelyard.dashboard.report_file import html_report
from modelyard.dashboard.report_file.elements import element, plain
from modelyard.schemas import ModelMetadata, TrainRequest, UpdateRequest
from tests.dashboard.test_pages import Yard, yard

__all__ = ["yard"]

pytestmark = pytest.mark.filterwarnings("default")  # Streamlit's own

HOSTILE = '<script>document.title="taken"</script>'
IMAGE = '"><img src=x onerror="document.title=1">'
END = "</style></title>&amp;**bold** `code`"


@pytest.fixture(scope="module")
def hostile(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> ModelMetadata:
    """A model of a table whose every name would be markup."""
    path = tmp_path_factory.mktemp("hostile") / "table.csv"
    rows = [{HOSTILE: i % 7, IMAGE: "ab"[i % 2], END: (HOSTILE, IMAGE)[i % 2]} for i in range(80)]
    pl.DataFrame(rows).write_csv(path)
    request = TrainRequest(model_class_key="catboost_classifier", X=path, target=END, hyperparams={"iterations": 5})
    model = yard.client.train(request)
    return yard.client.update_model(model.model_id, UpdateRequest(tags=[HOSTILE], description=f"{END} {IMAGE}"))


def written(yard: Yard, model: ModelMetadata, language: str) -> str:
    return html_report(model, yard.client.get_report(model.model_id), kind="CatBoost classifier", language=language)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_hostile_names_are_text(
    yard: Yard, hostile: ModelMetadata, browser: Browser, tmp_path: Path, language: str
) -> None:
    path = tmp_path / "report.html"
    path.write_text(written(yard, hostile, language), encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(path.as_uri())
    shown = page.locator("body").inner_text()
    for name in (HOSTILE, IMAGE, END):
        assert name in shown
    assert page.title() == f"{hostile.name} · v1 · Modelyard"
    assert page.locator("script, img, link, iframe, object, style >> nth=1").count() == 0
    assert page.locator("svg[role=img]").count() >= 3
    assert page.locator("html").get_attribute("lang") == language
    assert asked == [path.as_uri()]
    assert not complaints
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_long_names_leave_the_numbers_in_sight_and_whole(yard: Yard, browser: Browser, tmp_path: Path) -> None:
    labels = ("yes", "n" * 200)
    X = [{"f" * 150: float(row), "g": row % 3} for row in range(80)]
    model = yard.client.train(
        TrainRequest(model_class_key="logistic_regression", X=X, y=[labels[row % 2] for row in range(80)], name="long")
    )
    path = tmp_path / "report.html"
    path.write_text(written(yard, model, "en"), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.goto(path.as_uri())
    place, count = (page.locator(one).first.bounding_box() for one in (".wide:has(.matrix)", ".matrix td"))
    assert place is not None
    assert count is not None
    assert count["x"] + count["width"] <= place["x"] + place["width"]
    heights = page.locator("td.number").evaluate_all(
        "cells => cells.map(one => { const text = document.createRange(); text.selectNodeContents(one); "
        "return text.getBoundingClientRect().height })"
    )
    assert len(heights) > 10
    assert max(heights) < 30  # one line
    page.close()


def test_a_report_of_numbers_is_drawn_in_russian(yard: Yard, tmp_path: Path) -> None:
    path = tmp_path / "flats.csv"
    pl.DataFrame({"area": range(40), "price": [3.5 * i + i % 3 for i in range(40)]}).write_csv(path)
    model = yard.client.train(TrainRequest(model_class_key="linear_regression", X=path, target="price"))
    report = yard.client.get_report(model.model_id)
    assert report.predicted_against_actual is not None
    text = html_report(model, report, kind="Linear regression", language="ru")
    words = re.sub(r"<style>.*?</style>|<[^>]*>", " ", text, flags=re.DOTALL)
    baseline = formats.metric_value("baseline_rmse", report.metrics["baseline_rmse"])
    assert f"Всегда среднее {baseline} один на все строки" in " ".join(words.split())
    for russian in ("Предсказывает price", "Линейная регрессия", "Остатки", "Предсказание и истина"):
        assert russian in words
    assert text.count("<circle") == len(report.predicted_against_actual.actual)
    assert "nan" not in re.sub(r"[^ ]*=", "", words)


@pytest.mark.parametrize(("language", "said"), [("en", "Of the class “{}”."), ("ru", "Для класса «{}».")])
def test_the_curves_of_two_classes_say_of_which_they_are(
    yard: Yard, hostile: ModelMetadata, language: str, said: str
) -> None:
    (label,) = yard.client.get_report(hostile.model_id).roc_curves or {}
    assert html.unescape(written(yard, hostile, language)).count(said.format(label)) == 3
    captions = "\n".join(one.value for one in yard.open("model", id=hostile.model_id, lang=language).caption)
    assert captions.count(said.format(formats.escaped(label))) == 3


def test_attributes_and_text_are_escaped() -> None:
    assert element("td", "<b>", title='"&') == '<td title="&quot;&amp;">&lt;b&gt;</td>'
    assert (
        element("p", "a\x00\x1b\x85b")
        == "<p>a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b</p>"
    )


def test_marks_of_sentences_go_and_those_of_names_stay() -> None:
    assert plain(r":material/warning: **It learned \*\*by\*\* heart: \<b\>**") == "It learned **by** heart: <b>"
