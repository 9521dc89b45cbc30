"""A model in production: five versions of which the newest is worse, over real servers, and who may let them in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from modelyard.bootstrap import build
from modelyard.errors import PermissionDenied
from modelyard.rest_api.client import RestClient
from modelyard.schemas import AliasHistory, AliasRequest, AuditQuery, KeyRequest, PredictRequest
from modelyard.settings import Settings
from tests import doors
from tests.promotions import live, retrain, table, train
from tests.waiting import wait_until

ROWS = table(99, n=5)[0]
PROD = {"alias": "prod", "if": "better"}


def version_at(history: AliasHistory, moment: datetime) -> int | None:
    """Return the version that an alias meant at a moment."""
    return [move.version for move in history.moves if move.at <= moment][-1]


def test_the_newest_version_is_worse_and_production_goes_on_by_the_good_one(tmp_path: Path) -> None:
    seen: list[tuple[datetime, int]] = []
    with doors.rest_thread(tmp_path / "yard") as url, RestClient(url) as yard, httpx.Client(base_url=url) as http:

        def answered() -> int:
            model_id = yard.predict(PredictRequest(model_id="churn@prod", X=ROWS)).model_id
            version = yard.get_model(model_id).version
            seen.append((datetime.now(UTC), version))
            return version

        first = yard.train(train("churn", 1, blurred=0.6, promote=PROD))
        assert first.promotion is not None
        assert first.promotion.moved
        assert answered() == 1
        good = yard.retrain(retrain("churn", 2, promote=PROD))
        assert good.promotion is not None
        assert good.promotion.reason == "better than churn:1 by log_loss"
        assert answered() == 2
        yard.retrain(retrain("churn", 3))  # nobody asked for more
        # The fourth is as good; the fifth was trained on labels by lot, and is judged by those that came true.
        alike = yard.retrain(retrain("churn", 4, promote=PROD))
        assert alike.promotion is not None
        assert not alike.promotion.moved
        X, y = table(5, blurred=0.95)
        on = dict(zip(("X", "y"), table(6, n=400), strict=True))
        answer = http.post("/retrain", json={"model_id": "churn", "X": X, "y": y, "promote": {**PROD, "on": on}})
        assert answer.status_code == 201, answer.text
        worse = answer.json()
        assert (worse["version"], worse["aliases"]) == (5, [])
        assert worse["promotion"].keys() == {
            *("alias", "moved", "metric", "difference", "low", "high", "n_rows", "reason")
        }
        assert (worse["promotion"]["moved"], worse["promotion"]["n_rows"]) == (False, 400)
        assert worse["promotion"]["reason"] == "worse than churn:2 by log_loss"
        assert worse["promotion"]["high"] < 0
        assert yard.get_model("churn").version == 5
        assert answered() == 2

        assert yard.set_alias("churn", "prod", AliasRequest(version=1)).previous == 2
        assert answered() == 1
        yard.set_alias("churn", "prod", AliasRequest(version=2, expected=1))
        assert answered() == 2
        history = yard.get_alias_history("churn", "prod")
    assert [move.version for move in history.moves] == [1, 2, 1, 2]
    assert [version_at(history, moment) for moment, _ in seen] == [version for _, version in seen]


def test_a_protected_alias_is_refused_when_it_is_asked_for_and_moves_are_those_of_who_ordered(tmp_path: Path) -> None:
    folder = tmp_path / "yard"
    with build(Settings(storage_dir=folder)) as core:
        keys = {role: core.create_key(KeyRequest(name=role, role=role)).key for role in ("trainer", "admin")}
    with doors.rest_thread(folder, auth="keys", protected_aliases=("live",)) as url:
        with RestClient(url, key=keys["trainer"]) as trainer:
            with pytest.raises(PermissionDenied, match="'move_protected_alias' needs the role 'admin'"):
                trainer.train(train("churn", 1, n=100, promote=live()))
            assert trainer.list_jobs().jobs == []
            trainer.train(train("churn", 1, n=100, promote={"alias": "next"}))
            (move,) = trainer.get_alias_history("churn", "next").moves
            assert move.by == "trainer"
        with RestClient(url, key=keys["admin"]) as admin:
            assert admin.train(train("churn", 2, n=100, promote=live())).aliases == ["live"]
            limited = admin.create_key(KeyRequest(name="limited", role="trainer", models=["other*"])).key
            entries = admin.list_audit(AuditQuery(verb="set_alias")).entries
        with RestClient(url, key=limited) as other:
            for refused in (
                lambda: other.list_evaluations("churn@next"),
                lambda: other.train(train("churn", 1, n=100, promote={"alias": "next"})),
            ):
                with pytest.raises(PermissionDenied, match="may not use models named 'churn'"):
                    refused()
    assert [(entry.key, entry.what["alias"], entry.what["model"]) for entry in entries] == [
        ("admin", "churn@live", "churn:2"),
        ("trainer", "churn@next", "churn:1"),
    ]


def test_an_order_that_waited_is_carried_out_by_the_next_process_with_its_alias(tmp_path: Path) -> None:
    settings = Settings(storage_dir=tmp_path / "yard", train_workers=1, train_grace_s=0)
    long = train("slow", 1, model_class_key="catboost_classifier", hyperparams={"iterations": 100_000})
    with build(settings) as first:
        running = first.submit_training(long)
        waiting = first.submit_training(train("churn", 1, n=300, promote=live()))
        wait_until(lambda: first.get_job(running.job_id).status == "running")
        assert first.get_job(waiting.job_id).status == "queued"
    with build(settings) as second:
        second.jobs.serve()
        assert second.jobs.wait(waiting.job_id).status == "succeeded"
        assert second.get_model("churn").aliases == ["live"]
