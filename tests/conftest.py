"""What tests of every module share: real tables, a folder for a yard, and how Hypothesis and skips behave."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import polars as pl
import pytest
from hypothesis import HealthCheck, settings

from tests.postgres_server import PostgresServer, postgres_server
from tests.s3_server import KEYS, S3Server, s3_server
from tests.waiting import PATIENCE_S

if TYPE_CHECKING:
    from tests.engines import Engine
    from tests.ray_cluster import Machines

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Larger real tables, which stand beside a developer's checkout and nowhere else."""

# Tests wait for trainings: these must not stand back behind whatever else the machine does.
os.environ["MODELYARD_TRAIN_NICENESS"] = "0"

# The tables of tests are tiny: a second thread of linear algebra waits for work at full speed, and finds none.
# Servers that are processes of their own have as many threads as ever (doors.serving).
os.environ["OPENBLAS_NUM_THREADS"] = "1"

# Tests start hundreds of Pythons: each would compile the project anew, and each worker the tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Left to itself httpx waits 5 s for an answer, which a busy machine may need. Our client has limits of its own.
for _phase in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, _phase, PATIENCE_S)

# A slow machine must not fail a property: no deadlines. In CI the same examples are tried in every run.
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("dev", max_examples=25, deadline=None, suppress_health_check=_SLOW)
settings.register_profile("ci", settings.get_profile("dev"), max_examples=50, derandomize=True, database=None)
settings.register_profile("nightly", settings.get_profile("dev"), max_examples=200)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@dataclass(frozen=True, slots=True)
class RealTable:
    """A real table as a CSV file, missing cells and all, and the column that holds its labels."""

    path: Path
    target: str


def _penguins() -> RealTable:
    # Found by its distribution: importing the package would import pandas.
    return RealTable(
        Path(str(distribution("palmerpenguins").locate_file("palmerpenguins/data/penguins.csv"))), "species"
    )


@pytest.fixture(scope="session", autouse=True)
def _one_fork_server() -> Iterator[None]:
    """All cores of this process share one fork server, to its end: it takes seconds to get ready.

    After a run no process gets ready for the next one by a training of its own: few tests train twice at once. Servers
    that are processes of their own have such spares, and so have the tests of such processes.
    """
    from modelyard.jobs.local import launcher
    from modelyard.ml_core.searching import steps
    from modelyard.ml_core.training import runs

    launcher.share(steps.TARGET, runs.PRELOAD)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runs, "REHEARSAL", None)
        yield


@pytest.fixture
def storage_dir(tmp_path: Path) -> Path:
    """A path for a yard's folder, which does not exist yet."""
    return tmp_path / "models_storage"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests of this process; each takes a schema of its own."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3-compatible store for all tests of this process; each takes a prefix of its own."""
    with s3_server() as server, pytest.MonkeyPatch.context() as environment:
        for name, value in KEYS.items():
            environment.setenv(name, value)
        yield server


@pytest.fixture(scope="session")
def machines() -> Iterator[Machines]:
    """A Ray cluster of two nodes, and the servers of a yard, for all tests that are marked `cluster`."""
    from tests.ray_cluster import cluster_machines

    with cluster_machines() as started:
        yield started


ENGINES = ("folder", "postgres", "postgres-and-s3")
"""The kinds of engines; the last two differ in artifacts alone."""


@pytest.fixture(params=["folder", "postgres"])
def engine(request: pytest.FixtureRequest, storage_dir: Path) -> Iterator[Engine]:
    """A yard's engines, each kind in turn: for what all of them promise. Tests of artifacts ask for all ENGINES."""
    from tests.engines import opened_engine

    url = None if request.param == "folder" else request.getfixturevalue("postgres").new_yard()
    bucket = request.getfixturevalue("s3").new_bucket() if request.param.endswith("s3") else {}
    with opened_engine(request.param, storage_dir, url, bucket) as opened:
        yield opened


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of `adult.csv`, `titanic.csv` and `penguins.csv`; skips where it is not there."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the larger real tables are not beside this checkout")
    return SHARED_DATA


@pytest.fixture(scope="session", params=["palmerpenguins", "adult", "penguins", "titanic"])
def real_table(request: pytest.FixtureRequest) -> RealTable:
    """Each real table in turn; the one of the `palmerpenguins` package is there everywhere."""
    if request.param == "palmerpenguins":
        return _penguins()
    folder: Path = request.getfixturevalue("data_dir")
    target = {"adult": "income", "penguins": "species", "titanic": "survived"}[request.param]
    return RealTable(folder / f"{request.param}.csv", target)


@pytest.fixture(scope="session")
def penguins_csv() -> Path:
    """344 penguins with missing cells (`NA`): 3 species to tell apart by 5 numbers and 2 categories."""
    return _penguins().path


@pytest.fixture(scope="session")
def penguins(penguins_csv: Path) -> pl.DataFrame:
    """The table of `penguins_csv`, its labels in the column `species`."""
    return pl.read_csv(penguins_csv, null_values="NA")


@pytest.fixture(scope="session")
def breast_cancer() -> pl.DataFrame:
    """569 tumours, 30 numbers each; the text labels `malignant` and `benign` in the column `target`."""
    return _labelled("breast_cancer")


@pytest.fixture(scope="session")
def iris() -> pl.DataFrame:
    """150 flowers, 4 numbers each; 3 species as text in the column `target`."""
    return _labelled("iris")


def _labelled(name: str) -> pl.DataFrame:
    from sklearn import datasets  # it takes seconds, which most tests need not wait

    bunch: Any = getattr(datasets, f"load_{name}")()
    frame = pl.DataFrame(bunch.data, schema=[str(name) for name in bunch.feature_names])
    return frame.with_columns(target=pl.Series(bunch.target_names[bunch.target].tolist()))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without the garbage collector: it would look through half a million objects again and again.

    They stay to the end, so it looks past them ever after, too.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report on a test, without a time limit if it failed: the limit's alarm would end the whole run in here.

    In CI, where every tool has to be there, fail a test that skips itself because it `needs …` one.
    """
    if call.excinfo is not None:
        item.ihook.pytest_timeout_cancel_timer(item=item)
    report = yield
    if os.environ.get("CI") and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith("needs "):
            report.outcome = "failed"
            report.longrepr = f"skipped in CI: {reason}"
    return report
