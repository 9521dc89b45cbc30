"""Modelyard: train, judge, serve and retire models on tables behind four doors.

`connect` opens a yard, on a server or in a folder; the requests are what its verbs take. All are imported when they are
first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelyard.connection import connect
    from modelyard.schemas import (
        CheckRequest,
        DriftQuery,
        EvaluateRequest,
        Evaluation,
        EvaluationQuery,
        ExplainRequest,
        JobQuery,
        KeepAnswersRequest,
        ModelQuery,
        NameQuery,
        OutcomesRequest,
        PerformanceQuery,
        PredictRequest,
        Promote,
        RetrainRequest,
        SearchRequest,
        TrainRequest,
        UpdateRequest,
    )

__version__ = "0.1.0"

__all__ = [
    "CheckRequest",
    "DriftQuery",
    "EvaluateRequest",
    "Evaluation",
    "EvaluationQuery",
    "ExplainRequest",
    "JobQuery",
    "KeepAnswersRequest",
    "ModelQuery",
    "NameQuery",
    "OutcomesRequest",
    "PerformanceQuery",
    "PredictRequest",
    "Promote",
    "RetrainRequest",
    "SearchRequest",
    "TrainRequest",
    "UpdateRequest",
    "connect",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("modelyard.connection" if name == "connect" else "modelyard.schemas"), name)
