"""Jobs of hosts that have no folder in common: each sees the others' jobs, and runs what they have left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from modelyard.jobs import Jobs, Limits
from modelyard.storage.opening import open_storage
from modelyard.storage.postgres import leases
from modelyard.storage.servers import Servers
from tests.job_runs import jobs_of, order
from tests.postgres_server import PostgresServer
from tests.s3_server import S3Server
from tests.waiting import PATIENCE_S, wait_until

LIMITS = Limits(workers=1, niceness=0, grace_s=0.0)


class Host:
    """A host: its jobs, and the engines below them."""

    def __init__(self, url: str, root: Path, bucket: dict[str, str], stack: ExitStack) -> None:
        self.servers = Servers(url, root, artifacts_url=bucket["artifacts_url"], s3_endpoint=bucket["s3_endpoint"])
        self.storage = open_storage(self.servers)
        stack.callback(self.storage.close)
        self.owners = self.servers.owners()
        self.jobs: Jobs = jobs_of(self.storage, LIMITS, owners=self.owners)
        self.jobs_open = stack.enter_context(ExitStack())
        self.jobs_open.callback(self.jobs.close)


@pytest.fixture
def hosts(postgres: PostgresServer, s3: S3Server, tmp_path: Path) -> Iterator[list[Host]]:
    url, bucket = postgres.new_yard(), s3.new_bucket()
    with ExitStack() as stack:
        yield [Host(url, tmp_path / name, bucket, stack) for name in ("one", "two")]


def test_how_far_a_run_is_is_seen_on_another_host_and_it_can_be_cancelled_there(hosts: list[Host]) -> None:
    one, two = hosts
    job = order(one.jobs, "wait")
    wait_until(lambda: two.jobs.get(job.job_id).progress.step == 1)
    two.jobs.cancel(job.job_id)
    assert one.jobs.wait(job.job_id).status == "cancelled"
    wait_until(lambda: two.servers.spools().progress(job.job_id) is None)


def test_what_a_host_leaves_queued_another_one_runs(hosts: list[Host]) -> None:
    one, two = hosts
    running, queued = order(one.jobs, "wait"), order(one.jobs, "finish")
    two.jobs.serve()
    wait_until(lambda: one.jobs.get(running.job_id).status == "running")
    one.jobs_open.close()
    ended = two.jobs.wait(queued.job_id)
    assert (ended.status, two.jobs.get(running.job_id).status) == ("succeeded", "interrupted")
    assert ended.model_id is not None
    assert two.storage.models.get(ended.model_id).metadata.version == 1
    bucket = two.servers._bucket
    assert bucket is not None
    wait_until(lambda: bucket.keys("jobs/") == [])


def test_the_runs_of_a_host_that_is_gone_are_interrupted_and_what_it_makes_later_does_not_count(
    hosts: list[Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = hosts
    met = tmp_path / "met"
    met.mkdir()
    job = order(one.jobs, f"meet {met}")
    wait_until((met / job.job_id).exists)
    monkeypatch.setattr(leases, "_DEAD_AFTER_S", 0.5)
    one.owners._released.set()  # it is cut off: nobody sees its beat any more
    assert two.jobs.wait(job.job_id).status == "interrupted"
    (met / "go").touch()  # its run, if it is still there, makes a model
    one.jobs_open.close()
    assert two.jobs.get(job.job_id).status == "interrupted"
    assert two.storage.models.count_active() == 0


def test_a_search_that_a_host_leaves_goes_on_at_another_one(hosts: list[Host], tmp_path: Path) -> None:
    one, two = hosts
    met = tmp_path / "met"
    met.mkdir()
    job = order(one.jobs, f"finish\nmeet {met}\nfinish", kind="search")
    wait_until(lambda: any(met.iterdir()))
    assert two.jobs.get(job.job_id).progress.step == 1
    two.jobs.serve()
    one.jobs_open.close()
    wait_until((two.storage.runs / job.job_id / "runs" / "0" / "order").exists)  # what a run has left for later ones
    (met / "go").touch()
    ended = two.jobs.wait(job.job_id)
    assert ended.status == "succeeded"
    assert len(two.storage.jobs.get(job.job_id).told) == 2


def test_who_waits_is_told_the_end_of_a_queued_job_that_another_host_takes(
    hosts: list[Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = hosts
    met = tmp_path / "met"
    met.mkdir()
    monkeypatch.setattr(one.jobs._dispatcher, "_limits", replace(LIMITS, grace_s=PATIENCE_S))
    running, queued = order(one.jobs, f"meet {met}"), order(one.jobs, "finish")
    wait_until((met / running.job_id).exists)
    two.jobs.serve()
    one.jobs.drain()
    assert one.jobs.wait(queued.job_id).status == "succeeded"
    (met / "go").touch()
    assert one.jobs.wait(running.job_id).status == "succeeded"
