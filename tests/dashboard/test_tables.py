"""A table as the dashboard looks at it: formats, previews, profiles, columns left out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from modelyard.dashboard import formats
from modelyard.dashboard.forms import difference
from modelyard.dashboard.links import link
from modelyard.dashboard.predicted_truth import as_labels, as_numbers
from modelyard.dashboard.profiles import look_at
from modelyard.dashboard.tables import HEAD_ROWS, open_table
from modelyard.dashboard.targets import Labels, better_targets, count_labels
from modelyard.dashboard.texts import t
from modelyard.errors import InvalidTable
from modelyard.schemas import Reading
from modelyard.tables import ReadingOptions, read_file, read_training
from tests.dashboard.test_pages import plain

ROWS = [{"age": 39, "job": "clerk", "paid": "no"}, {"age": None, "job": "smith", "paid": "yes"}]


def write(folder: Path, name: str) -> Path:
    path, frame = folder / name, pl.DataFrame(ROWS)
    match path.suffix:
        case ".csv":
            path.write_text("age;job;paid\n39;clerk;no\n;smith;yes\n")
        case ".json":
            path.write_text(json.dumps(ROWS))
        case ".columns":
            path.write_text(json.dumps(frame.to_dict(as_series=False)))
        case ".jsonl":
            path.write_text("\n".join(map(json.dumps, ROWS)))
        case ".parquet":
            frame.write_parquet(path)
        case ".arrow":
            frame.write_ipc(path)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.json", "t.columns", "t.jsonl", "t.parquet", "t.arrow"])
def test_every_format_is_previewed(tmp_path: Path, name: str) -> None:
    table = open_table(write(tmp_path, name), name)
    assert (table.problem, table.rows, table.names) == ("", 2, ["age", "job", "paid"])
    assert [column.feature_type for column in table.columns] == ["numeric", "categorical", "categorical"]
    assert table.columns[0].missing == 1


def test_columns_of_different_lengths_are_told_apart_as_the_servers_do(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text('{"a": [1, 2, 3], "y": [0, 1]}')
    assert open_table(path, "t.json").problem == "column 'y' has 2 cells, column 'a' has 3"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b'size,y\n5" pipe,no\n6" pipe,yes\n7" pipe,no\n'),
        ("t.csv", b"\xef\xbb\xbf\n a ,b\r\n1,2\r\n\r\n,\r\n\r\n3,4"),
        ("t.csv", b'a,y\r"x\ry",no\rz,yes\r'),
        ("t.csv", b"a\n1\n\n2\n"),
        ("t.tsv", b"a,b\tc,d\n1,2\t3,4\n"),
        ("t.csv", b"a,b\tc,d\n1,2\t3,4\n"),
    ],
)
def test_the_preview_of_a_csv_shows_what_the_server_reads(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / "upload"
    path.write_bytes(content)
    table, read = open_table(path, name), read_file(path, filename=name)
    assert (table.problem, table.rows) == ("", read.height)
    assert table.head.equals(read)
    assert table.scan().collect().equals(read)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'id,d,y\n1,"size \\"",x\n2,b,y\n', "the CSV cannot be read at row 0"),
        (b"a,b\n1,2\n3\n", "row 1 (line 3) has 1 cell"),
        (b"a,b\n1,\xff\n", "file 't.csv' is not UTF-8: byte 0xff in line 2"),
        (b"a,a\n1,2\n", "CSV header: column name 'a' is given twice"),
    ],
)
def test_a_csv_that_the_server_refuses_has_its_reason_for_a_preview(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    assert open_table(path, path.name).problem.startswith(problem)


@pytest.mark.parametrize(("content", "names"), [("a,1,x\n", ("y", "n", "k")), ("1,x\n", ("n", "k"))])
def test_columns_without_names_are_those_of_the_training_table_or_those_that_the_model_needs(
    tmp_path: Path, content: str, names: tuple[str, ...]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(3 * content)
    table = open_table(
        path, path.name, None, Reading(missing_markers=[], header=False, names=["y", "n", "k"]), ("n", "k")
    )
    assert (table.problem, table.rows, *table.names) == ("", 3, *names)
    assert table.scan().collect_schema().names() == table.names


def test_the_preview_of_a_long_table_holds_its_first_rows_alone(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    pl.select(n=pl.int_range(3 * HEAD_ROWS)).write_csv(path)
    table = open_table(path, path.name)
    assert (table.rows, table.head.height) == (3 * HEAD_ROWS, HEAD_ROWS)


@pytest.mark.parametrize("content", [b"", b'{"a": [1, 2', b"PAR1 and nothing else"])
def test_a_file_that_cannot_be_read_has_no_preview_but_a_reason(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.bin"
    path.write_bytes(content)
    table = open_table(path, path.name)
    assert (table.rows, table.columns) == (None, ())
    assert table.problem


@pytest.mark.parametrize("name", ["t.csv", "t.json", "t.parquet", "t.arrow", "t.xlsx"])
def test_a_table_without_rows_is_refused_as_the_server_refuses_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    frame = pl.DataFrame(schema={"a": pl.Int64, "y": pl.String})
    if name == "t.json":
        path.write_text('{"a": [], "y": []}')
    else:
        write = {"t.csv": "csv", "t.parquet": "parquet", "t.arrow": "ipc", "t.xlsx": "excel"}[name]
        getattr(frame, f"write_{write}")(path)
    table = open_table(path, name)
    assert (table.is_refused, table.problem, table.columns) == (True, "the table has no rows", ())
    with pytest.raises(InvalidTable, match="the table has no rows"):
        read_file(path)


def test_what_only_the_preview_cannot_read_is_not_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 and nothing else")
    table = open_table(path, path.name)
    assert table.problem
    assert not table.is_refused


@pytest.mark.parametrize(
    ("values", "kind", "missing"),
    [
        (["1", "2.5", "NA", ""], "numeric", 2),
        (["007", "008"], "categorical", 0),
        (["a", "1", None], "categorical", 1),
        ([True, False, None], "categorical", 1),
        ([1.0, float("nan"), 3.0], "numeric", 1),
        ([None, None], "categorical", 2),
        (["2024-01-05", "2024-01-05 10:00", "NA"], "datetime", 1),
        (["2024-01-05", "2024-13-05"], "categorical", 0),
        (["2024-01-05", "05.01.2024"], "categorical", 0),
        ([datetime(2024, 1, 5, tzinfo=UTC), None], "datetime", 1),
    ],
)
def test_a_profile_says_what_a_column_seems_to_hold(values: list[object], kind: str, missing: int) -> None:
    look = look_at(pl.Series("column", values))
    assert (look.feature_type, look.missing) == (kind, missing)


@pytest.mark.parametrize(
    ("days", "typical", "spread"),
    [
        ([19_727, 19_728, 19_727], "2024-01-05 … 2024-01-06", (2, 1)),
        ([3_000_000, 19_727], "2024-01-05 … 2024-01-05", (1,)),
        ([3_000_000], "", ()),
    ],
)
def test_a_profile_of_days_passes_over_those_that_are_no_days_to_python(
    days: list[int], typical: str, spread: tuple[int, ...]
) -> None:
    look = look_at(pl.Series("day", days, dtype=pl.Int32).cast(pl.Date))
    assert (look.feature_type, look.typical, look.spread) == ("datetime", typical, spread)


def test_true_labels_are_read_as_predictions_are_written(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("y,z,t\n1.0,true,1.0\n 0 ,False, b \nNA,,null\n")
    table = open_table(path, path.name)
    assert as_labels(table, "y", pl.Int64).to_list() == ["1", "0", None]
    assert as_labels(table, "z", pl.Boolean).to_list() == ["true", "false", None]
    assert as_labels(table, "t", pl.String).to_list() == ["1.0", "b", None]


def test_a_truth_that_is_no_whole_number_is_not_rounded_to_a_label(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"y": [1.0, 0.5, None]}).write_parquet(path)
    assert as_labels(open_table(path, path.name), "y", pl.Int64).to_list() == ["1", "0.5", None]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.98550724, "98.6 %"),
        (0.9994, "99.9 %"),
        (0.9999, "99.99 %"),
        (0.9996, "99.96 %"),
        (0.99999, "99.999 %"),
        (1.0, "100 %"),
        (0.0, "0 %"),
        (0.00005, "0.005 %"),
        (1e-9, "0.001 %"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, text: str) -> None:
    assert plain(formats.percent(share)) == text


def test_no_end_of_a_line_parts_a_number_from_its_unit() -> None:
    written = [formats.percent(0.5), formats.size(2048), formats.duration(5), formats.metric_value("mape", 0.1)]
    assert written == ["50.0\xa0%", "2.0\xa0KB", "5.0\xa0s", "10\xa0%"]
    assert "50\xa0% is guessing" in t("metric_help.roc_auc")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.051375868, "0.05138"),
        (2007, "2007"),
        (43.9219, "43.92"),
        (12345.0, "12\u202f345"),
        (0, "0"),
        (12345678.9, "12\u202f345\u202f679"),
        (-2.5e15, "-2.500e+15"),
    ],
)
def test_numbers_have_the_digits_that_matter(value: float, text: str) -> None:
    assert formats.number(value) == text


@pytest.mark.parametrize(("minutes", "text"), [(0, "just now"), (5, "5 min ago"), (125, "2 h ago"), (3000, "2 d ago")])
def test_a_moment_is_told_by_how_long_ago_it_was(minutes: int, text: str) -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    assert plain(formats.ago(now - timedelta(minutes=minutes), now)) == text


def test_a_names_markdown_is_not_taken_for_markdown() -> None:
    assert formats.escaped("a_b*[x](y) _z_") == r"a_b\*\[x\](y) \_z\_"
    assert formats.escaped("- bill_length_mm") == r"\- bill_length_mm"


def test_true_is_not_one_among_hyperparams() -> None:
    schema = {"properties": {"verbose": {"default": False}, "C": {"default": 1.0}}}
    assert difference(schema, {"verbose": 0, "C": 1}) == {"verbose": 0}


IDENTIFIERS = {
    "id": [f"{row:04}-C" for row in range(6000)],
    "tenure": [row % 70 for row in range(6000)],
    "pair": [row // 2 for row in range(6000)],
    "plan": ["month", "year"] * 3000,
    "churn": ["yes", "no", "no"] * 2000,
}


@pytest.mark.parametrize(
    ("target", "labels", "hopeless", "thin"),
    [
        ("id", Labels(6000, 6000, 6000), True, True),  # seen beyond the rows of the preview
        ("pair", Labels(6000, 3000, 0), False, True),
        ("tenure", Labels(6000, 70, 0), False, False),
        ("churn", Labels(6000, 2, 0), False, False),
    ],
)
def test_labels_are_counted_over_the_whole_table(
    tmp_path: Path, target: str, labels: Labels, hopeless: bool, thin: bool
) -> None:
    pl.DataFrame(IDENTIFIERS).write_csv(tmp_path / "t.csv")
    table = open_table(tmp_path / "t.csv", "t.csv")
    assert count_labels(table, target) == labels
    assert (labels.hopeless, labels.thin) == (hopeless, thin)
    assert better_targets(table) == ["churn", "plan"]


def test_the_dashboard_and_the_core_refuse_the_same_targets(tmp_path: Path) -> None:
    for single, repeated in ((100, 0), (101, 0), (51, 50), (51, 51)):
        values = [f"s{i}" for i in range(single)] + [f"r{i}" for i in range(repeated)] * 2
        pl.DataFrame({"a": range(len(values)), "y": values}).write_csv(tmp_path / "t.csv")
        labels = count_labels(open_table(tmp_path / "t.csv", "t.csv"), "y")
        assert labels is not None
        try:
            read_training(
                tmp_path / "t.csv", None, target="y", feature_types=None, feature_names=None, options=ReadingOptions(())
            )
        except InvalidTable:
            assert labels.hopeless
        else:
            assert not labels.hopeless


def test_labels_that_cannot_be_counted_are_left_to_the_server(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,y\n1,x\n")
    table = open_table(path, path.name)
    path.unlink()
    assert count_labels(table, "y") is None


def test_numbers_with_a_decimal_comma_look_like_numbers(tmp_path: Path) -> None:
    rows = "".join(f"{'ab'[row % 2]};{row},25;{row * 2},5\n" for row in range(60))
    (tmp_path / "t.csv").write_text(f"город;доход;цена\n{rows}")
    table = open_table(tmp_path / "t.csv", "t.csv")
    assert [look.feature_type for look in table.columns] == ["categorical", "numeric", "numeric"]
    assert table.columns[1].typical == "0.25 … 59.25"
    assert link(table.column("доход"), table.column("цена")) == pytest.approx(1, abs=0.05)
    assert as_numbers(table, "цена").to_list() == [row * 2 + 0.5 for row in range(60)]
    assert table.head["доход"][0] == "0,25"
