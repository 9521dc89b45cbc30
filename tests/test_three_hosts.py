"""A yard on three hosts: who was told of a change is answered by nothing of before, by no host, cut off or not."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar
from urllib.parse import quote

import pytest

from modelyard.access.keys import new_key
from modelyard.errors import ModelyardError, NotFound, TooManyRequests, Unauthenticated, Unavailable
from modelyard.rest_api.client import RestClient
from modelyard.schemas import AliasRequest, Job, KeyRequest, ModelQuery, PredictRequest, TrainRequest
from modelyard.storage.postgres.session import Session
from tests import doors
from tests.churn import ORDER, ROWS
from tests.loads import patiently
from tests.networks import Network, three_hosts
from tests.postgres_server import postgres_server
from tests.processes import runs
from tests.s3_server import KEYS, s3_server
from tests.waiting import PATIENCE_S, wait_until

ROUNDS = 4

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Yard:
    """A replica on each host, threads of host 1 to call them from, and of host 2 to call its own."""

    network: Network
    database_url: str
    admin_key: str
    replicas: list[RestClient]
    pids: list[int]
    own: RestClient
    first: ThreadPoolExecutor
    second: ThreadPoolExecutor

    def ask(self, verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a verb from host 1, until the machine leaves the replica the time to answer."""
        return patiently(lambda: self.first.submit(verb, *args, **kwargs).result())

    def until_mended(self) -> None:
        """Connect host 2 again, and wait until it serves."""
        self.network.mend(2)
        wait_until(lambda: self.ask(_serves, self.replicas[1]))


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("hosts")
    with ExitStack() as stack:
        network = stack.enter_context(three_hosts())
        server = stack.enter_context(postgres_server(host=network.host(1), listen_addresses="10.44.0.1"))
        bucket = stack.enter_context(s3_server("10.44.0.1", network.host(1))).new_bucket()
        schema = quote("-csearch_path=" + server.new_yard().rpartition("%3D")[2])
        url = f"postgresql://modelyard@10.44.0.1:5432/postgres?options={schema}"
        (folder / "admin.key").write_text(key := new_key())
        settings = {
            "MODELYARD_DATABASE_URL": url,
            "MODELYARD_ARTIFACTS_URL": bucket["artifacts_url"],
            "MODELYARD_S3_ENDPOINT": bucket["s3_endpoint"],
            "MODELYARD_AUTH": "keys",
            "MODELYARD_ADMIN_KEY_FILE": str(folder / "admin.key"),
            "MODELYARD_TRAIN_GRACE_S": "0",
            "MODELYARD_TRAIN_WORKERS": "1",
            "MODELYARD_REST_PORT": "8000",
            **KEYS,
        }
        pids = [stack.enter_context(_replica(network, n, folder, settings)).pid for n in (1, 2, 3)]
        replicas = [stack.enter_context(_client(n, key)) for n in (1, 2, 3)]
        first = network.threads(1)
        for replica in replicas:
            wait_until(lambda: first.submit(_serves, replica).result())  # noqa: B023
        own = stack.enter_context(_client(2, key))
        yield Yard(network, url, key, replicas, pids, own, first, network.threads(2))


