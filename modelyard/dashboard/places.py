"""Places on a page that are there whether or not they hold anything."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator


def kept_place() -> DeltaGenerator:
    """Return a container for what comes and goes: what is typed below would be lost if it changed its place."""
    return st.container()
