"""Journeys through the dashboard in a real browser, over both doors."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from modelyard.rest_api.client import RestClient
from modelyard.schemas import ModelQuery, TrainRequest
from tests import dashboards, doors
from tests.dashboards import Dashboard
from tests.gestures import choose, click, go_on, pick, press, tick, turn_to, unfold, upload, wait_until_drawn, write
from tests.processes import runs
from tests.waiting import PATIENCE_MS

LOSSES = '.st-key-losses [data-testid="stVegaLiteChart"]'


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboards.dashboard(tmp_path_factory.mktemp("browser") / "models_storage") as dashboard:
        yield dashboard


@pytest.fixture(scope="module")
def visitor(browser: Browser) -> BrowserContext:
    """One visitor for all tests, because a new one reads and compiles all of Streamlit's scripts again."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    context.set_default_timeout(PATIENCE_MS)
    return context


@pytest.fixture
def page(visitor: BrowserContext) -> Iterator[Page]:
    page = visitor.new_page()
    yield page
    page.close()
    visitor.clear_cookies()


def begin_training(page: Page, dashboard: Dashboard, table: Path, target: str) -> None:
    page.goto(dashboard.url)
    turn_to(page, "Train")
    upload(page, table)
    choose(page, "Column to predict", target)


def train_for(page: Page, iterations: str) -> None:
    tick(page, "Logistic regression", on=False)
    tick(page, "CatBoost classifier")
    unfold(page, "Hyperparams: CatBoost classifier")
    write(page, page.get_by_role("spinbutton", name="Iterations"), iterations)
    expect(page.get_by_text("Changed: Iterations")).to_be_visible()
    press(page, "Train")


def pause_the_run() -> None:
    """Stop the process of a training that has shown its steps: it and their drawing would take all of the machine."""
    (run,) = runs(os.getpid())
    os.kill(run, signal.SIGSTOP)


def name_it(page: Page, name: str) -> None:
    write(page, page.get_by_role("textbox", name="Name", exact=True), name)


def train(page: Page, table: Path, target: str, name: str) -> None:
    turn_to(page, "Train")
    upload(page, table)
    choose(page, "Column to predict", target)
    name_it(page, name)
    press(page, "Train")
    expect(page.get_by_text(f"{name} · v1 is ready")).to_be_visible()


@pytest.mark.parametrize("door", ["REST", "gRPC"])
def test_the_life_of_a_model(dashboard: Dashboard, page: Page, penguins_csv: Path, tmp_path: Path, door: str) -> None:
    name = f"birds-{door.lower()}"
    page.goto(dashboard.url)
    expect(page.get_by_text("Active models")).to_be_visible()
    pick(page, door)
    train(page, penguins_csv, "species", name)
    for part in ("Confusion matrix", "What counts", "ROC", "Calibration"):
        expect(page.get_by_role("heading", name=part, exact=True)).to_be_visible()

    go_on(page, "Predict with it", "Predict")
    upload(page, penguins_csv)
    press(page, "Predict")
    expect(page.get_by_text("The model was trained on this table")).to_be_visible()
    with page.expect_download() as download:
        press(page, re.compile(r"^Download \d+ rows$"))
    download.value.save_as(tmp_path / "labels.csv")
    labels = pl.read_csv(tmp_path / "labels.csv", null_values="NA")
    assert (labels.height, labels["species"].to_list()[:3]) == (344, labels["prediction"].to_list()[:3])
    assert labels["reason 1"].str.contains(r"^[a-z_]+ [+-]").all()
    pick(page, "One row")
    expect(page.get_by_role("spinbutton", name="bill_length_mm")).to_be_visible()
    expect(page.get_by_text(f"says {name} · v1")).to_be_visible()

    turn_to(page, "Train")  # what was trained last is still there
    go_on(page, "Open its page", f"{name} · v1")
    go_on(page, "Retrain", f"A new version of {name}")
    press(page, "Train the new version")
    expect(page.get_by_text(f"{name} · v2 is ready")).to_be_visible()

    turn_to(page, "Compare")
    expect(page.get_by_role("columnheader", name=f"{name} · v2")).to_be_visible()
    expect(page.get_by_role("columnheader", name=f"{name} · v1")).to_be_visible()

    turn_to(page, "Train", f"A new version of {name}")
    go_on(page, "Open its page", f"{name} · v2")
    press(page, "Delete")
    press(page, "Delete, restorable")
    press(page, "Restore")
    expect(page.get_by_role("button", name="Retrain", exact=True)).to_be_visible()
    with RestClient(dashboard.rest_url) as client:
        assert [model.version for model in client.list_models(ModelQuery(name=name)).models] == [2, 1]


