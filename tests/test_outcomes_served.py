"""Kept answers under way: weeks go by, labels come months later, servers are killed and restarted."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from modelyard.bootstrap import build
from modelyard.errors import FailedPrecondition
from modelyard.grpc_server.client import GrpcClient
from modelyard.ml_core.yard import Yard
from modelyard.schemas import (
    AliasRequest,
    Evaluation,
    KeepAnswersRequest,
    OutcomesRequest,
    PredictRequest,
    TrainRequest,
)
from modelyard.settings import Settings
from modelyard.storage import folder as storage_folder
from modelyard.storage.folder import Folder
from modelyard.storage.series.folder import SeriesFolder
from modelyard.storage.upkeep import backup, doctor, garbage
from tests import doors
from tests.command_line import run
from tests.waiting import wait_until

NAMES = ["customer", "months", "calls"]


def table(n: int = 240) -> list[dict[str, Any]]:
    return [{"customer": f"c{i}", "months": float(i % 24), "calls": float(i % 5)} for i in range(n)]


def truth(row: dict[str, Any]) -> str:
    return "yes" if row["months"] < 8 or (row["calls"] == 4 and row["months"] < 12) else "no"


def train(core: Yard) -> str:
    X = table()
    order = TrainRequest(model_class_key="logistic_regression", X=X, y=list(map(truth, X)), name="churn")
    fields = {"column_roles": {"customer": "id"}, "evaluation": Evaluation(fraction=0.5)}
    return core.train(order.model_copy(update=fields)).model_id


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A yard with a model, which no test changes."""
    folder = tmp_path_factory.mktemp("trained") / "models_storage"
    with doors.core(folder) as core:
        train(core)
        core.set_alias("churn", "live", AliasRequest(version=1))
    return folder


@pytest.fixture
def yard(trained: Path, storage_dir: Path) -> Path:
    """A copy of it for one test."""
    shutil.copytree(trained, storage_dir)
    return storage_dir


class Clock:
    """Tells the time that it is set to."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC) - timedelta(weeks=14)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which entries are appended."""
    made = Clock()
    monkeypatch.setattr(storage_folder, "SeriesFolder", lambda path, _: SeriesFolder(path, made))
    return made


def week(moment: datetime) -> str:
    year, number, _ = moment.isocalendar()
    return f"{year}-W{number:02}"


