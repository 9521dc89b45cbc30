"""Labels of a table by which a model is judged: read as the labels that it was trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from modelyard.errors import InvalidTable
from modelyard.tables.labels import read_known_labels


def read(column: Any, classes: tuple[bool | int | str, ...], *, text_cells: bool = False) -> list[int]:
    codes: list[int] = read_known_labels(column, "y", classes, ("", "NA"), text_cells=text_cells).tolist()
    return codes


@pytest.mark.parametrize(
    ("column", "classes", "codes"),
    [
        (["no", " yes ", "perhaps"], ("no", "yes"), [0, 1, 2]),
        ([1, 1.0, np.int8(0), 7], (0, 1), [1, 1, 0, 2]),
        ([True, False], (False, True), [1, 0]),
        (pl.Series(["yes", "yes"]), ("no", "yes"), [1, 1]),
        (pl.Series([3, 4], dtype=pl.Int8), (3, 5), [0, 2]),
        (pl.Series([1.0, 0.0]), (0, 1), [1, 0]),
        (pl.Series([True]), (False, True), [1]),
    ],
)
def test_labels_are_codes_of_the_models_classes(column: Any, classes: tuple[Any, ...], codes: list[int]) -> None:
    assert read(column, classes) == codes


@pytest.mark.parametrize(
    ("texts", "classes", "codes"),
    [
        (["1", "1.0", " 0", "7"], (0, 1), [1, 1, 0, 2]),
        (["1", "01", "x"], ("01", "1"), [1, 0, 2]),  # text, because the classes are
        (["true", "False", "TRUE"], (False, True), [1, 0, 1]),
        (["true"], ("false", "true"), [1]),
    ],
)
def test_texts_of_a_csv_are_read_as_the_classes_are(
    texts: list[str], classes: tuple[Any, ...], codes: list[int]
) -> None:
    assert read(pl.Series(texts), classes, text_cells=True) == codes


@pytest.mark.parametrize(
    ("column", "classes", "text_cells", "words"),
    [
        (["no", None], ("no", "yes"), False, "y, row 1: must not be missing, got null"),
        (["no", "NA"], ("no", "yes"), False, "y, row 1: must not be missing, got 'NA'"),
        (["no", 1], ("no", "yes"), False, "y, row 1: must be text like the model's labels, got 1"),
        ([True, 1], (0, 1), False, "y, row 0: must be an integer like the model's labels, got true"),
        ([1, True], (0, 1), False, "y, row 1: must be an integer like the model's labels, got true"),
        (["1"], (0, 1), False, "y, row 0: must be an integer like the model's labels, got '1'"),
        ([0.5], (0, 1), False, "y, row 0: must be a whole number"),
        ([[1]], (0, 1), False, "y, row 0: must be an integer, text or a boolean"),
        (pl.Series(["1", "x"]), (0, 1), True, "y, row 1: must be a number, got 'x'"),
        (pl.Series(["true", "x"]), (False, True), True, "y, row 1: must be true or false, got 'x'"),
    ],
)
def test_what_cannot_be_such_a_label_is_named(
    column: Any, classes: tuple[Any, ...], text_cells: bool, words: str
) -> None:
    with pytest.raises(InvalidTable) as refused:
        read(column, classes, text_cells=text_cells)
    assert words in str(refused.value)
