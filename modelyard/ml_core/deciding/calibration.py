"""Calibration: curves from a fit's probabilities to those of rows that it had not seen, one a class against the rest.

They are kept beside the artifact as `calibration.json`, so that the `.pkl` stays the library's own: `{"format": 1,
"method", "curves": [...]}` with one curve for two classes (the second's), else one a class. A curve of `sigmoid` is
`{"slope", "intercept"}` of the log-odds, one of `isotonic` the knots `{"x", "y"}` of a line from probability to
probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import orjson

from modelyard.ml_core.deciding.deciders import Codes, Floats
from modelyard.models_registry.base import Predictor
from modelyard.schemas import CalibrationMethod

_NEAREST = 1e-12
"""How near to 0 and 1 a probability comes before its log-odds are taken."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The curves of one model."""

    method: CalibrationMethod
    curves: tuple[dict[str, Any], ...]

    @classmethod
    def fit(cls, method: CalibrationMethod, truth: Codes, scores: Floats, weights: Floats | None = None) -> Self:
        """Fit the curves to probabilities, shape (n, k), of rows that their fits had not seen."""
        codes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
        fit = _fit_sigmoid if method == "sigmoid" else _fit_isotonic
        return cls(method, tuple(fit(truth == code, scores[:, code], weights) for code in codes))

    def apply(self, scores: Floats) -> Floats:
        """Return calibrated probabilities, shape (n, k); a row's are the same alone and among others."""
        along = _sigmoid if self.method == "sigmoid" else _isotonic
        # A column of its own memory: of one with gaps numpy takes other ways to the last bit.
        codes = [1] if len(self.curves) == 1 else range(scores.shape[1])
        columns = [np.ascontiguousarray(scores[:, code]) for code in codes]
        found = [along(curve, column) for curve, column in zip(self.curves, columns, strict=True)]
        if len(found) == 1:
            return np.stack([1.0 - found[0], found[0]], axis=1)
        made = np.stack(found, axis=1)
        total = made[:, 0].copy()
        for column in found[1:]:
            total += column
        return np.divide(made, total[:, None], out=np.full_like(made, 1 / len(found)), where=total[:, None] > 0)

    def to_bytes(self) -> bytes:
        """Write it as the content of `calibration.json`."""
        said = {"format": 1, "method": self.method, "curves": self.curves}
        return orjson.dumps(said, option=orjson.OPT_SERIALIZE_NUMPY)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote."""
        found = orjson.loads(content)
        read = np.array if found["method"] == "isotonic" else float
        return cls(
            found["method"], tuple({name: read(value) for name, value in curve.items()} for curve in found["curves"])
        )


class CalibratedPredictor:
    """A predictor whose probabilities are calibrated; `raw` is the one before."""

    def __init__(self, raw: Predictor, calibration: Calibration) -> None:
        self.raw = raw
        self.size_bytes = raw.size_bytes + 2 * len(calibration.to_bytes())
        self._apply = calibration.apply

    def few(self, rows: Sequence[Sequence[float | str]]) -> list[list[float]]:
        """Return the calibrated probabilities of each of a few checked rows."""
        scores = self.raw.few(rows)
        answer: list[list[float]] = self._apply(np.array(scores)).tolist() if scores else []
        return answer

    def many(self, frame: Any) -> Floats:
        """Return the calibrated probabilities of a checked frame's n rows, shape (n, k)."""
        return self._apply(self.raw.many(frame))


def _fit_sigmoid(positive: Any, scores: Floats, weights: Floats | None) -> dict[str, Any]:
    """Fit a logistic curve to the log-odds, by Platt's targets: not quite 0 and 1, so that it never becomes a step."""
    from sklearn.linear_model import LogisticRegression

    weights = np.ones(len(scores)) if weights is None else weights / weights.mean()
    hits = float(weights[positive].sum())
    misses = float(weights.sum()) - hits
    target = np.where(positive, (hits + 1) / (hits + 2), 1 / (misses + 2))
    # A target between 0 and 1 is a row of either class, each with its part of the weight.
    odds = np.tile(_log_odds(scores), 2)[:, None]
    labels = np.repeat([1, 0], len(scores))
    fitted = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(
        odds, labels, np.concatenate([weights * target, weights * (1 - target)])
    )
    slope = float(fitted.coef_[0, 0])
    if slope <= 0:  # the probabilities tell nothing; turned round they would tell of noise
        return {"slope": 0.0, "intercept": float(np.log((hits + 1) / (misses + 1)))}
    return {"slope": slope, "intercept": float(fitted.intercept_[0])}


def _fit_isotonic(positive: Any, scores: Floats, weights: Floats | None) -> dict[str, Any]:
    """Fit a line that never falls; it ends 1 / (n + 2) before 0 and 1, since no n rows show that a class is certain."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(out_of_bounds="clip").fit(scores, positive.astype(np.float64), weights)
    least = 1 / (len(scores) + 2)
    return {
        "x": fitted.X_thresholds_.astype(np.float64),
        "y": np.clip(fitted.y_thresholds_.astype(np.float64), least, 1 - least),
    }


def _log_odds(scores: Floats) -> Floats:
    inside = np.clip(scores, _NEAREST, 1 - _NEAREST)
    odds: Floats = np.log(inside / (1 - inside))
    return odds


def _sigmoid(curve: dict[str, Any], scores: Floats) -> Floats:
    exponent = -(curve["slope"] * _log_odds(scores) + curve["intercept"])
    made: Floats = 1.0 / (1.0 + np.exp(np.clip(exponent, -700.0, 700.0)))
    return made


def _isotonic(curve: dict[str, Any], scores: Floats) -> Floats:
    made: Floats = np.interp(scores, curve["x"], curve["y"])
    return made
