"""Streamlit's script: it runs from top to bottom whenever someone touches the page."""

from __future__ import annotations

import sys

from modelyard.dashboard.app import main
from modelyard.dashboard.doors import Doors

main(Doors(*sys.argv[1:]))
