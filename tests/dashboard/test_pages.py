"""The pages' logic, run by Streamlit's own test harness against real servers."""

from __future__ import annotations

import gc
import gzip
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from modelyard.dashboard import jobs_under_way, session
from modelyard.dashboard.formats import percent
from modelyard.dashboard.listing import selection_key
from modelyard.dashboard.reading import laid_out
from modelyard.dashboard.tables import open_table
from modelyard.dashboard.texts import speaking
from modelyard.errors import Unavailable
from modelyard.rest_api.client import RestClient
from modelyard.schemas import Evaluation, ModelMetadata, ModelQuery, PredictRequest, SearchRequest, TrainRequest
from tests import doors
from tests.tables.workbooks import write_workbook
from tests.test_contract_search import MIXED, SUMS
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.filterwarnings("default")  # Streamlit's own


@dataclass(frozen=True, slots=True)
class Yard:
    """Two servers on one folder, and a client on the first."""

    rest_url: str
    grpc_target: str
    client: RestClient

    def open(self, page: str, **query: str) -> AppTest:
        """Open a page as a new visitor."""
        return open_page(self.rest_url, self.grpc_target, page, **query)


SAMPLE = "Take the sample: penguins"


def open_page(rest_url: str, grpc_target: str, page: str, **query: str) -> AppTest:
    """Open a page of a dashboard on these servers as a new visitor."""
    script = (
        "from modelyard.dashboard.app import main\n"
        "from modelyard.dashboard.doors import Doors\n"
        f"main(Doors({rest_url!r}, {grpc_target!r}), start={page!r})\n"
    )
    app = AppTest.from_string(script, default_timeout=PATIENCE_S)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("pages") / "models_storage"
    with ExitStack() as stack:
        rest_url = stack.enter_context(doors.rest_thread(folder))
        grpc_target = stack.enter_context(doors.grpc_thread(folder))
        yield Yard(rest_url, grpc_target, stack.enter_context(RestClient(rest_url)))


@pytest.fixture(scope="module")
def penguin_model(yard: Yard, penguins_csv: Path) -> ModelMetadata:
    request = TrainRequest(model_class_key="logistic_regression", X=penguins_csv, target="species", name="birds")
    return yard.client.train(request)


def texts(app: AppTest) -> str:
    """Return all that a visitor reads on the page."""
    kinds = ("title", "header", "markdown", "caption", "error", "warning", "success", "info")
    return plain("\n".join(str(element.value) for kind in kinds for element in getattr(app, kind)))


