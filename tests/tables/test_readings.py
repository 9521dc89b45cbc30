"""How cells are read: numbers in other spellings, missing markers, blanks, texts that look alike, large integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import InvalidTable
from modelyard.settings import DEFAULT_MISSING_MARKERS
from modelyard.tables import (
    MISSING_CATEGORY,
    Contract,
    FewRows,
    Reader,
    ReadingOptions,
    TrainingTable,
    contract_from_json,
    contract_to_json,
    read_training,
)
from modelyard.tables.spelling import Spelling

MINUS = "\u2212"


def train(X: Any, y: Any = None, target: str | None = None, **reading: Any) -> TrainingTable:
    options = ReadingOptions(**{"missing_markers": DEFAULT_MISSING_MARKERS, **reading})
    return read_training(X, y, target=target, feature_types=None, feature_names=None, options=options)


def csv(tmp_path: Path, columns: dict[str, list[str]], delimiter: str = ";") -> Path:
    """Write a CSV with a column `y` of labels beside the given ones."""
    height = len(next(iter(columns.values())))
    columns = {**columns, "y": ["no", "yes"] * (height // 2) + ["no"] * (height % 2)}
    frame = pl.DataFrame({name: pl.Series(cells, dtype=pl.String) for name, cells in columns.items()})
    path = tmp_path / "t.csv"
    frame.write_csv(path, separator=delimiter)
    return path


def codes(table: TrainingTable) -> list[tuple[str, str | None]]:
    return [(warning.code, warning.column) for warning in table.warnings]


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["44,88", "3", "-0,5"], [44.88, 3.0, -0.5]),
        (["1.000,92", "12,5", "1.234.567"], [1000.92, 12.5, 1234567.0]),
        (["1\u00a0000,5", "2,25", "7 500"], [1000.5, 2.25, 7500.0]),
        (["0,125", "0,250", ""], [0.125, 0.25, None]),
        ([f"{MINUS}5", "7.5", "8"], [-5.0, 7.5, 8.0]),
        (["12.5%", "3 %", "0.25%"], [12.5, 3.0, 0.25]),
        (["12,5%", "3%", "None"], [12.5, 3.0, None]),
        (["007.5", "8.25", "9"], [7.5, 8.25, 9.0]),
        (["1,5e3", "2,5", "#DIV/0!"], [1500.0, 2.5, None]),
    ],
)
def test_numbers_in_one_other_spelling_are_read(cells: list[str], numbers: list[float | None], tmp_path: Path) -> None:
    path = csv(tmp_path, {"a": cells})
    table = train(path, target="y")
    assert table.frame["a"].to_list() == numbers
    contract = contract_from_json(contract_to_json(table.contract))
    assert contract == table.contract
    assert Reader(contract).read_table(path).frame["a"].to_list() == numbers
    assert Reader(contract).read_table({"a": numbers}).frame["a"].to_list() == numbers
    assert "numbers_in_another_spelling" not in dict(codes(table))


@pytest.mark.parametrize(
    ("cells", "kind", "row"),
    [
        (["1,234", "2,500", "12"], "a thousands mark", 0),
        (["$5", "$1,200.50", "free"], "a currency", 0),
        (["", "12 EUR", "7 EUR"], "a currency", 1),
        (["12 kg", "7.5 kg", "80 kg"], "the unit 'kg'", 0),
        (["(3.20)", "4.10", "5.00"], "parentheses, which may mean minus", 0),
        (["1 234", "5 678", "99"], "a thousands mark", 0),
        (["5%", "7", "8%"], "percent signs", 0),
        (["17", "007", "4"], "leading zeros", 1),
        (["44,88", "3.5", "12"], "a decimal comma", 0),
    ],
)
def test_numbers_in_a_spelling_that_may_mean_two_things_are_named(
    cells: list[str], kind: str, row: int, tmp_path: Path
) -> None:
    table = train(csv(tmp_path, {"a": cells}), target="y")
    assert table.contract.feature_types == {"a": "categorical"}
    (warning,) = [found for found in table.warnings if found.code == "numbers_in_another_spelling"]
    assert warning.column == "a"
    assert f"{kind} (the first in row {row})" in warning.message


@pytest.mark.parametrize(
    "cells",
    [["007", "123", "040"], ["12b", "7a", "80"], ["a1", "b2", "c3"], ["10-20", "30-40", "1,2,3"], ["x", "1", "y"]],
)
def test_codes_and_texts_are_no_numbers(cells: list[str], tmp_path: Path) -> None:
    table = train(csv(tmp_path, {"a": cells}), target="y")
    assert table.contract.feature_types == {"a": "categorical"}
    assert ("numbers_in_another_spelling", "a") not in codes(table)


def test_other_columns_show_what_a_comma_means(tmp_path: Path) -> None:
    table = train(csv(tmp_path, {"price": ["44,88", "2,5"], "weight": ["1,234", "2,500"]}), target="y")
    assert table.frame["weight"].to_list() == [1.234, 2.5]


def test_dots_part_thousands_beside_decimal_commas(tmp_path: Path) -> None:
    """Taken for decimal points they would make 1.5 of 1500 without a word."""
    table = train(csv(tmp_path, {"price": ["44,88", "2,5"], "people": ["1.500", "12.000"]}), target="y")
    assert table.frame["people"].to_list() == [1500.0, 12000.0]
    assert ("numbers_read_as", "people") in codes(table)
    alone = train(csv(tmp_path, {"people": ["1.500", "12.000"]}), target="y")
    assert alone.frame["people"].to_list() == [1.5, 12.0]


def test_a_percent_sign_is_said_to_be_dropped(tmp_path: Path) -> None:
    assert ("numbers_read_as", "a") in codes(train(csv(tmp_path, {"a": ["5%", "7%"]}), target="y"))


def test_the_marks_of_numbers_can_be_told(tmp_path: Path) -> None:
    path = csv(tmp_path, {"a": ["1,234", "2,500"], "b": ["x", "1.5"], "c": ["1", "2"]})
    english = train(path, target="y", thousands=",")
    assert english.frame["a"].to_list() == [1234.0, 2500.0]
    german = train(path, target="y", decimal=",")
    assert german.frame["a"].to_list() == [1.234, 2.5]
    assert {warning.code for warning in german.warnings} == set()
    assert german.contract.feature_types == {"a": "numeric", "b": "categorical", "c": "numeric"}
    later = csv(tmp_path, {"a": ["7", "8"], "b": ["x", "x"], "c": ["1,5", "2"]})
    assert Reader(german.contract).read_table(later).frame["c"].to_list() == [1.5, 2.0]


def test_plain_numbers_are_none_if_the_decimal_mark_is_told_to_be_another(tmp_path: Path) -> None:
    table = train(csv(tmp_path, {"a": ["1.5", "2.5"]}), target="y", decimal=",")
    assert table.contract.feature_types == {"a": "categorical"}


def test_a_prediction_in_another_spelling_than_in_training_is_refused_or_told(tmp_path: Path) -> None:
    plain = train(csv(tmp_path, {"a": ["1.5", "2.5"]}), target="y").contract
    german = csv(tmp_path, {"a": ["44,88", "3"]})
    with pytest.raises(InvalidTable, match=r"'a', row 0: must be a number written with a decimal point .*'44,88'"):
        Reader(plain).read_table(german)
    assert Reader(plain).read_table(german, decimal=",").frame["a"].to_list() == [44.88, 3.0]
    comma = train(german, target="y").contract
    english = csv(tmp_path, {"a": ["44.88", "3"]})
    with pytest.raises(
        InvalidTable, match=r"row 0: must be a number written as in training, like 1234,5, got '44\.88'"
    ):
        Reader(comma).read_table(english)
    assert Reader(comma).read_table(english, decimal=".").frame["a"].to_list() == [44.88, 3.0]


SPELLINGS = st.builds(
    Spelling, st.sampled_from([".", ","]), st.sampled_from(["", ".", ",", " ", "'"]), st.booleans()
).filter(lambda spelling: spelling.decimal != spelling.thousands)


@given(SPELLINGS, st.lists(st.text("0123456789.,' -+%e\u2212\u00a0x", max_size=9), min_size=1))
def test_a_column_is_respelled_as_each_of_its_texts(spelling: Spelling, texts: list[str]) -> None:
    assert spelling.plain_texts(pl.Series(texts, dtype=pl.String)).to_list() == list(map(spelling.plain, texts))


@given(SPELLINGS, st.floats(-1e12, 1e12).map(lambda value: round(value, 3)))
def test_a_number_written_in_a_spelling_is_read_as_itself(spelling: Spelling, value: float) -> None:
    mark = spelling.thousands
    text = f"{value:,.3f}".replace(",", "T").replace(".", spelling.decimal).replace("T", mark)
    assert float(spelling.plain(text + ("%" if spelling.percent else "")) or "nan") == value


MARKERS = ["None", "NONE", "#N/A", "NaT", "\\N", "Null", "-", ".", "missing", "#DIV/0!", "#VALUE!", "na", "<na>", "nan"]


@pytest.mark.parametrize("marker", MARKERS)
def test_what_other_programs_write_for_missing_is_missing_among_numbers(marker: str, tmp_path: Path) -> None:
    cells = ["1", marker, marker, marker, "2", f" {marker} "]
    table = train(csv(tmp_path, {"a": cells}), target="y")
    assert table.frame["a"].to_list() == [1.0, None, None, None, 2.0, None]
    listed = train({"a": [1, marker, 2.5, None]}, ["no", "yes"] * 2)
    assert listed.frame["a"].to_list() == [1.0, None, 2.5, None]
    found = Reader(listed.contract).read([[marker], [7]])
    assert isinstance(found, FewRows)
    assert (str(found.rows), found.warnings) == ("[[nan], [7.0]]", ())


@pytest.mark.parametrize(("marker", "is_missing"), [("#n/a", True), ("\\N", True), ("NULL", True), ("None", False)])
@pytest.mark.parametrize("form", ["csv", "list", "frame"])
def test_among_texts_only_what_nobody_writes_as_a_category_is_missing(
    marker: str, is_missing: bool, form: str, tmp_path: Path
) -> None:
    cells = ["x", marker, "-", "missing"]
    y = ["no", "yes"] * 2
    table = train(csv(tmp_path, {"a": cells}), target="y") if form == "csv" else None
    table = table or train({"a": cells} if form == "list" else pl.DataFrame({"a": cells}), y)
    assert table.text_frame["a"].to_list() == ["x", MISSING_CATEGORY if is_missing else marker, "-", "missing"]


def test_labels_are_missing_by_the_configured_markers_alone() -> None:
    table = train({"a": [1, 2, 3, 4]}, ["None", "-", "missing", "#N/A"])
    assert table.contract.classes == ("#N/A", "-", "None", "missing")
    with pytest.raises(InvalidTable, match="y, row 1: must not be missing, got 'NA'"):
        train({"a": [1, 2]}, ["x", "NA"])


@pytest.mark.parametrize("form", ["csv", "list", "frame"])
def test_markers_of_a_request_hold_for_numbers_and_texts_of_any_form(form: str, tmp_path: Path) -> None:
    numbers, texts, y = [-999, 2, 3.5, -999], ["x", "n.k.", "NA", "x"], ["no", "yes"] * 2
    X: Any = {"a": numbers, "b": texts}
    if form == "csv":
        X = csv(tmp_path, {"a": list(map(str, numbers)), "b": texts})
    elif form == "frame":
        X = pl.DataFrame(X, strict=False)
    target = "y" if form == "csv" else None
    table = train(X, None if target else y, target, missing_markers=("", "-999", "n.k."))
    assert table.frame["a"].to_list() == [None, 2.0, 3.5, None]
    assert table.text_frame["b"].to_list() == ["x", MISSING_CATEGORY, "NA", "x"]
    found = Reader(table.contract).read([[-999.0, "n.k."]])
    assert isinstance(found, FewRows)
    assert str(found.rows) == f"[[nan, {MISSING_CATEGORY!r}]]"


def test_outer_blanks_do_not_count_in_any_format(tmp_path: Path) -> None:
    cells, y = [" Oslo", "Oslo", "Oslo ", "Rome\t"], ["hi", " hi", "ho ", "ho"]
    for X in ({"a": cells}, pl.DataFrame({"a": cells}), [[cell] for cell in cells]):
        table = train(X, y)
        assert table.text_frame.to_series().to_list() == ["Oslo", "Oslo", "Oslo", "Rome"]
        assert table.contract.classes == ("hi", "ho")
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "".join(f"{cell},{label}\n" for cell, label in zip(cells, y, strict=True)))
    table = train(path, target="y")
    assert table.contract.categorical["a"].categories == ("Oslo", "Rome")
    assert table.contract.classes == ("hi", "ho")
    answers = [Reader(table.contract).read_table(X) for X in (path, {"a": cells}, pl.DataFrame({"a": cells}))]
    answers += [Reader(table.contract).read_table({"a": cells * 30})]
    assert all(answer.text_frame["a"].to_list()[:2] == ["Oslo", "Oslo"] for answer in answers)
    assert all(not [found for found in answer.warnings if found.code == "unknown_categories"] for answer in answers)
    assert Reader(table.contract).read([[" Oslo "]]) == FewRows([["Oslo"]])


def test_a_contract_of_format_1_reads_as_it_did() -> None:
    table = train({"a": ["x", "y"], "b": [1.5, 2]}, ["no", "yes"])
    old = Contract(table.contract.feature_types, table.contract.categorical, ("no", "yes"), ("", "?"), edition=1)
    kept = contract_from_json(contract_to_json(old))
    assert kept == old
    assert Reader(kept).read_table({"a": [" x", "#N/A"], "b": [1, 2]}).text_frame["a"].to_list() == [" x", "#N/A"]
    with pytest.raises(InvalidTable, match="column 'b', row 0: must be a number, got 'None'"):
        Reader(kept).read_table({"a": ["x"], "b": ["None"]})


def test_labels_and_categories_that_are_nearly_the_same_are_named() -> None:
    table = train({"a": ["Oslo", "oslo", "Rome", "Rome"], "b": ["x", "y", "x", "y"]}, ["Yes", "no", "yes", "no"])
    assert codes(table) == [("labels_alike", None), ("categories_alike", "a")]
    assert "'Yes' and 'yes'" in table.warnings[0].message
    composed = train({"a": ["caf\u00e9", "cafe\u0301", "x", "y"]}, ["no", "yes"] * 2)
    assert codes(composed) == [("categories_alike", "a")]


@pytest.mark.parametrize("form", ["list", "frame", "csv"])
def test_whole_numbers_that_a_float_does_not_hold_are_named(form: str, tmp_path: Path) -> None:
    cells = [1, 2**53 + 1, 2**53, 2**60 + 3]
    X: Any = {"a": cells} if form == "list" else pl.DataFrame({"a": cells})
    if form == "csv":
        X = csv(tmp_path, {"a": list(map(str, cells))})
    table = train(X, target="y") if form == "csv" else train(X, ["no", "yes"] * 2)
    (warning,) = [found for found in table.warnings if found.code == "integers_rounded"]
    assert (warning.column, warning.count) == ("a", 2)
    assert "2 whole numbers beyond 2**53 (the first in row 1)" in warning.message


def test_integers_that_became_floats_are_no_categories_once_they_may_merge() -> None:
    """JSON hands on 2**64 and its neighbours as one and the same float."""
    for cell in (float(2**64), 2.0**53 + 2):
        with pytest.raises(InvalidTable, match="column 'a', row 0: must be text, since integers beyond 2"):
            read_training(
                {"a": [cell, 1.0]},
                ["no", "yes"],
                target=None,
                feature_types={"a": "categorical"},
                feature_names=None,
                options=ReadingOptions(("",)),
            )
    with pytest.raises(InvalidTable, match="y, row 0: must be an integer of 64 bits"):
        train({"a": [1, 2]}, [float(2**64), 1.0])