def ask(http: httpx.Client, reference: str = "churn@live", n: int = 60) -> dict[str, Any]:
    body = {"model_id": reference, "X": table(n), "keep_answers": True}
    answer = http.post("/predict", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def performance(http: httpx.Client) -> list[dict[str, Any]]:
    weeks: list[dict[str, Any]] = http.get("/models/churn/performance").json()["weeks"]
    return weeks


def test_labels_three_months_late_land_in_the_week_that_was_predicted_in(yard: Path, clock: Clock) -> None:
    right = list(map(truth, table(60)))
    with doors.rest_thread(yard) as url, httpx.Client(base_url=url) as http:
        asked = []
        for _ in range(3):
            asked.append((week(clock.now), ask(http)["prediction_id"]))
            clock.now += timedelta(weeks=1)
        clock.now = datetime.now(UTC)
        first, second, third = (prediction for _, prediction in asked)
        outcomes = [{"prediction_id": first, "row": i, "label": label} for i, label in enumerate(right)]
        swapped = {"yes": "no", "no": "yes"}
        outcomes += [{"prediction_id": second, "row": i, "label": swapped[label]} for i, label in enumerate(right)]
        outcomes += [{"prediction_id": third, "row": 0, "label": "no"}]
        said = http.post("/outcomes", json={"model_id": "churn", "outcomes": outcomes}).json()
        assert (said["outcomes"], said["matched"], said["replaced"], said["unknown"]) == (121, 121, 0, 0)
        found = {one["week"]: one for one in performance(http)}
    assert list(found) == [name for name, _ in reversed(asked)]
    assert [(one["alias"], one["rows"], one["outcomes"]) for one in found.values()] == [
        ("live", 60, 1),
        ("live", 60, 60),
        ("live", 60, 60),
    ]
    assert [one["status"] for one in found.values()] == ["unknown", "stale", "fresh"]
    assert found[asked[0][0]]["metrics"]["roc_auc"] > 0.9
    assert found[asked[1][0]]["metrics"]["roc_auc"] < 0.1


def test_answers_of_a_server_killed_after_it_gave_them_and_of_another_process_are_all_there(yard: Path) -> None:
    port = doors.free_port()
    command = [sys.executable, "-m", "modelyard", "rest", "--port", str(port)]
    with doors.serving(command, yard) as server, doors.grpc_thread(yard) as target, GrpcClient(target) as client:
        url = f"http://127.0.0.1:{port}"
        doors.wait_until_healthy(url)
        with httpx.Client(base_url=url) as http:
            kept = [(ask(http, n=n)["prediction_id"], n) for n in range(1, 30)]
            server.kill()
        server.wait()
        other = client.predict(PredictRequest(model_id="churn@live", X=table(7), keep_answers=True))
        kept.append((str(other.prediction_id), 7))
        outcomes = [{"prediction_id": one, "row": n - 1, "label": "no"} for one, n in kept]
        said = client.add_outcomes(_outcomes(outcomes))
        assert (said.matched, said.unknown) == (len(kept), 0)
        (found,) = client.get_performance("churn").weeks
    assert (found.rows, found.outcomes) == (sum(n for _, n in kept), len(kept))


def _outcomes(outcomes: list[dict[str, Any]]) -> OutcomesRequest:
    return OutcomesRequest(model_id="churn", X=outcomes)


def test_a_large_answer_to_a_small_request_is_kept_once(yard: Path) -> None:
    """The express way hands it on to the ordinary one, after it was predicted for."""
    rows = [[str(i), 1.0, 2.0] for i in range(500)]
    body = {"model_id": "churn", "feature_names": NAMES, "probabilities": True, "keep_answers": True}
    with doors.rest_thread(yard) as url, httpx.Client(base_url=url) as http:
        answers = [http.post("/predict", json={**body, "X": X}) for X in (rows, rows, rows[:1], rows[:1])]
        assert [len(answer.content) > 16 * 1024 for answer in answers] == [True, True, False, False]
        assert performance(http)[0]["rows"] == 2 * 500 + 2 * 1
        ids = {answer.json()["prediction_id"] for answer in answers}
    assert len(ids) == 4


def test_all_chunks_of_a_stream_are_one_prediction_by_the_alias_that_was_asked(yard: Path) -> None:
    with doors.grpc_thread(yard) as target, GrpcClient(target, chunk_mb=0.001) as client:
        asked = PredictRequest(model_id="churn@live", X=pl.DataFrame(table(240)), keep_answers=True)
        kept = client.predict(asked)
        right = [truth(row) for row in table(240)]
        outcomes = [{"prediction_id": kept.prediction_id, "row": i, "label": x} for i, x in enumerate(right)]
        assert client.add_outcomes(_outcomes(outcomes)).matched == 240
        (found,) = client.get_performance("churn").weeks
    assert (found.alias, found.rows, found.outcomes) == ("live", 240, 240)
    accuracy = sum(a == b for a, b in zip(kept.predictions, right, strict=True)) / 240
    assert found.metrics["accuracy"] == pytest.approx(accuracy)


def test_files_and_the_open_inference_protocol_keep_answers_too(yard: Path) -> None:
    frame = pl.DataFrame(table(4))
    with doors.rest_thread(yard) as url, httpx.Client(base_url=url) as http:
        content = frame.write_csv().encode()
        headers = {"content-type": "text/csv", "accept": "text/csv"}
        answer = http.post("/predict/file?model_id=churn&keep_answers=true", content=content, headers=headers)
        by_file = answer.headers["x-prediction-id"]
        answer = http.post("/predict/file?model_id=churn", content=content, headers=headers)
        assert "x-prediction-id" not in answer.headers
        http.put("/models/churn/keep-answers", json={"keep": True}).raise_for_status()
        inputs = [
            {"name": name, "datatype": kind, "shape": [4], "data": frame[name].to_list()}
            for name, kind in zip(NAMES, ["BYTES", "FP64", "FP64"], strict=True)
        ]
        by_tensors = http.post("/v2/models/churn/infer", json={"inputs": inputs}).json()["parameters"]["prediction_id"]
        outcomes = [{"prediction_id": one, "row": 3, "label": "no"} for one in (by_file, by_tensors)]
        assert http.post("/outcomes", json={"model_id": "churn", "outcomes": outcomes}).json()["matched"] == 2


def test_a_matrix_of_the_open_inference_protocol_is_kept_by_the_alias_that_was_asked(yard: Path) -> None:
    with doors.rest_thread(yard) as url, httpx.Client(base_url=url) as http:
        http.put("/models/churn/keep-answers", json={"keep": True}).raise_for_status()
        for n in (1, 500):
            inputs = [{"name": "X", "datatype": "FP64", "shape": [n, 2], "data": [3.0, 1.0] * n}]
            http.post("/v2/models/churn@live/infer", json={"inputs": inputs}).raise_for_status()
        assert [(one["alias"], one["rows"]) for one in performance(http)] == [("live", 501)]


def test_an_unknown_field_is_answered_with_the_names_that_are_taken(yard: Path) -> None:
    outcomes = [{"id": "c1", "label": "no"}]
    with doors.rest_thread(yard) as url, httpx.Client(base_url=url) as http:
        answer = http.post("/outcomes", json={"model_id": "churn", "outcomes": outcomes, "X": outcomes})
    assert answer.status_code == 400
    assert "field 'X' is unknown; known are: model_id, outcomes, decimal" in answer.json()["detail"]


def test_a_model_that_is_asked_something_else_is_drifting_before_its_labels_come(yard: Path) -> None:
    with doors.core(yard) as core:
        usual = core.predict(PredictRequest(model_id="churn@live", X=table(240), keep_answers=True))
        assert core.get_performance("churn").weeks[0].status == "unknown"
        others = [{**row, "months": 500.0} for row in table(240)]
        for _ in range(3):
            core.predict(PredictRequest(model_id="churn", X=others, keep_answers=True))
        assert {week.status for week in core.get_performance("churn").weeks} == {"drifting"}
        swapped = ["no" if truth(row) == "yes" else "yes" for row in table(240)]
        outcomes = [{"prediction_id": usual.prediction_id, "row": i, "label": x} for i, x in enumerate(swapped)]
        core.add_outcomes(_outcomes(outcomes))
        found = {week.alias: week.status for week in core.get_performance("churn").weeks}
    assert found == {None: "drifting", "live": "stale"}


def test_no_answers_are_kept_if_the_yard_keeps_none(yard: Path) -> None:
    with doors.core(yard) as core:
        core.set_keep_answers("churn", KeepAnswersRequest(keep=True))
    with build(Settings(storage_dir=yard, keep_answers_days=0)) as core:
        assert core.predict(PredictRequest(model_id="churn", X=table(1))).prediction_id is None
        with pytest.raises(FailedPrecondition, match="MODELYARD_KEEP_ANSWERS_DAYS is 0; leave keep_answers out"):
            core.predict(PredictRequest(model_id="churn", X=table(1), keep_answers=True))
        with pytest.raises(FailedPrecondition, match="MODELYARD_KEEP_ANSWERS_DAYS is 0"):
            core.set_keep_answers("churn", KeepAnswersRequest(keep=True))
        with pytest.raises(FailedPrecondition, match="MODELYARD_KEEP_ANSWERS_DAYS is 0"):
            core.add_outcomes(_outcomes([{"id": "c0", "label": "no"}]))
        assert not core.get_performance("churn").keep_answers
        assert not core.set_keep_answers("churn", KeepAnswersRequest(keep=False)).keep_answers


def test_no_cell_of_a_table_and_no_label_in_the_audit_is_kept(yard: Path) -> None:
    with doors.core(yard) as core:
        X = [{"customer": "c1", "months": 123456.75, "calls": 3.0}]
        kept = core.predict(PredictRequest(model_id="churn", X=X, keep_answers=True))
        core.add_outcomes(_outcomes([{"prediction_id": kept.prediction_id, "label": "yes"}]))
        core.set_keep_answers("churn", KeepAnswersRequest(keep=True))
        done = {entry.verb: entry.what for entry in core.list_audit().entries}
    assert done["add_outcomes"] == {"name": "churn", "outcomes": "1"}
    assert done["set_keep_answers"] == {"name": "churn", "keep": "true"}
    (file,) = yard.glob("series/answers-*/*.jsonl")
    assert b"123456" not in file.read_bytes()
    assert b'"ids":["c1"]' in file.read_bytes()


def test_answers_go_with_their_days_and_with_their_model(yard: Path, clock: Clock) -> None:
    with doors.core(yard) as core:
        core.predict(PredictRequest(model_id="churn", X=table(3), keep_answers=True))
        clock.now = datetime.now(UTC)
        core.predict(PredictRequest(model_id="churn", X=table(2), keep_answers=True))
        assert [one.rows for one in core.get_performance("churn").weeks] == [2, 3]
        (old,) = garbage.collect(Folder(yard), keep_answers_days=30, dry_run=True)
        assert old.why == "kept for long enough"
        assert garbage.collect(Folder(yard), keep_answers_days=30) == [old]
        assert [one.rows for one in core.get_performance("churn").weeks] == [2]
        assert garbage.collect(Folder(yard), keep_answers_days=30) == []
        core.delete_alias("churn", "live")
        stream = next(yard.glob("series/answers-*"))
        (kept,) = stream.iterdir()
        left = kept.read_bytes()
        core.delete("churn", hard=True)
        assert not stream.exists()
    stream.mkdir()
    kept.write_bytes(left)  # as a crash before the end of the deletion leaves it
    (found,) = doctor.examine(Folder(yard)).findings
    assert (found.problem, found.harmless) == (doctor.FORGOTTEN, True)
    assert backup.create(Folder(yard), yard.with_suffix(".tar")).models == 0
    assert backup.load(yard.with_suffix(".tar"), Folder(yard.with_suffix(".new"))).models == 0
    (gone,) = garbage.collect(Folder(yard))
    assert (gone.what, gone.why) == (f"series/{stream.name}", doctor.FORGOTTEN)
    assert doctor.examine(Folder(yard)).findings == []


def test_days_that_are_over_are_dropped_when_answers_are_kept(yard: Path, clock: Clock) -> None:
    for _ in range(2):
        with doors.core(yard) as core:
            core.predict(PredictRequest(model_id="churn", X=table(3), keep_answers=True))
        clock.now += timedelta(days=40)
    before = set(yard.glob("series/answers-*/*"))
    with build(Settings(storage_dir=yard, keep_answers_days=60)) as core:
        core.predict(PredictRequest(model_id="churn", X=table(1), keep_answers=True))
        wait_until(lambda: len(set(yard.glob("series/answers-*/*")) & before) == 1)
        assert [one.rows for one in core.get_performance("churn").weeks] == [1, 3]


def test_a_backup_holds_answers_and_outcomes_and_damage_costs_one_answer(yard: Path, tmp_path: Path) -> None:
    with doors.core(yard) as core:
        kept = [core.predict(PredictRequest(model_id="churn", X=table(n), keep_answers=True)) for n in (1, 2, 3)]
        core.add_outcomes(_outcomes([{"prediction_id": kept[2].prediction_id, "row": 2, "label": "no"}]))
        expected = core.get_performance("churn").weeks
    backup.create(Folder(yard), tmp_path / "yard.tar.gz")
    backup.load(tmp_path / "yard.tar.gz", Folder(tmp_path / "new"))
    with doors.core(tmp_path / "new") as core:
        assert core.get_performance("churn").weeks == expected
    (file,) = yard.glob("series/answers-*/*.jsonl")
    content = file.read_bytes()
    half = content.index(b"\n") + 20
    file.write_bytes(content[:half] + bytes(10) + content[half + 10 :])
    with doors.core(yard) as core:
        (week_left,) = core.get_performance("churn").weeks
        assert (week_left.rows, week_left.outcomes) == (4, 1)
    result = run("doctor", "--storage", str(yard))
    assert (result.exit_code, "1 of its lines are lost" in " ".join(result.stdout.split())) == (0, True)


def test_the_command_line_keeps_joins_and_tells(yard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_STORAGE_DIR", str(yard))
    pl.DataFrame(table(40)).write_csv(tmp_path / "rows.csv")
    began = datetime.now(UTC)
    shown = run("predict", "churn@live", str(tmp_path / "rows.csv"), "--keep-answers", "--json")
    ended = datetime.now(UTC)
    assert shown.exit_code == 0, shown.stderr
    labels = pl.DataFrame({"id": [row["customer"] for row in table(41)], "label": list(map(truth, table(41)))})
    labels.write_csv(tmp_path / "labels.csv")
    said = run("outcomes", "churn", str(tmp_path / "labels.csv"))
    assert "40 of 41 outcomes belong to kept answers" in said.stdout
    assert "1 belong to no kept answer, such as id c40" in said.stdout
    told = run("performance", "churn")
    assert told.exit_code == 0, told.stderr
    assert all(word in told.stdout for word in ("live", "fresh", "roc auc"))
    assert any(week(moment) in told.stdout for moment in (began, ended))
    assert "are kept" in run("keep-answers", "churn", "on").stdout
    assert "Kept as prediction " in run("predict", "churn", str(tmp_path / "rows.csv")).stderr
    assert "only if a request asks" in run("keep-answers", "churn", "off").stdout
    assert run("keep-answers", "churn", "perhaps").exit_code == 2
