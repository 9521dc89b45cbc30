"""Which column holds the labels, and what each of the others is: a feature of some type, or what its role says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import polars as pl
import streamlit as st

from modelyard.dashboard import session
from modelyard.dashboard.formats import count
from modelyard.dashboard.profiles import ColumnLook
from modelyard.dashboard.tables import HEAD_ROWS, Table
from modelyard.dashboard.texts import language, t
from modelyard.schemas import ColumnRole, FeatureType, ModelMetadata

_TYPES: tuple[FeatureType, ...] = get_args(FeatureType)
_ROLES: tuple[ColumnRole, ...] = tuple(role for role in get_args(ColumnRole) if role != "feature")
_PREVIEW_ROWS = 8
_ROW_PX, _MOST_ROWS = 35, 14
_SAMPLE_TARGETS = {"penguins.csv": "species"}


@dataclass(frozen=True, slots=True)
class Mapping:
    """What the visitor decided about columns: types other than those inferred, and the roles of those without one.

    `numeric` are all columns that will be numbers.
    """

    feature_types: dict[str, FeatureType] = field(default_factory=dict)
    roles: dict[str, ColumnRole] = field(default_factory=dict)
    numeric: list[str] = field(default_factory=list)


def ask_target(table: Table, parent: ModelMetadata | None) -> str | None:
    """Ask for the column of labels, the first rows beside it."""
    if not table.columns:
        return st.text_input(t("columns.target"), parent.target if parent else None, key="target-name") or None
    st.dataframe(table.head.head(_PREVIEW_ROWS), hide_index=True, height=38 + _ROW_PX * 5)
    names = table.names
    expected = parent.target if parent else _SAMPLE_TARGETS.get(table.name)
    st.subheader(t("columns.title"), anchor=False)
    return st.selectbox(
        t("columns.target"),
        names,
        names.index(expected) if expected in names else None,
        placeholder=t("columns.target_hint"),
        key=f"target-{table.path.name}-{parent.model_id if parent else ''}",
        help=t("columns.target_help"),
        persist_state="session",
    )


def map_columns(table: Table, target: str, parent: ModelMetadata | None) -> Mapping:
    """Show each column with a small profile and ask what it is."""
    kinds: dict[FeatureType | ColumnRole, str] = {kind: t(f"columns.{kind}") for kind in (*_TYPES, *_ROLES)}
    looks = [column for column in table.columns if column.name != target]
    before = [_before(column, parent) for column in looks]
    parent_id = parent.model_id if parent else ""
    chosen = session.current().kinds.setdefault(f"{table.path.name}-{parent_id}", {})
    key = f"columns-{table.path.name}-{parent_id}-{target}-{language()}"
    if key not in st.session_state:  # an editor that is there keeps its changes; a new one begins with what was chosen
        st.session_state[f"{key}-start"] = [
            chosen.get(look.name, kind) for look, kind in zip(looks, before, strict=True)
        ]
    start = st.session_state[f"{key}-start"]
    seen = max(1, table.head.height)
    frame = pl.DataFrame(
        {
            "name": [column.name for column in looks],
            "kind": [kinds[kind] for kind in start],
            "spread": [list(column.spread) for column in looks],
            "typical": [column.typical for column in looks],
            "distinct": [column.distinct for column in looks],
            "missing": [column.missing / seen for column in looks],
        },
        schema_overrides={"spread": pl.List(pl.Int64), "missing": pl.Float64},
    )
    edited = _edit(frame, list(kinds.values()), key)
    if table.rows is not None and table.rows > HEAD_ROWS:
        st.caption(t("columns.from_head", n=count(HEAD_ROWS)))
    by_text = {text: kind for kind, text in kinds.items()}
    now = [by_text[text] for text in edited["kind"].to_list()]
    chosen |= {column.name: kind for column, kind in zip(looks, now, strict=True)}
    changed: dict[str, FeatureType] = {
        column.name: kind
        for column, kind, first in zip(looks, now, before, strict=True)
        if kind in _TYPES and kind != first
    }
    roles: dict[str, ColumnRole] = {
        column.name: kind for column, kind in zip(looks, now, strict=True) if kind in _ROLES
    }
    return Mapping(changed, roles, [column.name for column, kind in zip(looks, now, strict=True) if kind == "numeric"])


def _before(column: ColumnLook, parent: ModelMetadata | None) -> FeatureType | ColumnRole:
    """Return what a column is if the visitor changes nothing: as in the parent, which did without the others."""
    if parent is None:
        return column.feature_type
    return parent.feature_types.get(column.name) or parent.roles.get(column.name, "ignore")


def _edit(frame: pl.DataFrame, kinds: list[str], key: str) -> pl.DataFrame:
    config = st.column_config
    edited: pl.DataFrame = st.data_editor(
        frame,
        key=key,
        hide_index=True,
        height=38 + _ROW_PX * min(max(1, frame.height), _MOST_ROWS),
        disabled=["name", "spread", "typical", "distinct", "missing"],
        column_config={
            "name": config.TextColumn(t("columns.column"), width="medium"),
            "kind": config.SelectboxColumn(
                t("columns.kind"), options=kinds, required=True, width="small", help=t("columns.kind_help")
            ),
            "spread": config.BarChartColumn(t("columns.spread"), width="small", color="primary", y_min=0),
            "typical": config.TextColumn(t("columns.typical"), width="medium"),
            "distinct": config.NumberColumn(t("columns.distinct"), format="localized", width="small"),
            "missing": config.NumberColumn(t("columns.missing"), format="percent", width="small"),
        },
    )
    return edited
