"""Runs on a Ray cluster of two nodes: they outlive whoever ordered them, and nothing that fails is left to run.

Replicas that no test stops are shared by all tests, which they have to survive: to start one takes seconds. What a test
has taken from the cluster is started again for the next test that needs it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib.metadata import distribution
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.cluster_jobs import Replica
from tests.processes import parents, wait_until_gone
from tests.ray_cluster import ROOT, Cluster, Machines
from tests.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


class Yard:
    """A yard of its own, and its replicas."""

    def __init__(self, machines: Machines, folder: Path, stack: ExitStack) -> None:
        self._network = machines.cluster.network
        self._folder = folder
        self._stack = stack
        self._number = 0
        self._where = machines.new_yard()

    def replica(self, host: int = 1, environment: Mapping[str, str] = MappingProxyType({}), **limits: float) -> Replica:
        """Start a replica."""
        self._number += 1
        root = self._folder / f"replica{self._number}"
        replica = Replica(self._network.host(host), root, self._where, environment, **limits)
        self._stack.callback(replica.close)
        return replica


class Meeting:
    """Runs that wait until they are told to go on: each leaves its process in a file of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def order(self, replica: Replica) -> str:
        """Order a run; return its id once it runs."""
        job_id = replica.order(f"meet {self.folder}")
        wait_until((self.folder / job_id).exists)
        return job_id

    def process(self, job_id: str) -> int:
        """Return the process of a run."""
        return int(wait_until((self.folder / job_id).read_text))

    def go(self) -> None:
        """Tell the runs to go on."""
        (self.folder / "go").touch()


@pytest.fixture
def meeting(tmp_path: Path) -> Meeting:
    return Meeting(tmp_path / "met")


@pytest.fixture
def cluster(machines: Machines) -> Cluster:
    """The cluster, whole."""
    machines.cluster.make_whole()
    return machines.cluster


@pytest.fixture
def yard(machines: Machines, cluster: Cluster, tmp_path: Path) -> Iterator[Yard]:
    """A yard of the test's own."""
    with ExitStack() as stack:
        yield Yard(machines, tmp_path, stack)


@pytest.fixture(scope="module")
def replicas(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Replica, Replica]]:
    """Two replicas of one yard."""
    with ExitStack() as stack:
        shared = Yard(machines, tmp_path_factory.mktemp("shared"), stack)
        yield shared.replica(), shared.replica()


@pytest.fixture
def replica(replicas: tuple[Replica, Replica], cluster: Cluster) -> Replica:
    """A replica that all tests share."""
    return replicas[0]


