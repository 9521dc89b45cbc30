"""What a Reader accepts and refuses, and that its ways say the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import DataLoss, FailedPrecondition, InvalidArgument, InvalidTable
from modelyard.schemas import ModelWarning
from modelyard.tables import (
    FEW_ROWS,
    MISSING_CATEGORY,
    CategoricalColumn,
    Contract,
    FewRows,
    Reader,
    Table,
    contract_from_json,
    contract_to_json,
)
from modelyard.tables.cells import category

CONTRACT = Contract(
    {"age": "numeric", "job": "categorical", "grade": "categorical", "member": "categorical"},
    {
        "job": CategoricalColumn((MISSING_CATEGORY, "\x00\x00odd", "1.0", "clerk", "smith")),
        "grade": CategoricalColumn(("1", "2.5", "none"), "numbers"),
        "member": CategoricalColumn(("false", "true"), "booleans"),
    },
    ("no", "yes"),
    ("", "?", "NA"),
)
INFINITE = "must be a finite number, at most about 1.8e308"
ROW = [39, "clerk", 1, True]
RECORD = dict(zip(CONTRACT.feature_names, ROW, strict=True))
CHECKED = (39.0, "clerk", "1", "true")


@pytest.mark.parametrize(
    "X",
    [
        [ROW],
        (tuple(ROW),),
        [RECORD],
        [dict(reversed(RECORD.items()))],
        {name: [cell] for name, cell in RECORD.items()},
        {name: [cell] for name, cell in reversed(RECORD.items())},
        pl.DataFrame(RECORD),
        pl.DataFrame(dict(reversed(RECORD.items()))),
    ],
)
def test_every_form_gives_the_same_row(X: Any) -> None:
    table = Reader(CONTRACT).read_table(X)
    assert table.frame.rows() == [CHECKED]
    assert table.frame.columns == list(CONTRACT.feature_names)
    assert table.warnings == ()


def test_rows_match_by_feature_names_where_given() -> None:
    names = ["member", "grade", "job", "age", "extra"]
    table = Reader(CONTRACT).read_table([[True, 1, "clerk", 39, 0]], feature_names=names)
    assert table.frame.rows() == [CHECKED]
    assert [warning.code for warning in table.warnings] == ["extra_columns"]
    assert Reader(CONTRACT).read([[True, 1, "clerk", 39, 0]], feature_names=names) == FewRows(
        [list(CHECKED)],
        table.warnings,
    )


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("age", 5, 5.0),
        ("age", None, None),
        ("age", math.nan, None),
        ("age", " ? ", None),
        ("job", "1.0", "1.0"),
        ("job", 1.0, "1"),
        ("job", True, "true"),
        ("job", "NA", MISSING_CATEGORY),
        ("job", None, MISSING_CATEGORY),
        ("job", MISSING_CATEGORY, "\x00" + MISSING_CATEGORY),
        ("job", "\x00odd", "\x00\x00odd"),
        ("job", date(2020, 1, 2), "2020-01-02"),
        ("grade", "1.0", "1"),
        ("grade", " +1 ", "1"),
        ("grade", "1e0", "1"),
        ("grade", "2.50", "2.5"),
        ("grade", "007", "007"),
        ("grade", "none", MISSING_CATEGORY),
        ("grade", True, "true"),
        ("member", "TRUE", "true"),
        ("member", " False ", "false"),
        ("member", 1, "1"),
        ("member", "yes", "yes"),
    ],
)
def test_a_cell_is_read_by_the_contract(column: str, cell: Any, expected: Any) -> None:
    position = CONTRACT.feature_names.index(column)
    record = {**RECORD, column: cell}
    for X in ([record], [list(record.values())], [record, RECORD, {**RECORD, "grade": "x"}]):
        assert Reader(CONTRACT).read_table(X).frame.row(0)[position] == expected
        few = Reader(CONTRACT).read(X)
        assert isinstance(few, FewRows)
        found = few.rows[0][position]
        assert found == expected or (expected is None and found != found)


def test_extra_columns_are_dropped_and_named() -> None:
    table = Reader(CONTRACT).read_table([{**RECORD, "id": 1}, {**RECORD, "zip": 2}])
    message = "columns that the model does not know were dropped: 'id', 'zip'"
    assert table.warnings == (ModelWarning(code="extra_columns", message=message, count=2),)


def test_unknown_categories_are_counted_by_column() -> None:
    X = {"age": [1, 2], "job": ["x", "y"], "grade": [1, None], "member": [True, False]}
    warnings = Reader(CONTRACT).read_table(X).warnings
    assert [(w.code, w.column, w.count) for w in warnings] == [
        ("unknown_categories", "job", 2),
        ("unknown_categories", "grade", 1),
    ]
    assert warnings[0].message == "column 'job': 2 cells hold categories never seen in training, handled as unknown"
    assert warnings[1].message == "column 'grade': 1 cell holds a category never seen in training, handled as unknown"


WITHOUT_JOB = {name: cell for name, cell in RECORD.items() if name != "job"}
HAS = "X has the columns 'age', 'grade', 'member'"


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([], "the table has no rows"),
        ({"age": []}, "the table has no rows"),
        ([ROW[:3]], "row 0 has 3 cells, the model has 4 columns"),
        ([ROW, [*ROW, 1]], "row 1 has 5 cells, the model has 4 columns"),
        ([WITHOUT_JOB], f"column 'job' is missing; {HAS}"),
        ({name: [cell] for name, cell in WITHOUT_JOB.items()}, f"column 'job' is missing; {HAS}"),
        (pl.DataFrame(WITHOUT_JOB), f"column 'job' is missing; {HAS}"),
        ([WITHOUT_JOB, {**WITHOUT_JOB, "jobb": "x"}], f"column 'job' is missing; {HAS}, 'jobb'; a missing cell is"),
        ([["x", *ROW[1:]]], "column 'age', row 0: must be a number, got 'x'"),
        ([["5", *ROW[1:]]], "column 'age', row 0: must be a number, got '5'"),
        (
            [[True, *ROW[1:]]],
            "column 'age', row 0: must be a number (booleans belong in a categorical column), got true",
        ),
        ([[math.inf, *ROW[1:]]], f"column 'age', row 0: {INFINITE}, got inf"),
        ([[-math.inf, *ROW[1:]]], f"column 'age', row 0: {INFINITE}, got -inf"),
        ([[1, "clerk", math.inf, True]], f"column 'grade', row 0: {INFINITE}, got inf"),
        ([[1, "clerk", "1e999", True]], f"column 'grade', row 0: {INFINITE}, got '1e999'"),
        ([[1, ["clerk"], 1, True]], "column 'job', row 0: must be text, a number or a boolean, got ['clerk']"),
        ([ROW, RECORD], "row 1 must be a list like the first row, got an object; X is rows"),
        (RECORD, "column 'age' must be a list of cells, got 39; X must be rows"),
        (
            pl.DataFrame({**RECORD, "job": [["x"]]}),
            "column 'job' must hold numbers, text, booleans or dates, not List(String)",
        ),
    ],
)
def test_wrong_tables_are_named(X: Any, message: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        Reader(CONTRACT).read_table(X)
    assert caught.value.detail.startswith(message)
    if isinstance(X, list) and X:
        with pytest.raises(InvalidTable) as few:
            Reader(CONTRACT).read(X)
        assert (few.value.detail, few.value.errors) == (caught.value.detail, caught.value.errors)


def test_the_short_way_is_for_a_few_rows() -> None:
    reader = Reader(CONTRACT)
    assert isinstance(reader.read([ROW] * FEW_ROWS), FewRows)
    assert isinstance(reader.read([RECORD]), FewRows)
    assert isinstance(reader.read([ROW] * (FEW_ROWS + 1)), Table)
    assert isinstance(reader.read({name: [cell] for name, cell in RECORD.items()}), Table)
    with pytest.raises(InvalidTable, match="the table has no rows"):
        reader.read([])


def outcome(read: Any) -> Any:
    try:
        return read()
    except InvalidArgument as error:
        return type(error), error.detail, [(e.loc, e.message) for e in error.errors]


def all_rows(X: Any) -> Any:
    return Reader(CONTRACT).read_table(X).frame.rows()


def first_row(X: Any) -> Any:
    return all_rows(X)[0]


def plain_rows(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [[None if cell != cell else cell for cell in row] for row in rows]


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.sampled_from(
        ["1", "1.0", " 2.5", "clerk", "TRUE", "true", "", "?", "\x00missing", "\x00\x00odd", "1e999", "none"]
    ),
    st.text(max_size=3),
    st.sampled_from([10**400, 2.5, 1.0, [1], date(2020, 1, 1), "\ud800"]),
)
TAME = st.tuples(
    st.one_of(st.none(), st.floats(allow_infinity=False), st.integers(-5, 5), st.just("NA")),
    st.sampled_from(["clerk", "smith", None, "?", "1.0", 1, "\x00odd", "new"]),
    st.sampled_from([1, 1.0, 2.5, "1", "none", None, True, 7]),
    st.sampled_from([True, False, "True", "x", None, 1]),
)
WILD = st.tuples(CELLS, CELLS, CELLS, CELLS)
TABLES = st.lists(st.one_of(TAME, TAME, WILD), min_size=1, max_size=4)


@given(TABLES, st.sampled_from(["rows", "records"]), st.booleans())
def test_few_rows_are_read_like_many(rows: list[tuple[Any, ...]], form: str, extra: bool) -> None:
    X: list[Any] = [list(row) for row in rows]
    if form == "records":
        X = [dict(zip(CONTRACT.feature_names, row, strict=True)) | ({"id": 0} if extra else {}) for row in rows]

    def many() -> Any:
        table = Reader(CONTRACT).read_table(X)
        return [list(row) for row in table.frame.rows()], table.warnings

    def few() -> Any:
        found = Reader(CONTRACT).read(X)
        assert isinstance(found, FewRows)
        return plain_rows(found.rows), found.warnings

    assert outcome(few) == outcome(many)


@given(TABLES)
def test_a_row_is_read_the_same_alone_and_among_others(rows: list[tuple[Any, ...]]) -> None:
    together = outcome(partial(all_rows, rows))
    alone = [outcome(partial(first_row, [row])) for row in rows]
    refused = [found for found in alone if found and found[0] is InvalidTable]
    if refused:
        assert together[0] is InvalidTable
    else:
        assert together == alone


TEXTS = st.one_of(
    st.none(),
    st.sampled_from(["", "?", " NA\t", "\x00", "\x00missing", "\x00\x00odd", "\x00odd", "1.0", " 1.0", "clerk", "new"]),
    st.text("\x00? aé", max_size=3),
)


@given(
    st.lists(TEXTS, min_size=1, max_size=12), st.sets(TEXTS, max_size=5), st.sampled_from(["list", "text", "category"])
)
def test_texts_of_a_column_are_read_like_each_alone(
    column: list[str | None], trained: set[str | None], form: str
) -> None:
    reading = CONTRACT.readings["job"]
    known = sorted({category(text, reading) for text in trained})
    contract = Contract({"job": "categorical"}, {"job": CategoricalColumn(tuple(known))}, (0, 1), ("", "?", "NA"))
    X: Any = {"job": column}
    if form != "list":
        X = pl.DataFrame(X, {"job": pl.String if form == "text" else pl.Categorical})
    table = Reader(contract).read_table(X)
    expected = [category(text, reading) for text in column]
    assert table.frame["job"].to_list() == expected
    assert table.text_frame.to_dict(as_series=False) == {"job": expected}
    assert table.text_frame.dtypes == [pl.String]
    assert sum(warning.count or 0 for warning in table.warnings) == sum(text not in known for text in expected)
    assert (X if form == "list" else X.to_dict(as_series=False)) == {"job": column}


CATEGORIES = st.one_of(
    st.just(MISSING_CATEGORY), st.text().map(lambda text: "\x00" + text if text[:1] == "\x00" else text)
)
COLUMNS = st.builds(
    CategoricalColumn,
    st.lists(CATEGORIES, unique=True).map(lambda found: tuple(sorted(found))),
    st.sampled_from(["text", "numbers", "booleans"]),
)


@given(
    st.dictionaries(st.text(min_size=1), COLUMNS),
    st.lists(st.text(min_size=1)),
    st.one_of(
        st.just((False, True)),
        st.lists(st.integers(-(2**63), 2**63 - 1)).map(tuple),
        st.lists(st.text()).map(tuple),
    ),
)
def test_a_contract_survives_json(categorical: dict[str, Any], numeric: list[str], classes: tuple[Any, ...]) -> None:
    types: dict[str, Any] = dict.fromkeys(numeric, "numeric") | dict.fromkeys(categorical, "categorical")
    contract = Contract(types, categorical, classes, ("", "?"))
    again = contract_from_json(contract_to_json(contract))
    assert again == contract
    assert again.feature_names == contract.feature_names
    assert list(map(type, again.classes)) == list(map(type, classes))


def test_the_missing_category_is_null_in_json() -> None:
    assert b'"categories":[null,"\\u0000odd","1.0","clerk","smith"]' in contract_to_json(CONTRACT)
    assert contract_to_json(CONTRACT).startswith(b'{"format":3,')


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", DataLoss), (b"[]", DataLoss), (b'{"format":1}', DataLoss), (b'{"format":4}', FailedPrecondition)],
)
def test_a_contract_that_cannot_be_read_is_refused(data: bytes, error: type[InvalidArgument]) -> None:
    with pytest.raises(error):
        contract_from_json(data)
