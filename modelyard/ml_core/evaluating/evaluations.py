"""Judge models by a labelled table: each by itself, and each against each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import uuid_utils

from modelyard.errors import FailedPrecondition, FieldError, InvalidRequest
from modelyard.ml_core.evaluating.differences import Judged, differences
from modelyard.ml_core.evaluating.mean_costs import COST, with_cost
from modelyard.ml_core.evaluating.scores import answer, learned_from, on_shared_rows, recall
from modelyard.ml_core.evaluating.weaknesses import weaknesses
from modelyard.ml_core.resampling import bootstrap, intervals_of, replicates, usual_rounds
from modelyard.ml_core.serving.loaded import LoadedModel
from modelyard.schemas import EvaluatedModel, EvaluateRequest, ModelMetadata, TableEvaluation
from modelyard.storage import ModelStore

_SEED = 0
"""The same table gives the same intervals, whoever is judged by it."""


def evaluate(
    models: Sequence[ModelMetadata],
    load: Callable[[str], LoadedModel],
    request: EvaluateRequest,
    store: ModelStore,
    aliases: Sequence[str | None],
) -> TableEvaluation:
    """Judge models, one after the other loaded by its id. `aliases` are those by which they were asked, None: by none.

    A model is judged by what it keeps of its evaluation in the `store` if the table is the one that it was trained on,
    or if no table is given. Raises InvalidRequest, InvalidTable, FailedPrecondition, and what `load` raises.
    """
    _check(models)
    if request.X is None:
        _check_same_table(models, request)
        loaded = [load(model.model_id) for model in models]
        answered = [recall(store, model) for model in loaded]
    else:
        target = models[0].target if request.target is None and request.y is None else request.target
        answered = [answer(store, load(model.model_id), request, target) for model in models]
    judged: list[Judged] = []
    shown: list[EvaluatedModel] = []
    n = 0
    alike = _have_the_same_costs(models)
    for model, one, alias in zip(models, on_shared_rows(answered), aliases, strict=True):
        found = with_cost(one.task.judge_table(one.truth, one.scores, one.contract), one, model.decision)
        n, k = one.scores.shape
        rounds = usual_rounds(n, rankings=k if k > 2 else 1)
        replicated = replicates(found.measure, bootstrap(n, _SEED, rounds=rounds))
        compared = {name: value for name, value in found.metrics.items() if name != COST or alike}
        judged.append(Judged(model.model_id, f"{model.name}:{model.version}", compared, replicated))
        shown.append(
            EvaluatedModel(
                model_id=model.model_id,
                name=model.name,
                version=model.version,
                alias=alias,
                metrics={**found.metrics, **intervals_of(found.metrics, replicated)},
                weaknesses=weaknesses(one, model.decision) if request.weaknesses else None,
                warnings=[*one.warnings, *learned_from(one), *found.warnings],
                **found.shown,
            )
        )
    return TableEvaluation(
        evaluation_id=str(uuid_utils.uuid7()),
        at=datetime.now(UTC),
        task=models[0].task,
        label=request.label,
        n_rows=n,
        models=shown,
        pairs=differences(judged, n),
    )


def _have_the_same_costs(models: Sequence[ModelMetadata]) -> bool:
    """Whether the costs of all models mean the same."""
    first, *others = (None if model.decision is None else model.decision.costs for model in models)
    return all(costs == first for costs in others)


def _check(models: Sequence[ModelMetadata]) -> None:
    """Refuse models that cannot be compared: of several tasks, or twice the same. Raises InvalidRequest."""
    wrong = []
    for place, model in enumerate(models):
        called = f"model_ids: {model.name}:{model.version}"
        if model.task != models[0].task:
            first = f"{models[0].name}:{models[0].version} of {models[0].task}"
            message = f"{called} is a model of {model.task}, {first}; all must be of one task"
            wrong.append(FieldError(("model_ids", place), message, model.model_id))
        if model.model_id in (before.model_id for before in models[:place]):
            wrong.append(FieldError(("model_ids", place), f"{called} is named twice", model.model_id))
    if wrong:
        raise InvalidRequest.of(wrong)


def _check_same_table(models: Sequence[ModelMetadata], request: EvaluateRequest) -> None:
    """Refuse what needs a table, and models of several tables. Raises InvalidRequest, FailedPrecondition."""
    if request.y is not None or request.target is not None or request.weaknesses:
        raise InvalidRequest.of([FieldError(("X",), "X is due if y, target or weaknesses are given")])
    first = models[0]
    for model in models:
        if model.fingerprint is None or model.fingerprint != first.fingerprint:
            raise FailedPrecondition(
                f"{model.name}:{model.version} was not trained on the very table of {first.name}:{first.version} "
                "(with the same columns and roles), so no rows were held out of both; give a labelled table as X"
            )
