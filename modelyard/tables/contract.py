"""The contract: what a model keeps of its training table, to check every later table against it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import polars.selectors as cs

from modelyard.schemas import ColumnRole, FeatureType, ModelWarning
from modelyard.tables.missing import Markers, column_markers, label_markers
from modelyard.tables.parts import expand, part_names
from modelyard.tables.spelling import PLAIN, Spelling

EDITION = 3
"""The rules by which cells of new contracts are read, counted up whenever a cell would come to mean something else.

By the rules of 1, missing markers are the configured ones alone, outer blanks of a category count, and integers beyond
2**53 that came as floats are categories. Before 3 no column is datetime, and a date or a time as a category is the text
that it came as.
"""

MISSING_CATEGORY = "\x00missing"
"""How the missing category is written in the text columns that estimators see.

No real text can equal it: `escape_category` puts one more NUL before any text that begins with one.
"""

CategorySource = Literal["text", "numbers", "booleans", "datetimes"]


def escape_category(text: str) -> str:
    """Return `text` as estimators see it, so that no real text equals MISSING_CATEGORY."""
    return "\x00" + text if text.startswith("\x00") else text


def unescape_category(text: str) -> str | None:
    """Return a category as its caller wrote it, None for the missing one."""
    return None if text == MISSING_CATEGORY else text.removeprefix("\x00")


@dataclass(frozen=True)
class CategoricalColumn:
    """The categories seen in training, sorted, in estimators' form (MISSING_CATEGORY among them if it was seen).

    `source` says what the cells of training were, and so how a text is read later: in a column of numbers the text
    `1.0` is the category `1`, in a column of text it stays `1.0`; in a column of datetimes `2024-01-05 00:00` is the
    category `2024-01-05`. `counts` are how many rows of training had each category, those of weight 0 left out; None
    if the model is of a release that did not keep them.
    """

    categories: tuple[str, ...]
    source: CategorySource = "text"
    counts: tuple[int, ...] | None = None

    @cached_property
    def enum(self) -> pl.Enum:
        """The polars type of a column that holds no other categories. Made once, because it hashes them all."""
        return pl.Enum(self.categories)

    @cached_property
    def escaped(self) -> frozenset[str]:
        """The categories that equal no text of a caller: the missing one, and those with one more NUL."""
        return frozenset(text for text in self.categories if text.startswith("\x00"))


@dataclass(frozen=True, slots=True)
class DatetimeColumn:
    """A datetime column: `first` is the earliest moment of training, in UTC without a zone."""

    first: datetime


@dataclass(frozen=True, slots=True)
class CellReading:
    """How the cells of one column are read. `spelling` is that of the numbers in a CSV's numeric column."""

    markers: Markers
    source: CategorySource = "text"
    spelling: Spelling = PLAIN
    edition: int = EDITION


@dataclass(frozen=True)
class Contract:
    """Names and types of the columns in order, the categories seen, the classes, and how cells are read.

    These are the columns of callers; model classes see the `expanded` contract. For regression there are no classes.
    `spellings` are those of numeric columns whose numbers are not written as `1234.5`; `edition` says by which rules
    cells are read (`EDITION`).
    """

    feature_types: dict[str, FeatureType]
    categorical: dict[str, CategoricalColumn]
    classes: tuple[bool | int | str, ...]
    missing_markers: tuple[str, ...]
    spellings: Mapping[str, Spelling] = field(default_factory=dict)
    edition: int = EDITION
    datetimes: Mapping[str, DatetimeColumn] = field(default_factory=dict)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the columns, in the order of training."""
        return tuple(self.feature_types)

    @cached_property
    def readings(self) -> dict[str, CellReading]:
        """How the cells of each column are read."""
        return {name: self._reading(name) for name in self.feature_types}

    def _reading(self, name: str) -> CellReading:
        source = self.categorical[name].source if name in self.categorical else "numbers"
        if self.edition == 1:
            markers = label_markers(self.missing_markers)
        else:
            markers = column_markers(self.missing_markers, among_numbers=source in ("numbers", "datetimes"))
        return CellReading(markers, source, self.spellings.get(name, PLAIN), self.edition)

    @cached_property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """The names of the numeric parts of each datetime column."""
        return {name: part_names(name, self.feature_types) for name in self.datetimes}

    @cached_property
    def expanded(self) -> Contract:
        """The contract of the columns that model classes see: numeric parts in the places of datetime columns."""
        if not self.datetimes:
            return self
        types: dict[str, FeatureType] = {}
        for name, kind in self.feature_types.items():
            types |= dict.fromkeys(self.parts[name], "numeric") if name in self.parts else {name: kind}
        return replace(self, feature_types=types, datetimes={})

    def expand(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return a frame of the contract's columns as one of the `expanded` contract's."""
        firsts = {name: column.first for name, column in self.datetimes.items()}
        return expand(frame, firsts, self.parts) if firsts else frame