def test_a_file_that_is_read_wrongly_is_read_as_its_visitor_says(
    dashboard: Dashboard, page: Page, tmp_path: Path
) -> None:
    rows = [
        f"{20 + row % 40};{'Москва' if row % 3 else 'Тверь'};{'да' if row % 40 > 20 else 'нет'}" for row in range(80)
    ]
    path = tmp_path / "people.csv"
    path.write_bytes("\n".join(["Выгрузка за год", "возраст;город;купил", *rows]).encode("cp1251"))
    page.goto(dashboard.url)
    turn_to(page, "Train")
    upload(page, path)
    expect(page.get_by_text("is not UTF-8: byte 0xc2 in line 1")).to_be_visible()
    choose(page, "Encoding", "cp1251")
    expect(page.get_by_text("81 rows · 1 column")).to_be_visible()
    write(page, page.get_by_role("spinbutton", name="Lines above the table"), "1")
    expect(page.get_by_text("80 rows · 3 columns")).to_be_visible()
    choose(page, "Column to predict", "купил")
    name_it(page, "people")
    press(page, "Train")
    expect(page.get_by_text("people · v1 is ready")).to_be_visible()
    with RestClient(dashboard.rest_url) as client:
        model = client.get_model("people")
        assert model.reading is not None
        assert (model.reading.encoding, model.reading.skip_rows) == ("cp1251", 1)
        assert model.feature_names == ["возраст", "город"]
    go_on(page, "Predict with it", "Predict")
    upload(page, path)
    expect(page.get_by_text("80 rows · 3 columns")).to_be_visible()
    press(page, "Predict")
    expect(page.get_by_text("The model was trained on this table")).to_be_visible()


def test_a_training_is_watched_and_cancelled(dashboard: Dashboard, page: Page, penguins_csv: Path) -> None:
    begin_training(page, dashboard, penguins_csv, "species")
    train_for(page, "1000000")
    expect(page.get_by_text(re.compile(r"fit 1 of 2 · iteration \d+ of .* · held-out loss"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"so far · about .* left"))).to_be_visible()
    expect(page.get_by_text("penguins.csv → species · CatBoost classifier")).to_be_visible()
    expect(page.get_by_text("Stop", exact=True)).to_be_hidden()
    pause_the_run()
    press(page, "Cancel")
    expect(page.get_by_text("cancelled")).to_be_visible()
    turn_to(page, "Jobs")
    expect(page.get_by_text("Nothing is running at the moment")).to_be_visible()


def test_a_refresh_and_a_link_show_a_training_that_runs(
    dashboard: Dashboard, browser: Browser, page: Page, penguins_csv: Path
) -> None:
    begin_training(page, dashboard, penguins_csv, "island")
    train_for(page, "900000")
    expect(page.locator(LOSSES)).to_be_visible()
    expect(page).to_have_url(re.compile("job="))
    pause_the_run()

    page.reload()
    expect(page.get_by_text(re.compile(r"iteration \d+ of "))).to_be_visible()
    expect(page.get_by_text("penguins.csv → island · CatBoost classifier")).to_be_visible()
    expect(page.locator(LOSSES)).to_be_visible()
    unfold(page, "What to train")
    expect(page.get_by_text("penguins.csv", exact=True)).to_be_visible()
    expect(page.get_by_role("combobox", name=re.compile("Column to predict"))).to_have_value("island")
    unfold(page, "Hyperparams: CatBoost classifier")
    expect(page.get_by_role("spinbutton", name="Iterations")).to_have_value("900000")

    page.goto("about:blank")  # the last to watch it, and the curve is still there for the next
    context = browser.new_context(locale="en-US")
    colleague = context.new_page()
    colleague.goto(f"{dashboard.url}/train")
    expect(colleague.get_by_text("Trainings under way")).to_be_visible()
    click(colleague, colleague.get_by_role("link", name=re.compile("A new CatBoost classifier")))
    expect(colleague.locator(LOSSES)).to_be_visible()
    expect(colleague).to_have_url(re.compile(r"/train\?job=[^&]+$"))
    press(colleague, "Cancel")
    expect(colleague.get_by_role("button", name="Change something and try again")).to_be_visible()
    context.close()


def test_a_page_opened_by_a_name_stays_with_the_version_that_is_deleted(
    dashboard: Dashboard, page: Page, penguins_csv: Path
) -> None:
    request = TrainRequest(model_class_key="logistic_regression", X=penguins_csv, target="species", name="versioned")
    with RestClient(dashboard.rest_url) as client:
        client.train(request)
        second = client.train(request)
        page.goto(f"{dashboard.url}/model?id=versioned")
        press(page, "Delete")
        wait_until_drawn(page)
        page.get_by_role("button", name="Delete, restorable", exact=True).dblclick()
        expect(page.get_by_text("versioned · v2 is deleted")).to_be_visible()
        expect(page.get_by_role("button", name="Restore", exact=True)).to_be_visible()
        expect(page.get_by_role("button", name="Delete, restorable", exact=True)).to_have_count(0)
        assert f"id={second.model_id}" in page.url
        assert [model.version for model in client.list_models(ModelQuery(name="versioned")).models] == [1]
        press(page, "Restore")
        expect(page.get_by_role("button", name="Retrain", exact=True)).to_be_visible()
        assert [model.version for model in client.list_models(ModelQuery(name="versioned")).models] == [2, 1]


