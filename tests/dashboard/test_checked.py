"""The training page tells of a table's findings before a training; the model's page edits tags and description."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import xlsxwriter
from streamlit.testing.v1 import AppTest

from modelyard.dashboard import checked, session
from modelyard.dashboard.tables import open_table
from modelyard.dashboard.uploads import TRAINING as PURPOSE
from modelyard.schemas import Evaluation, TrainRequest
from tests.dashboard.test_pages import Yard, button, texts, yard

__all__ = ["yard"]

pytestmark = pytest.mark.filterwarnings("default")  # Streamlit's own

IDENTIFIER = "**who** looks like an identifier: 60 different values."


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    columns = {
        "who": [f"p{n}" for n in range(60)],
        "age": [18.5 + (7 * n) % 59 for n in range(60)],
        "y": [0, 0, 1] * 20,
    }
    pl.DataFrame(columns).write_csv(path)
    return path


def test_findings_are_shown_before_the_training(yard: Yard, table: Path) -> None:
    app = yard.open("train")
    app.session_state[session._KEY].tables[PURPOSE] = open_table(table, "people.csv")
    app = app.run()
    assert IDENTIFIER not in texts(app)
    app = app.selectbox(key=f"target-{table.name}-").set_value("y").run()
    assert not app.exception
    assert not app.error
    assert IDENTIFIER in texts(app)


@pytest.fixture
def doubtful(yard: Yard, tmp_path: Path) -> tuple[AppTest, session.Session]:
    """Open the form with a table that has an id, a constant, a leak and twins, its target chosen."""
    path = tmp_path / "doubtful.csv"
    labels = [(n * n) % 7 > 2 for n in range(300)]
    columns = {
        "who": [f"p{n}" for n in range(300)],
        "age": [18.5 + (7 * n) % 59 + n / 100 for n in range(300)],
        "height": [150.5 + (11 * n) % 47 for n in range(300)],
        "same": ["a"] * 300,
        "told": [f"{label}!" for label in labels],
        "y": labels,
    }
    frame = pl.DataFrame(columns)
    twins = frame.head(6).with_columns(who=pl.Series([f"q{n}" for n in range(6)]))
    pl.concat([frame, twins]).write_csv(path)
    app = yard.open("train")
    here = app.session_state[session._KEY]
    here.tables[PURPOSE] = open_table(path, "doubtful.csv")
    app = app.run()
    return app.selectbox(key=f"target-{path.name}-").set_value("y").run(), here


def mend(app: AppTest, code: str) -> AppTest:
    """Press the button beside a finding."""
    app = next(one for one in app.button if str(one.key).endswith(f"-{code}")).click().run()
    assert not app.exception
    assert not app.error
    return app


def test_each_finding_is_mended_by_one_click(doubtful: tuple[AppTest, session.Session]) -> None:
    app, here = doubtful
    for code in ("identifier_like", "constant", "leak", "duplicate_rows"):
        assert any(str(one.key).endswith(code) for one in app.button), code
        app = mend(app, code)
        assert not any(str(one.key).endswith(code) for one in app.button), code
    table = here.tables[PURPOSE]
    assert (table.rows, table.name) == (300, "doubtful without twins.csv")
    assert here.kinds[f"{table.path.name}-"] | {"height": "numeric"} == {
        "who": "id",
        "age": "numeric",
        "height": "numeric",
        "same": "ignore",
        "told": "ignore",
    }
    assert app.selectbox(key=f"target-{table.path.name}-").value == "y"


def test_many_findings_are_folded_and_each_can_be_mended(yard: Yard, tmp_path: Path) -> None:
    path = tmp_path / "same.csv"
    constants = {f"same{place}": ["a"] * 60 for place in range(6)}
    pl.DataFrame({"age": [18.5 + (7 * n) % 59 for n in range(60)], **constants, "y": [0, 0, 1] * 20}).write_csv(path)
    app = yard.open("train")
    here = app.session_state[session._KEY]
    here.tables[PURPOSE] = open_table(path, "same.csv")
    app = app.run()
    app = app.selectbox(key=f"target-{path.name}-").set_value("y").run()
    assert "2 more findings" in [one.label for one in app.expander]
    for _ in constants:
        app = mend(app, "constant")
    assert {name for name, kind in here.kinds[f"{path.name}-"].items() if kind == "ignore"} == set(constants)


def findings(app: AppTest) -> list[str]:
    """Return the codes of the findings that have a button, as they stand on the page."""
    return [key.split("-", 2)[2] for one in app.button if (key := str(one.key)).startswith("fix-")]


@pytest.mark.parametrize("constants", [3, 6])
def test_what_does_the_most_harm_comes_first_and_a_single_finding_is_not_folded(
    yard: Yard, tmp_path: Path, constants: int
) -> None:
    path = tmp_path / "told.csv"
    labels = [(n * n) % 7 > 2 for n in range(300)]
    columns = {
        "who": [f"p{n}" for n in range(300)],
        "age": [18.5 + (7 * n) % 59 + n / 100 for n in range(300)],
        **{f"same{place}": ["a"] * 300 for place in range(constants)},
        "told": [f"{label}!" for label in labels],
        "y": labels,
    }
    pl.DataFrame(columns).write_csv(path)
    app = yard.open("train")
    app.session_state[session._KEY].tables[PURPOSE] = open_table(path, "told.csv")
    app = app.run()
    app = app.selectbox(key=f"target-{path.name}-").set_value("y").run()
    assert findings(app) == ["leak", "identifier_like", *["constant"] * constants]
    folded = [one.label for one in app.expander if "more findings" in one.label]
    assert folded == ([] if constants == 3 else ["4 more findings"])


def test_what_columns_are_used_as_is_kept_when_the_target_changes(doubtful: tuple[AppTest, session.Session]) -> None:
    app, here = doubtful
    app = mend(app, "constant")
    name = here.tables[PURPOSE].path.name
    app = app.selectbox(key=f"target-{name}-").set_value("told").run()
    assert here.kinds[f"{name}-"]["same"] == "ignore"
    app = app.selectbox(key=f"target-{name}-").set_value("y").run()
    assert here.kinds[f"{name}-"]["same"] == "ignore"
    assert not any(str(one.key).endswith("constant") for one in app.button)


def test_a_file_without_a_header_is_noticed_and_read_anew_by_one_click(yard: Yard, tmp_path: Path) -> None:
    path = tmp_path / "headless.csv"
    path.write_text("".join(f"{n % 50}.5,{'red' if n % 3 else 'blue'},{n % 2}\n" for n in range(120)))
    app = yard.open("train")
    here = app.session_state[session._KEY]
    here.tables[PURPOSE] = open_table(path, "headless.csv")
    app = app.run()
    assert here.tables[PURPOSE].rows == 119
    app = app.selectbox(key=f"target-{path.name}-").set_value(here.tables[PURPOSE].names[-1]).run()
    app = mend(app, "header_like_data")
    assert (here.tables[PURPOSE].rows, here.tables[PURPOSE].names) == (120, ["f0", "f1", "f2"])


@pytest.mark.parametrize("name", ["headless.csv", "headless.xlsx"])
def test_a_table_that_is_read_as_its_parents_is_checked_so_and_so_are_the_rows_that_stay(
    yard: Yard, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    cells = [(n + 0.5, round(n / 7, 3), "да" if n % 3 else "нет") for n in range(120)]
    rows: list[tuple[float | str | None, ...]] = [("above", None, None), *cells[:60], *cells]
    how: dict[str, object] = {"header": False, "skip_rows": 1}
    if name == "headless.csv":
        lines = (";".join("" if cell is None else str(cell) for cell in row) for row in rows)
        path.write_text("\n".join(lines), encoding="cp1251")
        how |= {"delimiter": ";", "encoding": "cp1251"}
    else:
        with xlsxwriter.Workbook(path) as book:
            book.add_worksheet("cover").write_row(0, 0, ["a", "b", "c"])
            sheet = book.add_worksheet("rows")
            for place, row in enumerate(rows):
                sheet.write_row(place, 0, row)
        how["sheet"] = "rows"
    request = {"model_class_key": "logistic_regression", "X": path, "target": "f2", "name": path.stem, **how}
    model = yard.client.train(TrainRequest.model_validate(request))
    app = yard.open("train", parent=model.model_id)
    here = app.session_state[session._KEY]
    here.tables[PURPOSE] = open_table(path, name, None, model.reading)
    app = mend(app.run(), "duplicate_rows")
    assert "duplicate_rows" not in findings(app)
    table = here.tables[PURPOSE]
    assert (table.rows, table.names) == (120, ["f0", "f1", "f2"])
    assert [str(cell) for cell in table.scan().collect().row(0)] == ["0.5", "0.0", "нет"]


_LABELS = [["no", "yes", " NA", "no", None, "yes", "no", "no", "yes", ""][n % 10] for n in range(60)]
_NUMBERS = [None if n % 12 == 0 else 10 * (n % 9) + n / 7 for n in range(60)]


@pytest.mark.parametrize(
    ("name", "y", "task", "missing"),
    [
        ("gaps.csv", _LABELS, "classification", 18),
        ("gaps.parquet", _LABELS, "classification", 18),
        ("gaps.csv", _NUMBERS, "regression", 5),
        ("gaps.parquet", _NUMBERS, "regression", 5),
        ("gaps.csv", ["-" if n == 3 else f"{n / 7:.3f}" for n in range(60)], "regression", 1),
    ],
    ids=["labels", "labels, typed", "numbers", "numbers, typed", "a dash among numbers"],
)
def test_rows_without_an_answer_are_dropped_by_one_click(
    yard: Yard, tmp_path: Path, *, name: str, y: list[object], task: str, missing: int
) -> None:
    path = tmp_path / name
    frame = pl.DataFrame({"age": [18.5 + (7 * n) % 59 + n / 100 for n in range(60)], "y": y})
    frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)
    app = yard.open("train")
    here = app.session_state[session._KEY]
    here.tables[PURPOSE] = open_table(path, name)
    app = app.run()
    app = app.selectbox(key=f"target-{name}-").set_value("y").run()
    app = app.button_group(key=f"task-{name}-y").set_value(task).run()
    (fix,) = [one for one in app.button if str(one.key).endswith("-target_missing")]
    assert fix.label == ("Drop the 1 row" if missing == 1 else f"Drop the {missing} rows")
    assert len(app.error) == 1
    app = mend(app, "target_missing")
    table = here.tables[PURPOSE]
    assert (table.rows, table.name) == (60 - missing, f"gaps without gaps{path.suffix}")
    assert not any(str(one.key).endswith("-target_missing") for one in app.button)


@pytest.mark.parametrize(("empty", "words"), [(1, "Leave it out"), (6, "Leave out these 6 columns")])
def test_empty_columns_are_left_out_by_one_click(yard: Yard, tmp_path: Path, *, empty: int, words: str) -> None:
    path = tmp_path / "empty.csv"
    columns = {"age": [18.5 + (7 * n) % 59 + n / 100 for n in range(60)], "y": ["no", "yes", "no"] * 20}
    pl.DataFrame({**columns, **{f"empty_{n}": [None] * 60 for n in range(empty)}}).write_csv(path)
    app = yard.open("train")
    here = app.session_state[session._KEY]
    here.tables[PURPOSE] = open_table(path, path.name)
    app = app.run()
    app = app.selectbox(key=f"target-{path.name}-").set_value("y").run()
    assert "'empty_0' is missing in every row" in app.error[0].value
    assert button(app, "fix-refused").label == words
    app = mend(app, "refused")
    assert here.kinds[f"{path.name}-"] == {"age": "numeric"} | {f"empty_{n}": "ignore" for n in range(empty)}
    assert not findings(app)


@pytest.mark.parametrize(
    ("distinct", "before", "code", "after"),
    [
        (30, "classification", "labels_like_numbers", "regression"),
        (3, "regression", "numbers_like_labels", "classification"),
    ],
)
def test_a_target_of_the_other_task_is_taken_so_by_one_click(
    yard: Yard, tmp_path: Path, *, distinct: int, before: str, code: str, after: str
) -> None:
    path = tmp_path / "counts.csv"
    columns = {"age": [18.5 + (7 * n) % 59 + n / 1000 for n in range(600)], "y": [n % distinct for n in range(600)]}
    pl.DataFrame(columns).write_csv(path)
    app = yard.open("train")
    app.session_state[session._KEY].tables[PURPOSE] = open_table(path, path.name)
    app = app.run()
    app = app.selectbox(key=f"target-{path.name}-").set_value("y").run()
    app = app.button_group(key=f"task-{path.name}-y").set_value(before).run()
    app = mend(app, code)
    assert app.button_group(key=f"task-{path.name}-y").value == after
    assert code not in findings(app)


def test_a_large_table_is_checked_if_the_visitor_asks(yard: Yard, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "ASKED_BYTES", 10)
    app = yard.open("train")
    app.session_state[session._KEY].tables[PURPOSE] = open_table(table, "people.csv")
    app = app.run()
    app = app.selectbox(key=f"target-{table.name}-").set_value("y").run()
    assert IDENTIFIER not in texts(app)
    app = button(app, "check-go").click().run()
    assert IDENTIFIER in texts(app)
    assert IDENTIFIER in texts(app.run())  # it is kept, and not asked for anew


def test_a_retraining_is_checked_as_the_parent_reads_tables(yard: Yard, table: Path) -> None:
    fields = {"model_class_key": "logistic_regression", "X": table, "target": "y", "name": "people"}
    without = Evaluation(method="none")
    model = yard.client.train(TrainRequest(**fields, evaluation=without, column_roles={"who": "id"}))
    app = yard.open("train", parent=model.model_id)
    app.session_state[session._KEY].tables[PURPOSE] = open_table(table, "people.csv")
    app = app.run()
    assert not app.exception
    assert not app.error
    assert not app.warning
    assert any("nothing to worry about was found" in caption.value for caption in app.caption)


def test_tags_and_description_are_edited_on_the_models_page(yard: Yard, table: Path) -> None:
    fields = {"model_class_key": "logistic_regression", "X": table, "target": "y", "name": "people", "tags": ["march"]}
    model = yard.client.train(TrainRequest(**fields, evaluation=Evaluation(method="none")))
    app = yard.open("model", id=model.model_id)
    app.text_area(key=f"edit-description-{model.model_id}").set_value("Of <b>April</b>.")
    app.multiselect(key=f"edit-tags-{model.model_id}").set_value([])
    app = button(app, f"edit-save-{model.model_id}").click().run()
    assert not app.exception
    assert not app.error
    assert "Of <b>April</b>." in [text.value for text in app.text]
    edited = yard.client.get_model("people")
    assert (edited.tags, edited.description) == ([], "Of <b>April</b>.")
