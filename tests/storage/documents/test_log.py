"""The file `db.jsonl`: what counts as committed, what as torn, and what as damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from modelyard.errors import DataLoss, FailedPrecondition, InvalidRequest, Unavailable
from modelyard.storage.documents.database import Database
from modelyard.storage.documents.log_format import HEADER_BYTES, Header, encode_entry, encode_header
from tests.storage_drafts import ids

Documents = dict[str, dict[str, Any]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db.jsonl"


def fill(path: Path, count: int = 3) -> bytes:
    database = Database(path)
    for number in range(1, count + 1):
        with database.transaction() as transaction:
            transaction.put("models", str(number), {"n": number, "text": "line\nbreak"})
    database.close()
    return path.read_bytes()


def put(database: Database, key: str) -> None:
    with database.transaction() as transaction:
        transaction.put("models", key, {})


def read(path: Path) -> Documents:
    database = Database(path)
    found = {key: database.get("models", key) or {} for key in ids(database, "models")}
    database.close()
    return found


def test_a_file_is_lines_of_json_with_a_header(path: Path) -> None:
    header, *lines = map(orjson.loads, fill(path).splitlines())
    assert header["format"] == 2
    assert len(header["generation"]) == 32
    assert [line["seq"] for line in lines] == [1, 2, 3]
    assert lines[0]["put"] == [["models", "1", {"n": 1, "text": "line\nbreak"}]]


def test_every_flipped_byte_is_data_loss_naming_file_and_line(path: Path) -> None:
    content = fill(path, 2)
    line_of = [content[:position].count(b"\n") + 1 for position in range(len(content))]
    for position, byte in enumerate(content):
        for flipped in {byte ^ (1 << position % 8), 0x0A} - {byte}:
            path.write_bytes(content[:position] + bytes([flipped]) + content[position + 1 :])
            with pytest.raises(DataLoss) as caught:
                read(path)
            assert f"{path} line {line_of[position]}" in str(caught.value)


def test_a_file_cut_anywhere_holds_a_beginning_of_its_transactions_or_is_refused(path: Path) -> None:
    content = fill(path, 2)
    first_end = content.index(b"\n", HEADER_BYTES)
    for size in (0, 1, *range(HEADER_BYTES - 2, len(content))):
        path.write_bytes(content[:size])
        if size < HEADER_BYTES:
            with pytest.raises(DataLoss, match="header is missing or cut short"):
                read(path)
        else:
            whole = (size >= first_end) + (size >= len(content) - 1)
            assert list(read(path)) == ["1", "2"][:whole]


def test_a_line_without_its_newline_is_committed_and_finished_by_the_next_write(path: Path) -> None:
    content = fill(path)
    path.write_bytes(content[:-1])
    database = Database(path)
    assert ids(database, "models") == ["1", "2", "3"]
    with database.transaction() as transaction:
        transaction.put("models", "4", {})
    assert path.read_bytes().startswith(content)
    assert list(read(path)) == ["1", "2", "3", "4"]


def test_a_torn_line_is_dropped_at_the_next_write(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = fill(path)
    path.write_bytes(content + b'{"seq":4,"put":[["models","4",' + b"x" * 470)
    database = Database(path)
    assert ids(database, "models") == ["1", "2", "3"]
    with database.transaction() as transaction:
        transaction.put("models", "5", {})
    assert "dropping 500 bytes" in caplog.text
    assert b"xxx" not in path.read_bytes()
    assert list(read(path)) == ["1", "2", "3", "5"]


def test_a_line_that_is_left_out_repeated_or_out_of_order_is_data_loss(path: Path) -> None:
    header, *lines = fill(path).splitlines(keepends=True)
    for wrong in (lines[1:], [lines[0], lines[2]], [lines[0], lines[0], lines[1]], lines[::-1]):
        path.write_bytes(header + b"".join(wrong))
        with pytest.raises(DataLoss, match=r"line [23] is transaction . where . is due"):
            read(path)


def test_a_line_of_another_file_is_data_loss(path: Path, tmp_path: Path) -> None:
    other = fill(tmp_path / "other" / "db.jsonl").splitlines(keepends=True)
    mine = fill(path).splitlines(keepends=True)
    path.write_bytes(b"".join([*mine[:3], other[3]]))
    with pytest.raises(DataLoss, match="line 4 is damaged"):
        read(path)


def test_what_is_damaged_is_not_written_to(path: Path) -> None:
    content = fill(path)
    database = Database(path)
    damaged = content.replace(b'"n":3', b'"n":4')
    path.write_bytes(damaged + b"\n")
    with pytest.raises(DataLoss, match="line 4"), database.transaction() as transaction:
        transaction.put("models", "4", {})
    assert path.read_bytes() == damaged + b"\n"


def test_a_file_that_lost_transactions_seen_before_is_refused(path: Path) -> None:
    content = fill(path)
    database = Database(path)
    lines = content.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    for _ in range(2):
        with pytest.raises(DataLoss, match="ends with transaction 2, but had 3 before"):
            ids(database, "models")
    path.write_bytes(content)
    assert ids(database, "models") == ["1", "2", "3"]


def test_an_empty_file_is_not_taken_for_a_new_one(path: Path) -> None:
    path.touch()
    with pytest.raises(DataLoss, match="line 1: the header is missing"):
        Database(path)


def test_a_newer_format_is_refused(path: Path) -> None:
    path.write_bytes(encode_header(Header("0" * 32, format=3)))
    with pytest.raises(FailedPrecondition, match="has format 3; this release reads formats 1 to 2: use a newer one"):
        Database(path)


def written_in_format_1(path: Path) -> bytes:
    header = Header("0" * 32, format=1)
    first = encode_entry(1, [("models", "1", b'{"n":1}')], [], header.generation)
    content = encode_header(header) + first + b"\n"
    path.write_bytes(content)
    return content


def test_a_file_of_format_1_is_read_as_it_is(path: Path) -> None:
    content = written_in_format_1(path)
    assert Database(path).get("models", "1") == {"n": 1}
    assert path.read_bytes() == content


def test_a_file_of_format_1_becomes_format_2_before_anything_is_added(path: Path) -> None:
    written_in_format_1(path)
    database, follower = Database(path), Database(path)
    assert ids(follower, "models") == ["1"]
    put(database, "2")
    header, *lines = path.read_bytes().splitlines()
    assert orjson.loads(header)["format"] == 2
    assert [orjson.loads(line)["seq"] for line in lines] == [2, 3]
    for one in (database, follower, Database(path)):
        assert ids(one, "models") == ["1", "2"]


@pytest.mark.parametrize("torn", [b'{"seq":2,"put":[', b""])
def test_a_file_of_format_1_loses_nothing_but_a_torn_end(path: Path, torn: bytes) -> None:
    path.write_bytes(written_in_format_1(path) + torn)
    put(Database(path), "2")
    assert ids(Database(path), "models") == ["1", "2"]


def test_a_file_of_format_1_stays_if_it_cannot_be_written_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = written_in_format_1(path)
    database = Database(path)

    def refuse(file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("os.fsync", refuse)
        with pytest.raises(Unavailable, match="No space left"):
            put(database, "2")
    assert path.read_bytes() == content
    put(database, "2")
    assert ids(database, "models") == ["1", "2"]


def test_a_line_that_is_no_transaction_is_data_loss_though_its_checksum_holds(path: Path) -> None:
    fill(path, 1)
    generation = orjson.loads(path.read_bytes().splitlines()[0])["generation"]
    whole = encode_entry(2, [("models", "2", b"{}")], [], generation)
    path.write_bytes(path.read_bytes() + whole[:10] + b"\n")
    with pytest.raises(DataLoss, match="line 3 is damaged"):
        read(path)


def test_a_file_is_made_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(Exception, match="Input/output error"):
        Database(path)
    assert list(path.parent.glob("db.[!l]*")) == []
    monkeypatch.undo()
    assert ids(Database(path), "models") == []


def test_a_document_that_is_no_json_is_refused(path: Path) -> None:
    database = Database(path)
    with pytest.raises(InvalidRequest, match="cannot be written as JSON"), database.transaction() as transaction:
        transaction.put("models", "1", {"huge": 2**70})
    assert ids(database, "models") == []
