"""Trainings and searches on a Ray cluster of two nodes, asked for by REST: the models are those of one machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from modelyard.rest_api.client import RestClient
from modelyard.schemas import SearchRequest, TrainRequest
from tests import doors
from tests.ray_cluster import Machines
from tests.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

CLASSES = ("logistic_regression", "catboost_classifier", "lightgbm_classifier")


@pytest.fixture
def served(machines: Machines, storage_dir: Path) -> Iterator[tuple[RestClient, Machines]]:
    """A client of a REST server on host 1, which runs on that host alone."""
    network = machines.cluster.network
    settings = {f"MODELYARD_{name.upper()}": value for name, value in machines.new_yard().items()}
    command = ["ip", "netns", "exec", network.host(1), sys.executable, "-m", "modelyard", "rest"]
    fixed = {"MODELYARD_HOST": "10.44.0.1", "MODELYARD_REST_PORT": "8000", "MODELYARD_AUTH": "none"}
    with ExitStack() as stack:
        stack.enter_context(doors.serving(command, storage_dir, **settings, **fixed, MODELYARD_RUNNER="ray"))
        client = stack.enter_context(RestClient("http://10.44.0.1:8000", timeout_s=300))
        yield client, machines


def orders(table: Path) -> list[TrainRequest]:
    """Return ten orders, of several model classes."""
    return [
        TrainRequest(model_class_key=CLASSES[n % 3], X=table, target="species", name=f"birds-{n}") for n in range(10)
    ]


def test_ten_trainings_on_two_nodes_make_the_models_of_one_machine_to_the_bit(
    served: tuple[RestClient, Machines], penguins_csv: Path, tmp_path: Path
) -> None:
    client, machines = served
    with machines.cluster.network.threads(1) as host:
        wait_until(lambda: host.submit(client.health).exception() is None)
        jobs = [host.submit(client.submit_training, order).result() for order in orders(penguins_csv)]
        ended = [host.submit(list, client.watch_job(job.job_id)).result()[-1] for job in jobs]
        assert [(job.status, job.error) for job in ended] == [("succeeded", None)] * 10
        made = [host.submit(client.get_artifact, f"birds-{n}").result() for n in range(10)]
    with doors.core(tmp_path / "local") as core:
        for order in orders(penguins_csv):
            core.train(order)
        assert made == [core.get_artifact(f"birds-{n}") for n in range(10)]


def test_a_search_makes_a_model_of_what_both_nodes_have_tried(
    served: tuple[RestClient, Machines], penguins_csv: Path
) -> None:
    client, machines = served
    with machines.cluster.network.threads(1) as host:
        wait_until(lambda: host.submit(client.health).exception() is None)
        request = SearchRequest(X=penguins_csv, target="species", name="best", trials=8)
        model = host.submit(client.search, request).result()
        report = host.submit(client.get_report, model.model_id).result()
    assert model.search is not None
    assert model.search.trials == 8
    assert report.leaderboard