def _replica(
    network: Network, n: int, folder: Path, settings: dict[str, str]
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    command = ["ip", "netns", "exec", network.host(n), sys.executable, "-m", "modelyard", "rest"]
    (folder / str(n)).mkdir()
    return doors.serving(command, folder / str(n) / "yard", MODELYARD_HOST=f"10.44.0.{n}", **settings)


def _client(n: int, key: str) -> RestClient:
    return RestClient(f"http://10.44.0.{n}:8000", key=key, timeout_s=PATIENCE_S)


def _serves(replica: RestClient) -> bool:
    try:
        return replica.health().status == "ok"
    except ModelyardError:
        return False


@dataclass(frozen=True, slots=True)
class Seen:
    """What a replica answered to a question that began at a time; None if it refused to say."""

    began: float
    subject: str
    answer: object


class Ledger:
    """What all replicas answer, again and again, and what was true in which spans of time."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self._stop = threading.Event()
        self._spans: list[tuple[float, float, str, object]] = []
        self.seen: list[Seen] = []
        self.key = yard.admin_key
        """Asked about, by another name each time it is a new one."""

        self._watching = [yard.first.submit(self._watch, n) for n in (1, 2, 3)]

    def _watch(self, n: int) -> None:
        with _client(n, self._yard.admin_key) as replica:
            while not self._stop.is_set():
                self._ask("model", lambda: _model_of(replica, "churn:1") != "")
                self._ask("alias", lambda: _model_of(replica, "churn@live"))
                key = self.key
                with _client(n, key) as shown:
                    self._ask(key, lambda: _is_valid(shown))

    def _ask(self, subject: str, question: Callable[[], object]) -> None:
        began = time.monotonic()
        try:
            answer = question()
        except Unavailable:
            answer = None
        self.seen.append(Seen(began, subject, answer))

    def holds(self, subject: str, answer: object, change: Callable[[], object]) -> None:
        """Make a change, after which a question has one answer until the next change of its subject."""
        now = time.monotonic()
        self._spans = [(a, min(b, now) if s == subject else b, s, t) for a, b, s, t in self._spans]
        self._yard.ask(change)
        self._spans.append((time.monotonic(), float("inf"), subject, answer))

    def until_asked(self) -> None:
        """Wait until some more questions were asked."""
        seen = len(self.seen)
        wait_until(lambda: len(self.seen) > seen + 20 or any(one.done() for one in self._watching))

    def check(self) -> None:
        """Stop, and check each answer of a question that began when it was known what is true."""
        self._stop.set()
        for one in self._watching:
            one.result()
        known = [
            (seen, answer)
            for seen in self.seen
            for start, end, subject, answer in self._spans
            if seen.subject == subject and start < seen.began < end
        ]
        assert len(known) > 100
        assert [one for one in known if one[0].answer not in (one[1], None)] == []
        assert sum(seen.answer is not None for seen, _ in known) > 0.9 * len(known)


def _model_of(replica: RestClient, reference: str) -> str:
    try:
        return replica.predict(PredictRequest(model_id=reference, X=ROWS[:1])).model_id
    except NotFound:
        return ""


def _is_valid(shown: RestClient) -> bool:
    try:
        shown.whoami()
    except (Unauthenticated, TooManyRequests):  # the latter for the eleventh key that is not valid
        return False
    return True


def test_a_ledger_shows_that_nobody_is_served_the_past(yard: Yard) -> None:
    models = [yard.ask(yard.replicas[0].train, ORDER).model_id for _ in range(3)]
    ledger = Ledger(yard)
    for round_ in range(ROUNDS):
        changed, even = yard.replicas[round_ % 3], round_ % 2 == 0
        retire = changed.delete if even else changed.restore
        ledger.holds("model", not even, lambda: retire("churn:1"))  # noqa: B023
        target = AliasRequest(version=2 + round_ % 2)
        ledger.holds("alias", models[target.version - 1], lambda: changed.set_alias("churn", "live", target))  # noqa: B023
        name = f"key-{round_}"
        made = yard.ask(changed.create_key, KeyRequest(name=name, role="reader"))
        ledger.holds(made.key, True, lambda: setattr(ledger, "key", made.key))  # noqa: B023
        ledger.until_asked()
        ledger.holds(made.key, False, lambda: changed.revoke_key(name))  # noqa: B023
        ledger.until_asked()
    ledger.check()
    assert yard.ask(yard.replicas[0].get_model, "churn:1").status == "active"


def test_a_host_that_is_cut_off_serves_nothing_of_before(yard: Yard) -> None:
    first, second, _ = yard.replicas
    version = yard.ask(first.train, ORDER).version
    reference = f"churn:{version}"
    yard.network.cut(2)
    try:
        yard.ask(first.delete, reference)
        asked = PredictRequest(model_id=reference, X=ROWS[:1])
        for _ in range(5):  # it cannot know what is true, and says so
            with pytest.raises(Unavailable, match="the database"):
                yard.second.submit(yard.own.predict, asked).result()
        yard.ask(first.restore, reference)  # nobody waits for it
        yard.ask(first.delete, reference)
    finally:
        yard.until_mended()
    assert yard.ask(_model_of, second, reference) == ""


def test_a_host_that_is_cut_off_with_the_writers_lock_gives_it_back(yard: Yard) -> None:
    first, second, third = yard.replicas
    version = yard.ask(first.train, ORDER).version
    lock = Session(yard.database_url, 10.0)
    yard.second.submit(lock.begin).result()
    yard.second.submit(lock.row, "update head set seq = seq + 1 returning seq").result()
    yard.network.cut(2)
    try:
        for replica in (first, third):  # they wait for the lock, and not in vain
            yard.ask(replica.set_alias, "churn", "live", AliasRequest(version=version))
    finally:
        yard.until_mended()
    with pytest.raises(Unavailable):
        yard.second.submit(lock.run, "update head set seq = seq").result()
    lock.close()
    assert yard.ask(second.list_aliases, "churn").aliases[0].version == version


def test_the_run_of_a_host_that_is_cut_off_is_interrupted_and_counts_no_more(yard: Yard) -> None:
    first, second, third = yard.replicas
    lost = yard.ask(second.submit_training, _long("of-2"))
    kept = yard.ask(third.submit_training, _long("of-3"))
    for job in (lost, kept):
        wait_until(lambda: yard.ask(first.get_job, job.job_id).progress.step)  # noqa: B023
    yard.network.cut(2)
    try:
        wait_until(lambda: yard.ask(first.get_job, lost.job_id).status == "interrupted")
        wait_until(lambda: not runs(yard.pids[1]))  # it has ended by itself, and nobody could be told
        ended = wait_until(lambda: _ended(yard.ask(first.get_job, kept.job_id)))
    finally:
        yard.until_mended()
    assert ended.status == "succeeded"
    again = yard.ask(second.train, ORDER)
    assert again.name == "churn"
    assert yard.ask(second.get_job, lost.job_id).status == "interrupted"
    assert yard.ask(second.list_models, ModelQuery(name="of-2")).models == []
    assert len(yard.ask(second.list_models, ModelQuery(name="of-3")).models) == 1


def _ended(job: Job) -> Job | None:
    return job if job.ended else None


def _long(name: str) -> TrainRequest:
    """Order a training that takes some seconds."""
    rows = [[n % 7, n % 11, n % 13] for n in range(4000)]
    labels = ["odd" if (a * b + c) % 2 else "even" for a, b, c in rows]
    settings = {"iterations": 400, "depth": 8}
    return TrainRequest(model_class_key="catboost_classifier", X=rows, y=labels, name=name, hyperparams=settings)
