"""Large tables of JSON on their quick way: the answers, errors and warnings are those of the long way, to the byte."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import orjson
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from modelyard.errors import ModelyardError
from modelyard.ml_core.desk import Desk
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.express import cut_out, short_way
from modelyard.schemas import TrainRequest
from modelyard.tables import FEW_ROWS, JsonTable
from modelyard.tables.reading import json_text
from tests import doors

TRAINED: list[dict[str, Any]] = [
    {"age": age / 2, "job": ("clerk", "smith", "né\u2028", None)[age % 4], "grade": age % 3, "member": age % 2 == 0}
    for age in range(40)
]
PLAIN = b'{"age":39,"job":"clerk","grade":1,"member":true}'


@pytest.fixture(scope="module", autouse=True)
def _small_pieces() -> Iterator[None]:
    """Cut texts often: the tables here are smaller than one real piece."""
    with patch.multiple(json_text, _PIECE_BYTES=700, _ROWS_AT_ONCE=5):
        yield


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    types = {"grade": "categorical"}
    with doors.core(tmp_path_factory.mktemp("records") / "yard") as core:
        for key in ("logistic_regression", "catboost_classifier"):
            core.train(
                TrainRequest(
                    model_class_key=key,
                    name=key[:3],
                    X=TRAINED,
                    y=[int(row["age"]) % 3 for row in TRAINED],
                    feature_types=types,
                    hyperparams={"iterations": 5} if key.startswith("cat") else {},
                )
            )
        yield core


def outcome(yard: Yard, body: bytes) -> Any:
    try:
        return asyncio.run(short_way.predict_large(Desk(yard), body)).content
    except ModelyardError as error:
        return type(error), error.detail, error.errors


def assert_same(yard: Yard, body: bytes) -> None:
    with patch.object(cut_out, "read", lambda _: None):
        expected = outcome(yard, body)
    assert outcome(yard, body) == expected


TOKENS = (
    b"1 -0 0.1e1 -1.5E+3 1e-400 1e400 9007199254740993 9223372036854775808 18446744073709551616 1.50 01 1. NaN null "
    rb'true false "" "?" " NA " "1" "1.0" "true" "clerk" "smith" "n\u00e9\u2028" "new" "\u0000missing" "\ud83d\ude00" '
    rb'"\ud800" "\n" [] {} [1] {"a":1} "]" "}" "\"X\":[{" 123456789012345678901234567890'
).split(b" ")
RAW = st.one_of(
    st.sampled_from(TOKENS), st.integers().map(lambda n: b"%d" % n), st.sampled_from([b'"\xff"', b'"\t"', b"0.1 "])
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False).map(lambda number: repr(number).encode())
TAME = st.fixed_dictionaries(
    {
        "age": st.sampled_from(rb'1 2.25 null "?" -0 1e2'.split()) | NUMBERS,
        "job": st.sampled_from([*rb'"clerk" "new" null "\u0000missing" 1.50'.split(), b'"n\xc3\xa9\xe2\x80\xa8"']),
        "grade": st.sampled_from(rb'0 1.0 2 "1" null 7 true 9007199254740993'.split()),
        "member": st.sampled_from(rb'true false "TRUE" null 1'.split()),
    }
)
WILD = st.lists(st.tuples(st.sampled_from(["age", "job", "grade", "member", "more", "\\u0061ge"]), RAW), max_size=6)
RECORDS = st.one_of(TAME.map(lambda row: list(row.items())), TAME.flatmap(lambda row: st.permutations([*row.items()])))


def written(record: list[tuple[str, bytes]]) -> bytes:
    return b"{%b}" % b", ".join(b'"%b" :%b' % (name.encode(), token) for name, token in record)


HEADS = (
    b'"model_id":"%b",',
    b"",
    b'"probabilities":true, "model_id" : "%b" ,',
    b'"other":{"X":[{}]},"model_id":"%b",',
)
TAILS = (
    b"",
    b',"probabilities":true',
    b',"model_id":"%b"',
    b',"X":[]',
    b',"feature_names":["age","job","grade"]',
    b"}",
)


@given(
    tame=st.lists(RECORDS, min_size=1, max_size=6),
    wild=st.lists(WILD, max_size=1) | st.just([]),
    around=st.tuples(st.sampled_from(HEADS), st.sampled_from(TAILS)),
    model=st.sampled_from([b"log", b"cat", b"log", b"cat", b"none"]),
    rows=st.sampled_from([FEW_ROWS, 2 * FEW_ROWS]),
)
def test_records_are_answered_as_by_the_long_way(
    yard: Yard, *, tame: list[Any], wild: list[Any], around: tuple[bytes, bytes], model: bytes, rows: int
) -> None:
    head, tail = (fields.replace(b"%b", model) for fields in around)
    records = [*map(written, tame), *map(written, wild)]
    table = b"[ %b]" % b",".join([*[PLAIN] * (rows - len(records)), *records])
    body = b'{%b "X":%b%b}' % (head, table, tail)
    event(f"cut out: {cut_out.read(body) is not None}")
    assert_same(yard, body)


@given(
    tame=st.lists(TAME.map(lambda row: list(row.values())), min_size=1, max_size=6),
    wild=st.lists(st.lists(RAW, max_size=6) | st.lists(RAW, min_size=4, max_size=4), max_size=1),
    tail=st.sampled_from(TAILS),
    model=st.sampled_from([b"log", b"cat"]),
)
def test_rows_are_answered_as_by_the_long_way(
    yard: Yard, *, tame: list[Any], wild: list[Any], tail: bytes, model: bytes
) -> None:
    rows = [b"[%b ]" % b" , ".join(cells) for cells in (*tame, *wild)]
    plain = b'[39,"clerk",1,true]'
    body = b'{"X" : [%b]%b}' % (b",".join([*[plain] * 2 * FEW_ROWS, *rows]), tail.replace(b"%b", model))
    event(f"cut out: {cut_out.read(body) is not None}")
    assert_same(yard, body.replace(b"{", b'{"model_id":"%b",' % model, 1))


def test_texts_that_training_did_not_know_are_read_as_before_and_after(yard: Yard) -> None:
    known, new = [PLAIN] * 400, PLAIN.replace(b"clerk", b"pilot")
    for records in ([*known, new], known, [new, *known], [PLAIN.replace(b"39", b'"?"'), *known], known):
        assert_same(yard, b'{"model_id":"log","X":[%b],"probabilities":true}' % b",".join(records))


@pytest.mark.parametrize("row", [PLAIN, b'[39,"clerk",1,true]'])
@pytest.mark.parametrize("text", ["},{", '"},{"age":1},{', "],[", "] , [", '\\\\"},{'])
def test_a_text_that_looks_like_the_end_of_a_row_is_none(yard: Yard, row: bytes, text: str) -> None:
    odd = row.replace(b'"clerk"', orjson.dumps(text * 50))
    for pieces in (b",", b"\n ,\t"):
        assert_same(yard, b'{"model_id":"log","X":[%b],"probabilities":true}' % pieces.join([row, odd] * 100))


def test_columns_whose_names_json_escapes_go_the_long_way(yard: Yard) -> None:
    rows = [{'size "L"': row, "a\\b": "xy"[row % 2], "c\td": row % 7} for row in range(200)]
    roles = {"c\td": "id"}
    for name, asked in (("odd", {}), ("odd-id", {"column_roles": roles})):
        yard.train(
            TrainRequest.model_validate(
                {"model_class_key": "logistic_regression", "name": name, "X": rows, "y": [0, 1] * 100, **asked}
            )
        )
        body = orjson.dumps({"model_id": name, "X": rows, "probabilities": True})
        assert len(orjson.loads(outcome(yard, body))["predictions"]) == 200
        assert_same(yard, body)


def test_a_text_is_cut_between_rows_alone() -> None:
    text = b"[%b]" % b" , ".join([PLAIN] * 1000)
    pieces = [*json_text._pieces(text)]
    assert len(pieces) > 10
    assert max(map(len, pieces)) < 900
    assert [row for piece in pieces for row in orjson.loads(piece)] == orjson.loads(text)


@given(at=st.integers(0, 10**6), change=st.binary(max_size=3) | st.sampled_from([b'"', b"]", b"}", b'"X":', b"null"]))
def test_a_body_broken_anywhere_is_refused_as_by_the_long_way(yard: Yard, at: int, change: bytes) -> None:
    body = b'{"model_id":"log","X":[%b],"probabilities":true}' % b",".join([PLAIN] * 100)
    at %= 60 if at % 3 else len(body)
    assert_same(yard, body[:at] + change + body[at + len(change) :])
    assert_same(yard, body[: len(body) - at] + change + body[len(body) - at :])


@pytest.mark.parametrize("row", [PLAIN, b'[39,"clerk",1,true]'])
def test_large_tables_of_plain_cells_do_go_the_quick_way(yard: Yard, row: bytes) -> None:
    body = b'{"X":[%b],"model_id":"log"}' % b",".join([row] * 400)
    asked = cut_out.read(body)
    assert asked is not None
    assert isinstance(asked.X, JsonTable)
    assert body.count(asked.X.text) == 1
    read = yard.loaded.get("log").reader._json_text.read(asked.X)
    assert {name: column.dtype.is_numeric() for name, column in read.items() if not isinstance(column, list)} == {
        "age": True,
        "job": False,
    }
