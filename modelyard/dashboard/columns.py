"""Which column holds the labels, and what each of the others is: a feature of some type, or what its role says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import polars as pl
import streamlit as st

from modelyard.dashboard import session
from modelyard.dashboard.formats import NOTHING, PERCENT, WHOLE, count
from modelyard.dashboard.links import link
from modelyard.dashboard.listing import height_of_rows
from modelyard.dashboard.profiles import ColumnLook
from modelyard.dashboard.tables import HEAD_ROWS, Table
from modelyard.dashboard.targets import target_key
from modelyard.dashboard.texts import language, t
from modelyard.schemas import ColumnRole, FeatureType, ModelMetadata

_TYPES: tuple[FeatureType, ...] = get_args(FeatureType)
_ROLES: tuple[ColumnRole, ...] = tuple(role for role in get_args(ColumnRole) if role != "feature")
_PREVIEW_ROWS, _SEEN_ROWS = 8, 5
_MOST_ROWS = 8
_TURN = "columns_turn"
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
    """Ask for the column of labels; the first rows are folded away."""
    if not table.columns:
        return st.text_input(t("columns.target"), parent.target if parent else None, key="target-name") or None
    with st.expander(t("columns.first_rows"), icon=":material/table_rows:", key="first-rows"):
        first = table.head.head(_PREVIEW_ROWS)
        st.dataframe(first, hide_index=True, height=height_of_rows(first.height, _SEEN_ROWS), placeholder=NOTHING)
    names = table.names
    expected = parent.target if parent else _SAMPLE_TARGETS.get(table.name)
    return st.selectbox(
        t("columns.target"),
        names,
        names.index(expected) if expected in names else None,
        placeholder=t("columns.target_hint"),
        key=target_key(table, parent),
        help=t("columns.target_help"),
        persist_state="session",
    )


def map_columns(table: Table, target: str, parent: ModelMetadata | None) -> Mapping:
    """Show each column with a small profile and ask what it is."""
    kinds: dict[FeatureType | ColumnRole, str] = {kind: t(f"columns.{kind}") for kind in (*_TYPES, *_ROLES)}
    looks = [column for column in table.columns if column.name != target]
    before = [_before(column, parent) for column in looks]
    chosen = _chosen(table, parent)
    turn = session.current().kept.get(_TURN, 0)
    key = f"columns-{table.path.name}-{parent.model_id if parent else ''}-{target}-{language()}-{turn}"
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
            "link": [_link(table, column.name, target) for column in looks],
            "spread": [list(column.spread) for column in looks],
            "typical": [column.typical for column in looks],
            "distinct": [column.distinct for column in looks],
            "missing": [100 * column.missing / seen for column in looks],
        },
        schema_overrides={"link": pl.Float64, "spread": pl.List(pl.Int64), "missing": pl.Float64},
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


def use_as(table: Table, parent: ModelMetadata | None, column: str, kind: FeatureType | ColumnRole) -> None:
    """Use a column as something else from the next rerun on."""
    here = session.current()
    _chosen(table, parent)[column] = kind
    here.kept[_TURN] = here.kept.get(_TURN, 0) + 1  # a new editor, which begins with what was chosen


def _chosen(table: Table, parent: ModelMetadata | None) -> dict[str, FeatureType | ColumnRole]:
    """Return what was chosen for the columns of a table, whatever the target was."""
    return session.current().kinds.setdefault(f"{table.path.name}-{parent.model_id if parent else ''}", {})


def _link(table: Table, column: str, target: str) -> float | None:
    """Return how closely a column goes with the target, worked out once."""
    kept: dict[tuple[str, str, str, str], float | None] = session.current().kept.setdefault("links", {})
    key = (table.path.name, repr(table.said), column, target)
    if key not in kept:
        kept[key] = link(table.column(column), table.column(target))
    return kept[key]


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
        placeholder=NOTHING,
        height=height_of_rows(frame.height, _MOST_ROWS),
        disabled=["name", "link", "spread", "typical", "distinct", "missing"],
        column_config={
            "name": config.TextColumn(t("columns.column"), width="medium"),
            "kind": config.SelectboxColumn(
                t("columns.kind"), options=kinds, required=True, width="small", help=t("columns.kind_help")
            ),
            "link": config.ProgressColumn(
                t("columns.link"),
                help=t("columns.link_help"),
                min_value=0,
                max_value=1,
                format="%.2f",
                width="small",
                color="primary",
            ),
            "spread": config.BarChartColumn(t("columns.spread"), width="small", color="primary", y_min=0),
            "typical": config.TextColumn(t("columns.typical"), width="medium"),
            "distinct": config.NumberColumn(t("columns.distinct"), format=WHOLE, width="small"),
            "missing": config.NumberColumn(t("columns.missing"), format=PERCENT, width="small"),
        },
    )
    return edited
