"""What a search is asked for, and what it tells of its trials."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field

from modelyard.schemas.base import Frozen
from modelyard.schemas.requests import NewModelRequest

AUTO = "auto"
"""The model class that a training names if a search shall choose it."""

ENSEMBLE = "ensemble"
"""The model class of models that are made of several, which only a search makes."""

TRIALS, MOST_TRIALS = 30, 200
SEARCH_SECONDS, MOST_SEARCH_SECONDS = 120, 604_800
"""How long a search looks, and how many trials it makes, if nothing is said and at most."""

TrialStatus = Literal["complete", "pruned", "failed"]


class SearchRequest(NewModelRequest):
    """A table, its labels, and how long and by what to look for the best model.

    `model_classes` are the keys of those to try; left out, all of the task, which `task` says or the target shows.
    `trials` is the most of them. None begins after `max_seconds`, so the search takes at most one trial longer, and
    then weighs and fits what it has found. `metric` says what is better: `log_loss`, `roc_auc`, `rmse`, ...; left out,
    the log loss, or for regression the rmse. `seed` decides which rows are in which fold, and what is tried. All other
    fields are NewModelRequest's; rows held out by `evaluation`, which must not be `cv`, are seen by no trial.
    """

    model_classes: Annotated[list[str], Field(min_length=1, max_length=100)] | None = Field(
        None, validation_alias=AliasChoices("model_classes", "modelclasses")
    )
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS, strict=True)] = TRIALS
    max_seconds: Annotated[float, Field(gt=0, le=MOST_SEARCH_SECONDS, allow_inf_nan=False, strict=True)] = float(
        SEARCH_SECONDS
    )
    metric: str | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)] = 0


class SearchSummary(Frozen):
    """The search that a model is the best of: how many trials it made, in how many seconds, and by which metric."""

    trials: int
    seconds: float
    metric: str


class LeaderboardEntry(Frozen):
    """One trial of a search, or the ensemble made of several.

    `metric` is its value on rows that its fits had not seen, between `low` and `high` nine times in ten; of a pruned
    trial it is that of its first folds, and there is no interval. `weight` is its share in the model, null for the
    ensemble itself. `words` say how it compares with the model, or why it failed.
    """

    model_class_key: str
    hyperparams: dict[str, Any]
    metric: float | None = None
    low: float | None = None
    high: float | None = None
    seconds: float
    weight: float | None = None
    status: TrialStatus
    words: str
