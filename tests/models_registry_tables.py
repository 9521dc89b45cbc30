"""Tables made by hand for the tests of the model classes: checked frames with their contract and labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.models_registry.base import Fit, FitTask, ModelClass
from modelyard.models_registry.hyperparams import check
from modelyard.schemas import FeatureType, Label
from modelyard.tables.contract import MISSING_CATEGORY, CategoricalColumn, Contract

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
    """Put a sample together from a checked frame and its labels' places in `classes`."""
    types: dict[str, FeatureType] = {
        name: "numeric" if dtype == pl.Float64 else "categorical" for name, dtype in frame.schema.items()
    }
    categorical = {
        name: CategoricalColumn(tuple(frame[name].unique().sort())) for name, kind in types.items() if kind != "numeric"
    }
    contract = Contract(types, categorical, tuple(classes), missing_markers=("",))
    labels = np.array(classes, dtype=object if isinstance(classes[0], str) else None)[codes]
    return Sample(frame, labels, contract)


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


def fit(model_class: ModelClass, sample: Sample, given: Mapping[str, Any] | None = None, **task: Any) -> Fit:
    """Fit on a sample with the given hyperparams and the defaults of the rest."""
    hyperparams = check(model_class.hyperparams, given or {})
    return model_class.fit(FitTask(sample.frame, sample.labels, sample.contract, hyperparams, **task))
