"""Tensors: what is packed is unpacked, by the quick way and by the slow one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import InvalidTable
from modelyard.open_inference import DATATYPES, Tensor, packed
from modelyard.open_inference.tensors import many_texts

ODD = ["", "\0", "a\0\0\0\0b", "ü" * 150]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(ODD)
PLAIN = st.sampled_from(["", "a", "clerk", "ümlaut", "\x01", "x" * 120])


def unpacked(texts: list[str], data: bytes | None = None) -> list[str]:
    cells = Tensor("t", "BYTES", [len(texts)], packed("BYTES", texts) if data is None else data).cells()
    return cells.to_list() if isinstance(cells, pl.Series) else list(cells)


def told(read: Callable[[], list[Any]]) -> list[Any] | str:
    try:
        return read()
    except InvalidTable as error:
        return error.detail


@given(st.lists(TEXTS, max_size=200) | st.lists(PLAIN, min_size=65, max_size=200))
def test_texts_come_back_as_they_were(texts: list[str]) -> None:
    assert unpacked(texts) == texts


@given(st.lists(PLAIN, min_size=65, max_size=200))
def test_usual_texts_take_the_quick_way(texts: list[str]) -> None:
    found = many_texts(packed("BYTES", texts), len(texts))
    assert found is not None
    assert found.to_list() == texts


@given(st.lists(PLAIN, min_size=65, max_size=100), st.data())
def test_bytes_that_were_tampered_with_are_read_in_one_way_or_refused(texts: list[str], data: st.DataObject) -> None:
    content = bytearray(packed("BYTES", texts))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.sampled_from([0, 1, 5, 255]))
    tampered = bytes(content)
    tensor = Tensor("t", "BYTES", [len(texts)], tampered)

    def one_by_one() -> list[Any]:
        return tensor._texts(tensor._elements(memoryview(tampered), len(texts)))

    assert told(lambda: unpacked(texts, tampered)) == told(one_by_one)


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_text_that_is_cut_off_is_refused(cut: int) -> None:
    for texts in (["clerk"] * 3, ["clerk"] * 100, [""] * 100):
        data = packed("BYTES", texts)
        with pytest.raises(InvalidTable, match="tensor 't' has"):
            unpacked(texts, data[:-cut])


@pytest.mark.parametrize("datatype", [name for name in DATATYPES if name != "BYTES"])
def test_numbers_and_booleans_are_read_from_bytes_without_a_copy(datatype: str) -> None:
    dtype = DATATYPES[datatype].dtype
    given_cells = np.array([0, 1, 1, 0], dtype=dtype)
    data = packed(datatype, given_cells.tolist())
    assert data == given_cells.tobytes()
    cells = Tensor("t", datatype, [2, 2], data).cells()
    assert isinstance(cells, np.ndarray)
    assert cells.base is not None
    assert np.array_equal(cells, given_cells)


@pytest.mark.parametrize("datatype", [name for name in DATATYPES if "INT" in name])
def test_integers_are_bounded_by_their_datatype(datatype: str) -> None:
    bounds = DATATYPES[datatype].bounds()
    assert bounds is not None
    least, most = bounds
    assert Tensor("t", datatype, [3], [least, None, most]).cells() == [least, None, most]
    for beyond in (least - 1, most + 1):
        with pytest.raises(InvalidTable, match=f"row 1: a cell of {datatype} must be an integer of .*, got {beyond}"):
            Tensor("t", datatype, [2], [0, beyond]).cells()
