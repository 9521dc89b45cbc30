"""The folder at 1,000, 10,000 and 100,000 models: opening, a page, a commit, memory, catching up, compaction.

Every number stands beside its target and, if there is one, beside the floor that no database of one file can beat:
a bare append and fsync of the same bytes to a file of its own, measured in turn with the commits.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import uuid_utils

from modelyard.schemas import ModelDescription, ModelQuery
from modelyard.storage import CONTRACT_FILE, ESTIMATOR_FILE, REPORT_FILE, StoredFile, open_folder
from modelyard.storage.collections.models import MODELS, NAMES, model_document, new_record
from modelyard.storage.documents import log_format as lines
from modelyard.storage.documents.database import Database

SIZES = (1_000, 10_000, 100_000)
COMMITS = 200
RESULTS = Path(__file__).parent / "results" / "storage.json"
_FEATURES = 14


Column = dict[str, tuple[str, str]]
"""What was measured at one size: by its name, the value and the promise."""


def run(sizes: tuple[int, ...] = SIZES) -> str:
    """Measure folders of these sizes, each made for it and removed again; keep the results, return them as Markdown."""
    measured: dict[str, Column] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder:
            measured[f"{size:,} models"] = {
                what: (value, promise) for what, value, promise in _measure(Path(folder) / "yard", size)
            }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(measured, indent=1, ensure_ascii=False) + "\n")
    return as_markdown(measured)


def as_markdown(measured: dict[str, Column]) -> str:
    """Write what was measured as a table."""
    columns = list(measured.values())
    rows = [["", *measured, "promised"], ["---", *["---:"] * len(measured), "---"]]
    rows += [[what, *(column[what][0] for column in columns), promise] for what, (_, promise) in columns[0].items()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _measure(root: Path, size: int) -> Iterator[tuple[str, str, str]]:
    fill(root, size)
    own_bytes = _own_bytes(root)
    opening, memory = _open_in_a_process(root)
    yield "opening the folder", f"{opening:.2f} s", "3 s at 100,000"
    yield "memory a model, beyond its own bytes", f"{(memory - own_bytes) / size:,.0f} bytes", "1,024 bytes"
    store = open_folder(root).models
    yield "a page of 50, the newest", _ms(_median(lambda: store.page(ModelQuery()), 50)), "20 ms"
    rare = ModelQuery(tag="rare", status="all")
    yield "a page of 50, by a rare tag", _ms(_median(lambda: store.page(rare), 20)), "20 ms"
    yield "what a reference means", f"{_median(lambda: store.resolve_active('churn-0'), 2000) * 1e6:.1f} µs", ""
    commit, bare, ratio = _commits(root)
    yield "a commit", _ms(commit), ""
    yield "a bare append and fsync of the same bytes", _ms(bare), ""
    yield "a commit / the bare append, in pairs", f"{ratio:.2f}", "2"
    yield "catching up with another's commit", _ms(_catching_up(root)), "5 ms"
    compaction, longest, lost = _compaction(root)
    yield "a compaction", _ms(compaction), ""
    yield "a reader's longest wait meanwhile", _ms(longest), "goes on"
    yield "commits lost of a writer that held the old file", str(lost), "0"


def fill(root: Path, size: int) -> None:
    """Make a folder whose database names `size` models; there are no artifacts behind them."""
    root.mkdir()
    header = lines.Header(f"{1:032x}")
    with (root / "db.jsonl").open("wb") as file:
        file.write(lines.encode_header(header))
        for number in range(size):
            model_id, name = str(uuid_utils.uuid7()), f"churn-{number // 2}"
            record = new_record(_description(number), model_id, name, 1 + number % 2, _FILES)
            put = [
                (NAMES, name, orjson.dumps({"last_version": 1 + number % 2})),
                (MODELS, model_id, orjson.dumps(model_document(record))),
            ]
            file.write(lines.encode_entry(number + 1, put, (), header.generation) + b"\n")
        os.fsync(file.fileno())


_FILES = {name: StoredFile("0" * 64, 1000) for name in (ESTIMATOR_FILE, REPORT_FILE, CONTRACT_FILE)}


def _description(number: int) -> ModelDescription:
    scores = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "average_precision", "log_loss")
    return ModelDescription(
        model_class_key="logistic_regression",
        hyperparams={"C": 1.0, "max_iter": 100, "penalty": "l2", "solver": "lbfgs", "class_weight": None},
        metrics={"train_accuracy": 0.9} | {f"validation_{score}": 0.8123456789 for score in scores},
        feature_names=[f"feature_{n}" for n in range(_FEATURES)],
        feature_types={f"feature_{n}": "numeric" if n % 2 else "categorical" for n in range(_FEATURES)},
        classes=["no", "yes"],
        n_rows=32_561,
        created_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        training_seconds=0.25,
        environment={"python": "3.11.9", "scikit-learn": "1.9.1", "numpy": "2.4.0", "joblib": "1.6.0"},
        tags=["rare"] if number % 1000 == 0 else ["nightly"],
    )


def _own_bytes(root: Path) -> int:
    database = Database(root / "db.jsonl")
    with database.reading():
        return sum(len(raw) for name in (MODELS, NAMES) for _, raw in database.documents(name))


_OPEN = """
import gc, sys, time
from pathlib import Path
from modelyard.storage import open_folder
def resident():
    gc.collect()
    fields = Path("/proc/self/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) * 1024
before, started = resident(), time.perf_counter()
store = open_folder(Path(sys.argv[1])).models
store.count_active()
print(time.perf_counter() - started, resident() - before)
"""


def _open_in_a_process(root: Path) -> tuple[float, int]:
    """Return the seconds that opening takes and the memory that it costs, in a process of its own."""
    answers = []
    for _ in range(3):
        out = subprocess.run([sys.executable, "-c", _OPEN, str(root)], capture_output=True, text=True, check=True)
        seconds, memory = out.stdout.split()
        answers.append((float(seconds), int(memory)))
    return min(seconds for seconds, _ in answers), int(statistics.median(memory for _, memory in answers))


def _commits(root: Path) -> tuple[float, float, float]:
    """Return what a commit of a new model takes and what a bare append and fsync of the same bytes does, in turn.

    Medians; the third is the median of the pairs' ratios.
    """
    database = Database(root / "db.jsonl")
    ours, bare = [], []
    record = new_record(_description(0), str(uuid_utils.uuid7()), "bench", 1, _FILES)
    document = model_document(record)
    floor = os.open(root / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for number in range(COMMITS):
        before = (root / "db.jsonl").stat().st_size
        started = time.perf_counter()
        with database.transaction() as transaction:
            transaction.put(NAMES, "bench", {"last_version": number + 1})
            transaction.put(MODELS, str(uuid_utils.uuid7()), document)
        ours.append(time.perf_counter() - started)
        content = b"x" * ((root / "db.jsonl").stat().st_size - before)
        started = time.perf_counter()
        os.write(floor, content)
        os.fsync(floor)
        bare.append(time.perf_counter() - started)
    os.close(floor)
    ratios = [our / its for our, its in zip(ours, bare, strict=True)]
    return statistics.median(ours), statistics.median(bare), statistics.median(ratios)


def _catching_up(root: Path) -> float:
    database, other = (Database(root / "db.jsonl") for _ in range(2))
    times = []
    for number in range(50):
        with other.transaction() as transaction:
            transaction.put("bench", "other", {"n": number})
        started = time.perf_counter()
        assert database.get("bench", "other") == {"n": number}
        times.append(time.perf_counter() - started)
    other.close()
    return statistics.median(times)


def _compaction(root: Path) -> tuple[float, float, int]:
    """Compact while a reader reads and another writer holds the old file.

    Return the seconds that it takes, the reader's longest wait, and how many of the writer's commits are missing.
    """
    path = root / "db.jsonl"
    compacting, reader, writer = (Database(path) for _ in range(3))
    ended, longest = threading.Event(), [0.0]

    def read() -> None:
        while not ended.is_set():
            started = time.perf_counter()
            reader.get("bench", "other")
            longest[0] = max(longest[0], time.perf_counter() - started)

    def write() -> None:
        for number in range(50):
            with writer.transaction() as transaction:
                transaction.put("bench", f"mine-{number}", {})

    threads = [threading.Thread(target=work) for work in (read, write)]
    for thread in threads:
        thread.start()
    started = time.perf_counter()
    compacting.compact()
    took = time.perf_counter() - started
    threads[1].join()
    ended.set()
    threads[0].join()
    lost = sum(Database(path).get("bench", f"mine-{number}") is None for number in range(50))
    return took, longest[0], lost


def _median(call: Callable[[], object], count: int) -> float:
    times = []
    for _ in range(count):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


if __name__ == "__main__":
    print(run(tuple(map(int, sys.argv[1:])) or SIZES))
