"""A yard on three hosts: who was told of a change is answered by nothing of before, by no host, cut off or not."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from modelyard.errors import ModelNotFound, ModelyardError, Unavailable
from modelyard.rest_api.client import RestClient
from modelyard.schemas import Evaluation, PredictRequest, TrainRequest
from tests import doors
from tests.networks import Network, three_hosts
from tests.postgres_server import postgres_server
from tests.waiting import wait_until

ROWS = [{"age": 20 + i % 40} for i in range(40)]
ORDER = TrainRequest(
    model_class_key="logistic_regression",
    X=ROWS,
    y=["yes" if row["age"] > 40 else "no" for row in ROWS],
    name="churn",
    evaluation=Evaluation(method="none"),
)
ASKED = PredictRequest(model_id="churn:1", X=ROWS[:1])


@dataclass(frozen=True, slots=True)
class Yard:
    """A replica on each host, threads of host 1 to call them from, and of host 2 to call its own."""

    network: Network
    replicas: list[RestClient]
    own: RestClient
    first: ThreadPoolExecutor
    second: ThreadPoolExecutor


@pytest.fixture
def yard(storage_dir: Path) -> Iterator[Yard]:
    with ExitStack() as stack:
        network = stack.enter_context(three_hosts())
        server = stack.enter_context(postgres_server(host=network.host(1), listen_addresses="10.44.0.1"))
        schema = quote("-csearch_path=" + server.new_yard().rpartition("%3D")[2])
        for n in (1, 2, 3):
            stack.enter_context(
                doors.serving(
                    ["ip", "netns", "exec", network.host(n), sys.executable, "-m", "modelyard", "rest"],
                    storage_dir,
                    MODELYARD_DATABASE_URL=f"postgresql://modelyard@10.44.0.1:5432/postgres?options={schema}",
                    MODELYARD_HOST=f"10.44.0.{n}",
                    MODELYARD_REST_PORT="8000",
                    MODELYARD_AUTH="none",
                )
            )
        replicas = [stack.enter_context(RestClient(f"http://10.44.0.{n}:8000", timeout_s=20)) for n in (1, 2, 3)]
        first = network.threads(1)
        for replica in replicas:
            wait_until(lambda: first.submit(_answer, replica).result() is not None)  # noqa: B023
        own = stack.enter_context(RestClient("http://10.44.0.2:8000", timeout_s=20))
        yield Yard(network, replicas, own, first, network.threads(2))


def _answer(replica: RestClient) -> bool | None:
    """Return whether a replica predicts; None if it refuses to say."""
    try:
        replica.predict(ASKED)
    except ModelNotFound:
        return False
    except ModelyardError:
        return None
    return True


def test_a_ledger_shows_that_nobody_is_served_the_past(yard: Yard) -> None:
    yard.first.submit(yard.replicas[0].train, ORDER).result()
    stop = threading.Event()
    ledger: list[tuple[float, bool | None]] = []

    def watch(replica: RestClient) -> None:
        while not stop.is_set():
            began = time.monotonic()
            ledger.append((began, _answer(replica)))

    watching = [yard.first.submit(watch, replica) for replica in yard.replicas]
    spans: list[tuple[float, float, bool]] = []  # from an answer to the next change: what holds in between
    for round_ in range(6):
        changed = yard.replicas[round_ % 3]
        change = changed.restore if round_ % 2 else changed.delete
        yard.first.submit(change, "churn:1").result()
        answered, seen = time.monotonic(), len(ledger)
        wait_until(lambda: len(ledger) > seen + 30)  # noqa: B023
        spans.append((answered, time.monotonic(), round_ % 2 == 1))
    stop.set()
    for one in watching:
        one.result()
    held = [(answer, holds) for began, answer in ledger for start, end, holds in spans if start < began < end]
    assert len(held) > 100
    assert all(answer is holds for answer, holds in held)
    _cut_one_off(yard)


def _cut_one_off(yard: Yard) -> None:
    first, second, _ = yard.replicas
    yard.network.cut(2)
    yard.first.submit(first.delete, "churn:1").result()
    for _ in range(5):  # it cannot know what is true, and says so
        with pytest.raises(Unavailable, match="the database"):
            yard.second.submit(yard.own.predict, ASKED).result()
    yard.first.submit(first.restore, "churn:1").result()  # nobody waits for it
    yard.first.submit(first.delete, "churn:1").result()
    yard.network.mend(2)
    wait_until(lambda: yard.first.submit(_answer, second).result() is False)
