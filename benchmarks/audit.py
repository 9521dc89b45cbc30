"""The audit of 1,000,000 entries: a page of it, a server's memory with and without it, its verification, a commit."""

from __future__ import annotations

import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from benchmarks.servers import our_server
from modelyard.access.audit import START, Deed, chained, end_of
from modelyard.schemas import AuditQuery
from modelyard.storage import AuditCollection, open_folder
from modelyard.storage.collections.audit import encode_cursor
from modelyard.storage.folder import Folder
from modelyard.storage.protocols import LedgerEnd
from modelyard.storage.series.stream_file import encode_line

ENTRIES = 1_000_000
DAYS = 100
COMMITS = 200
RARE = "who does one thing in a thousand"

Row = tuple[str, str, str]


def run(entries: int = ENTRIES) -> str:
    """Measure an audit of so many entries, made for it and removed again; return the results as Markdown."""
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder:
        rows = list(_measure(Path(folder), entries))
    lines = [["", f"{entries:,} entries", "promised"], ["---", "---:", "---"], *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def fill(root: Path, entries: int) -> None:
    """Make a yard with so many entries over some months, a line each, without an fsync each."""
    open_folder(root).close()
    folder = root / "series" / "audit"
    folder.mkdir(parents=True)
    first = datetime.now(UTC) - timedelta(days=DAYS)
    link, a_day = START, entries // DAYS
    for day in range(DAYS):
        at = first + timedelta(days=day)
        path = folder / f"{at.date().isoformat()}-{link.number + 1:016x}.jsonl"
        with path.open("wb") as file:
            for n in range(1, a_day + 1):
                done = chained(link, [_deed(link.number)], at, link.number + 1, None)
                link = end_of(done)
                file.write(encode_line(path, n, at, done) + b"\n")
    yard = Folder(root)
    documents = yard.documents()
    with documents.transaction() as transaction:
        yard.audit(documents).go_on_from_last(transaction)
    documents.close()


def _deed(number: int) -> Deed:
    key = RARE if number % 1000 == 0 else f"key-{number % 7}"
    what = {"model": f"churn:{number}", "model_id": "01a219a7-a1d6-729a-a512-45450fee7b44"}
    return Deed("delete" if number % 2 else "restore", what, key, "192.168.1.17", "rest", f"{number:016x}")


def _measure(folder: Path, entries: int) -> Iterator[Row]:
    root = folder / "yard"
    fill(root, entries)
    without = folder / "without"
    fill(without, 50 * DAYS)
    storage = open_folder(root)
    audit = storage.audit
    cursor = _cursor_amid(audit, root)
    for what, query in (
        ("a page of 50, the newest", AuditQuery()),
        ("a page of 50, in the middle", AuditQuery(cursor=cursor)),
        ("a page of 1,000", AuditQuery(limit=1000)),
        ("a page of a rare key", AuditQuery(key=RARE)),
        ("a page of a key that is not there", AuditQuery(key="nobody")),
    ):
        yield what, _ms(_median(lambda query=query: audit.page(query), 30)), "50 ms"  # type: ignore[misc]
    began = time.perf_counter()
    assert not audit.verify().flaws
    yield "`audit verify`", f"{time.perf_counter() - began:.1f} s", ""
    with_audit, bare = _commits(root)
    yield "a commit with an entry", _ms(with_audit), ""
    yield "a commit without", _ms(bare), ""
    storage.close()
    kept, empty = _memory(folder, root), _memory(folder, without)
    yield "memory of a REST server, after pages", f"{kept:.1f} MiB", ""
    yield f"memory of one with {50 * DAYS:,} entries", f"{empty:.1f} MiB", "the same"


def _cursor_amid(audit: AuditCollection, root: Path) -> str | None:
    """Return a cursor into the middle: pages are read there as anywhere."""
    names = sorted(path.name for path in (root / "series" / "audit").iterdir())
    middle = names[len(names) // 2]
    size = (root / "series" / "audit" / middle).stat().st_size
    number = int(middle.removesuffix(".jsonl").rpartition("-")[2], 16) + ENTRIES
    cursor = encode_cursor(number, LedgerEnd(middle, 0, size))
    assert audit.page(AuditQuery(cursor=cursor)).entries
    return cursor


def _commits(root: Path) -> tuple[float, float]:
    """Return the seconds of a commit with an entry and of one without, measured in turn."""
    folder = Folder(root)
    documents = folder.documents()
    audit = folder.audit(documents)

    def commit(*, noted: bool) -> None:
        with documents.transaction() as transaction:
            transaction.put("bench", "one", {"at": time.time()})
            if noted:
                audit.note(transaction, "bench", {"model": "churn:1"})

    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(COMMITS):
        for noted, taken in times.items():
            began = time.perf_counter()
            commit(noted=noted)
            taken.append(time.perf_counter() - began)
    documents.close()
    return statistics.median(times[True]), statistics.median(times[False])


def _memory(folder: Path, root: Path) -> float:
    """Return the MiB of a REST server that has answered pages of the audit."""
    with our_server(root, log=folder / "server.log") as server:
        for query in ("", "?limit=1000", "?key=nobody") * 5:
            with urllib.request.urlopen(server.url(f"/audit{query}")) as answer:
                orjson.loads(answer.read())
        return server.own_memory_mib()


def _median(measured: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        measured()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


if __name__ == "__main__":
    print(run())
