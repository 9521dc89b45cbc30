"""Series: what was appended is read in order of time, by whoever wrote it; what is damaged is named, never guessed."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import msgspec
import orjson
import pytest

from modelyard.errors import DataLoss, Unavailable
from modelyard.storage.series import stream_file, writer
from modelyard.storage.series.folder import SeriesFolder
from tests.processes import held_by
from tests.storage.series.hourly import START, Clock, numbers
from tests.storage_drafts import finish, start_process

APPEND = """
import sys
from pathlib import Path
from modelyard.storage.series.folder import SeriesFolder
series = SeriesFolder(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    print(series.append("busy", [{"by": sys.argv[3], "n": number}]).isoformat(), flush=True)
"""

DIE_IN_AN_APPEND = """
import os, signal, sys
from pathlib import Path
from modelyard.storage import line_file
from modelyard.storage.series.folder import SeriesFolder
series = SeriesFolder(Path(sys.argv[1]))
series.append("busy", [{"n": 1}])
def write_some(file, content, offset):
    os.pwrite(file, content[:int(sys.argv[2])], offset)
    os.kill(os.getpid(), signal.SIGKILL)
line_file.write_all = write_some
series.append("busy", [{"n": 2}])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "series"


@pytest.fixture
def series(path: Path) -> SeriesFolder:
    return SeriesFolder(path, Clock())


def only_file(path: Path) -> Path:
    (file,) = path.glob("*/*.jsonl")
    return file


def test_streams_are_read_by_time_over_days_and_writers(path: Path) -> None:
    clock = Clock()
    writers = [SeriesFolder(path, clock) for _ in range(3)]
    moments = [writers[n % 3].append("outcomes", [{"n": n}]) for n in range(60)]
    assert len(list(path.glob("outcomes/2026-03-02-*"))) == 3
    for reader in (writers[0], SeriesFolder(path)):
        assert numbers(reader) == list(range(60))
        assert numbers(reader, since=moments[7]) == list(range(7, 60))
        assert numbers(reader, until=moments[50]) == list(range(50))
        assert numbers(reader, since=moments[20], until=moments[21]) == [20]
        elsewhere = moments[20].astimezone(datetime.fromisoformat("2026-01-01T00:00+11:00").tzinfo)
        assert numbers(reader, since=elsewhere, until=moments[21]) == [20]
    days = {file.name[:10] for file in path.glob("outcomes/*")}
    assert days == {entry.at.date().isoformat() for entry in writers[0].scan("outcomes")}


def test_days_that_are_not_asked_for_are_not_read(series: SeriesFolder, path: Path) -> None:
    moments = [series.append("outcomes", [{"n": n}]) for n in range(30)]
    (first,) = path.glob("outcomes/2026-03-01-*")
    first.write_bytes(b"damaged\n")
    assert numbers(series, since=moments[3]) == list(range(3, 30))
    with pytest.raises(DataLoss):
        numbers(series)


def test_whole_days_are_dropped_and_never_a_later_entry(series: SeriesFolder, path: Path) -> None:
    moments = [series.append("outcomes", [{"n": n}]) for n in range(60)]
    midnight = datetime(2026, 3, 3, tzinfo=UTC)
    kept = [n for n, at in enumerate(moments) if at >= midnight]
    for before in (midnight, midnight + timedelta(hours=23)):
        series.drop("outcomes", before)
        assert numbers(series) == kept
    series.drop("others", midnight)
    series.drop("outcomes", datetime.max.replace(tzinfo=UTC))
    assert numbers(series) == []
    assert not list(path.glob("*/*"))
    series.append("outcomes", [{"n": 61}])  # its writer's file is gone
    assert numbers(series) == [61]


def test_a_large_file_is_not_gone_on_with(series: SeriesFolder, path: Path) -> None:
    with mock.patch.object(writer, "MAX_FILE_BYTES", 300):
        for n in range(6):
            series.append("outcomes", [{"n": n, "text": "x" * 100}])
    assert len(list(path.glob("outcomes/*"))) == 4  # two of them on each of two days
    assert numbers(series) == list(range(6))


def test_a_file_larger_than_what_is_read_at_once(path: Path) -> None:
    series = SeriesFolder(path)
    with mock.patch.object(stream_file, "_PORTION_BYTES", 1000):
        for n in range(40):
            series.append("outcomes", [{"n": n, "text": "x" * (5000 if n == 20 else 50)}])
        assert numbers(series) == list(range(40))


def test_processes_append_at_once_and_everyone_reads_all_of_it(path: Path) -> None:
    processes = [start_process(APPEND, path, 10, name) for name in "ab"]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    series = SeriesFolder(path)
    for n in range(20):
        series.append("busy", [{"by": "me", "n": n}])
        assert [entry.fields["n"] for entry in series.scan("busy") if entry.fields["by"] == "me"][-1] == n
    answered = {name: finish(process).split() for name, process in zip("ab", processes, strict=True)}
    entries = list(series.scan("busy"))
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    for name, moments in answered.items():
        mine = [entry for entry in entries if entry.fields["by"] == name]
        assert [entry.fields["n"] for entry in mine] == list(range(10))
        assert [entry.at.isoformat() for entry in mine] == moments


@pytest.mark.parametrize("size", [1, 30, 10_000])
def test_a_process_killed_in_an_append_leaves_what_it_was_answered(path: Path, size: int) -> None:
    process = start_process(DIE_IN_AN_APPEND, path, size)
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    series = SeriesFolder(path)
    whole = [1, 2] if size == 10_000 else [1]  # its line was there, and nobody is left to take it back
    assert numbers(series, "busy") == whole
    series.append("busy", [{"n": 3}])
    assert numbers(series, "busy") == [*whole, 3]


def test_a_line_in_the_making_is_not_seen(series: SeriesFolder, path: Path) -> None:
    series.append("outcomes", [{"n": 1}])
    series.append("outcomes", [{"n": 2}])
    file = only_file(path)
    file.write_bytes(file.read_bytes()[:-1])
    with file.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert numbers(series) == [1]
    assert numbers(series) == [1, 2]


@pytest.mark.parametrize("left", [0, 200])
def test_a_full_disk_is_unavailable_and_leaves_the_stream_as_it_was(path: Path, left: int) -> None:
    series = SeriesFolder(path)
    series.append("outcomes", [{"n": 1}])
    before = only_file(path).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + left, hard))
        for _ in range(2):
            with pytest.raises(Unavailable, match=r"cannot write .*: File too large"):
                series.append("outcomes", [{"n": 2, "text": "x" * 5000}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert only_file(path).read_bytes() == before
    assert numbers(series) == [1]
    series.append("outcomes", [{"n": 3}])
    assert numbers(series) == [1, 3]


def test_a_newline_that_is_refused_loses_no_entry(series: SeriesFolder, path: Path) -> None:
    series.append("outcomes", [{"n": 1}])
    write = os.pwrite

    def refuse_newlines(file: int, content: bytes, offset: int) -> int:
        if bytes(content) == b"\n":
            raise OSError(28, "No space left on device")
        return write(file, content, offset)

    with mock.patch("os.pwrite", refuse_newlines):
        series.append("outcomes", [{"n": 2}])
    assert numbers(series) == [1, 2]
    series.append("outcomes", [{"n": 3}])
    assert numbers(series) == [1, 2, 3]
    assert len(list(path.glob("*/*"))) == 2


def test_a_folder_that_has_vanished_is_not_made_anew(tmp_path: Path) -> None:
    series = SeriesFolder(tmp_path / "yard" / "series")
    with pytest.raises(Unavailable, match="cannot write"):
        series.append("outcomes", [{"n": 1}])
    assert not (tmp_path / "yard").exists()


def test_a_file_that_was_moved_away_is_not_written_to(series: SeriesFolder, path: Path, tmp_path: Path) -> None:
    series.append("outcomes", [{"n": 1}])
    file = only_file(path)
    file.rename(tmp_path / "aside")
    series.append("outcomes", [{"n": 2}])
    assert numbers(series) == [2]
    assert orjson.loads((tmp_path / "aside").read_bytes())["entries"] == [{"n": 1}]


def test_every_byte_that_flips_is_named_or_harmless(series: SeriesFolder, path: Path) -> None:
    for n in range(3):
        series.append("outcomes", [{"n": n}])
    file = only_file(path)
    content = file.read_bytes()
    ends = [at for at, byte in enumerate(content) if byte == ord("\n")]
    for at in range(len(content)):
        file.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        line = sum(end < at for end in ends)
        with pytest.raises(DataLoss, match=f"{file} line {line + 1}"):
            numbers(series)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda lines: [lines[0], lines[2]], "line 2 is line 3: others are missing or doubled"),
        (lambda lines: [lines[0], lines[0], lines[1]], "line 2 is line 1: others are missing"),
        (lambda lines: [lines[0], b"\n", lines[1]], "line 2 is damaged"),
    ],
    ids=["missing", "doubled", "blank"],
)
def test_lines_out_of_order_are_named(
    series: SeriesFolder, path: Path, spoil: Callable[[list[bytes]], list[bytes]], problem: str
) -> None:
    for n in range(3):
        series.append("outcomes", [{"n": n}])
    file = only_file(path)
    file.write_bytes(b"".join(spoil(file.read_bytes().splitlines(keepends=True))))
    with pytest.raises(DataLoss, match=problem):
        numbers(series)


