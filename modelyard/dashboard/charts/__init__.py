"""Charts: axes labelled, scales honest, colours that colour-blind people can tell apart.

Each function takes values and returns an Altair chart; `draw` puts it on the page with words for screen readers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

if TYPE_CHECKING:
    from streamlit.elements.lib.grid_container import GridContainer

Drawing = Any
"""A chart of altair's, whose own annotations lose on the way which kind it is."""


_NUMBERS = {
    "decimal": ".",
    "thousands": "\N{NARROW NO-BREAK SPACE}",
    "grouping": [3],
    "currency": ["", ""],
    "percent": "\N{NO-BREAK SPACE}%",
    "minus": "-",
}
"""Numbers are written in charts as they are beside them."""


HEIGHT = 205
"""How high a chart is in pixels if nothing of it asks for more."""

_MOST_TITLE = 300
"""The most pixels of a horizontal axis's title; without limits a long name of a column or class leaves no chart."""

_FOOT = 5
"""The pixels below a chart's last words; Streamlit leaves 20 if nothing is said, beside its own gap."""

NUMBER, EXACT = ",.4~r", ",.6~r"
"""How numbers are written: of four digits that count, or six where they are compared; never with an exponent."""


def written(number: str = NUMBER, *, share: bool) -> str:
    """Return the format of a value: a share of 1 is written in percent."""
    return ".1%" if share else number


def ticks(*, share: bool) -> str:
    """Return the format of values along an axis."""
    return "%" if share else NUMBER


def draw(chart: Drawing, words: str) -> None:
    """Put a chart on the page; `words` say what it shows."""
    st.altair_chart(_dressed(chart), alt=words)


def pick(chart: Drawing, words: str, key: str, selection: str) -> list[dict[str, Any]]:
    """Put a chart on the page and return what was picked in it by its selection of that name."""
    event = st.altair_chart(_dressed(chart), key=key, on_select="rerun", selection_mode=selection, alt=words)
    picked: list[dict[str, Any]] = event.selection.get(selection, [])
    return picked


def _dressed(chart: Drawing) -> Drawing:
    ink, _ = inks()
    words = {"labelColor": ink, "titleColor": ink}
    footed = chart.properties(padding={"bottom": _FOOT}).configure_view(stroke=None)
    limits = {"axisX": {"titleLimit": _MOST_TITLE}, "axisY": {"titleLimit": HEIGHT}}
    return footed.configure(locale={"number": _NUMBERS}, axis=words, legend=words, **limits)


def side_by_side() -> GridContainer:
    """Return a row of two cells, one below the other if the page is narrow."""
    return st.grid(2, min_column_width=340, gap=("small", "medium"))


def inks() -> tuple[str, str]:
    """Return the colours of text and of the ground of the page as it is shown."""
    return ("#E4ECEF", "#10181C") if st.context.theme.type == "dark" else ("#1B2A30", "#FFFFFF")
