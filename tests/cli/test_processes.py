"""The command line as processes: terminals, pipes, signals, and the commands that serve."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import modelyard
from modelyard.errors import ModelNotFound
from tests import doors
from tests.command_line import run
from tests.processes import descendants, wait_until_gone
from tests.waiting import PATIENCE_S, wait_until

MODELYARD = [sys.executable, "-m", "modelyard"]
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.csv"
    path.write_text("size,bought\n" + "".join(f"{n},{'yes' if n > 6 else 'no'}\n" for n in range(1, 13)))
    return path


def call(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [*MODELYARD, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_version_is_said(tmp_path: Path) -> None:
    answer = call("--version", cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (0, f"modelyard {modelyard.__version__}\n")


def test_help_waits_for_nothing_heavy() -> None:
    code = (
        "import sys; import modelyard.cli.app; "
        "heavy = {'polars', 'sklearn', 'catboost', 'lightgbm', 'numpy', 'pydantic'}; "
        "heavy |= {'fastapi', 'uvicorn', 'httpx', 'orjson'}; "
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_tables_come_by_standard_input_too(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pipe(*arguments: str) -> str:
        command = [*MODELYARD, *arguments]
        done = subprocess.run(command, input=table, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    monkeypatch.chdir(tmp_path)
    table = small.read_text()
    pipe("train", "-", "--target", "bought", "--model-class", "logistic_regression", "--name", "piped")
    assert run("retrain", "piped", "-", given=table).exit_code == 0
    by_pipe = pipe("predict", "piped", "-")
    assert by_pipe == run("predict", "piped", small).stdout
    assert by_pipe.startswith("prediction\nno\n")
    for given, words in (("", "file 'standard input' is empty"), ("other\n1\n", "column 'size' is missing")):
        refused = run("predict", "piped", "-", given=given)
        assert refused.exit_code == 2
        assert words in " ".join(refused.stderr.split())


def test_pipes_terminals_and_questions(small: Path, tmp_path: Path) -> None:
    trained = call(
        "train", small, "--target", "bought", "--model-class", "logistic_regression", "--name", "asked", cwd=tmp_path
    )
    assert (trained.returncode, trained.stderr) == (0, "")
    assert "\x1b" not in trained.stdout
    model_id = UUID.search(trained.stdout)
    assert model_id is not None

    code, seen = on_terminal(["list"], tmp_path)
    assert code == 0
    assert "\x1b[" in seen
    assert model_id[0] in seen

    code, seen = on_terminal(["delete", "asked", "--hard"], tmp_path, answer=("for good?", "n\n"))
    assert (code, "nothing was deleted" in seen) == (8, True)
    code, seen = on_terminal(["delete", "asked", "--hard"], tmp_path, answer=("for good?", "y\n"))
    assert (code, "deleted for good" in seen) == (0, True)
    with doors.core(tmp_path / "models_storage") as yard, pytest.raises(ModelNotFound):
        yard.get_model("asked")


def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [*MODELYARD, "model-classes", "--json"]
        answer = subprocess.run(command, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writing)
    assert (answer.returncode, answer.stderr) == (141, b"")


def test_ctrl_c_is_quiet(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    os.mkfifo(table)
    command = [*MODELYARD, "train", table.name, "--target", "y", "--model-class", "logistic_regression"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        with table.open("wb"):  # returns when the command has begun to read, and ends that read when it closes
            process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (130, b"")


def test_ctrl_c_cancels_a_training_on_a_folder(tmp_path: Path, storage_dir: Path) -> None:
    pl.DataFrame({"a": range(40), "y": ["no", "yes"] * 20}).write_csv(tmp_path / "table.csv")
    command = [*MODELYARD, "train", "table.csv", "--target", "y", "--model-class", "catboost_classifier"]
    command += ["-p", "iterations=1000000", "--evaluation", "none", "--storage", str(storage_dir)]
    with (
        doors.core(storage_dir) as yard,
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process,
    ):
        wait_until(lambda: any(job.progress.step for job in yard.list_jobs().jobs))
        family = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, out) == (130, b"")
        assert [job.status for job in yard.list_jobs().jobs] == ["cancelled"]
        wait_until_gone(family)
        assert not any(path.is_dir() for path in (storage_dir / "jobs").iterdir())


def test_rest_serves_until_it_is_told_to_stop(storage_dir: Path) -> None:
    port = doors.free_port()
    with doors.serving([*MODELYARD, "rest", "--port", str(port)], storage_dir) as process:
        doors.wait_until_healthy(f"http://127.0.0.1:{port}")
        taken = call("rest", "--port", port, cwd=storage_dir.parent)
        assert (taken.returncode, "Address already in use" in taken.stderr) == (5, True)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


@contextlib.contextmanager
def up(storage_dir: Path, grpc_port: int = 0, dashboard_port: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start every door and yield once the addresses are shown; the port is REST's."""
    port = doors.free_port()
    ports = {"--rest-port": port, "--grpc-port": grpc_port, "--dashboard-port": dashboard_port}
    command = [*MODELYARD, "up", "--storage", str(storage_dir), *(str(word) for pair in ports.items() for word in pair)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            shown = iter(process.stdout.readline, "")
            assert any(f"http://127.0.0.1:{port}" in line for line in shown)
            yield process, port
        finally:
            process.terminate()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only servers that answer are asked")
def test_what_up_runs_is_healthy_only_when_all_of_it_is_and_a_signal_stops_every_door(storage_dir: Path) -> None:
    others = doors.free_port(), doors.free_port()
    said: list[subprocess.CompletedProcess[str]] = []
    with up(storage_dir, *others) as (process, port):
        names = ("REST", "GRPC", "DASHBOARD")
        ports = {f"MODELYARD_{name}_PORT": str(one) for name, one in zip(names, (port, *others), strict=True)}

        def is_healthy() -> bool:
            said.append(health(**ports))
            return said[-1].returncode == 0

        wait_until(is_healthy)
        assert re.findall(r"(REST|gRPC|Dashboard).* ok", said[-1].stdout) == ["REST", "gRPC", "Dashboard"]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        assert not listens(port)


def test_a_door_that_is_killed_is_started_again_and_one_that_gives_up_ends_all(storage_dir: Path) -> None:
    with up(storage_dir) as (process, port):
        before = set(children(process.pid))
        for child in before:
            os.kill(child, signal.SIGKILL)
        wait_until(lambda: len(set(children(process.pid)) - before) == len(before))
        wait_until(lambda: listens(port))
        doors.wait_until_healthy(f"http://127.0.0.1:{port}")
        storage_dir.rename(storage_dir.with_name("elsewhere"))
        storage_dir.write_text("in the way")
        for child in children(process.pid):
            os.kill(child, signal.SIGKILL)
        assert process.wait(PATIENCE_S) == 5


def test_doors_end_when_their_owner_is_killed(storage_dir: Path) -> None:
    with up(storage_dir) as (process, port):
        process.kill()
        process.wait(PATIENCE_S)
        wait_until(lambda: not listens(port))


def test_up_refuses_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        answer = call(
            "up", "--rest-port", other.getsockname()[1], "--grpc-port", 0, "--dashboard-port", 0, cwd=tmp_path
        )
    assert answer.returncode == 5
    assert "MODELYARD_REST_PORT" in answer.stderr
    assert not (tmp_path / "models_storage").exists()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def on_terminal(arguments: list[str], cwd: Path, *, answer: tuple[str, str] | None = None) -> tuple[int, str]:
    """Run a command on a terminal of its own, answering its question; return its exit code and what was seen."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    command = [*MODELYARD, *arguments]
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, process_group=0
    ) as process:
        os.close(theirs)
        seen = ""
        while (read := _read(ours)) is not None:
            seen += read
            if answer is not None and answer[0] in seen:
                os.write(ours, answer[1].encode())
                answer = None
        process.wait(PATIENCE_S)
    os.close(ours)
    return process.returncode, seen


def _read(terminal: int) -> str | None:
    assert select.select([terminal], [], [], PATIENCE_S)[0], "the command fell silent"
    try:
        return os.read(terminal, 65536).decode() or None
    except OSError:  # Linux's way of saying that the other side is closed
        return None


def health(*servers: str, **ports: str) -> subprocess.CompletedProcess[str]:
    command = [*MODELYARD, "health", *servers]
    return subprocess.run(command, env={**os.environ, **ports}, capture_output=True, text=True, check=False)


def test_health_tells_how_the_servers_of_this_machine_are(tmp_path: Path) -> None:
    free = {f"MODELYARD_{name}_PORT": str(doors.free_port()) for name in ("REST", "GRPC", "DASHBOARD")}
    nobody = health(**free)
    assert (nobody.returncode, "no server listens" in nobody.stderr) == (5, True)
    unknown = health("web", **free)
    assert (unknown.returncode, "one of rest, grpc, dashboard, got 'web'" in unknown.stderr) == (2, True)
    with doors.rest_thread(tmp_path / "models_storage") as rest, doors.grpc_thread(tmp_path / "models_storage") as grpc:
        both = {
            **free,
            "MODELYARD_REST_PORT": rest.rpartition(":")[2],
            "MODELYARD_GRPC_PORT": grpc.rpartition(":")[2],
        }
        well = health(**both)
        assert (well.returncode, re.findall(r"(REST|gRPC).* ok", well.stdout)) == (0, ["REST", "gRPC"])
        missing = health("rest", "dashboard", **both)
        assert (missing.returncode, "Dashboard: no answer" in missing.stderr) == (5, True)
        (tmp_path / "models_storage").rename(tmp_path / "elsewhere")
        (tmp_path / "models_storage").write_text("in the way")
        ill = health("rest", **both)
        assert (ill.returncode, "503" in ill.stderr) == (5, True)
