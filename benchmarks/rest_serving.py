"""REST: one row, 1,000 and 10,000 rows beside an empty FastAPI endpoint and raw ASGI; start-up and memory.

All servers run at the same time and are driven in turn by `h2load`, so that a noisy machine slows all alike. Every
number is the median of the runs, every ratio the median of the runs' ratios.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.load import Load, drive
from benchmarks.servers import Server, answers, our_server, request, serving
from benchmarks.serving_models import CLASSES, JSON_FORMS, MODELS, Body, body, train

RUNS = 5
SECONDS = 2
FLOOR = "empty FastAPI"
RAW = "raw ASGI"
RESULTS = Path(__file__).parent / "results" / "rest_serving.json"
Runs = dict[str, list[Load]]


def run(runs: int = RUNS, seconds: float = SECONDS) -> str:
    """Measure, keep the results as JSON, and return them as Markdown."""
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name:
        folder = Path(name)
        train(folder, CLASSES)
        measured = _measure(folder, runs, seconds)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(measured, indent=1) + "\n")
    return as_markdown(measured)


def _measure(folder: Path, runs: int, seconds: float) -> dict[str, Any]:
    one = {name: body(folder, name, 1) for name in CLASSES}
    with servers(folder) as (floors, ours):
        start = {name: server.first_answer_s for name, server in {**floors, "Modelyard": ours}.items()}
        memory = {"Modelyard, idle": ours.own_memory_mib()}
        asked = {name: (server, one["LR"]) for name, server in floors.items()}
        asked |= {f"Modelyard, {name}": (ours, one[name]) for name in CLASSES}
        single = {f"c{c}": _summary(_drive(asked, c, runs, seconds), 1) for c in (1, 16)}
        memory["Modelyard, all models"] = ours.own_memory_mib()
        many = {}
        for rows in (1_000, 10_000):
            table = {FLOOR: (floors[FLOOR], body(folder, "LR", rows))}
            for name in CLASSES:
                for form in (*JSON_FORMS, "arrow") if name in MODELS else ("records", "arrow"):
                    table[f"Modelyard, {name}, {form}"] = (ours, body(folder, name, rows, form))
            many[f"{rows:,}"] = _summary(_drive(table, 1, runs, seconds), rows)
    return {"one row": single, "many rows": many, "first answer, s": start, "memory, MiB": memory}


@contextmanager
def servers(folder: Path) -> Iterator[tuple[dict[str, Server], Server]]:
    """Start the floors and ours on the models of `folder`."""
    is_up = answers("/predict", body(folder, "LR", 1).file.read_bytes())

    def floor(app: str) -> AbstractContextManager[Server]:
        command = [sys.executable, "-m", "uvicorn", f"benchmarks.floors:{app}", "--no-access-log"]
        options = ["--log-level", "warning", "--port"]
        return serving(lambda port: [*command, *options, str(port)], is_up, log=folder / f"{app}.log")

    ours = our_server(folder / "yard", log=folder / "ours.log")
    with floor("raw_app") as raw, floor("fastapi_app") as fastapi, ours as server:
        yield {RAW: raw, FLOOR: fastapi}, server


def _drive(asked: Mapping[str, tuple[Server, Body]], connections: int, runs: int, seconds: float) -> Runs:
    found: Runs = {name: [] for name in asked}
    for name, (server, question) in asked.items():  # whatever is loaded at the first request, is loaded
        if once(server, question) is None:
            raise RuntimeError(f"{name} does not answer {question.file.name}")
    for _ in range(runs):
        for name, (server, question) in asked.items():
            found[name].append(ask(server, question, connections, seconds))
    return found


def once(server: Server, question: Body) -> bytes | None:
    """Ask a server once; None if it does not answer with 200."""
    return request(server.url(question.path), question.file.read_bytes(), question.content_type, question.accept)


def ask(server: Server, question: Body, connections: int, seconds: float, headers: Sequence[str] = ()) -> Load:
    """Drive a server with a question."""
    return drive(
        server.url(question.path),
        question.file,
        connections=connections,
        seconds=seconds,
        content_type=question.content_type,
        headers=[f"accept: {question.accept}", *headers],
    )


def _summary(found: Runs, rows: int) -> dict[str, dict[str, float]]:
    return {
        name: {
            "per second": round(statistics.median(load.per_second for load in loads) * rows, 1),
            "p50 ms": round(statistics.median(load.p50_ms for load in loads), 3),
            "p99 ms": round(statistics.median(load.p99_ms for load in loads), 3),
            "ratio": _ratio(loads, found[FLOOR]),
            **({"of raw": _ratio(loads, found[RAW])} if RAW in found else {}),
            "failed": sum(load.failed for load in loads),
        }
        for name, loads in found.items()
    }


def _ratio(loads: list[Load], floor: list[Load]) -> float:
    return round(statistics.median(a.per_second / b.per_second for a, b in zip(loads, floor, strict=True)), 2)


def as_markdown(measured: dict[str, Any]) -> str:
    """Write what was measured as tables."""
    parts = []
    for where, table in measured["one row"].items():
        parts.append(_table(f"One row, {where[1:]} connection{'s' if where != 'c1' else ''}", "requests/s", table))
    for rows, table in measured["many rows"].items():
        parts.append(_table(f"{rows} rows, one connection", "rows/s", table))
    for what in ("first answer, s", "memory, MiB"):
        lines = "".join(f"| {name} | {value} |\n" for name, value in measured[what].items())
        parts.append(f"| | {what} |\n| --- | ---: |\n{lines}")
    return "\n".join(parts)


def _table(title: str, unit: str, table: dict[str, dict[str, float]]) -> str:
    against_raw = all("of raw" in found for found in table.values())
    lines = [
        f"| {title} | {unit} | of empty FastAPI |{' of raw ASGI |' * against_raw} p50 ms | p99 ms |",
        f"| --- | ---: | ---: |{' ---: |' * against_raw} ---: | ---: |",
    ]
    for name, found in table.items():
        raw = f" {found['of raw']:.2f} |" if against_raw else ""
        ratios = f"{found['ratio']:.2f} |{raw}"
        lines.append(f"| {name} | {found['per second']:,.0f} | {ratios} {found['p50 ms']} | {found['p99 ms']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(run(*map(int, sys.argv[1:2])))
