"""What is watched of one model: the bins of its callers' columns and of its answers, and where the cells stand.

`Reference` is what the model keeps of its training to compare with, in the file `drift.json`: `{"format": 1,
"columns": {name: {"edges" and "tied" | "categories", "counts", "rises"}}, "answers": the same | null}`. It holds
counts, the edges of bins and the most frequent categories, and no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import polars as pl

from modelyard.errors import DataLoss
from modelyard.monitoring.bins import Bins, CategoryBins, Cells, Counts, Numbers, NumericBins
from modelyard.schemas import FeatureType, Label
from modelyard.tables import MISSING_CATEGORY, Contract, TrainingTable

DRIFT_FORMAT = 1

_FEWEST_THAT_RISE = 10
"""A column of fewer numbers that rise with the row is a sorted one rather than a clock or a counter."""

_NOTHING_KEPT = NumericBins((0.0, 0.0))


@dataclass(frozen=True, slots=True)
class Known:
    """A column as training counted it; `rises` if its numbers rise, or fall, with the row, as a clock or a counter."""

    bins: Bins
    counts: Counts
    rises: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """The columns of training by name, and the answers to the rows held out if they are numbers and any were."""

    columns: Mapping[str, Known]
    answers: Known | None

    @classmethod
    def of(cls, table: TrainingTable, answers: Numbers | None) -> Reference:
        """Count a training table, and the numbers that were answered for the rows held out."""
        contract, frame = table.contract, table.contract.expand(table.frame)
        columns = {
            name: _known_categories(frame.to_series(place))
            if kind == "categorical"
            else _known_numbers(frame.to_series(place).to_numpy())
            for name, kind, place in _places(contract)
        }
        return cls(columns, None if answers is None else _known_numbers(answers))

    def to_bytes(self) -> bytes:
        """Write it as the content of `drift.json`."""
        columns = {name: _written(known) for name, known in self.columns.items()}
        answers = None if self.answers is None else _written(self.answers)
        return orjson.dumps({"format": DRIFT_FORMAT, "columns": columns, "answers": answers})

    @classmethod
    def from_bytes(cls, content: bytes, contract: Contract) -> Reference:
        """Read what `to_bytes` wrote. Raises DataLoss if it is of another form."""
        try:
            said = orjson.loads(content)
            columns = {name: _read(said["columns"][name], contract, name) for name in contract.feature_types}
            return cls(columns, None if said["answers"] is None else _read(said["answers"], contract))
        except (ValueError, TypeError, KeyError) as error:
            raise DataLoss(f"what the model keeps to tell drift by has another form: {error!r}") from error


@dataclass(frozen=True, slots=True)
class WatchedColumn:
    """A column as its callers know it, and its place in a checked table; of a datetime column, that of its days.

    `warns_of_missing`: a missing cell is warned of as an unknown category, because training had none.
    """

    name: str
    is_categorical: bool
    place: int
    bins: Bins
    warns_of_missing: bool

    def cells(self, frame: pl.DataFrame) -> Cells:
        """Return the column of a checked frame whose categories are codes, if they are all known, or texts."""
        series = frame.to_series(self.place)
        return series if series.dtype == pl.String else series.to_numpy()


@dataclass(frozen=True, slots=True)
class Watch:
    """One model that is watched. Loaded twice, it is watched by two equal ones.

    Without a reference its rows are counted, but not what stands in them. `answers` are the bins of numbers that it
    answers; None for labels, and if none were held out.
    """

    model_id: str
    name: str
    version: int
    columns: tuple[WatchedColumn, ...]
    classes: tuple[Label, ...]
    answers: NumericBins | None = None
    has_reference: bool = True
    width: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", len(self.columns))

    @classmethod
    def of(cls, model_id: str, name: str, version: int, contract: Contract, reference: Reference | None) -> Watch:
        """Watch a model by its contract."""
        columns = tuple(
            WatchedColumn(
                column,
                kind == "categorical",
                place,
                _bins_of(column, contract) if reference is None else reference.columns[column].bins,
                kind == "categorical" and MISSING_CATEGORY not in contract.categorical[column].categories,
            )
            for column, kind, place in _places(contract)
        )
        answers = None if reference is None or reference.answers is None else reference.answers.bins
        assert not isinstance(answers, CategoryBins)
        return cls(model_id, name, version, columns, contract.classes, answers, reference is not None)


def _places(contract: Contract) -> Iterable[tuple[str, FeatureType, int]]:
    """Yield each column, its type and its place in the expanded contract; of a datetime column, that of its days."""
    places = {name: place for place, name in enumerate(contract.expanded.feature_names)}
    for name, kind in contract.feature_types.items():
        yield name, kind, places[contract.parts[name][-1] if kind == "datetime" else name]


def _bins_of(column: str, contract: Contract) -> Bins:
    """Return bins that tell nothing but what is missing."""
    known = contract.categorical.get(column)
    return _NOTHING_KEPT if known is None else CategoryBins.among((), known.categories)


def _known_numbers(numbers: Numbers) -> Known:
    bins = NumericBins.of(numbers)
    present = numbers[~np.isnan(numbers)]
    before, after = present[:-1], present[1:]
    is_monotone = (after >= before).all() or (after <= before).all()
    rises = is_monotone and np.count_nonzero(after != before) >= _FEWEST_THAT_RISE
    return Known(bins, bins.count(numbers), bool(rises))


def _known_categories(series: pl.Series) -> Known:
    """Choose the most frequent categories by every other row, and count the rows between.

    The most frequent ones of some rows are rarer in all others, the more so the more categories there are. Counted by
    the rows that chose them, they would seem to have become rarer ever since.
    """
    assert isinstance(series.dtype, pl.Enum)
    categories = series.dtype.categories.to_list()
    chosen = np.bincount(series.gather_every(2).to_physical(), minlength=len(categories))
    bins = CategoryBins.of(categories, chosen.tolist())
    between = series.gather_every(2, offset=1)
    return Known(bins, bins.count((between if len(between) else series).to_physical().to_numpy()))


def _written(known: Known) -> dict[str, Any]:
    bins = known.bins
    of_bins = (
        {"edges": bins.edges, "tied": bins.tied} if isinstance(bins, NumericBins) else {"categories": bins.categories}
    )
    return {**of_bins, "counts": known.counts.tolist(), "rises": known.rises}


def _read(said: Mapping[str, Any], contract: Contract, name: str = "") -> Known:
    bins: Bins
    if name in contract.categorical:
        bins = CategoryBins.among(tuple(said["categories"]), contract.categorical[name].categories)
    else:
        bins = NumericBins(tuple(map(float, said["edges"])), tuple(said["tied"]))
    return Known(bins, np.array(said["counts"], dtype=np.int64), said["rises"])
