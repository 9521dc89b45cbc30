"""Dates and times: which cells tell a moment, the same one in every format, and what model classes see of it."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import InvalidTable
from modelyard.settings import DEFAULT_MISSING_MARKERS
from modelyard.tables import (
    MISSING_CATEGORY,
    CategoricalColumn,
    Contract,
    FewRows,
    JsonTable,
    RawTable,
    Reader,
    ReadingOptions,
    TrainingTable,
    contract_from_json,
    contract_to_json,
    profile_columns,
    read_training,
)
from modelyard.tables.contract import DatetimeColumn
from modelyard.tables.moments import moment_of, moments_in

TEN = datetime(2024, 1, 5, 10)  # noqa: DTZ001 - moments are naive
FIRST = datetime(2024, 1, 1)  # noqa: DTZ001
CONTRACT = Contract(
    {"when": "datetime", "size": "numeric"},
    {},
    ("no", "yes"),
    DEFAULT_MISSING_MARKERS,
    datetimes={"when": DatetimeColumn(FIRST)},
)
TEN_IN_PARTS = (2024.0, 1.0, 5.0, 5.0, 10.0, 4 + 10 / 24)


def train(X: Any, y: Any = None, **fields: Any) -> TrainingTable:
    options = ReadingOptions(DEFAULT_MISSING_MARKERS)
    order: dict[str, Any] = {"target": None, "feature_types": None, "feature_names": None, **fields}
    labels = y if y is not None else ["no", "yes", *["no"] * (len(X["when"]) - 2)] if order["target"] is None else None
    return read_training(X, labels, options=options, **order)


def kind_of(cells: Any) -> str:
    return train({"when": cells}).contract.feature_types["when"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-05", TEN.replace(hour=0)),
        ("2024-01-05 10:00", TEN),
        ("2024-01-05T10:00", TEN),
        (" 2024-01-05T10:00:00Z ", TEN),
        ("2024-01-05T10:00:00.5", TEN.replace(microsecond=500_000)),
        ("2024-01-05 10:00:00.123456789", TEN.replace(microsecond=123_456)),
        ("2024-01-05 12:00:00+02", TEN),
        ("2024-01-05T04:30:00-0530", TEN),
        ("2024-01-05T15:30+05:30", TEN),
        ("1969-12-31T23:59:59.9999999Z", datetime(1969, 12, 31, 23, 59, 59, 999_999)),  # noqa: DTZ001
        ("0001-01-01", datetime.min),  # noqa: DTZ901
        ("9999-12-31T23:59:59.999999", datetime.max),  # noqa: DTZ901
        *(
            (text, None)
            for text in (
                "20240105", "05.01.2024", "2024/01/05", "2024-1-5", "2024-01", "2024-02-30", "0000-01-01", "2024-W01-5",
                "2024-01-05t10:00", "2024-01-05T10", "2024-01-05T24:00", "2024-01-05T10:60", "2024-01-05T10:00:60",
                "2024-01-05Z", "2024-01-05  10:00", "2024-01-05T10:00 Z", "2024-01-05T10:00+25:00", "10:00:00", "now",
                "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "٢٠٢٤-01-05", "2024-01-05T10:00:00.",
            )
        ),
    ],
)  # fmt: skip
def test_only_iso_8601_tells_a_moment(text: str, moment: datetime | None) -> None:
    assert moment_of(text) == moment
    assert moments_in(pl.Series([text.strip()])).to_list() == [moment]


FIELDS = (
    st.integers(0, 10_000).map(lambda year: f"{year:04}"),
    *(st.integers(0, most).map(lambda number: f"{number:02}") for most in (13, 32, 24, 60, 60)),
    st.sampled_from(["", ".0", ".123456", ".1234567890", "."]),
    st.sampled_from(["", "Z", "+02", "-0530", "+14:00", "-23:59", "+24:00", " Z"]),
)
TEXTS = st.tuples(st.sampled_from("T "), *FIELDS).map(
    lambda found: "{1}-{2}-{3}{0}{4}:{5}:{6}{7}{8}".format(*found)
) | st.tuples(*FIELDS[:3]).map("-".join)


@given(st.lists(TEXTS | st.text(max_size=12).filter(lambda text: text == text.strip()), max_size=8))
def test_a_cell_alone_and_a_column_of_texts_tell_the_same_moments(texts: list[str]) -> None:
    assert moments_in(pl.Series(texts, dtype=pl.String)).to_list() == list(map(moment_of, texts))


def written(moment: datetime, style: int) -> str:
    """Write a moment in one of several ways."""
    here = moment.replace(tzinfo=UTC)
    west = here.astimezone(timezone(timedelta(hours=-8)))
    ways = (
        moment.isoformat(),
        moment.isoformat(" "),
        here.isoformat(),
        here.isoformat().replace("+00:00", "Z"),
        here.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat(),
        west.isoformat(" ").removesuffix(":00"),
    )
    return ways[style % len(ways)]


MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(2250, 1, 1))  # noqa: DTZ001


@given(st.lists(st.none() | MOMENTS, min_size=1, max_size=6), st.integers(0, 5))
def test_every_format_tells_the_same_parts_to_the_bit(moments: list[datetime | None], style: int) -> None:
    """Alone and among many, as text, as objects of Python, pandas and numpy, in typed columns of any unit and zone."""
    texts = [None if moment is None else written(moment, style + row) for row, moment in enumerate(moments)]
    aware = [None if moment is None else moment.replace(tzinfo=UTC) for moment in moments]
    series = pl.Series(moments, dtype=pl.Datetime("us"))
    zoned = series.dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Kolkata")
    many = [*texts, *["2024-01-05"] * 65]
    rows = [{"when": text, "size": 1} for text in many]
    columns: list[Any] = [
        texts, moments, aware, series, series.cast(pl.Datetime("ns")), zoned, zoned.dt.cast_time_unit("ns"),
        [pd.Timestamp(moment) for moment in moments], list(pd.Series(moments, dtype="datetime64[us, UTC]")),
        series.to_numpy(), series.to_numpy().astype("datetime64[ns]"), list(series.to_numpy()),
        pl.Series(texts, dtype=pl.String), pl.Series(texts, dtype=pl.Categorical), [text or "NaT" for text in texts],
    ]  # fmt: skip
    reader = Reader(CONTRACT)
    frame = reader.read_table({"when": texts, "size": [1] * len(texts)}).frame
    few = FewRows.of(reader.read_table({"when": texts, "size": [1] * len(texts)})).rows
    for column in columns:
        assert reader.read_table({"when": column, "size": [1] * len(texts)}).frame.equals(frame)
        read = reader.read([{"when": cell, "size": 1} for cell in column])
        assert isinstance(read, FewRows)
        assert repr(read.rows) == repr(few)
    for table in (
        rows,
        JsonTable(json.dumps(rows).encode()),
        RawTable({"when": many, "size": [1] * len(many)}, len(many)),
    ):
        found = reader.read(table)
        assert not isinstance(found, FewRows)
        assert found.frame[: len(texts)].equals(frame)


def test_files_of_every_format_tell_the_same(tmp_path: Path) -> None:
    frame = pl.DataFrame({"when": [TEN, None, FIRST], "size": [1.0, 2.0, 3.0], "y": ["a", "b", "a"]})
    texts = frame.with_columns(pl.col("when").dt.to_string("iso:strict"))
    frame.write_csv(tmp_path / "plain.csv")
    texts.write_csv(tmp_path / "iso.csv")
    texts.write_json(tmp_path / "t.json")
    texts.write_ndjson(tmp_path / "t.jsonl")
    frame.write_parquet(tmp_path / "us.parquet")
    frame.with_columns(pl.col("when").dt.cast_time_unit("ms").dt.replace_time_zone("UTC")).write_parquet(
        tmp_path / "ms.parquet"
    )
    frame.with_columns(pl.col("when").dt.cast_time_unit("ns")).write_ipc(tmp_path / "ns.arrow")
    for path in tmp_path.iterdir():
        table = train(path, target="y")
        assert table.frame["when"].to_list() == [TEN, None, FIRST], path
        assert table.contract.datetimes == {"when": DatetimeColumn(FIRST)}
        read = Reader(table.contract).read_table(path).frame
        assert read.row(0) == (*TEN_IN_PARTS, 1.0)
        assert read.row(1) == (None,) * 6 + (2.0,)
        assert Reader(table.contract).read([[TEN, 1.0]]) == FewRows([[*TEN_IN_PARTS, 1.0]])


def test_days_without_a_time_are_their_midnight() -> None:
    days = [date(2024, 1, 5), None]
    for column in (
        days,
        pl.Series(days),
        np.array(days, dtype="datetime64[D]"),
        ["2024-01-05", ""],
        ["2024-01-05T00:00Z", "-"],
    ):
        table = train({"when": column})
        assert table.frame["when"].to_list() == [TEN.replace(hour=0), None]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["2024-01-05", "?", "NaT", "-"], "datetime"),
        ([date(2024, 1, 5), "2024-01-05 10:00"], "datetime"),
        ([date(2024, 1, 5), TEN], "datetime"),
        ([pd.Timestamp(TEN), pd.NaT], "datetime"),
        ([np.datetime64("2024-01-05T10", "h"), np.datetime64("NaT")], "datetime"),
        ([date(2024, 1, 5), "soon"], "categorical"),
        (["2024-01-05"] * 200 + ["soon"], "categorical"),
        ([time(10), time(11)], "categorical"),
        (["10:00", "11:00"], "categorical"),
        (pl.Series([time(10), time(11)]), "categorical"),
        ([1704448800, 1704448801], "numeric"),
    ],
)
def test_a_column_is_datetime_if_all_its_cells_tell_moments(cells: Any, kind: str) -> None:
    assert kind_of(cells) == kind


@pytest.mark.parametrize(
    ("cells", "row"),
    [
        (["05.01.2024", "06.01.2024"], 0),
        (["1/5/24 10:00", "1/6/24 11:00"], 0),
        (["2024-01-05", "?", "2024-01-07", "soon"], 3),
        (["2024-01-05", "2024-02-30"], 1),
        (["2024-01-05", "10.0.0.1", "1.2.3", "127.0.0.1"], None),
        (["2024-01-05", "soon"], None),
    ],
)
def test_a_column_that_looks_like_dates_but_is_none_is_named(cells: list[str], row: int | None) -> None:
    for column in (cells, pl.Series(cells)):
        table = train({"when": column})
        assert table.contract.feature_types == {"when": "categorical"}
        named = [found.message for found in table.warnings if found.code == "dates_in_another_spelling"]
        assert len(named) == (row is not None)
        assert all(f"(the first in row {row})" in message for message in named)
    assert train({"when": cells}, feature_types={"when": "categorical"}).warnings == ()


@pytest.mark.parametrize(
    ("cells", "row", "shown"),
    [
        (["2024-01-05", "05.01.2024"], 1, "'05.01.2024'"),
        ([1704448800, None], 0, "1704448800"),
        ([TEN, True], 1, "true"),
        ([time(10), TEN], 0, "datetime.time(10, 0)"),
        (pl.Series([20240105, 20240106]), 0, "20240105"),
        ([np.datetime64(10**18, "s"), TEN], 0, "31688740476"),
    ],
)
def test_a_declared_datetime_column_names_the_cells_that_tell_none(cells: Any, row: int, shown: str) -> None:
    with pytest.raises(InvalidTable, match="must be a date, with or without a time, as ISO 8601 writes it") as caught:
        train({"when": cells}, feature_types={"when": "datetime"})
    assert caught.value.errors[0].loc == ("X", row, "when")
    assert shown in caught.value.errors[0].message


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([3_000_000, 1], dtype=pl.Int32).cast(pl.Date),
        pl.Series([-(10**9), 1], dtype=pl.Int32).cast(pl.Date),
        pl.Series([2**62, 1]).cast(pl.Datetime("ms")),
        pl.Series([2**60, 1]).cast(pl.Datetime("us", "UTC")),
    ],
)
@pytest.mark.parametrize("kind", [None, "categorical", "datetime"])
def test_years_that_python_does_not_have_are_refused_by_row(column: pl.Series, kind: str | None) -> None:
    due = "column 'when', row 0: must be of the years 1 to 9999"
    with pytest.raises(InvalidTable, match=due) as caught:
        train({"when": column}, feature_types={"when": kind} if kind else None)
    assert [wrong.loc for wrong in caught.value.errors] == [("X", 0, "when")]
    with pytest.raises(InvalidTable, match=due):
        Reader(CONTRACT).read({"when": column, "size": [1, 2]})
    with pytest.raises(InvalidTable, match="y, row 0: must be an integer, text or a boolean"):
        train({"when": [1, 2]}, column)


@pytest.mark.parametrize("cell", ["soon", 5, True, time(10), "2024-02-30", [1]])
def test_a_prediction_names_the_cell_that_tells_no_moment(cell: Any) -> None:
    for X in ([{"when": cell, "size": 1}], [[cell, 1]], {"when": [cell], "size": [1]}):
        with pytest.raises(InvalidTable, match="column 'when', row 0: must be a date, with or without a time"):
            Reader(CONTRACT).read(X)


@pytest.mark.parametrize(
    "duration",
    [
        pl.Series([timedelta(1)] * 2),
        [timedelta(1)] * 2,
        np.array([1, 2], dtype="timedelta64[ns]"),
        [np.timedelta64(1)] * 2,
    ],
)
def test_durations_are_refused(duration: Any) -> None:
    for kind in ("numeric", "categorical", "datetime"):
        with pytest.raises(InvalidTable, match="must "):
            train({"when": duration}, feature_types={"when": kind})


def test_a_number_among_dates_is_named() -> None:
    with pytest.raises(InvalidTable, match="column 'when', row 1: must be a date like the rest of the column"):
        train({"when": [TEN, 5, FIRST]})


def test_a_column_of_missing_cells_alone_is_refused() -> None:
    for column in (pl.Series([None, None], dtype=pl.Datetime("ms")), [pd.NaT] * 2):
        with pytest.raises(InvalidTable, match="column 'when' is missing in every row"):
            train({"when": column})


def test_a_date_that_is_a_missing_marker_is_missing_however_it_is_written() -> None:
    options = ReadingOptions(("", "1900-01-01"))
    never = datetime(1900, 1, 1)  # noqa: DTZ001
    columns: list[Any] = [
        [never, TEN], pl.Series([never, TEN]), ["1900-01-01", "2024-01-05 10:00"],
        ["1900-01-01T00:00Z", "2024-01-05T10:00"],
    ]  # fmt: skip
    for column in columns:
        order: dict[str, Any] = {"target": None, "feature_names": None, "options": options}
        table = read_training({"when": column}, ["no", "yes"], feature_types=None, **order)
        assert table.frame["when"].to_list() == [None, TEN]
        read = Reader(table.contract).read([[column[0]]])
        assert isinstance(read, FewRows)
        assert all(math.isnan(cell) for cell in read.rows[0])  # type: ignore[arg-type]
        table = read_training({"when": column}, ["no", "yes"], feature_types={"when": "categorical"}, **order)
        assert table.text_frame["when"].to_list() == [MISSING_CATEGORY, "2024-01-05T10:00:00"]


def test_a_moment_is_the_same_category_in_every_format() -> None:
    moments = [TEN, TEN.replace(hour=0), None]
    columns: list[Any] = [
        moments, pl.Series(moments), ["2024-01-05 10:00", "2024-01-05", ""],
        ["2024-01-05T11:00:00+01:00", "2024-01-05 00:00:00.000", None], pl.Series(moments).to_numpy(),
    ]  # fmt: skip
    for column in columns:
        table = train({"when": column}, feature_types={"when": "categorical"})
        assert table.text_frame["when"].to_list() == ["2024-01-05T10:00:00", "2024-01-05", MISSING_CATEGORY]
        assert table.contract.categorical["when"].source == "datetimes"
        reader = Reader(contract_from_json(contract_to_json(table.contract)))
        for other in columns:
            for read in (reader.read({"when": other}), reader.read([[cell] for cell in other])):
                assert read.warnings == ()


def test_a_contract_made_before_reads_dates_as_the_texts_that_they_were() -> None:
    known = CategoricalColumn(("2024-01-05 10:00",))
    before = Contract({"when": "categorical"}, {"when": known}, ("no", "yes"), DEFAULT_MISSING_MARKERS, edition=2)
    reader = Reader(contract_from_json(contract_to_json(before)))
    assert reader.read([["2024-01-05 10:00"]]) == FewRows([["2024-01-05 10:00"]])
    for X in ([[TEN]], {"when": pl.Series([TEN])}):
        read = reader.read(X)
        cells = read.rows if isinstance(read, FewRows) else read.text_frame.rows()
        assert list(cells[0]) == ["2024-01-05T10:00:00"]
        assert [warning.code for warning in read.warnings] == ["unknown_categories"]


def test_parts_stand_in_the_place_of_their_column_and_keep_out_of_others_names() -> None:
    X = {"a": [1, 2], "when": [TEN, FIRST], "when.year": [2, 1]}
    contract = train(X).contract
    assert contract.feature_names == ("a", "when", "when.year")
    expanded = ("a", "when.year_", "when.month", "when.day", "when.weekday", "when.hour", "when.days", "when.year")
    assert contract.expanded.feature_names == expanded
    assert set(contract.expanded.feature_types.values()) == {"numeric"}
    assert contract.expanded.expanded is contract.expanded
    again = contract_from_json(contract_to_json(contract))
    assert again == contract
    assert Reader(again).read([[1, TEN, 2]]) == FewRows([[1.0, *TEN_IN_PARTS, 2.0]])
    assert Reader(again).read_table([[1, TEN, 2]]).frame.columns == list(expanded)


def test_the_profile_tells_the_span_and_how_moments_are_spread() -> None:
    profile = profile_columns(train({"when": [FIRST, None, TEN]}))["when"]
    edges = profile["histogram"].pop("edges")
    assert (edges[0], edges[-1]) == (FIRST.replace(tzinfo=UTC).timestamp(), TEN.replace(tzinfo=UTC).timestamp())
    assert sum(profile["histogram"].pop("counts")) == 2
    assert profile == {
        "type": "datetime",
        "missing": 1,
        "earliest": "2024-01-01T00:00:00Z",
        "latest": "2024-01-05T10:00:00Z",
        "histogram": {},
    }


def test_a_far_moment_has_the_same_days_alone_and_in_a_column() -> None:
    """Beyond 285 years a float holds no microseconds."""
    for moment in ("9999-12-31T23:59:59.999999", "0001-01-01T00:00:00.000001"):
        (alone,) = Reader(CONTRACT).read([[moment, 1]]).rows  # type: ignore[union-attr]
        among = Reader(CONTRACT).read_table([[moment, 1]]).frame.row(0)
        assert alone == list(among)
        assert math.isfinite(among[5])
