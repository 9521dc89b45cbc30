"""Runs on a Ray cluster of two nodes: they outlive whoever ordered them, and nothing that fails is left to run."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cluster_jobs import Replica
from tests.processes import parents, wait_until_gone
from tests.ray_cluster import ROOT, Machines
from tests.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


class Yard:
    """A yard of its own, and its replicas on host 1."""

    def __init__(self, machines: Machines, folder: Path, stack: ExitStack) -> None:
        self.machines = machines
        self._folder = folder
        self._stack = stack
        self._number = 0
        self.met = folder / "met"
        self.met.mkdir()
        self._where = machines.new_yard()

    def replica(self, **limits: float) -> Replica:
        """Start a replica."""
        self._number += 1
        replica = Replica(
            self.machines.cluster.network.host(1), self._folder / f"replica{self._number}", self._where, **limits
        )
        self._stack.callback(replica.close)
        return replica

    def order_meeting(self, replica: Replica) -> str:
        """Order a run that waits until it is told to go on; return its id once it runs."""
        job_id = replica.order(f"meet {self.met}")
        wait_until((self.met / job_id).exists)
        return job_id

    def go(self) -> None:
        """Tell the runs that wait to go on."""
        (self.met / "go").touch()


@pytest.fixture
def yard(machines: Machines, tmp_path: Path) -> Iterator[Yard]:
    with ExitStack() as stack:
        yield Yard(machines, tmp_path, stack)


def test_two_runs_take_place_side_by_side_on_two_nodes_and_a_third_one_waits(yard: Yard) -> None:
    replica = yard.replica()
    first, second = yard.order_meeting(replica), yard.order_meeting(replica)
    third = replica.order("finish")
    assert replica.get(third).status == "queued"
    yard.go()
    assert [replica.wait(job_id).status for job_id in (first, second, third)] == ["succeeded"] * 3
    assert replica.models() == 3


def test_the_trials_of_a_search_take_both_nodes(yard: Yard) -> None:
    replica = yard.replica()
    search = replica.order(f"meet {yard.met}\nmeet {yard.met}\nfinish", "search")
    wait_until(lambda: {path.name for path in yard.met.iterdir()} == {"0", "1"})  # each node has one core
    yard.go()
    assert replica.wait(search).status == "succeeded"
    assert replica.told(search) == 2


def test_progress_is_seen_and_a_run_cancelled_from_another_replica(yard: Yard) -> None:
    one, two = yard.replica(), yard.replica()
    job_id = one.order("wait")
    wait_until(lambda: two.get(job_id).progress.step == 1)
    two.cancel(job_id)
    assert one.wait(job_id).status == "cancelled"
    assert [one.wait(one.order("finish")).status for _ in range(3)] == ["succeeded"] * 3  # its place is free


@pytest.mark.parametrize(
    ("what", "limits", "code"),
    [
        ("spin", {"timeout_s": 0.5}, "DEADLINE_EXCEEDED"),
        ("hog", {"memory_bytes": 500 << 20}, "RESOURCE_EXHAUSTED"),
        ("signal 11", {}, "INTERNAL"),
        ("wrong", {}, "INVALID_ARGUMENT"),
    ],
)
def test_limits_and_crashes_are_those_of_this_machine(
    yard: Yard, what: str, limits: dict[str, float], code: str
) -> None:
    replica = yard.replica(**limits)
    job = replica.wait(replica.order(what))
    assert job.error is not None
    assert (job.status, job.error.code) == ("failed", code)


def test_a_run_goes_on_when_its_replica_is_stopped_and_when_it_is_killed(yard: Yard) -> None:
    one, two = yard.replica(), yard.replica()
    job_id = yard.order_meeting(one)
    one.close()
    three = yard.replica()
    two.kill()
    four = yard.replica()
    three.close()
    yard.go()
    job = four.wait(job_id)
    assert (job.status, four.models()) == ("succeeded", 1)


def test_a_search_goes_on_when_its_replica_is_killed(yard: Yard) -> None:
    one, two = yard.replica(), yard.replica()
    search = one.order(f"finish\nmeet {yard.met}\nfinish", "search")
    wait_until((yard.met / "1").exists)
    one.kill()
    yard.go()
    assert two.wait(search).status == "succeeded"


def test_a_replica_that_was_taken_for_dead_makes_no_second_model(yard: Yard) -> None:
    one, two = yard.replica(), yard.replica()
    job_id = yard.order_meeting(one)
    one.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: f"job {job_id} goes on with this process" in two.log.read_text())
    yard.go()
    assert two.wait(job_id).status == "succeeded"
    one.process.send_signal(signal.SIGCONT)
    assert one.wait(one.order("finish")).status == "succeeded"
    assert two.models() == 2


def test_a_run_goes_on_when_its_bridge_is_killed(yard: Yard) -> None:
    replica = yard.replica()
    job_id = yard.order_meeting(replica)
    os.kill(replica.bridge(), signal.SIGKILL)
    yard.go()
    assert replica.wait(job_id).status == "succeeded"


def test_a_run_is_interrupted_when_its_foreman_is_killed(yard: Yard) -> None:
    replica = yard.replica()
    job_id = yard.order_meeting(replica)
    run = int(wait_until((yard.met / job_id).read_text))
    foreman = parents()[parents()[run]]  # the fork server's parent
    os.kill(foreman, signal.SIGKILL)
    job = replica.wait(job_id)
    assert job.error is not None
    assert (job.status, job.error.code) == ("interrupted", "UNAVAILABLE")
    wait_until_gone([run])
    yard.go()
    assert replica.wait(replica.order("finish")).status == "succeeded"


@pytest.mark.parametrize("fault", ["kill", "cut"])
def test_the_runs_of_a_node_that_is_gone_are_interrupted(yard: Yard, fault: str) -> None:
    cluster = yard.machines.cluster
    replica = yard.replica()
    jobs = [yard.order_meeting(replica), yard.order_meeting(replica)]
    cluster.kill(3) if fault == "kill" else cluster.network.cut(3)
    wait_until(lambda: any(replica.get(job_id).ended for job_id in jobs))
    yard.go()
    assert sorted(replica.wait(job_id).status for job_id in jobs) == ["interrupted", "succeeded"]
    assert replica.models() == 1
    if fault == "cut":
        cluster.network.mend(3)
        cluster.wait_for_end(3)
    cluster.start(3)
    assert replica.models() == 1


def test_a_cluster_that_dies_interrupts_its_runs_and_is_used_again_when_it_is_back(yard: Yard) -> None:
    cluster = yard.machines.cluster
    replica = yard.replica()
    job_id = yard.order_meeting(replica)
    for n in (1, 2, 3):
        cluster.kill(n)
    later = replica.order("finish")
    for n in (1, 2, 3):
        cluster.start(n)
    assert replica.wait(job_id).status == "interrupted"
    assert replica.wait(later).status == "succeeded"


def test_a_node_with_another_version_is_refused_by_name(yard: Yard, tmp_path: Path) -> None:
    cluster = yard.machines.cluster
    other = tmp_path / "other"
    shutil.copytree(ROOT / "modelyard", other / "modelyard")
    path = other / "modelyard" / "__init__.py"
    path.write_text(re.sub(r'__version__ = ".*"', '__version__ = "0.0.9"', path.read_text()))
    cluster.kill(3)
    cluster.start(3, PYTHONPATH=f"{other}:{ROOT}")
    replica = yard.replica()
    try:
        first = yard.order_meeting(replica)
        second = replica.order("finish")
        wait_until(lambda: "gets no trainings: it has Modelyard 0.0.9" in replica.log.read_text())
        assert "(10.44.0.3)" in replica.log.read_text()
        yard.go()
        assert [replica.wait(job_id).status for job_id in (first, second)] == ["succeeded"] * 2
    finally:
        cluster.kill(3)
        cluster.start(3)
