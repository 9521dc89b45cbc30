"""The decisions of stored models: resolved and judged by the contract and the validation predictions that they keep."""

from __future__ import annotations

from functools import partial

from modelyard.errors import FailedPrecondition
from modelyard.ml_core.deciding.checks import check_class
from modelyard.ml_core.deciding.judging import judge
from modelyard.ml_core.deciding.resolving import resolve
from modelyard.ml_core.validation_predictions import load_validation
from modelyard.schemas import MOST_PROBABLE, Decision, DecisionReport, ModelWarning, ResolvedDecision
from modelyard.storage import ModelRecord, ModelStore
from modelyard.tables import Contract, contract_from_json


def resolved(store: ModelStore, record: ModelRecord, decision: Decision) -> ResolvedDecision:
    """Return the decision as a model obeys it. Raises what `deciding.resolve` raises; the request is the decision."""
    contract = _contract(store, record)
    return resolve(decision, contract.classes, partial(load_validation, store, record, contract), place=())


def reported(store: ModelStore, record: ModelRecord, label: str | None = None) -> DecisionReport:
    """Return the decision of a model and what it does, with the curve of a class, else of the decision's own.

    Raises FailedPrecondition for regression, InvalidRequest for a class that the model does not have.
    """
    model, contract = record.metadata, _contract(store, record)
    if not contract.classes:
        raise FailedPrecondition(
            f"model {model.name}:{model.version} has no decision, because its task is {model.task!r}"
        )
    if label is not None:
        check_class(label, contract.classes)
    decision = model.decision or MOST_PROBABLE
    warnings: tuple[ModelWarning, ...] = ()
    try:
        validation = load_validation(store, record, contract)
    except FailedPrecondition as error:
        validation, warnings = None, (ModelWarning(code="no_validation", message=error.detail),)
    found = judge(decision, contract.classes, validation, label)
    found["warnings"] += warnings
    return DecisionReport(model_id=model.model_id, name=model.name, version=model.version, decision=decision, **found)


def _contract(store: ModelStore, record: ModelRecord) -> Contract:
    return contract_from_json(store.read_file(record, "contract.json"))
