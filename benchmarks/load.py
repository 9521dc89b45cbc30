"""Drive a server with `h2load` and read off what its callers saw."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Load:
    """One run: requests a second, the median and 99th percentile in ms, and how many answers were not 200."""

    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


def drive(
    url: str,
    body: Path,
    *,
    connections: int,
    seconds: float = 3,
    content_type: str = "application/json",
    headers: Sequence[str] = (),
    http2: bool = False,
) -> Load:
    """Send `body` over so many connections, each waiting for its answer, as often as the time allows.

    The first half second warms up and does not count. h2load takes whole seconds only.
    """
    with tempfile.NamedTemporaryFile(prefix="h2load-") as log:
        command = [_h2load(), f"--clients={connections}", "--threads=1", f"--duration={max(1, round(seconds))}"]
        command += ["--warm-up-time=500ms", f"--data={body}", f"--header=content-type: {content_type}"]
        command += [f"--header={header}" for header in headers]
        command += [f"--log-file={log.name}", *([] if http2 else ["--h1"]), url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True)
        answers = [line.split("\t") for line in Path(log.name).read_text().splitlines()]
    times = sorted(int(micros) / 1000 for _, status, micros, *_ in answers if status == "200")
    if not times:
        raise RuntimeError(f"no answers from {url}: {done.stdout[-500:]}")
    return Load(
        per_second=round(len(times) / max(1, round(seconds)), 1),
        p50_ms=round(statistics.median(times), 3),
        p99_ms=round(times[min(len(times) - 1, int(len(times) * 0.99))], 3),
        failed=len(answers) - len(times),
    )


def send(url: str, body: Path, *, connections: int, requests: int) -> None:
    """Send `body` as JSON so many times. Raises RuntimeError if an answer is not 200."""
    command = [_h2load(), f"--clients={connections}", "--threads=1", f"--requests={requests}", f"--data={body}", "--h1"]
    command += ["--header=content-type: application/json", "--header=accept: application/json", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    if f"{requests} succeeded" not in done.stdout:
        raise RuntimeError(f"not all answers from {url} were good: {done.stdout[-500:]}")


def _h2load() -> str:
    found = shutil.which("h2load")
    if found is None:
        raise SystemExit("these benchmarks need h2load (Debian: apt-get install nghttp2-client)")
    return found