def test_a_file_under_another_name_is_not_accepted(series: SeriesFolder, path: Path) -> None:
    series.append("outcomes", [{"n": 1}])
    series.append("others", [{"n": 2}])
    (file,) = path.glob("outcomes/*")
    (other,) = path.glob("others/*")
    for name in (file.with_name(f"2026-03-01-{'0' * 16}.jsonl"), other.parent / file.name):
        name.write_bytes(file.read_bytes())
        with pytest.raises(DataLoss, match="line 1 is damaged"):
            numbers(series, name.parent.name)
        name.unlink()


def test_what_is_no_file_of_a_stream_is_left_alone(series: SeriesFolder, path: Path) -> None:
    series.append("outcomes", [{"n": 1}])
    strange = [path / "outcomes" / name for name in ("notes.txt", ".2026-03-01", "2026-13-01-0123456789abcdef.jsonl")]
    for file in strange:
        file.write_text("mine")
    (path / "README").write_text("mine")
    assert numbers(series) == [1]
    series.drop("outcomes", datetime.max.replace(tzinfo=UTC))
    assert all(file.exists() for file in strange)


def test_an_abandoned_scan_holds_no_file_open(series: SeriesFolder, path: Path) -> None:
    for n in range(30):
        series.append("outcomes", [{"n": n}])
    scans = [series.scan("outcomes") for _ in range(5)]
    assert [next(scan).fields["n"] for scan in scans] == [0] * 5
    assert not [name for name in held_by(os.getpid()) if name.startswith(str(path))]


