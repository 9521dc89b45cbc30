"""An alias that is moved while four processes serve it, what the hashes of rows take, and the gate."""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import polars as pl

from benchmarks.servers import answers, serving
from modelyard.bootstrap import build
from modelyard.ml_core.promoting import Gate
from modelyard.ml_core.row_hashes import RowHashes
from modelyard.schemas import AliasRequest, Evaluation, TrainRequest
from modelyard.settings import Settings

MOVES = 1000
PROCESSES = 4
ASKED_AFTER_EACH = 8
ALWAYS_ASKING = 2
HASHED = 200_000
JUDGED = 20_000

Row = tuple[str, str, str]
BODY = {"model_id": "churn@live", "X": [[1.0, 2.0]]}


def run(moves: int = MOVES) -> str:
    """Measure so many moves on a yard made for it; return the results as Markdown."""
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder:
        rows = [*_moves(Path(folder) / "yard", Path(folder) / "log", moves), *_hashes(), *_gate(Path(folder) / "gate")]
    lines = [["", "measured", "promised"], ["---", "---:", "---"], *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _moves(root: Path, log: Path, moves: int) -> Iterator[Row]:
    ids = _two_versions(root)
    command = [sys.executable, "-m", "modelyard", "rest", "--storage", str(root), "--workers", str(PROCESSES), "--port"]
    with serving(lambda port: [*command, str(port)], answers("/health"), log=log) as server:
        callers = [httpx.Client(base_url=server.url(""), timeout=60) for _ in range(ASKED_AFTER_EACH + ALWAYS_ASKING)]
        stop = threading.Event()
        failed: list[str] = []
        stale = 0
        taken: list[float] = []

        def ask(caller: httpx.Client) -> str:
            answer = caller.post("/predict", json=BODY)
            if answer.is_success:
                return str(answer.json()["model_id"])
            failed.append(answer.text)
            return ""

        def ask_on(caller: httpx.Client) -> None:
            while not stop.is_set():
                ask(caller)

        threads = [threading.Thread(target=ask_on, args=(caller,)) for caller in callers[ASKED_AFTER_EACH:]]
        for thread in threads:
            thread.start()
        with httpx.Client(base_url=server.url(""), timeout=60) as mover:
            for move in range(moves):
                version = 1 + move % 2
                began = time.perf_counter()
                moved = mover.put("/models/churn/aliases/live", json={"version": version})
                taken.append(time.perf_counter() - began)
                if not moved.is_success:
                    failed.append(moved.text)
                stale += sum(ask(caller) != ids[version] for caller in callers[:ASKED_AFTER_EACH])
        stop.set()
        for thread in threads:
            thread.join()
        for caller in callers:
            caller.close()
    yield f"a move by REST, p50 of {moves:,}", _ms(statistics.median(taken)), "5 ms"
    yield "a move by REST, p99", _ms(statistics.quantiles(taken, n=100)[-1]), ""
    yield "answers that failed", str(len(failed)), "0"
    yield f"answers by the old version, of {moves * ASKED_AFTER_EACH:,}", str(stale), "0"


def _two_versions(root: Path) -> dict[int, str]:
    X = [[float(i % 7), float(i % 3)] for i in range(40)]
    order = TrainRequest(
        model_class_key="logistic_regression",
        X=X,
        y=["no", "yes"] * 20,
        name="churn",
        evaluation=Evaluation(method="none"),
    )
    with build(Settings(storage_dir=root)) as yard:
        ids = {version: yard.train(order).model_id for version in (1, 2)}
        yard.set_alias("churn", "live", AliasRequest(version=2))
    return ids


def _hashes() -> Iterator[Row]:
    for columns in (10, 30):
        frame, truth = _table(HASHED, columns)
        began = time.process_time()
        RowHashes.of(frame, truth, ("no", "yes"))
        yield f"a row hashed, {columns} columns", f"{(time.process_time() - began) / HASHED * 1e6:.2f} µs", "1 µs"


def _gate(root: Path) -> Iterator[Row]:
    """Time the gate on rows held out of a training, of which the old version knows none."""
    taken: list[float] = []
    for key in ("logistic_regression", "catboost_classifier"):
        with build(Settings(storage_dir=root / key)) as yard:
            _time_gate(yard.jobs._dispatcher._finisher, taken)
            for seed in (0, 1):
                frame, truth = _table(JUDGED * 5 // 4, 10, seed)
                order = TrainRequest.model_validate(
                    {
                        "model_class_key": key,
                        "X": frame,
                        "y": pl.Series(truth),
                        "name": "churn",
                        "evaluation": {"fraction": 0.8},
                        "hyperparams": {"iterations": 200} if key == "catboost_classifier" else {},
                        "promote": {"alias": "live"},
                    }
                )
                yard.train(order)
        yield f"{key} judged by {JUDGED:,} rows", f"{taken[-1]:.2f} s", ""


def _time_gate(finisher: object, taken: list[float]) -> None:
    gate: Gate | Callable[..., object] = finisher._gate  # type: ignore[attr-defined]

    def timed(*asked: object) -> object:
        began = time.perf_counter()
        found = gate(*asked)  # type: ignore[arg-type]
        taken.append(time.perf_counter() - began)
        return found

    finisher._gate = timed  # type: ignore[attr-defined]


def _table(rows: int, columns: int, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    lot = np.random.default_rng(seed)
    kinds = pl.Series([f"kind {number}" for number in range(50)], dtype=pl.Enum([f"kind {n}" for n in range(50)]))
    frame = pl.DataFrame(
        [
            kinds.gather(lot.integers(50, size=rows)).alias(f"c{place}")
            if place % 2
            else pl.Series(f"c{place}", lot.normal(size=rows))
            for place in range(columns)
        ]
    )
    truth = (frame["c0"].to_numpy() + lot.normal(size=rows) > 0).astype(np.int64)
    return frame, truth


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


if __name__ == "__main__":
    print(run())
