"""Predicting with an ensemble: by its members' own predictors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from modelyard.models_registry.base import ModelClass, Predictor
from modelyard.models_registry.contributions import Contributions
from modelyard.models_registry.ensemble.blending import Numbers, blend
from modelyard.tables.contract import Contract, as_text


@dataclass(frozen=True, slots=True)
class MemberPredictor:
    """A member's predictor, its model class and how much it counts."""

    model_class: ModelClass
    predictor: Any
    weight: float

    def framed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return a checked frame as the model class takes it."""
        return frame if self.model_class.reads_enums else as_text(frame)


class EnsemblePredictor:
    """The blended answers of the members, each made ready by its own model class."""

    def __init__(self, members: Sequence[MemberPredictor], contract: Contract) -> None:
        self._members = tuple(members)
        self._weights = [member.weight for member in members]
        self._are_probabilities = bool(contract.classes)
        self._width = len(contract.classes) or 1
        self.size_bytes = sum(member.predictor.size_bytes for member in members)

    def few(self, rows: Sequence[Sequence[float | str]]) -> list[list[float]]:
        """Return the k numbers of each of a few checked rows."""
        if not rows:
            return []
        answer: list[list[float]] = self._blended([np.array(one.few(rows)) for one in self._predictors]).tolist()
        return answer

    def many(self, frame: pl.DataFrame) -> Numbers:
        """Return the numbers of a checked frame's n rows, shape (n, k)."""
        if frame.height == 0:
            return np.empty((0, self._width))
        return self._blended([member.predictor.many(member.framed(frame)) for member in self._members])

    def contributions(self, frame: pl.DataFrame) -> Contributions | None:
        """Add the members' contributions up by their weights; None if one of them cannot explain."""
        found = [member.model_class.contributions(member.predictor, member.framed(frame)) for member in self._members]
        if not all(found):
            return None
        told = [one for one in found if one is not None]
        base = sum(one.base * weight for one, weight in zip(told, self._weights, strict=True))
        shares = sum(one.shares * weight for one, weight in zip(told, self._weights, strict=True))
        warnings = dict.fromkeys(warning for one in told for warning in one.warnings)
        return Contributions(np.asarray(base), np.asarray(shares), tuple(warnings))

    @property
    def _predictors(self) -> list[Predictor]:
        return [member.predictor for member in self._members]

    def _blended(self, scores: Sequence[Numbers]) -> Numbers:
        return blend(scores, self._weights, are_probabilities=self._are_probabilities)