def plain(text: str) -> str:
    """Return a text with the spaces of a keyboard: those between a number and its unit are no-break ones."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


def linked_table(app: AppTest) -> dict[str, Any]:
    """Return the data of the table with links. Raises StopIteration if there is none."""
    found = [json.loads(one.proto.json or one.proto.mixed.json) for one in app.get("bidi_component")]
    return next(data for data in found if "rows" in data)


def button(app: AppTest, key: str) -> Any:
    return app.button(key=key)


def field(app: AppTest, label: str) -> Any:
    return next(one for one in app.number_input if one.label == label)


def said(app: AppTest, parameter: str) -> str | None:
    """Return what the address says."""
    value = app.query_params.get(parameter)
    return value[0] if isinstance(value, list) else value


def wait_for_model(app: AppTest) -> AppTest:
    """Rerun the page until its training has ended: each look of its own is one such rerun."""
    for _ in range(600):
        if app.success or app.error:
            return app
        app.run()
    raise AssertionError(texts(app))


def test_an_empty_yard_offers_the_first_steps_and_the_sample(tmp_path: Path) -> None:
    with doors.rest_thread(tmp_path / "models_storage") as url, RestClient(url) as client:
        app = Yard(url, "127.0.0.1:1", client).open("overview")
        assert not app.exception
        assert "Your first model in a minute" in texts(app)
        app = button(app, "first-sample").click().run()
        assert "penguins.csv" in texts(app)
        assert app.selectbox(key="target-penguins.csv-").value == "species"


def test_the_overview_calls_a_server_that_just_did_not_answer_down(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs() -> NoReturn:
        raise Unavailable("the server hangs")

    assert "Down" not in doors_of(yard.open("overview"))["REST"]
    monkeypatch.setattr(jobs_under_way, "under_way", hangs)
    app = yard.open("overview")
    assert "REST does not answer" in app.error[0].value
    assert doors_of(app)["REST"] == "Down"
    assert doors_of(app)["gRPC"] != "Down"


def doors_of(app: AppTest) -> dict[str, str]:
    """Return what the overview says of each door."""
    return {metric.label: metric.value for metric in app.metric if metric.label in ("REST", "gRPC")}


@pytest.mark.parametrize("page", ["overview", "train", "predict", "models", "compare", "jobs", "audit", "model"])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_page_opens_in_both_languages(yard: Yard, penguin_model: ModelMetadata, page: str, language: str) -> None:
    app = yard.open(page, lang=language, id=penguin_model.model_id)
    assert not app.exception
    assert not app.error
    assert bool(re.search("[\u0400-\u04ff]", texts(app))) == (language == "ru")


def test_a_model_is_trained_as_a_job_and_the_choice_survives_reruns(yard: Yard) -> None:
    app = yard.open("train")
    app = app.button[-1].click().run()
    app = app.text_input(key="name-").set_value("from-the-form").run()
    app = wait_for_model(button(app, "train-go").click().run())
    assert "from-the-form · v1" in app.success[0].value
    again = app.run()
    assert "from-the-form · v1" in again.success[0].value
    trained = yard.client.get_model("from-the-form")
    assert trained.target == "species"
    assert trained.feature_types["island"] == "categorical"
    assert button(again, "predict-with-it").click().run().selectbox(key="predict-model").value == trained.model_id


def test_only_hyperparams_that_were_changed_are_sent(yard: Yard) -> None:
    app = yard.open("train")
    app = app.button[-1].click().run()
    app = app.text_input(key="name-").set_value("changed").run()
    app = field(app, "C").set_value(0.25).run()
    assert "Changed: C" in texts(app)
    wait_for_model(button(app, "train-go").click().run())
    assert yard.client.get_model("changed").hyperparams["C"] == 0.25


def test_one_click_brings_the_defaults_back(yard: Yard) -> None:
    app = yard.open("train")
    app = app.button[-1].click().run()
    app = field(app, "C").set_value(0.25).run()
    app = button(app, "hyperparams-logistic_regression--defaults").click().run()
    assert field(app, "C").value == 1.0
    assert "Changed" not in texts(app)


def test_the_browser_is_told_of_the_ticked_algorithm_each_time_the_page_is_drawn(yard: Yard) -> None:
    app = yard.open("train")
    app = app.button[-1].click().run().run()
    boxes = [box for box in app.checkbox if str(box.key).startswith("class-")]
    assert [box.proto.value for box in boxes if box.proto.set_value] == [True, False, False, False]


def test_a_search_is_ordered_by_its_card_and_shows_its_leaderboard(yard: Yard) -> None:
    app = yard.open("train")
    app = app.button[-1].click().run()
    app = app.checkbox(key="class-auto").check().run()
    assert [box.value for box in app.checkbox if str(box.key).startswith("class-")] == [False, False, False, True]
    app = app.text_input(key="name-").set_value("searched").run()
    app = app.number_input(key="search-trials").set_value(1).run()
    app = wait_for_model(button(app, "train-go").click().run())
    assert "Leaderboard" in [one.label for one in app.expander]
    found = yard.client.get_model("searched")
    assert found.search is not None
    assert (found.search.trials, found.model_class_key) == (1, "logistic_regression")


def test_a_search_under_way_shows_how_sure_the_best_of_each_algorithm_is(yard: Yard) -> None:
    members = ["linear_regression", "lightgbm_regressor"]
    asked = SearchRequest(X=MIXED, y=SUMS, model_classes=members, trials=200, max_seconds=3600.0)
    job = yard.client.submit_search(asked)
    assert any(len(seen.progress.board) == 2 for seen in yard.client.watch_job(job.job_id))
    app = yard.open("train", job=job.job_id)
    yard.client.cancel_job(job.job_id)
    assert not app.exception
    table = app.table[0].value
    assert len(table.columns) == 3  # more are cut off on a phone
    first, second = (cell.partition("  \n") for cell in table["Algorithm"])
    assert first[0].startswith("**")
    assert {first[0].strip("*"), second[0]} == {"Linear regression", "LightGBM regressor"}
    assert all("trial" in spent for _, _, spent in (first, second))
    told = [one.split(" (") for one in table["best so far, rows held out"]]
    (_, high), (low, _) = [map(float, interval.rstrip(")").split(" … ")) for _, interval in told]
    assert float(told[0][0]) <= float(told[1][0])  # a loss
    words = "no real difference" if low <= high else "worse"
    assert list(table["Compared with the first"]) == ["looks best", words]
    *_, ended = yard.client.watch_job(job.job_id)
    assert ended.status == "cancelled"


def test_an_ensemble_shows_its_leaderboard_and_keeps_its_members_when_it_is_trained_anew(yard: Yard) -> None:
    members = ["linear_regression", "lightgbm_regressor"]
    none = Evaluation(method="none")
    parent = yard.client.search(
        SearchRequest(X=MIXED, y=SUMS, name="mixed", model_classes=members, trials=2, evaluation=none)
    )
    app = yard.open("train", parent=parent.model_id)
    app = next(one for one in app.button if "sample" in one.label).click().run()
    assert not app.exception
    assert not app.error
    assert "**Ensemble** of Linear regression, LightGBM regressor" in texts(app)
    app = yard.open("model", id=parent.model_id, lang="ru")
    assert not app.exception
    assert "Таблица попыток" in [one.label for one in app.expander]
    assert " · Ансамбль · " in texts(app)
    board = next(table.value for table in app.dataframe if "Алгоритм" in table.value)
    assert set(board["Алгоритм"]) == {"Ансамбль", "Линейная регрессия", "LightGBM: регрессия"}
    done = yard.open("jobs")
    assert list(done.dataframe[0].value)[:3] == ["status", "name", "took"]  # what a phone shows


def test_an_error_is_shown_in_place_in_words(yard: Yard) -> None:
    app = yard.open("train")
    app = app.button[-1].click().run()
    app = app.segmented_control(key="evaluation--method").set_value("time").run()
    app = button(app, "train-go").click().run()
    assert "Something in the request is not valid" in app.error[0].value
    assert "time" in app.error[0].value
    assert app.segmented_control(key="evaluation--method").value == "time"


@pytest.mark.parametrize(("name", "n"), [("not a name", 10), ("x" * 101, 101)])
def test_a_wrong_name_is_said_at_its_field_before_anything_is_sent(yard: Yard, name: str, n: int) -> None:
    app = yard.open("train")
    app = app.button[-1].click().run()
    app = app.text_input(key="name-").set_value(name).run()
    assert f"length: {n}." in texts(app)
    assert button(app, "train-go").disabled
    assert "Correct the name." in texts(app)
    app = app.text_input(key="name-").set_value("a.name").run()
    assert not button(app, "train-go").disabled


def test_several_algorithms_are_trained_on_the_same_rows_and_one_is_kept(yard: Yard) -> None:
    app = yard.open("train")
    app = app.button[-1].click().run()
    app = app.checkbox(key="class-lightgbm_classifier").check().run()
    app = app.text_input(key="name-").set_value("contest").run()
    app = button(app, "train-go").click().run()
    jobs = (said(app, "job") or "").split(",")
    assert [yard.client.get_job(job).model_class_key for job in jobs] == ["logistic_regression", "lightgbm_classifier"]
    for job in jobs:
        *_, ended = yard.client.watch_job(job)
        assert ended.status == "succeeded"
    app = app.run()
    assert not app.exception
    assert not app.error
    (board,) = (table.value for table in app.table if "Compared with the first" in table.value.columns)
    shown = board["Compared with the first"].to_list()
    assert shown[0] == "looks best"
    assert shown[1] in ("no real difference", "worse")
    kept = app.selectbox(key="contest-keep").value
    app = button(app, "contest-keep-it").click().run()
    models = yard.client.list_models(ModelQuery(name="contest", status="all")).models
    assert {model.model_id: model.status for model in models}[kept] == "active"
    assert sorted(model.status for model in models) == ["active", "deleted"]
    colleague = yard.open("train", job=",".join(jobs))
    assert "Side by side" in texts(colleague)
    assert not colleague.error


@pytest.mark.parametrize(("page", "query"), [("model", "id"), ("name", "name")])
def test_a_reference_that_means_nothing_is_said_and_leads_to_all_models(
    yard: Yard, penguin_model: ModelMetadata, page: str, query: str
) -> None:
    app = yard.open(page, **{query: "nobody"})
    assert "There is no such thing" in app.error[0].value
    assert "nobody" in app.error[0].value
    assert button(app, "back").label == "Models"


def test_what_is_said_of_reading_is_sent_and_a_retraining_begins_without_it(yard: Yard) -> None:
    app = yard.open("train")
    app = app.button[-1].click().run()
    app = app.selectbox(key="reading-train-penguins.csv-header").set_value(False).run()
    assert "345 rows" in texts(app)
    app = app.selectbox(key="target-penguins.csv-").set_value("f1").run()
    app = app.multiselect(key="reading-train-penguins.csv-missing_markers").set_value(["NA"]).run()
    app = app.text_input(key="name-").set_value("headless").run()
    wait_for_model(button(app, "train-go").click().run())
    reading = yard.client.get_model("headless").reading
    assert reading is not None
    assert (reading.header, reading.missing_markers) == (False, ["", "NA"])
    again = yard.open("train", parent="headless")
    again = again.button[-1].click().run()
    assert "345 rows" in texts(again)
    assert again.selectbox(key="reading-train-penguins.csv-header").value is None


def test_what_cannot_be_is_said_where_it_is_asked(yard: Yard) -> None:
    app = yard.open("train")
    app = app.button[-1].click().run()
    app = app.selectbox(key="reading-train-penguins.csv-decimal").set_value(",").run()
    app = app.selectbox(key="reading-train-penguins.csv-thousands").set_value(",").run()
    assert "decimal and thousands must be two marks, got ',' for both" in app.error[0].value


def test_a_retraining_starts_from_its_parent(yard: Yard, penguins_csv: Path) -> None:
    request = TrainRequest(
        model_class_key="logistic_regression", X=penguins_csv, target="species", name="parent", hyperparams={"C": 0.5}
    )
    parent = yard.client.train(request)
    app = yard.open("train", parent=parent.model_id)
    app = next(one for one in app.button if "sample" in one.label).click().run()
    assert field(app, "C").value == 0.5
    wait_for_model(button(app, "train-go").click().run())
    child = yard.client.get_model("parent")
    assert (child.version, child.parent_id, child.hyperparams["C"]) == (2, parent.model_id, 0.5)


def test_a_model_is_deleted_and_restored(yard: Yard, penguins_csv: Path) -> None:
    request = TrainRequest(model_class_key="logistic_regression", X=penguins_csv, target="species", name="retired")
    model = yard.client.train(request)
    app = yard.open("model", id=model.model_id)
    app = button(app, f"delete-soft-{model.model_id}").click().run()
    assert yard.client.get_model(model.model_id).status == "deleted"
    button(app, f"restore-{model.model_id}").click().run()
    assert yard.client.get_model(model.model_id).status == "active"


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "live was moved here: the alias was not set yet"),
        ("ru", "live перенесён сюда: псевдоним ещё не был задан"),
    ],
)
def test_a_model_says_which_alias_it_took_over(yard: Yard, penguins_csv: Path, language: str, said: str) -> None:
    fields = {"X": penguins_csv, "target": "species", "promote": {"alias": "live"}, "name": f"taken-{language}"}
    model = yard.client.train(TrainRequest.model_validate({"model_class_key": "logistic_regression", **fields}))
    app = yard.open("model", lang=language, id=model.model_id, tab="details")
    cells = [str(cell) for table in app.table for cell in table.value.to_numpy().ravel()]
    assert said in [cell.replace("\\", "") for cell in cells]


def test_what_happened_to_a_model_is_told_the_latest_first(yard: Yard, penguins_csv: Path) -> None:
    request = TrainRequest(model_class_key="logistic_regression", X=penguins_csv, target="species", name="eventful")
    model = yard.client.train(request)
    yard.client.delete(model.model_id)
    yard.client.restore(model.model_id)
    app = yard.open("model", id=model.model_id, tab="details")
    happened = app.table[-1].value["What"].to_list()
    assert happened == ["restored", "deleted", "trained"]


def test_a_retraining_takes_any_evaluation_its_parent_may_have(yard: Yard, penguins_csv: Path) -> None:
    for evaluation in (Evaluation(fraction=0.85), Evaluation(fraction=0.02), Evaluation(method="cv", folds=32)):
        request = TrainRequest(
            model_class_key="logistic_regression", X=penguins_csv, target="species", evaluation=evaluation
        )
        parent = yard.client.train(request)
        app = yard.open("train", parent=parent.model_id)
        app = next(one for one in app.button if "sample" in one.label).click().run()
        assert not app.exception
        app = wait_for_model(button(app, "train-go").click().run())
        child = yard.client.get_model(parent.name)
        assert (child.version, child.evaluation) == (2, evaluation)


def test_deleting_for_good_needs_the_name_typed_in(yard: Yard, penguins_csv: Path) -> None:
    request = TrainRequest(model_class_key="logistic_regression", X=penguins_csv, target="species", name="gone")
    model = yard.client.train(request)
    app = yard.open("model", id=model.model_id)
    delete_hard, typed_name = f"delete-hard-{model.model_id}", f"typed-name-{model.model_id}"
    assert button(app, delete_hard).disabled
    app = app.text_input(key=typed_name).set_value("gone").run()
    app = button(app, delete_hard).click().run()
    assert "gone · v1" in app.success[0].value
    assert all(one.name != "gone" for one in yard.client.list_models(ModelQuery(status="all")).models)


@pytest.mark.parametrize("page", ["train", "predict"])
def test_a_table_without_rows_is_not_offered_to_be_sent(
    yard: Yard, penguin_model: ModelMetadata, penguins_csv: Path, tmp_path: Path, page: str
) -> None:
    path = tmp_path / "header.csv"
    header, row, *_ = penguins_csv.read_text().splitlines()
    path.write_text(f"{header}\n")
    app = yard.open(page, id=penguin_model.model_id)
    app.session_state[session._KEY].tables[page] = open_table(path, path.name)
    app = app.run()
    assert not app.exception
    (error,) = app.error
    assert (
        error.value == "This file cannot be used: the table has no rows. Give another one, or say below how it is read."
    )
    assert not app.warning
    assert not {"train-go", "predict-go"} & {one.key for one in app.button}
    path.write_text(f"{header}\n{row}\n")
    app = app.selectbox(key=f"reading-{page}-{path.name}-header").set_value(True).run()
    assert not app.error


@pytest.mark.parametrize("page", ["train", "predict"])
def test_a_workbooks_sheets_are_offered_by_name(
    yard: Yard, penguin_model: ModelMetadata, penguins: pl.DataFrame, tmp_path: Path, page: str
) -> None:
    rows = [penguins.columns, *penguins.rows()]
    sheets = {"Cover": [["Penguins"], ["made in 2007"]], "Head alone": rows[:1], "Data": rows}
    path = write_workbook(tmp_path / "book.xlsx", sheets)
    app = yard.open(page, id=penguin_model.model_id)
    app.session_state[session._KEY].tables[page] = open_table(path, path.name)
    app = app.run()
    key = f"reading-{page}-{path.name}-"
    assert "sheet “Cover” of 3" in texts(app)
    assert app.selectbox(key=f"{key}sheet").options == list(sheets)
    asked = {str(one.key).removeprefix(key) for one in app.selectbox if str(one.key).startswith(key)}
    assert asked == {"sheet", "header"}
    app = app.selectbox(key=f"{key}sheet").set_value("Head alone").run()
    assert app.error
    app = app.selectbox(key=f"{key}sheet").set_value("Data").run()
    assert not app.error
    assert "sheet “Data” of 3" in texts(app)
    table = app.session_state[session._KEY].tables[page]
    assert table.rows == penguins.height
    with speaking("ru"):
        assert laid_out(table)[0] == "лист «Data» из 3"


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("t.json", {"encoding"}),
        ("t.jsonl", {"encoding"}),
        ("t.jsonl.gz", {"encoding"}),
        ("t.csv.gz", {"encoding", "delimiter", "decimal", "thousands", "header"}),
        ("t.parquet", set()),
    ],
)
def test_of_a_file_is_asked_what_its_format_leaves_open(yard: Yard, tmp_path: Path, name: str, asked: set[str]) -> None:
    path, rows = tmp_path / name, [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    text = "a,b\n1,x\n2,y\n" if ".csv" in name else json.dumps(rows)
    if ".jsonl" in name:
        text = "\n".join(map(json.dumps, rows))
    if path.suffix == ".parquet":
        pl.DataFrame(rows).write_parquet(path)
    else:
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    app = yard.open("train")
    app.session_state[session._KEY].tables["train"] = open_table(path, path.name)
    app = app.run()
    assert not app.error
    key = f"reading-train-{path.name}-"
    assert {str(one.key).removeprefix(key) for one in app.selectbox if str(one.key).startswith(key)} == asked


def test_one_row_is_predicted_from_a_form_of_the_models_columns(yard: Yard, penguin_model: ModelMetadata) -> None:
    app = yard.open("predict")
    app = app.selectbox(key="predict-model").set_value(penguin_model.model_id).run()
    assert SAMPLE in [one.label for one in app.button]
    app = app.segmented_control(key="in-address-way").set_value("row").run()
    assert said(app, "way") == "row"
    labels = [field.label.replace("\\", "") for field in [*app.number_input, *app.selectbox]]
    assert set(penguin_model.feature_names) <= set(labels)
    assert app.metric[0].value in (penguin_model.classes or ())
    assert f"Why {app.metric[0].value}" in texts(app)


def test_a_date_is_asked_for_by_a_field_of_dates(yard: Yard) -> None:
    """An emptied field is a missing cell."""
    days = [f"2024-{1 + row % 12:02}-{1 + row % 28:02}T10:30:15Z" for row in range(40)]
    labels = ["early" if day < "2024-06-15" else "late" for day in days]
    order = TrainRequest(
        model_class_key="logistic_regression", X={"when": days}, y=labels, evaluation=Evaluation(method="none")
    )
    model = yard.client.train(order)
    app = yard.open("predict")
    app = app.selectbox(key="predict-model").set_value(model.model_id).run()
    assert SAMPLE not in [one.label for one in app.button]  # it has no such column
    app = app.segmented_control(key="in-address-way").set_value("row").run()
    assert not app.exception
    (asked,) = app.datetime_input
    assert (asked.label, str(asked.value)) == ("when", f"{max(days)[:10]} 10:30:00")
    assert asked.help == f"In training: {min(days)[:10]} 10:30 to {max(days)[:10]} 10:30 (UTC)."
    for moment, cell in ((datetime(2024, 2, 3, 4, 5), "2024-02-03 04:05"), (None, None)):  # noqa: DTZ001 - no zones there
        app = app.datetime_input[0].set_value(moment).run()
        answer = yard.client.predict(PredictRequest(model_id=model.model_id, X=[[cell]], probabilities=True))
        assert not app.exception
        assert answer.probabilities is not None
        shown = (app.metric[0].value, app.metric[0].delta)
        assert shown == (answer.predictions[0], percent(max(answer.probabilities[0])))
    app = yard.open("model", id=model.model_id, tab="details")
    assert not app.exception
    assert any("date and time" in str(frame.value) for frame in app.dataframe)


def test_a_door_that_is_down_is_said_and_the_other_offered(yard: Yard, penguin_model: ModelMetadata) -> None:
    down = Yard(f"http://127.0.0.1:{doors.free_port()}", yard.grpc_target, yard.client)
    app = down.open("models")
    assert "REST does not answer" in app.error[0].value
    app = button(app, "use-grpc").click().run()
    assert not app.error
    assert linked_table(app)["rows"]


@pytest.mark.parametrize(("page", "parameter"), [("model", "id"), ("predict", "id"), ("train", "parent")])
def test_a_name_in_the_address_becomes_its_model_at_once(
    yard: Yard, penguin_model: ModelMetadata, page: str, parameter: str
) -> None:
    app = yard.open(page, **{parameter: "birds"})
    assert not app.error
    assert said(app, parameter) == penguin_model.model_id


def test_a_page_keeps_its_model_when_its_name_means_another(yard: Yard, penguins_csv: Path) -> None:
    request = TrainRequest(model_class_key="logistic_regression", X=penguins_csv, target="species", name="moving")
    first = yard.client.train(request)
    pages = {page: yard.open(page, **{way: "moving"}) for page, way in (("predict", "id"), ("train", "parent"))}
    yard.client.train(request)
    yard.client.delete(first.model_id)
    assert "moving · v1 is deleted" in texts(pages["predict"].run()).replace("**", "")
    assert "Starts from moving · v1" in texts(pages["train"].run())


def test_a_model_that_is_gone_leaves_the_others_to_choose_from(yard: Yard, penguin_model: ModelMetadata) -> None:
    page = yard.open("predict", id="gone")
    assert "there is no model named 'gone'" in texts(page)
    page.selectbox(key="predict-model").select(penguin_model.model_id).run()
    assert said(page, "id") == penguin_model.model_id
    assert "there is no model" not in texts(page)


def test_a_row_that_was_picked_is_not_taken_for_the_one_that_moved_into_its_place() -> None:
    assert selection_key("models", ["b", "a"]) == selection_key("models", ["b", "a"])
    assert selection_key("models", ["b", "a"]) != selection_key("models", ["c", "b", "a"])


def test_the_address_shows_a_training_to_anyone_and_then_its_model(yard: Yard, penguin_model: ModelMetadata) -> None:
    app = yard.open("train", parent="birds")
    app = next(one for one in app.button if "sample" in one.label).click().run()
    app = button(app, "train-go").click().run()
    job_id = said(app, "job")
    assert job_id is not None
    other = wait_for_model(yard.open("train", job=job_id))
    assert "A new version of birds" in texts(other)
    assert "birds · v2" in other.success[0].value
    assert said(other, "parent") == penguin_model.model_id
    other = button(other, "train-another").click().run()
    assert (said(other, "job"), said(other, "parent")) == (None, penguin_model.model_id)
    yard.client.delete("birds:2", hard=True)


def test_a_job_that_is_not_there_is_said_and_the_form_is_open(yard: Yard) -> None:
    app = yard.open("train", job="0190a1b2-0000-7000-8000-000000000000")
    assert "There is no such thing" in app.error[0].value
    assert SAMPLE in [one.label for one in app.button]


def test_a_page_loaded_anew_has_the_table_and_the_form_as_they_were(yard: Yard) -> None:
    app = yard.open("train")
    app = app.button[-1].click().run()
    app = app.text_input(key="name-").set_value("kept").run()
    app = field(app, "C").set_value(0.25).run()
    app = app.multiselect(key="tags-").set_value(["mine"]).run()
    app = app.segmented_control(key="evaluation--method").set_value("cv").run()
    left = app.session_state["modelyard"]
    left.kinds["penguins.csv-"]["island"] = "ignore"  # as the editor of columns does

    again = yard.open("train", visit=said(app, "visit") or "")
    assert not again.exception
    assert said(again, "visit") not in (None, left.visit)
    assert again.selectbox(key="target-penguins.csv-").value == "species"
    assert (again.text_input(key="name-").value, field(again, "C").value, again.multiselect(key="tags-").value) == (
        "kept",
        0.25,
        ["mine"],
    )
    wait_for_model(button(again, "train-go").click().run())
    model = yard.client.get_model("kept")
    assert (model.hyperparams["C"], model.tags, model.evaluation.method) == (0.25, ["mine"], "cv")
    assert "island" not in model.feature_names


def test_a_visit_that_is_over_is_said_and_its_files_are_gone(yard: Yard) -> None:
    app = yard.open("train")
    app = app.button[-1].click().run()
    visit, folder = said(app, "visit") or "", app.session_state["modelyard"].scratch
    other = yard.open("train", visit=visit)
    assert other.session_state["modelyard"].scratch == folder
    del app, other
    gc.collect()
    assert not folder.exists()
    assert "The table is gone: its page was closed" in texts(yard.open("train", visit=visit))


def test_a_switch_that_says_nothing_changes_nothing(yard: Yard) -> None:
    app = yard.open("models")
    app = app.segmented_control(key="door").set_value(None).run()
    assert not app.exception
    assert app.session_state["modelyard"].door == "rest"


def test_the_same_over_grpc(yard: Yard, penguin_model: ModelMetadata) -> None:
    app = yard.open("models")
    app = app.segmented_control(key="door").set_value("grpc").run()
    assert not app.exception
    assert not app.error
    assert linked_table(app)["rows"]