@dataclass(frozen=True, slots=True)
class Table:
    """A checked table: `frame` has the columns of the contract, expanded, in order and nothing else.

    Numeric columns are Float64 with null for a missing cell, and without NaN and infinity. Categorical columns have no
    nulls (MISSING_CATEGORY for a missing cell). In a table to train on they are Enum of the contract's categories. In a
    table to predict for they are Enum if it is known that no other category occurs, else String. `ids` are those of the
    rows to predict for, None if the table or the model has none.
    """

    frame: pl.DataFrame
    warnings: tuple[ModelWarning, ...] = ()
    ids: list[bool | int | float | str | None] | None = None

    @property
    def text_frame(self) -> pl.DataFrame:
        """The frame with every categorical column as String."""
        return as_text(self.frame)


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a checked frame with every categorical column as String."""
    return frame.with_columns(cs.enum().cast(pl.String))


def features_fingerprint(frame: pl.DataFrame) -> str:
    """Return a SHA-256 in hex that two checked frames share only if their columns and cells are equal."""
    digest = hashlib.sha256("\0".join(frame.columns).encode())
    digest.update(as_text(frame).hash_rows(seed=0).to_numpy().tobytes())
    return digest.hexdigest()


def as_codes(texts: pl.Series) -> pl.Series:
    """Return texts as an Enum of those that occur, sorted. An Enum stays as it is, with all its categories."""
    return texts if isinstance(texts.dtype, pl.Enum) else texts.cast(pl.Enum(texts.unique().sort()))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingTable(Table):
    """A checked table with its targets: `codes` has one index into `contract.classes` for each row.

    Its frame is not expanded yet: datetime columns are Datetime in microseconds, UTC, with null for a missing cell.
    Without classes (regression) `codes` are the numbers themselves. `contract` is what the model will keep; `target`
    the name of the column of targets, if it had one. `given_names` are the names that the columns of a file without a
    header were given, in its order.

    `column_roles` are the roles of the columns that are no features. `roles` holds the columns of all of them but
    `ignore`, each under the name of its role: `id` as String, `time` as Float64 or Datetime, `group` as an Enum of the
    groups that occur, `weight` as Float64; all but the ids without a missing cell.
    """

    codes: npt.NDArray[Any]
    contract: Contract
    target: str | None = None
    given_names: tuple[str, ...] = ()
    column_roles: Mapping[str, ColumnRole] = field(default_factory=dict)
    roles: pl.DataFrame = field(default_factory=pl.DataFrame)

    @property
    def weights(self) -> npt.NDArray[np.float64] | None:
        """How much each row counts, shape (n,); None if all count alike."""
        return self.roles["weight"].to_numpy() if "weight" in self.roles.columns else None

    @property
    def groups(self) -> npt.NDArray[np.int64] | None:
        """The number of each row's group, from 0, shape (n,); None if the rows have no groups."""
        if "group" not in self.roles.columns:
            return None
        return self.roles["group"].to_physical().cast(pl.Int64).to_numpy()

    @property
    def times(self) -> pl.Series | None:
        """The time of each row, as numbers or moments; None if the rows have none."""
        return self.roles["time"] if "time" in self.roles.columns else None

    def named_for(self, role: ColumnRole) -> str | None:
        """Return what the column with a role is called, None if there is none."""
        return next((name for name, found in self.column_roles.items() if found == role), None)
