"""The versions of a name: as a graph, as a table, and what people say of one of them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from modelyard.dashboard import access, address, formats, linked_table, session
from modelyard.dashboard.charts import draw
from modelyard.dashboard.charts.lineage import Node, lineage
from modelyard.dashboard.editing import offer_edit
from modelyard.dashboard.linked_table import Column, Row
from modelyard.dashboard.listing import title
from modelyard.dashboard.picker import offer_comparison
from modelyard.dashboard.registry.line import PAGE, Line
from modelyard.dashboard.report import metric_title, say_undecided
from modelyard.dashboard.texts import t
from modelyard.schemas import ModelMetadata, ModelQuery, headline, interval_of

_MOST_DRAWN = 50


def show_versions(line: Line) -> None:
    """Show the tab."""
    metric = headline(line.newest.task, line.newest.metrics)
    if metric is not None:
        _draw(line, metric)
    shown, older = _page(line)
    ticked = _show_table(shown, metric)
    say_undecided(shown)
    if len(line.versions) == 1:
        st.caption(t("model.one_version"))
    else:
        with st.container(horizontal=True):
            offer_comparison([one.model_id for one in ticked], key="compare-versions")
            address.pager(older)
    with st.expander(t("versions.words"), icon=":material/sell:", key="words"):
        _show_words(line)


def _page(line: Line) -> tuple[list[ModelMetadata], str | None]:
    """Return the versions of the page that the address says, and the cursor of the next one."""
    after = address.said("after")
    if not after:
        return line.versions, line.older
    page = session.yard().list_models(ModelQuery(name=line.name, status="all", limit=PAGE, cursor=after))
    return page.models, page.next_cursor


def _draw(line: Line, metric: str) -> None:
    numbers = {one.model_id: one.version for one in line.versions}
    nodes = []
    for one in reversed(line.versions[:_MOST_DRAWN]):
        value = one.metrics.get(metric)
        if value is not None:
            low, high = interval_of(metric, one.metrics) or (None, None)
            label, status = ", ".join(one.aliases), t(f"status.{one.status}")
            nodes.append(Node(one.version, value, low, high, numbers.get(one.parent_id or ""), label, status))
    if len(nodes) > 1:
        draw(lineage(nodes, metric_title(metric), share=formats.is_share(metric)), t("model.versions"))
        st.caption(t("versions.graph"))


def _show_table(versions: Sequence[ModelMetadata], metric: str | None) -> list[ModelMetadata]:
    numbers = {one.model_id: one.version for one in versions}
    columns = [
        Column(t("column.version"), "short"),
        Column(t("registry.aliases")),
        Column(metric_title(metric) if metric else t("report.metric"), "number"),
        Column(t("column.parent"), "wide"),
        Column(t("column.rows"), "number wide"),
        Column(t("column.made"), "short"),
        Column(t("versions.by"), "wide"),
        Column(t("train.tags"), "wide"),
        Column(t("column.status"), "wide"),
    ]
    rows = [
        Row(one.model_id, title(one), _cells(one, metric, numbers), faded=one.status == "deleted") for one in versions
    ]
    ticked = linked_table.show("versions", t("model.versions"), columns, rows, ticks=t("registry.tick"))
    return [one for one in versions if one.model_id in ticked]


def _cells(one: ModelMetadata, metric: str | None, numbers: dict[str, int]) -> list[linked_table.Cell]:
    parent = numbers.get(one.parent_id or "")
    made_from = formats.NOTHING
    if one.parent_id is not None and parent is not None:
        made_from = linked_table.link(f"v{parent}", "model", id=one.parent_id)
    return [
        linked_table.link(f"v{one.version}", "model", id=one.model_id),
        [linked_table.badge(alias, strong=True) for alias in one.aliases],
        formats.metric_with_interval(metric, one.metrics) if metric else formats.NOTHING,
        made_from,
        formats.count(one.n_rows),
        formats.ago(one.created_at),
        formats.caller(one.created_by) if one.created_by else formats.NOTHING,
        [linked_table.badge(tag) for tag in one.tags],
        t(f"status.{one.status}"),
    ]


def _show_words(line: Line) -> None:
    """Show what people say of a version, and offer to change it."""
    numbers = [str(one.version) for one in line.versions]
    chosen = st.selectbox(
        t("column.version"),
        numbers,
        format_func=lambda number: f"v{number}",
        **address.bound("version", str(line.newest.version), allowed=numbers),
    )
    model = line.version(int(chosen)) or line.newest
    said = " ".join(f":gray-badge[:material/sell: {formats.escaped(tag)}]" for tag in model.tags)
    st.markdown(said or t("versions.no_tags"))
    st.text(model.description or t("versions.no_description"))
    if access.may("update_model"):
        offer_edit(model)
    else:
        access.say_needed("update_model")
