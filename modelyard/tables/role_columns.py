"""The columns of a training table that have a role, read and checked: times, groups and weights in every row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidTable
from modelyard.schemas import ColumnRole, FeatureType
from modelyard.tables import cells, columns
from modelyard.tables.contents import check_dtype, content_of
from modelyard.tables.contract import MISSING_CATEGORY, CellReading
from modelyard.tables.inference import ColumnPlan, ReadingOptions
from modelyard.tables.missing import Markers, column_markers
from modelyard.tables.roles import SINGLE_ROLES
from modelyard.tables.sources import Cells, RawTable

_AS_IT_CAME = CellReading(Markers(frozenset({""})), edition=1)
"""How an id is read: only an empty cell is missing, outer blanks count, and no text means a number."""


@dataclass(frozen=True, slots=True)
class RoleColumns:
    """The columns of a raw table that have a role of their own, by that role: what they are called, and their cells."""

    names: dict[ColumnRole, str]
    cells: dict[ColumnRole, Cells]
    text_cells: bool

    @classmethod
    def of(cls, raw: RawTable, roles: Mapping[str, ColumnRole]) -> RoleColumns:
        """Return the columns with roles that the table has."""
        names = {role: name for name, role in roles.items() if role in SINGLE_ROLES and name in raw.columns}
        return cls(names, {role: raw.columns[name] for role, name in names.items()}, raw.text_cells)

    def planned(self) -> dict[str, Cells]:
        """Return the columns whose cells are read like those of features, by name: all but the ids."""
        return {name: self.cells[role] for role, name in self.names.items() if role != "id"}

    def types(self, options: ReadingOptions) -> dict[str, FeatureType]:
        """Return how these columns are read, by name. Times are numbers if all their cells are, else moments."""
        types: dict[ColumnRole, FeatureType] = {"group": "categorical", "weight": "numeric"}
        if "time" in self.names:
            among = column_markers(options.missing_markers, among_numbers=True)
            content = content_of(self.cells["time"], among, among, text_cells=self.text_cells)
            types["time"] = "numeric" if content == "numbers" else "datetime"
        return {name: types[role] for role, name in self.names.items() if role != "id"}

    def read(self, plans: Mapping[str, ColumnPlan]) -> pl.DataFrame:
        """Return the columns, each under the name of its role; see `TrainingTable.roles`.

        Raises InvalidTable naming the rows whose cells are no times or weights, or missing although no cell may be.
        """
        errors: list[FieldError] = []
        read = [self._read(role, plans, errors) for role in self.names]
        if errors:
            raise InvalidTable.of(errors[:MAX_FIELD_ERRORS])
        return pl.DataFrame(read)

    def _read(self, role: ColumnRole, plans: Mapping[str, ColumnPlan], errors: list[FieldError]) -> pl.Series:
        name, column = self.names[role], self.cells[role]
        wrong: list[FieldError] = []
        if role == "id":
            check_dtype(name, column)
            series = columns.category_series(name, column, _AS_IT_CAME, wrong)
        else:
            plan = plans[name]
            if plan.feature_type == "categorical":
                series = columns.coded_series(name, column, plan.reading, wrong)
            elif plan.feature_type == "datetime":
                series = columns.datetime_series(name, column, plan.reading, wrong)
            else:
                series = columns.numeric_series(name, column, plan.reading, wrong, text_cells=self.text_cells)
            wrong = wrong or _unfit(role, series, column)
        errors.extend(wrong)
        return series.rename(role)


def _unfit(role: ColumnRole, series: pl.Series, column: Cells) -> list[FieldError]:
    """Return the errors of a column of times, groups or weights whose cells are each right for their type."""
    name = series.name
    missing = series == MISSING_CATEGORY if isinstance(series.dtype, pl.Enum) else series.is_null()
    wrong = _wrong_rows(name, missing, f"must not be missing, because the column has the role {role!r}", column)
    if wrong or role != "weight":
        return wrong
    wrong = _wrong_rows(name, series < 0, "must be at least 0, because the column has the role 'weight'", column)
    total = float(series.sum())
    if wrong or 0 < total < math.inf:
        return wrong
    due = "at least one of its cells must be larger than 0" if not total else "its cells must not add up to infinity"
    return [FieldError(("X", name), f"column {name!r} has the role 'weight', so {due}")]


def _wrong_rows(name: str, where: pl.Series, problem: str, column: Cells) -> list[FieldError]:
    rows = where.arg_true().head(MAX_FIELD_ERRORS).to_list()
    return [cells.wrong_cell(name, row, problem, column[row]) for row in rows]