def test_what_cannot_be_read_is_unavailable(series: SeriesFolder, path: Path) -> None:
    series.append("outcomes", [{"n": 1}])
    refused = mock.patch.object(Path, "open", side_effect=PermissionError(13, "Permission denied"))
    with refused, pytest.raises(Unavailable, match=r"cannot read .*: Permission denied"):
        numbers(series)
    assert numbers(series) == [1]


class Numbered(msgspec.Struct):
    """An entry with a number."""

    n: int


def test_entries_are_read_in_bulk_as_they_were_appended(path: Path) -> None:
    clock = Clock()
    writers = [SeriesFolder(path, clock) for _ in range(2)]
    moments = [writers[n % 2].append("outcomes", [{"n": n}], loose=n % 3 == 0) for n in range(30)]
    found = sorted(writers[0].read("outcomes", Numbered), key=lambda pair: pair[1].n)
    assert found == [(at, Numbered(n)) for n, at in enumerate(moments)]
    since = [n for n, at in enumerate(moments) if at.date() >= moments[9].date()]
    assert sorted(entry.n for _, entry in writers[0].read("outcomes", Numbered, moments[9])) == since
    assert numbers(writers[1]) == list(range(30))
    assert writers[1].streams() == ["outcomes"]
    writers[1].remove("outcomes")
    assert numbers(writers[1]) == []
    assert writers[1].streams() == []


def test_entries_of_another_kind_are_damage(series: SeriesFolder) -> None:
    series.append("outcomes", [{"n": "one"}])
    with pytest.raises(DataLoss, match=r"line 1: not a line of a stream: Expected `int`, got `str`"):
        list(series.read("outcomes", Numbered))


@pytest.mark.parametrize("hole", [b"\0" * 8, b"lost\nxxx", b""], ids=["zeros", "a newline in it", "cut"])
def test_a_hole_in_what_was_not_waited_for_costs_the_lines_in_it_alone(path: Path, hole: bytes) -> None:
    series = SeriesFolder(path, lambda: START)
    for n in range(5):
        series.append("answers", [{"n": n}], loose=True)
    content = only_file(path).read_bytes()
    at = content.index(b"\n") + 9
    only_file(path).write_bytes(content[:at] + hole + content[at + 8 :])
    assert numbers(series, "answers") == [0, 2, 3, 4]
    ((_, problem, is_damage),) = series.problems()
    assert "lines are lost" in problem
    assert not is_damage
    series.append("answers", [{"n": 5}], loose=True)
    assert sorted(numbers(series, "answers")) == [0, 2, 3, 4, 5]


def test_what_is_not_waited_for_is_written_whole_and_a_torn_line_is_ignored(path: Path) -> None:
    series = SeriesFolder(path, lambda: START)
    path.joinpath("answers").mkdir(parents=True)
    with mock.patch("os.fsync", side_effect=AssertionError("it waited")):
        series.append("answers", [{"n": 0}], loose=True)
        series.append("answers", [{"n": 1}], loose=True)
    content = only_file(path).read_bytes()
    only_file(path).write_bytes(content + content[:20])
    assert numbers(series, "answers") == [0, 1]
    series.append("answers", [{"n": 2}], loose=True)
    assert len(list(path.glob("answers/*.loose.jsonl"))) == 2
    assert sorted(numbers(series, "answers")) == [0, 1, 2]


def test_a_full_disk_takes_back_what_was_not_waited_for(path: Path) -> None:
    series = SeriesFolder(path, lambda: START)
    path.mkdir()
    series.append("answers", [{"n": 0}], loose=True)

    def write_some(file: int, content: bytes, offset: int) -> None:
        os.pwrite(file, content[:10], offset)
        raise OSError(28, "No space left on device")

    with mock.patch("modelyard.storage.line_file.write_all", write_some), pytest.raises(Unavailable, match="No space"):
        series.append("answers", [{"n": 1}], loose=True)
    series.append("answers", [{"n": 2}], loose=True)
    assert numbers(series, "answers") == [0, 2]
