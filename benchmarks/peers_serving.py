"""The comparison: MLServer, MLflow, BentoML and LitServe beside Modelyard, on the very same models.

One peer and one model at a time stand beside Modelyard and are driven in turn; every number is the median of the runs.
Labels that differ from Modelyard's stop the comparison of that peer. `python -m benchmarks.peers_serving MLServer`
measures one peer anew and keeps what was found of the others.
"""

from __future__ import annotations

import datetime as dt
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks import peers
from benchmarks.load import Load, drive
from benchmarks.peers import PEERS, Peer
from benchmarks.rest_serving import ask, once, servers
from benchmarks.servers import Server, answers, request, serving
from benchmarks.serving_models import MODELS, asked, body, train

RUNS = 3
SECONDS = 2
RESULTS = Path(__file__).parent / "results" / "peers_serving.json"
SHAPES = {
    "1 row, c1": (1, 1, "records"),
    "1 row, c16": (1, 16, "records"),
    "1 row, c16, ours by the Open Inference Protocol": (1, 16, "inference"),
    "1,000 rows": (1_000, 1, "records"),
    "10,000 rows": (10_000, 1, "records"),
    "10,000 rows, ours as Arrow": (10_000, 1, "arrow"),
}
"""Rows, connections, and the form in which ours are sent; theirs are always sent in the peer's own."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Stage:
    """What all comparisons share."""

    folder: Path
    ours: Server
    artifacts: dict[str, Path]
    runs: int


def run(names: Sequence[str] = (), runs: int = RUNS) -> str:
    """Measure the peers of these names (all without any), keep the results as JSON, and return them as Markdown."""
    chosen = [peer for peer in PEERS if not names or peer.name in names]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="modelyard-peers-") as name:
        folder = Path(name)
        artifacts = train(folder)
        with servers(folder) as (_, ours):
            stage = _Stage(folder, ours, artifacts, runs)
            for model in MODELS:
                for peer in chosen:
                    rows.append(_beside(peer, model, stage))
                    print(as_markdown([rows[-1]]), flush=True)
    _keep(rows)
    return as_markdown(rows)


def _keep(rows: list[Row]) -> None:
    kept = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    merged = {(row["peer"], row["model"]): row for row in (*kept, *rows)}
    order = [(peer.requirement, model) for model in MODELS for peer in PEERS]
    measured = {"date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}", "python": platform.python_version()}
    RESULTS.parent.mkdir(exist_ok=True)
    in_order = [merged[one] for one in order if one in merged]
    RESULTS.write_text(json.dumps({**measured, "rows": in_order}, indent=1) + "\n")


def _beside(peer: Peer, model: str, stage: _Stage) -> Row:
    """Measure one peer beside ours; if that fails, the row says why."""
    row: Row = {"peer": peer.requirement, "model": model}
    try:
        peers.install(peer)
        with _serving(peer, model, stage) as theirs:
            if _labels(peer, theirs, stage.folder) != _our_labels(stage.ours, model, stage.folder):
                return {**row, "note": "labels differ"}
            row["first answer, s"], row["memory, MiB"] = theirs.first_answer_s, theirs.memory_mib()
            for shape in SHAPES:
                row[shape] = _pair((peer, theirs), model, shape, stage)
    except subprocess.CalledProcessError as error:
        return {**row, "note": f"cannot be installed here: {str(error.stderr)[-300:]}"}
    except RuntimeError as error:
        return {**row, "note": f"does not serve here: {str(error)[-300:]}"}
    return row


def _serving(peer: Peer, model: str, stage: _Stage) -> AbstractContextManager[Server]:
    home = stage.folder / f"{peer.name}-{model}"
    home.mkdir()
    variables = peers.environment(peer, stage.artifacts[model])
    peer.prepare(home, peer.home / "bin", variables)
    one = peers.question(peer, asked(1), home / "one").read_bytes()
    return serving(
        lambda port: peer.command(peer.home / "bin", home, port),
        answers(peer.path, one),
        log=home / "log",
        environment=variables,
        cwd=home,
    )


def _labels(peer: Peer, server: Server, folder: Path) -> list[str]:
    file = peers.question(peer, asked(1_000), folder / "labels")
    found = request(server.url(peer.path), file.read_bytes())
    if found is None:
        raise RuntimeError("1,000 rows are not answered")
    return peer.labels(orjson.loads(found))


def _our_labels(ours: Server, model: str, folder: Path) -> list[str]:
    found = once(ours, body(folder, model, 1_000))
    return [] if found is None else list(orjson.loads(found)["predictions"])


def _pair(theirs: tuple[Peer, Server], model: str, shape: str, stage: _Stage) -> dict[str, float]:
    peer, server = theirs
    n, connections, form = SHAPES[shape]
    file = peers.question(peer, asked(n), stage.folder / f"{peer.name}-{n}")
    mine = body(stage.folder, model, n, form)
    pairs: list[tuple[Load, Load]] = []
    for _ in range(stage.runs):
        load = drive(server.url(peer.path), file, connections=connections, seconds=SECONDS)
        pairs.append((load, ask(stage.ours, mine, connections, SECONDS)))
    return {
        "theirs per second": round(statistics.median(one.per_second for one, _ in pairs) * n, 1),
        "ours per second": round(statistics.median(one.per_second for _, one in pairs) * n, 1),
        "theirs p50 ms": statistics.median(one.p50_ms for one, _ in pairs),
        "ours p50 ms": statistics.median(one.p50_ms for _, one in pairs),
        "ratio": round(statistics.median(b.per_second / a.per_second for a, b in pairs), 1),
    }


def as_markdown(rows: list[Row]) -> str:
    """Write the rows as a table: theirs, ours and how many times as much ours is."""
    shapes = list(SHAPES)
    lines = [
        f"| peer | model | {' | '.join(f'{shape}: theirs → ours /s' for shape in shapes)} | first answer, s | MiB |",
        "| --- | --- |" + " ---: |" * (len(shapes) + 2),
    ]
    for row in rows:
        if "note" in row:
            lines.append(f"| {row['peer']} | {row['model']} | {row['note']} |" + " |" * (len(shapes) + 1))
            continue
        found = [row[shape] for shape in shapes]
        each = [
            f"{one['theirs per second']:,.0f} → {one['ours per second']:,.0f} ({one['ratio']:g} times)" for one in found
        ]
        lines.append(
            f"| {row['peer']} | {row['model']} | {' | '.join(each)} | {row['first answer, s']} | {row['memory, MiB']} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(run(sys.argv[1:]))
