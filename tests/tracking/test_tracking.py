"""What arrives in ClearML: its own library in the real child process, against a double of its API."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelyard.bootstrap import build, open_tracker
from modelyard.errors import InvalidTable, Unavailable
from modelyard.ml_core.yard import Yard
from modelyard.schemas import (
    Evaluation,
    JobQuery,
    ModelMetadata,
    RetrainRequest,
    SearchRequest,
    Tracking,
    TrainRequest,
    UpdateRequest,
    parse,
)
from modelyard.settings import Settings
from modelyard.storage.folder import Folder
from modelyard.storage.upkeep import doctor, garbage
from modelyard.storage.upkeep.backup import create, load
from modelyard.tracking import deliverer, live_runs
from modelyard.tracking.tracker import Flushed
from tests import clearml_double
from tests.clearml_double import Double
from tests.data.freeze import LABELS, ROWS
from tests.processes import runs
from tests.test_contract_search import MIXED, SUMS
from tests.waiting import PATIENCE_S, wait_until

TRACKED = Settings(tracking="clearml", train_workers=1)
QUICK = Evaluation(method="none")
CALLS_OF_A_RUN = (
    "auth.login",
    "tasks.create",
    "tasks.started",
    "models.create",
    "models.edit",
    "events.add_batch",
    "tasks.completed",
)
"""In the order in which a run is told."""

ENDLESS: dict[str, Any] = {"model_class_key": "catboost_classifier", "X": [[i] for i in range(40)], "y": [0, 1] * 20}


@pytest.fixture
def clearml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    """A server that answers, and the environment that leads to it."""
    with clearml_double.listening() as double:
        for name in [name for name in os.environ if name.startswith(("CLEARML_", "TRAINS_"))]:
            monkeypatch.delenv(name)
        for name, value in double.environment(tmp_path).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(deliverer, "LOOK_INTERVAL_S", 0.05)
        yield double


@contextmanager
def opened(folder: Path, **changed: Any) -> Iterator[Yard]:
    with build(TRACKED.model_copy(update={"storage_dir": folder, **changed})) as yard:
        yield yard


def train(yard: Yard, name: str = "size", key: str = "logistic_regression", **changed: Any) -> ModelMetadata:
    said = {"model_class_key": key, "X": ROWS, "y": LABELS, "name": name, "evaluation": QUICK, **changed}
    return yard.train(TrainRequest(**said))


def flush(folder: Path) -> None:
    with open_tracker(TRACKED.model_copy(update={"storage_dir": folder})) as tracker:
        tracker.flush(PATIENCE_S)


def wait_until_told(yard: Yard) -> None:
    wait_until(lambda: (backlog := yard.health().tracking) is not None and not backlog.pending)


def outbox(folder: Path, count: int) -> list[str]:
    """Return the records in the outbox, once there are `count`: each is written when its caller has his answer."""

    def found() -> list[str]:
        return sorted(path.name for path in (folder / "outbox").glob("*.json") if path.name != "state.json")

    wait_until(lambda: len(found()) == count)
    return found()


def shown_metrics(model: ModelMetadata) -> dict[str, float]:
    """Return the metrics by the names that ClearML shows; the ends of intervals are in the report alone."""
    return {
        name.removeprefix("validation_"): value
        for name, value in model.metrics.items()
        if value is not None and not name.endswith(("_low", "_high"))
    }


def test_a_training_arrives_whole(clearml: Double, storage_dir: Path) -> None:
    with opened(storage_dir) as yard:
        model = train(
            yard,
            key="catboost_classifier",
            hyperparams={"iterations": 7, "depth": 2},
            tags=["first"],
            evaluation=Evaluation(),
        )
        assert model.tracking.status == "pending"
        report = yard.get_report("size")
        flush(storage_dir)
        told = yard.get_model("size")
        pickled = yard.get_artifact("size")
    task = clearml.by_name()["size-v1"]
    assert told.tracking.status == "sent"
    assert told.tracking.task_id == task["id"]
    assert told.tracking.url == f"{clearml.url}/projects/{task['project']}/tasks/{task['id']}/output/scalars"
    assert told.updated_at == model.updated_at
    assert clearml.projects[task["project"]] == "Modelyard/size"
    assert (task["type"], task["status"]) == ("training", "completed")
    assert task["tags"] == ["modelyard:catboost_classifier", "first"]
    parameters = {
        f"{section}/{name}": (item["value"], item.get("type"))
        for section, items in task["hyperparams"].items()
        for name, item in items.items()
    }
    assert parameters["Hyperparams/depth"] == ("2", "int")
    assert parameters["Hyperparams/l2_leaf_reg"] == ("3.0", "float")
    assert parameters["Hyperparams/verbose"] == ("False", "bool")
    assert parameters["Data/rows"] == ("30", "int")
    assert parameters["Data/fingerprint"] == (model.fingerprint, "str")
    assert parameters["Environment/catboost"][0] == model.environment["catboost"]
    assert parameters["properties/model_id"][0] == model.model_id
    assert 'kind = "categorical"' in task["configuration"]["Feature types"]["value"]
    assert {name for name in parameters if name.startswith("Evaluation/")} == {
        f"Evaluation/{name}" for name in ("method", "fraction", "seed")
    }
    metrics = shown_metrics(model)
    assert {"roc_auc", "baseline_accuracy", "train_accuracy"} < metrics.keys()
    assert clearml.single_values(task) == pytest.approx(metrics)
    assert report.learning_curve is not None
    for title, curve in (("learn", report.learning_curve.train), ("validation", report.learning_curve.validation)):
        assert curve is not None
        assert [step for step, _ in clearml.curve(task, title, "Logloss")] == [1, 2, 3, 4, 5, 6, 7]
        assert [value for _, value in clearml.curve(task, title, "Logloss")] == pytest.approx(curve)
    plots = clearml.plots(task)
    assert set(plots) == {
        (title, "validation")
        for title in (
            "ROC",
            "Precision-recall",
            "Calibration",
            "Confusion matrix",
            "Feature importances",
            "Classes",
        )
    }
    assert [line["name"] for line in plots["ROC", "validation"]["data"]] == ["small", "chance"]
    assert [line["name"] for line in plots["Calibration", "validation"]["data"]] == ["small", "ideal"]
    assert report.confusion_matrix is not None
    assert plots["Confusion matrix", "validation"]["data"][0]["z"] == report.confusion_matrix.matrix
    (artifact,) = task["execution"]["artifacts"]
    assert httpx.get(artifact["uri"]).json() == report.model_dump(mode="json")
    (output,) = task["models"]["output"]
    registered = clearml.models[output["model"]]
    assert registered["framework"] == "CatBoost"
    assert registered["labels"] == {"large": 0, "small": 1}
    assert {name: float(item["value"]) for name, item in registered["metadata"].items()} == pytest.approx(
        metrics, rel=1e-5
    )
    assert httpx.get(registered["uri"]).content == pickled
    assert outbox(storage_dir, 0) == []


def test_a_regression_arrives_with_its_own_plots(clearml: Double, storage_dir: Path) -> None:
    prices = [float(row) ** 1.5 for row in range(len(ROWS))]
    with opened(storage_dir) as yard:
        hyperparams = {"iterations": 7}
        model = train(yard, "price", "catboost_regressor", y=prices, hyperparams=hyperparams, evaluation=Evaluation())
        report = yard.get_report("price")
        flush(storage_dir)
        assert yard.get_model("price").tracking.status == "sent"
    task = clearml.by_name()["price-v1"]
    assert task["status"] == "completed"
    data = {name: item["value"] for name, item in task["hyperparams"]["Data"].items()}
    assert data["task"] == "regression"
    assert clearml.single_values(task) == pytest.approx(shown_metrics(model))
    assert report.learning_curve is not None
    assert [loss for _, loss in clearml.curve(task, "learn", "RMSE")] == pytest.approx(report.learning_curve.train)
    plots = clearml.plots(task)
    titles = ("Predicted against actual", "Residuals", "Feature importances")
    assert set(plots) == {(title, "validation") for title in titles}
    assert report.residuals is not None
    assert plots["Residuals", "validation"]["data"][0]["y"] == report.residuals.counts
    (output,) = task["models"]["output"]
    assert clearml.models[output["model"]]["labels"] == {}


def test_a_search_is_one_experiment_with_its_trials_as_a_table_and_a_plot(clearml: Double, storage_dir: Path) -> None:
    with opened(storage_dir) as yard:
        asked = SearchRequest(X=ROWS, y=LABELS, name="size", model_classes=["logistic_regression"], trials=3)
        model = yard.search(asked)
        board = yard.get_report("size").leaderboard
        flush(storage_dir)
    (task,) = clearml.by_name().values()
    assert (task["name"], task["status"]) == ("size-v1", "completed")
    assert task["hyperparams"]["Search"]["trials"]["value"] == "3"
    assert task["hyperparams"]["Hyperparams"]["C"]["value"] == str(model.hyperparams["C"])
    plots = clearml.plots(task)
    assert board is not None
    (points,) = plots["Leaderboard", "validation"]["data"]
    assert points["name"] == "logistic_regression"
    assert points["y"] == [entry.metric for entry in board]
    (shown,) = plots["Leaderboard", "trials"]["data"]
    assert len(shown["cells"]["values"][0]) == 3
    assert task["script"]["entry_point"].startswith("modelyard search TABLE --name size --trials 3 --metric log_loss")


def test_an_ensemble_arrives_with_the_hyperparams_of_its_members(clearml: Double, storage_dir: Path) -> None:
    members = ["linear_regression", "lightgbm_regressor"]
    with opened(storage_dir) as yard:
        asked = {"X": MIXED, "y": SUMS, "name": "sum", "model_classes": members, "trials": 2}
        model = yard.search(parse(SearchRequest, {**asked, "evaluation": {"method": "none"}}))
        assert model.model_class_key == "ensemble"
        flush(storage_dir)
    (task,) = clearml.by_name().values()
    assert (task["name"], task["status"]) == ("sum-v1", "completed")
    sent = {one["name"]: one["value"] for one in task["hyperparams"]["Hyperparams"].values()}
    assert {key: float(sent[key]) for key in members} == {key: model.hyperparams[key] for key in members}
    assert sent["lightgbm_regressor.n_estimators"] == "300"
    plots = clearml.plots(task)
    assert {trace["name"] for trace in plots["Leaderboard", "validation"]["data"]} == {"ensemble", *members}


def test_retrainings_failures_and_cancellations_arrive_in_order(clearml: Double, storage_dir: Path) -> None:
    clearml.down = True
    with opened(storage_dir) as yard:
        train(yard)
        with pytest.raises(InvalidTable):
            yard.train(TrainRequest(model_class_key="logistic_regression", X=[], y=[]))  # never a job
        job = yard.submit_training(
            TrainRequest(**ENDLESS, name="never", hyperparams={"iterations": 50_000}, tags=["long"])
        )
        wait_until(lambda: yard.get_job(job.job_id).status != "queued")
        yard.cancel_job(job.job_id)
        with opened(storage_dir, train_memory_mb=1.0) as other:
            failed = other.submit_training(
                TrainRequest(**ENDLESS, name="hungry", hyperparams={"iterations": 50_000, "depth": 2})
            )
            (*_, ended) = other.watch_job(failed.job_id)
        assert ended.status == "failed"
        yard.retrain(RetrainRequest(model_id="size", X=ROWS, y=LABELS))
        assert yard.get_job(failed.job_id).tracking == Tracking(status="pending")
        assert len(outbox(storage_dir, 4)) == 4
        clearml.down = False
        flush(storage_dir)
        job_told = yard.get_job(failed.job_id)
    assert clearml.names() == ["size-v1", "never (cancelled)", "hungry (failed)", "size-v2"]
    tasks = clearml.by_name()
    assert [task["status"] for task in tasks.values()] == ["completed", "stopped", "failed", "completed"]
    assert tasks["size-v2"]["parent"] == tasks["size-v1"]["id"]
    assert tasks["size-v2"]["tags"] == ["modelyard:logistic_regression", "modelyard:retrain"]
    assert "MODELYARD_TRAIN_MEMORY_MB" in tasks["hungry (failed)"]["status_reason"]
    assert tasks["hungry (failed)"]["hyperparams"]["Hyperparams"]["depth"]["value"] == "2"
    assert tasks["never (cancelled)"]["hyperparams"]["Data"]["rows"]["value"] == "40"
    assert tasks["never (cancelled)"]["tags"] == ["modelyard:catboost_classifier", "long"]
    assert job_told.tracking is not None
    assert job_told.tracking.task_id == tasks["hungry (failed)"]["id"]


def test_what_becomes_of_a_model_is_told_as_tags(clearml: Double, storage_dir: Path) -> None:
    with opened(storage_dir) as yard:
        yard.serve()
        train(yard)
        wait_until_told(yard)
        (task,), (entry,) = clearml.tasks.values(), clearml.models.values()
        task["tags"].append("a person's own")
        for act, tag in ((yard.delete, "deleted"), (yard.restore, "restored"), (yard.delete, "deleted")):
            answer = act("size:1")
            assert isinstance(answer, ModelMetadata)
            assert answer.tracking.status == "pending"
            assert answer.tracking.url is not None
            wait_until_told(yard)
            assert task["tags"] == ["modelyard:logistic_regression", "a person's own", f"modelyard:{tag}"]
            assert entry["tags"] == ["modelyard:logistic_regression", f"modelyard:{tag}"]
        assert len(clearml.files) == 2
        yard.delete("size:1", hard=True)
        wait_until_told(yard)
        assert task["tags"] == ["modelyard:logistic_regression", "a person's own", "modelyard:deleted for good"]
        assert task["status"] == "completed"
    assert entry["tags"] == ["modelyard:logistic_regression", "modelyard:deleted for good"]
    assert task["execution"]["artifacts"] == []
    assert clearml.files == {}
    assert clearml.calls.count("tasks.create") == 1


def test_tags_and_description_are_told_anew(clearml: Double, storage_dir: Path) -> None:
    with opened(storage_dir) as yard:
        yard.serve()
        train(yard, tags=["risk", "march"], description="Of March.")
        wait_until_told(yard)
        (task,), (entry,) = clearml.tasks.values(), clearml.models.values()
        assert task["comment"].endswith(" s\n\nOf March.")
        task["tags"].append("a person's own")
        for tags, description in ((["april", "risk"], "Of April."), ([], "")):
            answer = yard.update_model("size:1", UpdateRequest(tags=tags, description=description))
            assert answer.tracking.status == "pending"
            wait_until_told(yard)
            assert task["tags"] == ["modelyard:logistic_regression", *tags, "a person's own"]
            assert entry["tags"] == ["modelyard:logistic_regression", *tags]
            assert task["comment"].endswith(description and f" s\n\n{description}")
            assert entry["comment"] == task["comment"]
        yard.delete("size:1")
        wait_until_told(yard)
    assert task["tags"] == ["modelyard:logistic_regression", "a person's own", "modelyard:deleted"]
    assert task["status"] == "completed"


def test_a_run_is_shown_while_it_goes_on(clearml: Double, storage_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_runs, "LIVE_INTERVAL", timedelta(0))
    hyperparams = {"iterations": 1_000_000, "depth": 1, "verbose": 1}
    with opened(storage_dir) as yard:
        yard.serve()
        job = yard.submit_training(TrainRequest(**ENDLESS, name="long", hyperparams=hyperparams, evaluation=QUICK))
        wait_until(lambda: " of 1000000, loss 0." in "".join(map(clearml.console, clearml.tasks.values())))
        (task,) = clearml.tasks.values()
        assert (task["name"], task["status"]) == ("long (running)", "in_progress")
        assert clearml.projects[task["project"]] == "Modelyard/long"
        assert task["hyperparams"]["Hyperparams"]["depth"]["value"] == "1"
        assert "progress" in task["runtime"]
        assert "\tlearn: " in clearml.console(task)
        yard.cancel_job(job.job_id)
        wait_until_told(yard)
        ended = yard.get_job(job.job_id)
    assert clearml.names() == ["long (cancelled)"]
    assert task["status"] == "stopped"
    console = clearml.console(task)
    assert console.count(f"Job {job.job_id} of Modelyard, running") == 1
    assert console.endswith(f"Job {job.job_id} of Modelyard, cancelled: job {job.job_id} was cancelled")
    assert ended.started_at is not None
    assert ended.ended_at is not None
    assert task["started"] == ended.started_at.replace(tzinfo=None).isoformat()
    assert task["completed"] == ended.ended_at.replace(tzinfo=None).isoformat()
    assert list((storage_dir / "outbox").glob("*.task")) == []


def test_the_task_that_showed_a_run_becomes_the_models(
    clearml: Double, storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_runs, "LIVE_INTERVAL", timedelta(0))
    hyperparams = {"iterations": 8_000, "depth": 1, "verbose": 4_000}
    with opened(storage_dir) as yard:
        yard.serve()
        job = yard.submit_training(TrainRequest(**ENDLESS, name="long", hyperparams=hyperparams, evaluation=QUICK))
        wait_until(lambda: yard.get_job(job.job_id).progress.step)
        (run,) = runs(os.getpid())
        os.kill(run, signal.SIGSTOP)
        wait_until(lambda: "step " in "".join(map(clearml.console, clearml.tasks.values())))
        os.kill(run, signal.SIGCONT)
        wait_until(lambda: yard.get_job(job.job_id).ended)
        wait_until_told(yard)
        model = yard.get_model("long")
    (task,) = clearml.tasks.values()
    assert (task["name"], task["status"], task["id"]) == ("long-v1", "completed", model.tracking.task_id)
    lines = [line for line in clearml.console(task).splitlines() if "\tlearn: " in line]
    assert [line.split(": ")[1].removesuffix(":\tlearn") for line in lines] == ["0", "4000", "7999"]
    assert f"Model long:1 ({model.model_id}), trained by Modelyard in" in clearml.console(task).splitlines()[-1]
    assert list((storage_dir / "outbox").glob("0*")) == []


def test_a_live_run_that_clearml_refuses_ends_as_it_would(
    clearml: Double, storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_runs, "LIVE_INTERVAL", timedelta(0))
    clearml.refuses = "running"
    hyperparams = {"iterations": 1_000_000, "depth": 1}
    with opened(storage_dir) as yard:
        yard.serve()
        job = yard.submit_training(TrainRequest(**ENDLESS, name="long", hyperparams=hyperparams, evaluation=QUICK))
        wait_until(lambda: "tasks.create" in clearml.calls)
        yard.cancel_job(job.job_id)
        wait_until_told(yard)
        assert yard.get_job(job.job_id).tracking.status == "sent"  # type: ignore[union-attr]
    assert clearml.names() == ["long (cancelled)"]


def test_numbers_as_labels_are_names_on_an_axis_and_short_names_have_a_project(
    clearml: Double, storage_dir: Path
) -> None:
    clearml.keeps_times = True  # an older server, which refuses that alone
    with opened(storage_dir) as yard:
        yard.train(TrainRequest(model_class_key="logistic_regression", X=ROWS, y=[2, 1] * 15, name="ab"))
        unnamed = yard.train(TrainRequest(model_class_key="logistic_regression", X=ROWS, y=LABELS, evaluation=QUICK))
        flush(storage_dir)
        assert yard.get_model("ab").tracking.status == "sent"
    task = clearml.by_name()["ab-v1"]
    layout = clearml.plots(task)["Confusion matrix", "validation"]["layout"]
    assert (layout["xaxis"]["type"], layout["yaxis"]["type"]) == ("category", "category")
    assert clearml.projects[task["project"]] == "Modelyard/name ab"
    assert clearml.projects[clearml.by_name()[f"{unnamed.name}-v1"]["project"]] == "Modelyard"
    script = task["script"]
    assert script["entry_point"].startswith(
        "modelyard train TABLE --model-class logistic_regression --name ab --target TARGET --evaluation holdout "
        "--fraction 0.2 --seed 0 -p "
    )
    assert f"scikit-learn=={unnamed.environment['scikit-learn']}" in script["requirements"]["pip"].splitlines()


def test_a_retraining_has_the_parents_model_as_its_input(clearml: Double, storage_dir: Path) -> None:
    with opened(storage_dir, tracking="none") as yard:
        untold = train(yard, "before")
    with opened(storage_dir) as yard:
        train(yard)
        yard.retrain(RetrainRequest(model_id="size", X=ROWS, y=LABELS))
        yard.retrain(RetrainRequest(model_id="before", X=ROWS, y=LABELS))
        flush(storage_dir)
    tasks = clearml.by_name()
    (made,), (given,) = tasks["size-v1"]["models"]["output"], tasks["size-v2"]["models"]["input"]
    assert given["model"] == made["model"]
    assert len(tasks["size-v2"]["models"]["output"]) == 1
    assert "parent" not in tasks["before-v2"]
    assert tasks["before-v2"]["hyperparams"]["properties"]["parent_id"]["value"] == untold.model_id


def test_files_that_cannot_be_removed_are_said_and_removed_later(clearml: Double, storage_dir: Path) -> None:
    with opened(storage_dir) as yard:
        train(yard)
        flush(storage_dir)
        clearml.keeps_files = True
        yard.delete("size", hard=True)
        with pytest.raises(Unavailable, match=r"ClearML's files server did not remove http://.*/model\.pkl"):
            flush(storage_dir)
        clearml.keeps_files = False
        flush(storage_dir)
    assert clearml.files == {}


def test_a_task_that_was_deleted_in_clearml_is_made_anew(clearml: Double, storage_dir: Path) -> None:
    with opened(storage_dir) as yard:
        train(yard)
        flush(storage_dir)
        clearml.tasks.clear()
        yard.delete("size:1")
        flush(storage_dir)
        (task,) = clearml.tasks.values()
        assert task["tags"] == ["modelyard:logistic_regression", "modelyard:deleted"]
        assert yard.get_model("size:1").tracking.task_id == task["id"]
        clearml.tasks.clear()
        yard.delete("size:1", hard=True)  # nothing is left that could be told
        flush(storage_dir)
        health = yard.health().tracking
    assert clearml.tasks == {}
    assert health is not None
    assert (health.pending, health.failed) == (0, 0)


def test_offline_mode_is_said_and_nothing_is_lost(
    clearml: Double, storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARML_OFFLINE_MODE", "1")
    with opened(storage_dir) as yard:
        train(yard)
        with pytest.raises(Unavailable, match="CLEARML_OFFLINE_MODE is set"):
            flush(storage_dir)
        monkeypatch.delenv("CLEARML_OFFLINE_MODE")
        flush(storage_dir)
    assert clearml.names() == ["size-v1"]


def test_a_model_deleted_for_good_before_it_was_told_arrives_without_its_artifact(
    clearml: Double, storage_dir: Path
) -> None:
    clearml.down = True
    with opened(storage_dir) as yard:
        train(yard, "gone")
        train(yard, "deleted")
        train(yard, "next")
        yard.delete("gone", hard=True)
        yard.delete("deleted")
        clearml.down = False
        flush(storage_dir)
    tasks = clearml.by_name()
    assert list(tasks) == ["gone-v1", "deleted-v1", "next-v1"]  # as they came to be
    assert tasks["gone-v1"]["execution"]["artifacts"] == []
    assert tasks["gone-v1"]["tags"] == ["modelyard:logistic_regression", "modelyard:deleted for good"]
    assert clearml.single_values(tasks["gone-v1"]) == {"train_accuracy": 1.0}
    assert tasks["gone-v1"]["models"]["output"] == []
    assert outbox(storage_dir, 0) == []


def test_what_a_crash_kept_from_the_outbox_is_made_anew(clearml: Double, storage_dir: Path) -> None:
    with opened(storage_dir) as yard:
        train(yard)
    (record,) = (storage_dir / "outbox").glob("0*.json")
    record.write_bytes(record.read_bytes()[:100])
    with opened(storage_dir) as yard:
        train(yard, "second")
        for path in sorted((storage_dir / "outbox").glob("0*.json"))[1:]:
            path.unlink()
        yard.serve()
        wait_until_told(yard)
    assert clearml.names() == ["size-v1", "second-v1"]


def test_what_the_server_never_takes_is_set_aside_and_retried(clearml: Double, storage_dir: Path) -> None:
    clearml.refuses = "^bad"
    with opened(storage_dir) as yard:
        train(yard, "bad")
        yard.retrain(RetrainRequest(model_id="bad", X=ROWS, y=LABELS))
        clearml.refuses = "^bad-v1"
        flush(storage_dir)
        refused = yard.get_model("bad:1")
        assert refused.tracking.status == "failed"
        assert refused.tracking.reason == "ClearML refuses tasks.create: Validation error: bad-v1 (400)"
        health = yard.health().tracking
        assert health is not None
        assert (health.pending, health.failed) == (0, 1)
        assert "parent" not in clearml.by_name()["bad-v2"]
        clearml.refuses = None
        with open_tracker(TRACKED.model_copy(update={"storage_dir": storage_dir})) as tracker:
            assert [one.key for one in tracker.status().refused] == [refused.model_id]
            assert tracker.retry() == [refused.model_id]
            assert tracker.retry() == []
            assert tracker.flush(PATIENCE_S) == Flushed(told=2, refused=0)  # the retraining learns of its parent
    tasks = clearml.by_name()
    assert tasks["bad-v2"]["parent"] == tasks["bad-v1"]["id"]
    assert {task["status"] for task in tasks.values()} == {"completed"}


def test_a_server_that_fails_is_named_and_told_later(clearml: Double, storage_dir: Path) -> None:
    failures: list[tuple[str, Any, str]] = [
        ("down", True, "too many 503 error responses"),
        ("wrong_keys", True, "refuses the credentials (access key THE-…): Unauthorized (invalid credentials)"),
        ("fails_at", "tasks.create", "fails at tasks.create: General data error (500)"),
        ("fails_at", "events.add_batch", "fails at events.add_batch: General data error (500)"),
        ("vanish_at", 12, "cannot be reached"),
    ]
    with opened(storage_dir) as yard:
        train(yard, evaluation=Evaluation())
        for knob, value, words in failures:
            clearml.calls.clear()
            setattr(clearml, knob, value)
            with pytest.raises(Unavailable) as raised:
                flush(storage_dir)
            assert words in raised.value.detail
            assert "1 run waits in" in raised.value.detail
            health = yard.health()
            assert health.status == "ok"
            assert health.tracking is not None
            assert words in str(health.tracking.problem)
            setattr(clearml, knob, getattr(Double(), knob))
        flush(storage_dir)
    (task,) = clearml.tasks.values()
    assert task["status"] == "completed"
    assert len(clearml.plots(task)) == 6
    assert len(clearml.models) == 1


def test_nobody_at_the_address_is_said(clearml: Double, storage_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARML_API_HOST", "http://127.0.0.1:9")
    with opened(storage_dir) as yard:
        train(yard)
        with pytest.raises(Unavailable, match=r"ClearML at http://127.0.0.1:9 cannot be reached: connection refused"):
            flush(storage_dir)


def test_missing_credentials_are_said(clearml: Double, storage_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY"):
        monkeypatch.delenv(name)
    with opened(storage_dir) as yard:
        train(yard)
        with pytest.raises(Unavailable, match=r"credentials are missing: put them into ~/clearml\.conf"):
            flush(storage_dir)


def test_credentials_are_found_where_clearml_keeps_them(
    clearml: Double, storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(clearml.environment(Path())):
        if name.startswith("CLEARML_"):
            monkeypatch.delenv(name)
    (storage_dir.parent / "clearml.conf").write_text(
        f"""api {{
          web_server: {clearml.url}
          api_server: {clearml.url}
          files_server: {clearml.url}
          credentials {{ "access_key" = "{clearml_double.ACCESS_KEY}", "secret_key" = "{clearml_double.SECRET_KEY}" }}
        }}"""
    )
    with opened(storage_dir) as yard:
        train(yard)
        flush(storage_dir)
    assert clearml.names() == ["size-v1"]


def test_nobody_waits_for_a_frozen_server_and_the_run_arrives_once(clearml: Double, storage_dir: Path) -> None:
    """Each closing of the yard kills the child in the midst of a call, each time a later one."""
    with opened(storage_dir) as yard:
        train(yard)
    for endpoint in CALLS_OF_A_RUN:
        clearml.calls.clear()
        clearml.frozen_at = endpoint
        with opened(storage_dir, tracking_timeout_s=3600.0) as yard:
            yard.serve()
            wait_until(lambda: clearml.frozen_at in clearml.calls)
    clearml.frozen_at = None
    flush(storage_dir)
    (task,) = clearml.tasks.values()
    assert task["status"] == "completed"
    assert len(clearml.models) == 1
    assert len(task["models"]["output"]) == 1


def test_a_time_limit_is_kept(clearml: Double, storage_dir: Path) -> None:
    clearml.frozen_at = "tasks.started"
    with opened(storage_dir, tracking_timeout_s=1.0) as yard:
        train(yard)
        yard.serve()
        problem = wait_until(lambda: (backlog := yard.health().tracking) and backlog.problem)
        assert "took longer than 1" in str(problem)
        assert "MODELYARD_TRACKING_TIMEOUT_S" in str(problem)


def test_a_task_made_by_one_who_was_killed_at_once_is_used(clearml: Double, storage_dir: Path) -> None:
    with opened(storage_dir) as yard:
        train(yard)
    clearml.projects["p"] = "Modelyard/size"
    clearml.call("tasks.create", {"name": "size-v1", "type": "training", "project": "p", "comment": "made by hand"})
    flush(storage_dir)
    (task,) = clearml.tasks.values()
    assert task["status"] == "completed"


def test_upkeep_knows_the_outbox(clearml: Double, storage_dir: Path, tmp_path: Path) -> None:
    with opened(storage_dir) as yard:
        train(yard)
        (record,) = outbox(storage_dir, 1)
        path = storage_dir / "outbox" / record
        assert doctor.examine(Folder(storage_dir)).findings == []
        path.write_bytes(path.read_bytes()[:-10] + b"0123456789")
        (finding,) = doctor.examine(Folder(storage_dir)).findings
        assert (finding.kind, finding.what) == ("outbox", f"outbox/{record}")
        left = storage_dir / "outbox" / ".new-0123"
        left.touch()
        os.utime(left, (1, 1))
        assert [one.what for one in garbage.collect(Folder(storage_dir))] == ["outbox/.new-0123"]
        assert not left.exists()
        create(Folder(storage_dir), tmp_path / "copy.tar")
    load(tmp_path / "copy.tar", Folder(tmp_path / "copy"))
    flush(tmp_path / "copy")
    assert clearml.names() == ["size-v1"]


def test_without_tracking_a_folder_knows_nothing_of_it(storage_dir: Path) -> None:
    with opened(storage_dir, tracking="none") as yard:
        model = train(yard)
        assert model.tracking.status == "off"
        assert yard.health().tracking is None
        assert all(job.tracking is None for job in yard.list_jobs(JobQuery()).jobs)
    assert not (storage_dir / "outbox").exists()


def test_models_of_before_are_left_alone(clearml: Double, storage_dir: Path) -> None:
    with opened(storage_dir, tracking="none") as yard:
        train(yard, "before")
    with opened(storage_dir) as yard:
        assert yard.delete("before") is not None
        train(yard, "after")
        flush(storage_dir)
    assert clearml.names() == ["after-v1"]


def test_settings_refuse_a_project_that_clearml_would() -> None:
    with pytest.raises(ValueError, match=r"3 characters or more behind its last '/', got 'team/ab'"):
        Settings(tracking_project="team/ab")
