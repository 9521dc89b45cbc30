"""Tables made by hand for the tests of the model classes: checked frames with their contract and labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.models_registry import BUILT_IN
from modelyard.models_registry.base import Fit, FitTask, ModelClass
from modelyard.models_registry.hyperparams import check
from modelyard.models_registry.predictors import EstimatorPredictor
from modelyard.schemas import FeatureType, Label
from modelyard.tables.contract import MISSING_CATEGORY, CategoricalColumn, Contract

CLASSIFIERS = {key: one for key, one in BUILT_IN.items() if one.task == "classification"}
REGRESSORS = {key: one for key, one in BUILT_IN.items() if one.task == "regression"}
NUMBERS: dict[str, tuple[float, float]] = {
    "numbers near 0": (0.5, 2.0),
    "timestamps": (1.7e9, 30.0),
    "large numbers": (0.0, 1e40),
    "tiny numbers": (0.0, 1e-30),
}
"""Targets of a regression: about where they lie, and how far they spread."""

LABELS: dict[str, tuple[Label, ...]] = {
    "two booleans": (False, True),
    "two integers": (-1, 1),
    "two texts": ("no", "yes"),
    "three integers": (0, 1, 2),
    "integers beyond float": (5, 2**53 + 1, 2**60 + 1),
    "texts that look like numbers": ("1", "10", "9"),
    "texts that look like booleans": ("True", "false", "true"),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A checked frame, its labels and its contract."""

    frame: pl.DataFrame
    labels: npt.NDArray[Any]
    contract: Contract

    def rows(self, n: int | None = None) -> list[list[float | str]]:
        """Return the first rows as predictors take them: NaN where a number is missing."""
        return rows_of(self.frame if n is None else self.frame.head(n))


def rows_of(frame: pl.DataFrame) -> list[list[float | str]]:
    """Return a checked frame's rows as predictors take them: NaN where a number is missing."""
    return [[math.nan if cell is None else cell for cell in row] for row in frame.rows()]


def sample_of(frame: pl.DataFrame, codes: npt.NDArray[Any], classes: Sequence[Label]) -> Sample:
    """Put a sample together from a checked frame and its labels' places in `classes`, or numbers without classes."""
    types: dict[str, FeatureType] = {
        name: "numeric" if dtype == pl.Float64 else "categorical" for name, dtype in frame.schema.items()
    }
    categorical = {
        name: CategoricalColumn(tuple(texts), counts=tuple(counts))
        for name, kind in types.items()
        if kind != "numeric"
        for texts, counts in [frame[name].value_counts(name="rows").sort(name).get_columns()]
    }
    contract = Contract(types, categorical, tuple(classes), missing_markers=("",))
    if not classes:
        return Sample(frame, np.asarray(codes, dtype=np.float64), contract)
    labels = np.array(classes, dtype=object if isinstance(classes[0], str) else None)[codes]
    return Sample(frame, labels, contract)


def targets_of(key: str) -> tuple[str, ...]:
    """Return the names of the targets that a model class is tried on, for `sample_named`."""
    return tuple(NUMBERS if key in REGRESSORS else LABELS)


def sample_named(target: str) -> Sample:
    """Return a mixed table with the labels or numbers of a name."""
    return mixed_numbers(*NUMBERS[target]) if target in NUMBERS else mixed(LABELS[target])


def sample_for(model_class: ModelClass) -> Sample:
    """Return a mixed table with a target of the model class's task."""
    return mixed_numbers() if model_class.task == "regression" else mixed()


def mixed_numbers(centre: float = 0.5, spread: float = 2.0, n: int = 120) -> Sample:
    """The columns of `mixed`, and numbers that follow what they tell of the class."""
    sample = mixed(n=n)
    codes = (sample.labels == "yes").astype(float)
    numbers = codes + np.random.default_rng(1).normal(scale=0.2, size=n)
    return sample_of(sample.frame, centre + spread * numbers, ())


def mixed(classes: Sequence[Label] = ("no", "yes"), n: int = 120, seed: int = 0) -> Sample:
    """Numbers and categories that tell the class noisily, of every scale, with missing cells in each column."""
    random = np.random.default_rng(seed)
    codes = np.arange(n) % len(classes)
    noisy = codes + random.normal(scale=0.6, size=n)
    columns: dict[str, Any] = {
        "age": 40 + 10 * noisy,
        "colour": np.array(["red", "", "blue", "-"], dtype=object)[(codes + (random.random(n) < 0.3)) % 4],
        "seen at": 1.7e18 + 1e14 * noisy,
        "tiny": 1e-12 * random.normal(size=n),
        'odd, "name"\n': np.array(["a", "b"], dtype=object)[random.integers(0, 2, n)],
    }
    frame = pl.DataFrame(columns, schema_overrides={"colour": pl.String, 'odd, "name"\n': pl.String})
    missing: dict[Any, Any] = {pl.Float64: pl.lit(None), pl.String: pl.lit(MISSING_CATEGORY)}
    frame = frame.with_columns(
        pl.when(pl.Series(random.random(n) < 0.1)).then(missing[dtype]).otherwise(pl.col(name)).alias(name)
        for name, dtype in frame.schema.items()
    )
    return sample_of(frame, codes, classes)


def few_trees(model_class: ModelClass, trees: int) -> dict[str, Any]:
    """Return the hyperparams by which a model class of trees has so many; for others none."""
    names = {hyperparam.name for hyperparam in model_class.hyperparams}
    return {name: trees for name in ("iterations", "n_estimators") if name in names}


def fit(model_class: ModelClass, sample: Sample, given: Mapping[str, Any] | None = None, **task: Any) -> Fit:
    """Fit on a sample with the given hyperparams and the defaults of the rest."""
    hyperparams = check(model_class.hyperparams, given or {})
    return model_class.fit(FitTask(sample.frame, sample.labels, sample.contract, hyperparams, **task))


def library_predictor(estimator: Any, contract: Contract) -> EstimatorPredictor:
    """Return the answers of a library itself, by what everybody who loads the estimator may call."""
    by_pandas = type(estimator).__module__.startswith("lightgbm")
    return EstimatorPredictor(_ByPandas(estimator) if by_pandas else estimator, contract)


class _ByPandas:
    """LightGBM, which takes texts only as pandas' columns of type category."""

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator

    @property
    def classes_(self) -> Any:
        return self._estimator.classes_

    def predict_proba(self, frame: pl.DataFrame) -> Any:
        return self._estimator.predict_proba(_in_pandas(frame))

    def predict(self, frame: pl.DataFrame) -> Any:
        return self._estimator.predict(_in_pandas(frame))


def _in_pandas(frame: pl.DataFrame) -> Any:
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    return frame.to_pandas().astype(dict.fromkeys(texts, "category"))
