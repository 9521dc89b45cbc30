"""A yard in which much has happened to models that a limited key may not see, and little to its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from modelyard.errors import FailedPrecondition
from modelyard.schemas import (
    AliasRequest,
    Decision,
    EvaluateRequest,
    Evaluation,
    RetrainRequest,
    TrainRequest,
    UpdateRequest,
)
from modelyard.verbs import Verbs
from tests.access.callers import make_key

X: list[dict[str, Any]] = [{"age": i, "job": "ab"[i % 2]} for i in range(30)]
Y = ["high" if i > 14 else "low" for i in range(30)]
NONE = Evaluation(method="none")

FOREIGN = "secret-plan"
UNNAMED = "a model without a name"
OWN = "churn-1"
NEVER_ID = "01890000-0000-7000-8000-000000000000"
NEVER_NAME = "secret-none"
PATTERN = "churn*"
TAG = "hidden-tag"
ALIAS = "hidden-alias"
SHARED_KEY = "the-same-idempotency-key"


@dataclass(frozen=True)
class Foreign:
    """The ids of models and jobs by what became of them, and the keys: of an admin who sees all, and of a limited one.

    `predictor` is limited, too.
    """

    models: dict[str, str]
    jobs: dict[str, str]
    own_id: str
    own_job: str
    admin: str
    limited: str
    predictor: str

    @property
    def words(self) -> list[str]:
        """What a limited key may never read."""
        return [FOREIGN, TAG, ALIAS, *self.models.values(), *self.jobs.values()]


def order(name: str | None, **fields: Any) -> TrainRequest:
    """Make a request that trains within a moment."""
    return TrainRequest(model_class_key="logistic_regression", X=X, y=Y, name=name, evaluation=NONE, **fields)


def live(yard: Verbs) -> Foreign:
    """Have all happen."""
    first = yard.train(order(FOREIGN, tags=[TAG]), idempotency_key=SHARED_KEY)
    deleted = yard.retrain(RetrainRequest(model_id=FOREIGN, X=X, y=Y))
    gone = yard.train(order(FOREIGN))
    own = yard.train(order(OWN))
    yard.set_alias(FOREIGN, ALIAS, AliasRequest(version=first.version))
    unnamed = yard.train(order(None))
    yard.update_model(first.model_id, UpdateRequest(description=f"see {FOREIGN}"))
    yard.set_decision(first.model_id, Decision.model_validate({"rule": "threshold", "class": "low", "threshold": 0.4}))
    yard.evaluate(EvaluateRequest(model_ids=[first.model_id, own.model_id], X=X, y=Y, label="March"))
    yard.delete(deleted.model_id)
    yard.delete(gone.model_id, hard=True)
    cancelled = yard.submit_training(order(FOREIGN, hyperparams={"C": 2.0}))
    end(yard, cancelled.job_id)
    jobs = {job.model_id: job.job_id for job in yard.list_jobs().jobs if job.model_id is not None}
    models = {
        "active": first.model_id,
        "deleted": deleted.model_id,
        "gone": gone.model_id,
        UNNAMED: unnamed.model_id,
    }
    return Foreign(
        models,
        {**{what: jobs[model_id] for what, model_id in models.items()}, "cancelled": cancelled.job_id},
        own.model_id,
        jobs[own.model_id],
        make_key(yard, "all", "admin"),
        make_key(yard, "limited", "admin", PATTERN),
        make_key(yard, "asks", "predictor", PATTERN),
    )


def end(yard: Verbs, job_id: str) -> None:
    """Cancel a job, and wait for its end if it is too late for that."""
    try:
        yard.cancel_job(job_id)
    except FailedPrecondition:
        list(yard.watch_job(job_id))


VERSIONS = ("", ":1", ":2", ":3", ":99", f"@{ALIAS}", "@none", "@latest")


def pairs(foreign: Foreign) -> list[tuple[str, str, int]]:
    """Return references to foreign models, each with one that means nothing, and the status of the answer to both."""
    ids = [*foreign.models.values(), foreign.models["active"].upper()]
    names = [(f"{FOREIGN}{version}", f"{NEVER_NAME}{version}", 403) for version in VERSIONS]
    return [(model_id, NEVER_ID, 404) for model_id in ids] + names


def masked(content: bytes, reference: str) -> bytes:
    """Return an answer without the reference that was asked for."""
    name = re.split("[:@]", reference)[0]
    for word in (reference, reference.lower(), name):
        content = content.replace(word.encode(), b"REF")
    return content
