"""The REST server as processes: how much it takes, how it ends, and several workers behind one port."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest

from tests import doors
from tests.processes import wait_until_gone
from tests.scraping import labels, scrape
from tests.waiting import PATIENCE_S, wait_until

REST = [sys.executable, "-m", "modelyard", "rest"]
WARM_MIB = 300


def test_a_warm_server_takes_little(tmp_path: Path) -> None:
    port, folder = doors.free_port(), tmp_path / "yard"
    with doors.serving(REST, folder, MODELYARD_REST_PORT=str(port)) as process:
        wait_until(lambda: "warm after" in folder.with_suffix(".log").read_text())
        assert memory_mib(process.pid) < WARM_MIB


def memory_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def test_a_request_that_outlasts_the_server_is_told_why(tmp_path: Path) -> None:
    port, folder = doors.free_port(), tmp_path / "yard"
    settings = {"MODELYARD_REST_PORT": str(port), "MODELYARD_TRAIN_GRACE_S": "0"}
    with doors.serving(REST, folder, **settings) as process, socket.socket() as half:
        doors.wait_until_healthy(f"http://127.0.0.1:{port}")
        half.connect(("127.0.0.1", port))
        half.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n{")
        doors.wait_until_healthy(f"http://127.0.0.1:{port}")  # so the half request has come in
        process.terminate()
        half.settimeout(PATIENCE_S)
        head, _, body = half.makefile("rb").read().partition(b"\r\n\r\n")
        assert process.wait(PATIENCE_S) == 0
    assert head.startswith(b"HTTP/1.1 503 ")
    assert json.loads(body)["detail"] == "the server is shutting down"
    assert "Traceback" not in folder.with_suffix(".log").read_text()


def test_a_server_that_takes_leave_is_not_ready_and_serves(tmp_path: Path) -> None:
    port, folder = doors.free_port(), tmp_path / "yard"
    settings = {"MODELYARD_REST_PORT": str(port), "MODELYARD_DRAIN_S": "3600"}
    with doors.serving(REST, folder, **settings) as process, httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
        doors.wait_until_healthy(str(http.base_url).rstrip("/"), "/health/ready")
        process.terminate()
        wait_until(lambda: http.get("/health/ready").status_code == 503)
        assert http.get("/health").json()["storage"] == "this server is shutting down"
        assert httpx.get(http.base_url.join("/models")).json()["models"] == []  # on a new connection, too
        process.send_signal(signal.SIGINT)  # who cannot wait
        assert process.wait(PATIENCE_S) == 0


def test_workers_share_a_port_and_a_dead_one_is_replaced_and_its_counts_stay(tmp_path: Path) -> None:
    port = doors.free_port()
    url = f"http://127.0.0.1:{port}"
    lists = "modelyard_requests_total", labels(door="rest", verb="list_models", code="OK")
    with doors.serving([*REST, "--workers", "2"], tmp_path / "yard", MODELYARD_REST_PORT=str(port)) as parent:
        doors.wait_until_healthy(url)
        first = wait_for_children(parent.pid, 2)
        wait_until(lambda: workers_told_of(url) == {"0", "1"})
        with httpx.Client(base_url=url, headers={"Connection": "close"}) as client:
            for _ in range(20):
                client.get("/models").raise_for_status()  # a connection each: both workers have some
        assert [scrape(f"{url}/metrics")[lists] for _ in range(5)] == [20] * 5
        os.kill(first[0], signal.SIGKILL)
        second = wait_for_children(parent.pid, 2, without=first[0])
        assert first[1] in second
        doors.wait_until_healthy(url)
        wait_until(lambda: workers_told_of(url) == {"0", "1"})
        assert scrape(f"{url}/metrics")[lists] == 20
        parent.terminate()
        assert parent.wait(PATIENCE_S) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)


def workers_told_of(url: str) -> set[str]:
    return {dict(of)["worker"] for name, of in scrape(f"{url}/metrics") if name == "process_cpu_seconds_total"}


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    port = doors.free_port()
    with doors.serving([*REST, "--workers", "2"], tmp_path / "yard", MODELYARD_REST_PORT=str(port)) as parent:
        doors.wait_until_healthy(f"http://127.0.0.1:{port}")
        workers = wait_for_children(parent.pid, 2)
        parent.kill()
        parent.wait()
        wait_until_gone(workers)


def test_a_worker_that_cannot_start_ends_the_whole(tmp_path: Path) -> None:
    (tmp_path / "yard").mkdir()
    (tmp_path / "yard" / "db.jsonl").write_text("not a database\n")
    port = str(doors.free_port())
    with doors.serving([*REST, "--workers", "2"], tmp_path / "yard", MODELYARD_REST_PORT=port) as parent:
        assert parent.wait(PATIENCE_S) != 0


def wait_for_children(pid: int, count: int, *, without: int = 0) -> list[int]:
    def children() -> list[int]:
        found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [child for child in found if child != without]

    wait_until(lambda: len(children()) >= count)
    return children()
