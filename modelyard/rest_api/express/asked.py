"""What is asked by a path that the express ways answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TypeAlias

from modelyard.ml_core.desk import Desk
from modelyard.rest_api.open_inference.inference import Inference
from modelyard.rest_api.questions import PredictQuestion, Question

_INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")

Ask: TypeAlias = Callable[[bytes], Question]
"""Makes the question of a body."""


def asked_at(desk: Desk) -> Callable[[str], Ask | None]:
    """Return what tells the question that is posted to a path; None if it is none, or no quick one."""

    @lru_cache(maxsize=256)
    def find(path: str) -> Ask | None:
        if path == "/predict":
            return PredictQuestion
        match = _INFER.fullmatch(path)
        if match is None:
            return None
        name, version = match.groups()
        return partial(Inference, desk, name, version)

    return find
