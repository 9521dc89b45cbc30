"""Trainings and searches on a Ray cluster of two nodes, asked for by REST: the models are those of one machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from modelyard.errors import Unavailable
from modelyard.rest_api.client import RestClient
from modelyard.schemas import Job, PredictRequest, SearchRequest, TrainRequest
from tests import doors
from tests.ray_cluster import Machines
from tests.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

CLASSES = ("logistic_regression", "catboost_classifier", "lightgbm_classifier")


@pytest.fixture(scope="module")
def served(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RestClient, Machines]]:
    """A client of a REST server on host 1, which runs on that host alone."""
    machines.cluster.make_whole()
    network = machines.cluster.network
    settings = {f"MODELYARD_{name.upper()}": value for name, value in machines.new_yard().items()}
    command = ["ip", "netns", "exec", network.host(1), sys.executable, "-m", "modelyard", "rest"]
    fixed = {"MODELYARD_HOST": "10.44.0.1", "MODELYARD_REST_PORT": "8000", "MODELYARD_AUTH": "none"}
    with ExitStack() as stack:
        stack.enter_context(
            doors.serving(command, tmp_path_factory.mktemp("served"), **settings, **fixed, MODELYARD_RUNNER="ray")
        )
        client = stack.enter_context(RestClient("http://10.44.0.1:8000", timeout_s=300))
        yield client, machines


def orders(table: Path) -> list[TrainRequest]:
    """Return ten orders, of several model classes."""
    return [
        TrainRequest(model_class_key=CLASSES[n % 3], X=table, target="species", name=f"birds-{n}") for n in range(10)
    ]


def asked(table: Path, n: int) -> PredictRequest:
    """Return the question for the probabilities of all rows."""
    return PredictRequest(model_id=f"birds-{n}", X=table, probabilities=True)


def patiently(host: Executor, call: Callable[[Asked], Answer], asked: Asked) -> Answer:
    """Call from a host until there is an answer: a busy database is no fault of the cluster's."""

    def answer() -> list[Answer]:
        with suppress(Unavailable):
            return [host.submit(call, asked).result()]
        return []

    return wait_until(answer)[0]


def until_ended(host: Executor, client: RestClient, job_id: str) -> Job | None:
    """Return a job if it has ended."""
    job = patiently(host, client.get_job, job_id)
    return job if job.ended else None


def test_ten_trainings_on_two_nodes_make_the_models_of_one_machine_to_the_bit(
    served: tuple[RestClient, Machines], penguins_csv: Path, tmp_path: Path
) -> None:
    client, machines = served
    with machines.cluster.network.threads(1) as host:
        wait_until(lambda: host.submit(client.health).exception() is None)
        jobs = [patiently(host, client.submit_training, order) for order in orders(penguins_csv)]
        ended = [wait_until(partial(until_ended, host, client, job.job_id)) for job in jobs]
        assert [(job.status, job.error) for job in ended] == [("succeeded", None)] * 10
        answers = [patiently(host, client.predict, asked(penguins_csv, n)).probabilities for n in range(10)]
        models = [patiently(host, client.get_model, f"birds-{n}") for n in range(10)]
        pickles = [patiently(host, client.get_artifact, f"birds-{n}") for n in range(0, 10, 3)]
    with doors.core(tmp_path / "local") as core:
        for order in orders(penguins_csv):
            core.train(order)
        assert answers == [core.predict(asked(penguins_csv, n)).probabilities for n in range(10)]
        assert [model.metrics for model in models] == [core.get_model(f"birds-{n}").metrics for n in range(10)]
        # CatBoost writes the time and a random id into its models.
        assert pickles == [core.get_artifact(f"birds-{n}") for n in range(0, 10, 3)]


def test_a_search_makes_a_model_of_what_both_nodes_have_tried(
    served: tuple[RestClient, Machines], penguins_csv: Path
) -> None:
    client, machines = served
    with machines.cluster.network.threads(1) as host:
        wait_until(lambda: host.submit(client.health).exception() is None)
        request = SearchRequest(X=penguins_csv, target="species", name="best", trials=8)
        job = patiently(host, client.submit_search, request)
        ended = wait_until(partial(until_ended, host, client, job.job_id))
        assert ended.model_id is not None, ended.error
        model = patiently(host, client.get_model, ended.model_id)
        report = patiently(host, client.get_report, ended.model_id)
    assert model.search is not None
    assert model.search.trials == 8
    assert report.leaderboard
