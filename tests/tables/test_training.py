"""What `read_training` accepts, infers and refuses."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelyard.errors import InvalidTable
from modelyard.settings import DEFAULT_MISSING_MARKERS
from modelyard.tables import MISSING_CATEGORY, ReadingOptions, TrainingTable, read_training

Y2 = ["a", "b"]
INFINITE = "must be a finite number, at most about 1.8e308"
MIXED = "labels of different types do not go together"


def train(X: Any, y: Any = None, **options: Any) -> TrainingTable:
    defaults: dict[str, Any] = {"target": None, "feature_types": None, "feature_names": None}
    return read_training(X, y, **{**defaults, "options": ReadingOptions(DEFAULT_MISSING_MARKERS), **options})


def types(table: TrainingTable) -> dict[str, str]:
    return dict(table.contract.feature_types)


FORMS: dict[str, tuple[Any, dict[str, Any]]] = {
    "rows": ([[39, "x"], [None, "?"]], {"feature_names": ["age", "job"]}),
    "records": ([{"age": 39, "job": "x"}, {"job": None, "age": math.nan}], {}),
    "columns": ({"age": [39, "NA"], "job": ("x", "")}, {}),
    "frame": (pl.DataFrame({"age": [39.0, math.nan], "job": ["x", None]}), {}),
    "categorical frame": (pl.DataFrame({"age": [39, None], "job": pl.Series(["x", None], dtype=pl.Categorical)}), {}),
    "arrays": ({"age": np.array([39.0, np.nan]), "job": np.array(["x", " ? "])}, {}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_table(form: str) -> None:
    X, options = FORMS[form]
    table = train(X, Y2, **options)
    assert table.frame.schema == {"age": pl.Float64, "job": pl.Enum([MISSING_CATEGORY, "x"])}
    assert table.frame.rows() == [(39.0, "x"), (None, MISSING_CATEGORY)]
    assert types(table) == {"age": "numeric", "job": "categorical"}
    assert table.contract.categorical["job"].categories == (MISSING_CATEGORY, "x")
    assert table.codes.tolist() == [0, 1]
    assert table.codes.dtype == np.int64


def test_rows_without_names_are_numbered() -> None:
    assert train([[1, 2], [3, 4]], Y2).frame.columns == ["f0", "f1"]


def test_target_names_the_label_column() -> None:
    table = train({"a": [1, 2], "y": ["no", "yes"]}, target="y")
    assert (table.frame.columns, table.contract.classes, table.target) == (["a"], ("no", "yes"), "y")


def test_with_labels_given_the_target_is_only_their_name() -> None:
    table = train({"a": [1, 2]}, Y2, target="income")
    assert (table.frame.columns, table.target) == (["a"], "income")


def test_feature_names_order_named_columns() -> None:
    assert train({"a": [1, 2], "b": [3, 4]}, Y2, feature_names=["b", "a"]).frame.columns == ["b", "a"]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([1, 2.5], "numeric"),
        ([1, None], "numeric"),
        ([Decimal("1.5"), 2], "numeric"),
        ([np.float32(1), np.int8(2)], "numeric"),
        (["1", "2"], "categorical"),
        ([True, False], "categorical"),
        ([True, "x"], "categorical"),
        ([date(2020, 1, 1), "x"], "categorical"),
        ([1, "?"], "numeric"),
        ([math.nan, "x"], "categorical"),
    ],
)
def test_types_are_inferred(column: list[Any], expected: str) -> None:
    assert types(train({"a": column}, Y2)) == {"a": expected}


def test_feature_types_may_be_partial_or_a_list() -> None:
    X = {"a": [1, 2], "b": [3, 4], "y": Y2}
    assert types(train(X, target="y", feature_types={"b": "categorical"})) == {"a": "numeric", "b": "categorical"}
    assert types(train(X, target="y", feature_types=["categorical", "numeric"])) == {"a": "categorical", "b": "numeric"}


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        (-0.0, "0"),
        (1e15, "1000000000000000"),
        (0.1, "0.1"),
        (1e-7, "1e-07"),
        (2**70, str(2**70)),
        (True, "true"),
        (np.bool_(False), "false"),
        (np.float32(0.1), "0.1"),
        (Decimal("1.50"), "1.5"),
        (date(2020, 2, 1), "2020-02-01"),
        ("x", "x"),
        (" x ", "x"),
        ("01", "01"),
        ("\x00missing", "\x00\x00missing"),
        (" ? ", MISSING_CATEGORY),
        (None, MISSING_CATEGORY),
        (math.nan, MISSING_CATEGORY),
    ],
)
def test_a_category_is_written_one_way(cell: Any, text: str) -> None:
    """Alone in its column and among text."""
    for column in ([cell, "zz"], [cell] * 2 + ["zz"], [cell, "zz", True]):
        y = ["a", "b", "a"][: len(column)]
        table = train({"a": column}, y, feature_types={"a": "categorical"})
        assert table.frame["a"][0] == text


@pytest.mark.parametrize(
    ("dtype", "values", "text"),
    [
        (pl.Int8, [1, 2], "1"),
        (pl.UInt64, [2**64 - 1, 2], str(2**64 - 1)),
        (pl.Float32, [0.1, None], "0.1"),
        (pl.Float64, [1.0, math.nan], "1"),
        (pl.Boolean, [True, None], "true"),
        (pl.Decimal(10, 2), [Decimal("1.50"), None], "1.5"),
        (pl.Date, [date(2020, 1, 1), None], "2020-01-01"),
        (pl.Enum(["x", "y"]), ["x", None], "x"),
    ],
)
def test_a_typed_column_can_be_categorical(dtype: Any, values: list[Any], text: str) -> None:
    table = train(pl.DataFrame({"a": pl.Series(values, dtype=dtype)}), Y2, feature_types={"a": "categorical"})
    assert table.frame["a"][0] == text
    if values[1] is None or values[1] != values[1]:
        assert table.frame["a"][1] == MISSING_CATEGORY


@pytest.mark.parametrize(
    ("column", "source"),
    [([1, None], "numbers"), ([True, None], "booleans"), (["1", "2"], "text"), ([1, "x"], "text"), ([True, 1], "text")],
)
def test_the_contract_keeps_what_the_cells_were(column: list[Any], source: str) -> None:
    table = train({"a": column}, Y2, feature_types={"a": "categorical"})
    assert table.contract.categorical["a"].source == source


@pytest.mark.parametrize(
    ("y", "classes", "codes"),
    [
        ([1, 0, 1], (0, 1), [1, 0, 1]),
        ([10, 9, 10.0], (9, 10), [1, 0, 1]),
        ((True, False, True), (False, True), [1, 0, 1]),
        (["b", "a", "10"], ("10", "a", "b"), [2, 1, 0]),
        (np.array([2.0, 1.0, 2.0]), (1, 2), [1, 0, 1]),
        (np.array([True, False, True]), (False, True), [1, 0, 1]),
        (pl.Series(["x", "y", "x"], dtype=pl.Categorical), ("x", "y"), [0, 1, 0]),
        (pl.Series([2**63 - 1, -(2**63), 0]), (-(2**63), 0, 2**63 - 1), [2, 0, 1]),
    ],
)
def test_labels_become_sorted_classes(y: Any, classes: tuple[Any, ...], codes: list[int]) -> None:
    table = train({"a": [1, 2, 3]}, y)
    assert table.contract.classes == classes
    assert list(map(type, table.contract.classes)) == list(map(type, classes))
    assert table.codes.tolist() == codes


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", None], "y, row 1: must not be missing, got null"),
        (["a", "NA"], "y, row 1: must not be missing, got 'NA'"),
        ([1.0, math.nan], "y, row 1: must not be missing, got nan"),
        ([1.0, 2.5], "y, row 1: must be a whole number, text or a boolean; other numbers would be regression, got 2.5"),
        ([1, math.inf], f"y, row 1: {INFINITE}, got inf"),
        ([1, 2**63], f"y, row 1: must be an integer of 64 bits, got {2**63}"),
        (
            [1, True],
            f"y, row 1: must be an integer like most labels; {MIXED}, got true",
        ),
        (
            [1, "a"],
            f"y, row 1: must be an integer like most labels; {MIXED}, got 'a'",
        ),
        ([[1], [2]], "y, row 0: must be an integer, text or a boolean, got [1] (and 1 more error)"),
        (
            [date(2020, 1, 1)] * 2,
            "y, row 0: must be an integer, text or a boolean, got datetime.date(2020, 1, 1) (and 1 more error)",
        ),
        (["a", "\ud800"], "y, row 1: must be valid Unicode text, got '\\ud800'"),
        (["a", "a"], "y must hold at least two classes, got only 'a'"),
        (["a"], "y has 1 labels, X has 2 rows"),
        ([], "y has 0 labels, X has 2 rows"),
        ("ab", "y must be a list of labels, got 'ab'"),
        (np.array([[1], [2]]), "y must be a list of labels, got an array of 2 dimensions"),
    ],
)
def test_wrong_labels_are_named(y: Any, message: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        train({"a": [1, 2]}, y)
    assert caught.value.detail == message
    if ", row " in message:
        assert caught.value.errors[0].loc[0] == "y"


NO_NAME = "X: the name of column 0 must be text that is not empty, got "
KINDS = "rows ([[39, 'x'], ...]), records ([{'age': 39, ...}, ...]) or columns ({'age': [39, ...], ...})"


@pytest.mark.parametrize(
    ("X", "options", "message"),
    [
        ([], {}, "the table has no rows"),
        ({}, {}, "X has no columns"),
        ({"a": []}, {}, "the table has no rows"),
        ([[], []], {}, "X has no columns"),
        ([{}, {}], {}, "X has no columns"),
        (pl.DataFrame({"a": []}), {}, "the table has no rows"),
        (5, {}, f"X must be {KINDS}, got 5"),
        ("abc", {}, f"X must be {KINDS}, got 'abc'"),
        (None, {}, f"X must be {KINDS}, got null"),
        ([1, 2], {}, f"row 0 must be a list or a record, got 1; X is {KINDS} (and 1 more error)"),
        ([[1], {"a": 1}], {}, f"row 1 must be a list like the first row, got an object; X is {KINDS}"),
        ([{"a": 1}, [1]], {}, f"row 1 must be a record like the first row, got a list; X is {KINDS}"),
        ({"a": 1}, {}, f"column 'a' must be a list of cells, got 1; X must be {KINDS}"),
        ([[1, 2], [3]], {}, "row 1 has 1 cell, row 0 has 2"),
        ([[1], [2]], {"feature_names": ["a", "b"]}, "row 0 has 1 cell, feature_names has 2 (and 1 more error)"),
        (
            [[1, 2], [1, 2]],
            {"feature_names": ["a", "a"]},
            "feature_names: column name 'a' is given twice; names must differ",
        ),
        ([[1], [2]], {"feature_names": [""]}, NO_NAME.replace("X", "feature_names", 1) + "''"),
        ({" ": [1, 2]}, {}, NO_NAME + "' '"),
        ({1: [1, 2]}, {}, NO_NAME + "1"),
        ({"a": [1, 2], "b": [1]}, {}, "column 'b' has 1 cell, column 'a' has 2"),
        ([{"a": 1}, {"": 1}], {}, NO_NAME.replace("0", "1") + "''"),
        ({"a": [1, 2]}, {"feature_names": ["b"]}, "column 'b' is missing; X has the columns 'a'"),
        ({"a": [1, "abc"]}, {"feature_types": ["numeric"]}, "column 'a', row 1: must be a number, got 'abc'"),
        ({"a": [1, "5"]}, {"feature_types": ["numeric"]}, "column 'a', row 1: must be a number, got '5'"),
        (
            {"a": [1, True]},
            {"feature_types": ["numeric"]},
            "column 'a', row 1: must be a number (booleans belong in a categorical column), got true",
        ),
        ({"a": [1, [2]]}, {"feature_types": ["numeric"]}, "column 'a', row 1: must be a number, got [2]"),
        ({"a": [1, math.inf]}, {}, f"column 'a', row 1: {INFINITE}, got inf"),
        (pl.DataFrame({"a": [1.0, math.inf]}), {}, f"column 'a', row 1: {INFINITE}, got inf"),
        ({"a": [1, 10**400]}, {}, f"column 'a', row 1: {INFINITE}, got an integer of more than 300 digits"),
        (
            {"a": ["x", math.inf]},
            {"feature_types": ["categorical"]},
            f"column 'a', row 1: {INFINITE}, got inf",
        ),
        ({"a": ["x", [1]]}, {}, "column 'a', row 1: must be text, a number or a boolean, got [1]"),
        ({"a": ["x", "\ud800"]}, {}, "column 'a', row 1: must be valid Unicode text, got '\\ud800'"),
        (pl.DataFrame({"a": [[1], [2]]}), {}, "column 'a' must hold numbers, text, booleans or dates, not List(Int64)"),
        (
            pl.DataFrame({"a": ["x", "y"]}),
            {"feature_types": ["numeric"]},
            "column 'a', row 0: must be a number, got 'x' (and 1 more error)",
        ),
        ({"a": [None, "?"]}, {}, "column 'a' is missing in every row; leave it out or fill it"),
        ({"a": [None, math.nan]}, {}, "column 'a' is missing in every row; leave it out or fill it"),
        (pl.DataFrame({"a": [None, None]}), {}, "column 'a' is missing in every row; leave it out or fill it"),
        ({"a": [1, 2]}, {"feature_types": ["numeric"] * 2}, "feature_types has 2 types, X has 1 columns (a)"),
        (
            {"age": [1, 2]},
            {"feature_types": {"agee": "numeric"}},
            "feature_types: column 'agee' is not in X; did you mean 'age'?",
        ),
        (
            {"age": [1, 2]},
            {"feature_types": {"zzz": "numeric"}},
            "feature_types: column 'zzz' is not in X; known are 'age'",
        ),
        (
            {"a": [1, 2]},
            {"feature_types": {"a": "number"}},
            "feature_types: column 'a' must be 'numeric', 'categorical' or 'datetime', got 'number'",
        ),
    ],
)
def test_wrong_tables_are_named(X: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        train(X, Y2, **options)
    assert caught.value.detail == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the labels are missing: give y, or target with the name of the label column of X"),
        ({"target": "z"}, "target 'z' is not a column of X; it has 'a', 'y'"),
        ({"target": "y", "feature_types": {"y": "numeric"}}, "feature_types: column 'y' is the target, not a feature"),
    ],
)
def test_a_wrong_target_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        train({"a": [1, 2], "y": Y2}, **options)
    assert caught.value.detail == message


def test_a_target_alone_is_no_table() -> None:
    with pytest.raises(InvalidTable, match="X has no columns besides the target 'y'"):
        train({"y": Y2}, target="y")


def test_missing_labels_of_a_column_are_named_with_it() -> None:
    with pytest.raises(InvalidTable, match="target 'y', row 0: must not be missing, got null"):
        train({"a": [1, 2, 3], "y": [None, 1, 0]}, target="y")


def test_mixed_columns_name_the_cell_that_breaks_the_majority() -> None:
    with pytest.raises(InvalidTable) as caught:
        train({"a": [1, "x", 2], "b": ["x", "y", 3]}, ["a", "b", "a"])
    assert [error.loc for error in caught.value.errors] == [("X", 1, "a"), ("X", 2, "b")]
    first, second = (error.message for error in caught.value.errors)
    hint = "(or declare it categorical in feature_types)"
    assert first == f"column 'a', row 1: must be a number like the rest of the column {hint}, got 'x'"
    assert second == f"column 'b', row 2: must be text or a boolean like the rest of the column {hint}, got 3"


@pytest.mark.parametrize(("cell", "due"), [(b"x", "text, a number or a boolean"), ("\ud800", "valid Unicode text")])
def test_a_cell_that_no_column_may_hold_is_not_said_to_fit_another(cell: object, due: str) -> None:
    with pytest.raises(InvalidTable, match=f"^column 'a', row 2: must be {due}, got "):
        train({"a": [1, 2, cell]}, ["a", "b", "a"])


def test_numbers_and_booleans_do_not_mix() -> None:
    with pytest.raises(InvalidTable, match="column 'a', row 2: must be a number like the rest"):
        train({"a": [1, 0, True]}, ["a", "b", "a"])


def test_all_wrong_cells_up_to_fifty_are_listed() -> None:
    X = {"a": ["x"] * 3 + [1] * 57, "b": ["y"] * 60}
    with pytest.raises(InvalidTable) as caught:
        train(X, Y2 * 30, feature_types={"a": "numeric", "b": "numeric"})
    locs = [error.loc for error in caught.value.errors]
    assert locs == [("X", row, "a") for row in range(3)] + [("X", row, "b") for row in range(47)]
    assert caught.value.detail == "column 'a', row 0: must be a number, got 'x' (and at least 49 more errors)"
    assert caught.value.errors[0].value == "x"


@pytest.mark.parametrize(
    "cell", [math.inf, 10**5000, [1], "x" * 1000, object()], ids=["inf", "digits", "list", "long", "object"]
)
def test_values_of_errors_fit_into_json(cell: Any) -> None:
    with pytest.raises(InvalidTable) as caught:
        train({"a": [1, cell]}, Y2, feature_types=["numeric"])
    value = caught.value.errors[0].value
    assert isinstance(value, str)
    assert len(value) <= 80


def test_clean_columns_are_not_copied() -> None:
    frame = pl.DataFrame({"a": pl.Series([1.5, 2.5]), "b": ["x", "y"]})
    table = train(frame, Y2)
    assert np.shares_memory(table.frame["a"].to_numpy(), frame["a"].to_numpy())


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match=r"file 'no\.csv' cannot be read"):
        train(tmp_path / "no.csv", Y2)


def test_a_target_in_x_beside_y_is_refused() -> None:
    """As a feature it would give the labels away."""
    X = {"a": [1, 2], "label": ["u", "v"]}
    with pytest.raises(InvalidTable, match="target 'label' is a column of X, and y is given, too: leave one of them"):
        train(X, Y2, target="label")
    assert train({"a": [1, 2]}, Y2, target="label").target == "label"


@pytest.mark.parametrize("distinct", [3, 1500])
@pytest.mark.parametrize("form", ["list", "series", "categorical"])
def test_texts_become_codes_whether_few_or_many_differ(distinct: int, form: str) -> None:
    plain = [f"t{row % distinct}" for row in range(3000)]
    cells = [*plain, None, " ? ", "", "\x00missing", "\x00", " t0"]
    column: Any = cells
    if form != "list":
        column = pl.Series(cells, dtype=pl.String if form == "series" else pl.Categorical)
    table = train({"a": column}, Y2 * (len(cells) // 2))
    expected = [*plain, *[MISSING_CATEGORY] * 3, "\x00\x00missing", "\x00\x00", "t0"]
    assert table.frame["a"].to_list() == expected
    assert table.frame.schema == {"a": pl.Enum(sorted(set(expected)))}
    assert table.contract.categorical["a"].categories == tuple(sorted(set(expected)))


@pytest.mark.parametrize(
    "labels",
    [["no", "yes", "é"], [3, -2, 2**60], [True, False, True], ["1", "10", "9"]],
    ids=["text", "int", "bool", "digits"],
)
def test_labels_of_a_series_are_those_of_a_list(labels: list[Any]) -> None:
    y = labels * 20
    listed, series = (train({"a": list(range(60))}, of) for of in (y, pl.Series(y)))
    assert (series.codes.tolist(), series.contract.classes) == (listed.codes.tolist(), listed.contract.classes)
    assert [series.contract.classes[code] for code in series.codes] == y
    with pytest.raises(InvalidTable) as in_series:
        train({"a": list(range(61))}, pl.Series([*y, None]))
    with pytest.raises(InvalidTable) as in_list:
        train({"a": list(range(61))}, [*y, None])
    assert in_series.value.errors == in_list.value.errors


class TestClassesThatOccurOnce:
    def test_a_target_of_identifiers_is_refused_with_its_numbers(self) -> None:
        rows = [{"tenure": row % 70, "customerID": f"{row:04}-ID"} for row in range(7043)]
        with pytest.raises(InvalidTable) as refused:
            train(rows, target="customerID")
        detail = refused.value.detail
        assert "target 'customerID' has 7043 classes in 7043 rows, and 7043 of them occur only once" in detail
        assert "choose another target" in detail

    @pytest.mark.parametrize(
        ("single", "repeated", "legal"),
        [
            (100, 0, True),  # few enough
            (101, 0, False),
            (51, 50, False),  # most of 101 classes
            (51, 51, True),  # half of 102 classes
            (900, 1100, True),
        ],
    )
    def test_the_bound_is_where_the_message_says(self, single: int, repeated: int, legal: bool) -> None:
        labels = [f"s{i}" for i in range(single)] + [f"r{i}" for i in range(repeated)] * 2
        X = {"a": list(range(len(labels)))}
        if legal:
            assert len(train(X, labels).contract.classes) == single + repeated
        else:
            with pytest.raises(InvalidTable, match=f"y has {single + repeated} classes .* {single} of them occur only"):
                train(X, labels)

    def test_a_thousand_classes_of_fifty_rows_are_legal(self) -> None:
        labels = list(range(1000)) * 50
        table = train({"a": list(range(50_000))}, labels)
        assert len(table.contract.classes) == 1000