def test_a_target_that_nothing_can_learn_is_said_beside_it(dashboard: Dashboard, page: Page, tmp_path: Path) -> None:
    table = tmp_path / "churn.csv"
    pl.select(
        customerID=pl.int_range(7043) + 10**6, tenure=pl.int_range(7043) % 70, Churn=pl.int_range(7043) % 2
    ).write_csv(table)
    begin_training(page, dashboard, table, "customerID")
    pick(page, "classification (labels)")  # so many whole numbers look like quantities
    expect(page.get_by_text("customerID has 7043 classes in 7043 rows, 7043 of them of a single row")).to_be_visible()
    expect(page.get_by_text("Columns that could be predicted:")).to_be_visible()
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_disabled()
    press(page, "Churn")
    expect(page.get_by_role("combobox", name=re.compile("Column to predict"))).to_have_value("Churn")
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_enabled()


def test_a_wrong_cell_is_named_with_its_row_and_column(dashboard: Dashboard, page: Page, tmp_path: Path) -> None:
    table = tmp_path / "table.jsonl"
    table.write_text("".join(f'{{"a": {i}, "b": {i % 7}, "y": {i % 2}}}\n' for i in range(50)))
    page.goto(dashboard.url)
    train(page, table, "y", "numbers")
    go_on(page, "Predict with it", "Predict")
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text('{"a": 1, "b": 2}\n{"a": "high", "b": 2}\n{"a": 2, "b": "low"}\n')
    upload(page, wrong)
    press(page, "Predict")
    expect(page.get_by_text("column 'a', row 1")).to_be_visible()
    expect(page.get_by_text("All 2 places")).to_be_visible()


def test_a_server_that_was_killed_is_said_and_found_again(page: Page, tmp_path: Path) -> None:
    port = doors.free_port()
    folder, url = tmp_path / "models_storage", f"http://127.0.0.1:{port}"
    with dashboards.dashboard_on(url, "127.0.0.1:1", tmp_path / "other") as other:
        with dashboards.rest_on(port, folder) as process:
            page.goto(other.url)
            expect(page.get_by_text("Your first model in a minute")).to_be_visible()
            turn_to(page, "Models")
            expect(page.get_by_text("There are no models here yet")).to_be_visible()
            process.kill()
            process.wait()
            press(page, "Refresh")
            expect(page.get_by_text("REST does not answer")).to_be_visible()
        with doors.rest_thread(folder, rest_port=port):
            press(page, "Try again")
            expect(page.get_by_text("There are no models here yet")).to_be_visible()


def test_what_is_open_and_typed_stays_while_the_form_grows(dashboard: Dashboard, page: Page, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b,y\n" + "".join(f"{i},{i % 7},{i % 2}\n" for i in range(50)))
    page.goto(dashboard.url)
    turn_to(page, "Train")
    upload(page, table)
    page.get_by_text("How to judge it").click()
    page.get_by_text("Hyperparams: Logistic regression").click()
    page.get_by_role("textbox", name="Name", exact=True).press_sequentially("half-a-na")
    choose(page, "Column to predict", "y")
    tick(page, "CatBoost classifier")
    expect(page.get_by_role("textbox", name="Name", exact=True)).to_have_value("half-a-na")
    expect(page.get_by_role("radio", name="Cross-validation")).to_be_visible()
    expect(page.get_by_role("spinbutton", name="C", exact=True)).to_be_visible()
    expect(page.get_by_role("spinbutton", name="Iterations")).not_to_be_visible()


def test_a_table_of_50_mb_is_sent_on_without_being_held(dashboard: Dashboard, page: Page, tmp_path: Path) -> None:
    table = tmp_path / "large.csv"
    before = dashboard.peak_mb()
    write_large(table, 50 * 2**20)
    begin_training(page, dashboard, table, "y")
    unfold(page, "How to judge it")
    pick(page, "None")
    name_it(page, "large")
    press(page, "Train")
    expect(page.get_by_text("large · v1 is ready")).to_be_visible()
    go_on(page, "Predict with it", "Predict")
    upload(page, table)
    press(page, "Predict")
    expect(page.get_by_text("own training table")).to_be_visible()
    assert dashboard.peak_mb() - before < 550


def write_large(path: Path, n_bytes: int) -> None:
    """Write a table whose texts are long, so that it is large with few rows to fit."""
    row = pl.int_range(n_bytes // 178)
    texts = [pl.lit(pl.Series([letter * 56 for letter in "abcde"])).gather(row // step % 5) for step in (1, 3, 7)]
    frame = pl.select(a=row % 997, b=row % 89, t=texts[0], u=texts[1], v=texts[2], y=row // 5 % 2)
    frame.write_csv(path)
    assert path.stat().st_size >= n_bytes
