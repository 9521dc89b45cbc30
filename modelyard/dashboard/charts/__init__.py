"""Charts: axes labelled, scales honest, colours that colour-blind people can tell apart.

Each function takes values and returns an Altair chart; `draw` puts it on the page with words for screen readers.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

Drawing = Any
"""A chart of altair's, whose own annotations lose on the way which kind it is."""


def draw(chart: Drawing, words: str) -> None:
    """Put a chart on the page; `words` say what it shows."""
    st.altair_chart(chart.configure_view(stroke=None), alt=words)


def inks() -> tuple[str, str]:
    """Return the colours of text and of the ground of the page as it is shown."""
    return ("#E4ECEF", "#10181C") if st.context.theme.type == "dark" else ("#1B2A30", "#FFFFFF")