@pytest.fixture(scope="module")
def other_ray(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH, in which Ray says that it is another release."""
    installed = Path(str(distribution("ray").locate_file("ray")))
    folder = tmp_path_factory.mktemp("other-ray")
    shutil.copytree(installed, folder / "ray", copy_function=os.symlink)
    version = folder / "ray" / "_version.py"
    text = version.read_text()
    version.unlink()
    version.write_text(re.sub('version = ".*"', 'version = "2.0.9"', text))
    return folder


def test_two_runs_take_place_side_by_side_on_two_nodes_and_a_third_one_waits(
    replica: Replica, meeting: Meeting
) -> None:
    before = replica.models()
    first, second = meeting.order(replica), meeting.order(replica)
    third = replica.order("finish")
    assert replica.get(third).status == "queued"
    meeting.go()
    assert [replica.wait(job_id).status for job_id in (first, second, third)] == ["succeeded"] * 3
    assert replica.models() == before + 3


def test_the_trials_of_a_search_take_both_nodes(replica: Replica, meeting: Meeting) -> None:
    search = replica.order(f"meet {meeting.folder}\nmeet {meeting.folder}\nfinish", "search")
    wait_until(lambda: {path.name for path in meeting.folder.iterdir()} == {"0", "1"})  # each node has one core
    meeting.go()
    assert replica.wait(search).status == "succeeded"
    assert replica.told(search) == 2


def test_progress_is_seen_and_a_run_cancelled_from_another_replica(
    replicas: tuple[Replica, Replica], cluster: Cluster
) -> None:
    one, two = replicas
    job_id = one.order("wait")
    wait_until(lambda: two.get(job_id).progress.step == 1)
    two.cancel(job_id)
    assert one.wait(job_id).status == "cancelled"
    assert [one.wait(one.order("finish")).status for _ in range(3)] == ["succeeded"] * 3  # its place is free


@pytest.mark.parametrize(("what", "code"), [("signal 11", "INTERNAL"), ("wrong", "INVALID_ARGUMENT")])
def test_crashes_and_errors_are_those_of_this_machine(replica: Replica, what: str, code: str) -> None:
    assert _failed_with(replica, what) == code


@pytest.mark.parametrize(
    ("what", "limits", "code"),
    [
        ("spin", {"timeout_s": 0.5}, "DEADLINE_EXCEEDED"),
        ("hog", {"memory_bytes": 500 << 20}, "RESOURCE_EXHAUSTED"),
    ],
)
def test_limits_are_those_of_this_machine(yard: Yard, what: str, limits: dict[str, Any], code: str) -> None:
    assert _failed_with(yard.replica(**limits), what) == code


def _failed_with(replica: Replica, what: str) -> str:
    """Return the code word of the error that a run ends with."""
    job = replica.wait(replica.order(what))
    assert job.status == "failed"
    assert job.error is not None
    return job.error.code


def test_what_a_run_is_given_takes_its_time_on_a_slow_network(replica: Replica, cluster: Cluster) -> None:
    given = "finish" + " " * 7_000_000
    with cluster.network.slow(1, megabits=8):
        assert replica.wait(replica.order(given)).status == "succeeded"


def test_a_run_goes_on_when_its_replica_is_stopped_and_when_it_is_killed(yard: Yard, meeting: Meeting) -> None:
    one, two = yard.replica(), yard.replica()
    job_id = meeting.order(one)
    one.close()
    wait_until(lambda: f"job {job_id} goes on with this process" in two.log.read_text())
    three = yard.replica()
    two.kill()
    meeting.go()
    job = three.wait(job_id)
    assert (job.status, three.models()) == ("succeeded", 1)


def test_a_search_goes_on_when_its_replica_is_killed(yard: Yard, meeting: Meeting) -> None:
    one, two = yard.replica(), yard.replica()
    search = one.order(f"finish\nmeet {meeting.folder}\nfinish", "search")
    wait_until((meeting.folder / "1").exists)
    one.kill()
    meeting.go()
    assert two.wait(search).status == "succeeded"


def test_a_replica_that_was_taken_for_dead_makes_no_second_model(yard: Yard, meeting: Meeting) -> None:
    one, two = yard.replica(), yard.replica()
    job_id = meeting.order(one)
    one.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: f"job {job_id} goes on with this process" in two.log.read_text())
    meeting.go()
    assert two.wait(job_id).status == "succeeded"
    one.process.send_signal(signal.SIGCONT)
    assert one.wait(one.order("finish")).status == "succeeded"
    assert two.models() == 2


def test_a_run_goes_on_when_its_bridge_is_killed(replica: Replica, meeting: Meeting) -> None:
    job_id = meeting.order(replica)
    os.kill(replica.bridge(), signal.SIGKILL)
    meeting.go()
    assert replica.wait(job_id).status == "succeeded"


def test_a_run_is_interrupted_when_its_foreman_is_killed(replica: Replica, meeting: Meeting) -> None:
    job_id = meeting.order(replica)
    run = meeting.process(job_id)
    foreman = parents()[parents()[run]]  # the fork server's parent
    os.kill(foreman, signal.SIGKILL)
    job = replica.wait(job_id)
    assert job.error is not None
    assert (job.status, job.error.code) == ("interrupted", "UNAVAILABLE")
    wait_until_gone([run])
    meeting.go()
    assert replica.wait(replica.order("finish")).status == "succeeded"


@pytest.mark.parametrize("fault", ["kill", "cut"])
def test_the_runs_of_a_node_that_is_gone_are_interrupted(
    replica: Replica, meeting: Meeting, cluster: Cluster, fault: str
) -> None:
    before = replica.models()
    jobs = [meeting.order(replica), meeting.order(replica)]
    cluster.kill(3) if fault == "kill" else cluster.network.cut(3)
    wait_until(lambda: any(replica.get(job_id).ended for job_id in jobs))
    meeting.go()
    assert sorted(replica.wait(job_id).status for job_id in jobs) == ["interrupted", "succeeded"]
    if fault == "cut":
        cluster.network.mend(3)
        cluster.wait_for_end(3)
    assert replica.models() == before + 1


def test_a_head_that_dies_interrupts_the_runs_and_the_cluster_is_used_again_when_it_is_back(
    replica: Replica, meeting: Meeting, cluster: Cluster
) -> None:
    before = replica.models()
    under_way = [meeting.order(replica), meeting.order(replica)]
    processes = [meeting.process(job_id) for job_id in under_way]
    cluster.kill(1)
    later = replica.order("finish")
    cluster.start(1)
    for n in (2, 3):  # the new head knows nothing of them
        cluster.wait_for_end(n)
    wait_until_gone(processes)
    cluster.make_whole()
    assert [replica.wait(job_id).status for job_id in under_way] == ["interrupted"] * 2
    assert replica.wait(later).status == "succeeded"
    assert replica.models() == before + 1


def test_a_node_with_another_modelyard_is_refused_by_name(
    replica: Replica, meeting: Meeting, cluster: Cluster, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(ROOT / "modelyard", other / "modelyard")
    path = other / "modelyard" / "__init__.py"
    path.write_text(re.sub(r'__version__ = ".*"', '__version__ = "0.0.9"', path.read_text()))
    cluster.kill(3)
    try:
        cluster.start(3, PYTHONPATH=f"{other}:{ROOT}")
        first = meeting.order(replica)
        second = replica.order("finish")
        wait_until(lambda: "(10.44.0.3) of the Ray cluster gets no trainings: it has Modelyard 0.0.9" in _said(replica))
        meeting.go()
        assert [replica.wait(job_id).status for job_id in (first, second)] == ["succeeded"] * 2
    finally:
        cluster.kill(3)


def test_a_node_with_another_ray_is_refused_by_name(replica: Replica, cluster: Cluster, other_ray: Path) -> None:
    cluster.kill(3)
    said = cluster.refused(3, PYTHONPATH=f"{other_ray}:{ROOT}")
    assert re.search(
        r"Version mismatch: The cluster was started with:.*This process on node .*Ray: 2\.0\.9", said, re.DOTALL
    )
    assert replica.wait(replica.order("finish")).status == "succeeded"


def test_a_server_with_another_ray_says_both_versions_and_its_trainings_wait(yard: Yard, other_ray: Path) -> None:
    replica = yard.replica(environment={"PYTHONPATH": str(other_ray)})
    job_id = replica.order("finish")
    theirs = distribution("ray").version
    wait_until(
        lambda: re.search(rf"cannot be used: Version mismatch: .* Ray: {theirs} .* Ray: 2\.0\.9 ", _said(replica))
    )
    assert replica.get(job_id).status == "queued"


def test_a_server_whose_host_is_no_node_says_so_and_trains_once_it_is_one(yard: Yard, cluster: Cluster) -> None:
    cluster.kill(3)
    replica = yard.replica(host=3)
    job_id = replica.order("finish")
    wait_until(lambda: "cannot be used: this host is no node of it at 10.44.0.3" in _said(replica))
    assert replica.get(job_id).status == "queued"
    cluster.start(3)
    assert replica.wait(job_id).status == "succeeded"


def _said(replica: Replica) -> str:
    return replica.log.read_text()
