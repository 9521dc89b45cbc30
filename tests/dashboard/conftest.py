"""What tests of the dashboard share: one look of Streamlit for components, not one for every visitor; a browser."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from playwright.sync_api import Browser
from streamlit.components.v2 import manifest_scanner

from tests import dashboards


@pytest.fixture(scope="session", autouse=True)
def _components_found_once() -> Iterator[None]:
    """To read the metadata of every installed package takes several times as long as to draw a page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """No wider scope: as long as it is open, no test of its thread can run an event loop."""
    with dashboards.chromium() as browser:
        yield browser
