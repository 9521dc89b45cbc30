"""A foreman itself, without a cluster round it: one run at a time, for one holder, and none that nobody looks at."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from pickle import PickleBuffer

import pytest

from modelyard.jobs.ray import files
from modelyard.jobs.ray import foreman as foremen
from modelyard.jobs.ray.foreman import Foreman
from modelyard.jobs.ray.orders import Kind, Look, Order, kind_of
from modelyard.jobs.spool import Finished, Spool
from tests.job_runs import TARGET
from tests.processes import parents, wait_until_gone
from tests.s3_server import S3Server
from tests.waiting import wait_until

KEY = bytes(32)
KIND = kind_of(TARGET, (), None)


@pytest.fixture
def foreman(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Foreman]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Foreman, "_leave", lambda _: None)  # it would end this process
    made = Foreman(TARGET, (), None)
    yield made
    made.close()


def ordered(tmp_path: Path, what: str, **other: object) -> Order:
    """Return the order of a run in a folder that the foreman shares."""
    folder = tmp_path / "job"
    folder.mkdir(exist_ok=True)
    (folder / "order").write_text(what)
    order: Order = {
        "run_id": "job",
        "folder": str(folder),
        "depot_url": None,
        "depot_endpoint": None,
        "files": {},
        "key": KEY.hex(),
        "niceness": 0,
        "timeout_s": 0.0,
        "memory_bytes": 0,
    }
    return Order(**{**order, **other})  # type: ignore[typeddict-item]


def until_ended(foreman: Foreman, run_id: str = "job") -> Look:
    """Look until a run has ended."""

    def ended() -> Look | None:
        look = foreman.look(run_id, -1)
        assert look is not None
        return look if look["ended"] else None

    return wait_until(ended)


def test_a_place_is_one_holders_until_it_is_given_up(foreman: Foreman) -> None:
    assert foreman.reserve("one", KIND) == "yours"
    assert foreman.reserve("two", KIND) == "busy"
    assert foreman.reserve("one", KIND) == "busy"  # the same place is not given twice
    foreman.free("two")
    assert foreman.reserve("two", KIND) == "busy"
    foreman.free("one")
    assert foreman.reserve("two", KIND) == "yours"


def test_one_of_another_version_gets_no_place(foreman: Foreman) -> None:
    other: Kind = {**KIND, "modelyard": "0.0.9"}
    assert foreman.reserve("one", other) == "other"
    assert foreman.kind() == KIND


def test_a_run_tells_its_progress_and_its_end_and_frees_the_place(foreman: Foreman, tmp_path: Path) -> None:
    foreman.reserve("one", KIND)
    assert foreman.start("one", ordered(tmp_path, f"meet {tmp_path}"))
    assert foreman.reserve("two", KIND) == "busy"
    assert not foreman.start("two", ordered(tmp_path, "finish"))
    wait_until((tmp_path / "job").exists)
    (tmp_path / "go").touch()
    until_ended(foreman)
    assert isinstance(Spool(tmp_path / "job").ending(KEY), Finished)
    assert foreman.keys() == {"job": KEY.hex()}
    assert foreman.reserve("two", KIND) == "yours"
    assert foreman.look("another", 0) is None


def test_a_run_that_nobody_looks_at_is_ended(foreman: Foreman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    met = tmp_path / "met"
    met.mkdir()
    foreman.reserve("one", KIND)
    foreman.start("one", ordered(tmp_path, f"meet {met}"))
    wait_until((met / "job").exists)
    pid = int(wait_until((met / "job").read_text))
    with monkeypatch.context() as impatient:
        impatient.setattr(foremen, "ALONE_S", 0.1)
        wait_until_gone([pid])
    assert until_ended(foreman)["ended"] is not None


def test_a_sweep_ends_the_runs_that_others_have_started(foreman: Foreman, tmp_path: Path) -> None:
    foreman.reserve("one", KIND)
    foreman.start("one", ordered(tmp_path, "wait"))
    foreman.sweep("one", "job")
    foreman.sweep("two", "another")
    look = foreman.look("job", -1)
    assert look is not None
    assert look["ended"] is None
    foreman.sweep("two", "job")
    until_ended(foreman)


def test_a_run_that_cannot_begin_for_an_unforeseen_reason_ends_and_frees_the_place(
    foreman: Foreman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise LookupError("nobody thought of this")

    monkeypatch.setattr(Foreman, "_lay_out", fail)
    foreman.reserve("one", KIND)
    foreman.start("one", ordered(tmp_path, "finish"))
    ended = until_ended(foreman)["ended"]
    assert ended is not None
    assert (ended["error"]["code"], ended["status"]) == ("INTERNAL", "failed")
    assert "nobody thought of this" in caplog.text
    assert foreman.reserve("two", KIND) == "yours"


def test_a_folder_that_is_not_there_is_said_to_be_missing(foreman: Foreman, tmp_path: Path) -> None:
    foreman.reserve("one", KIND)
    foreman.start("one", ordered(tmp_path, "finish", folder=str(tmp_path / "elsewhere")))
    ended = until_ended(foreman)["ended"]
    assert ended is not None
    assert "MODELYARD_STORAGE_DIR" in str(ended["error"]["detail"])


@pytest.mark.parametrize("sent", [{}, {"order": b"finish"}], ids=["from the store", "sent along"])
def test_what_a_run_makes_is_told_to_all_who_look_for_it(
    foreman: Foreman, tmp_path: Path, s3: S3Server, sent: dict[str, bytes]
) -> None:
    from modelyard.storage.artifacts.bucket import Bucket
    from modelyard.storage.artifacts.depot import Depot

    where = s3.new_bucket()
    depot = Depot(Bucket(where["artifacts_url"], where["s3_endpoint"]))
    given = tmp_path / "given"
    given.mkdir()
    (given / "order").write_text("finish" if not sent else "not this one")
    depot.keep("job", given, ["order"])
    there = {"depot_url": depot.bucket.url, "depot_endpoint": depot.bucket.endpoint, "files": sent}
    foreman.reserve("one", KIND)
    foreman.start("one", ordered(tmp_path, "", folder=str(tmp_path / "unused"), **there))
    looks = [(until_ended(foreman), foreman.made("job")) for _ in range(2)]  # also by who takes the owner's place
    foreman.reserve("one", KIND)
    foreman.start("one", ordered(tmp_path, "", run_id="other", folder=str(tmp_path / "unused"), **there))
    until_ended(foreman, "other")
    looks.append((until_ended(foreman), foreman.made("job")))
    for place, (look, made) in enumerate(looks):
        folder = str(tmp_path / f"made{place}")
        assert look["ended"] is not None
        assert files.with_files(look["ended"], made, folder) == look["ended"]
        assert isinstance(Spool(Path(folder)).ending(KEY), Finished)
        assert (Path(folder) / "result" / "model.pkl").exists()
        assert "order" not in made
    (tmp_path / "full").touch()
    assert look["ended"] is not None
    failed = files.with_files(look["ended"], made, str(tmp_path / "full"))
    assert (failed["error"]["code"], failed["status"]) == ("UNAVAILABLE", "failed")


def test_what_a_run_was_given_is_kept_in_no_memory(foreman: Foreman, tmp_path: Path, s3: S3Server) -> None:
    where = s3.new_bucket()
    given = PickleBuffer(b"finish")
    alive = weakref.ref(given)
    order = ordered(
        tmp_path, "", depot_url=where["artifacts_url"], depot_endpoint=where["s3_endpoint"], files={"order": given}
    )
    foreman.reserve("one", KIND)
    foreman.start("one", order)
    del given, order
    until_ended(foreman)
    assert alive() is None


def test_a_job_of_many_bytes_is_left_to_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "table").write_bytes(bytes(100))
    assert files.sent_along(tmp_path, is_job=True) == {"table": bytes(100)}
    monkeypatch.setattr(files, "MOST_SENT_BYTES", 99)
    assert files.sent_along(tmp_path, is_job=True) == {}
    assert files.sent_along(tmp_path, is_job=False) == {"table": bytes(100)}


def test_the_folders_of_foremen_that_are_gone_are_removed(foreman: Foreman, tmp_path: Path) -> None:
    left, alive = tmp_path / "modelyard-foreman-999999999-a", tmp_path / f"modelyard-foreman-{os.getpid()}-b"
    left.mkdir()
    alive.mkdir()
    assert os.getpid() in parents()
    foremen._own_folder()
    assert (left.exists(), alive.exists()) == (False, True)
