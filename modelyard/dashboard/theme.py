"""How the dashboard looks, light and dark: Streamlit's theme options, and the colours that charts use by name.

The categorical colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which colour-blind people can
tell apart; on dark ground the darkest of them are lighter.
"""

from __future__ import annotations

from typing import Any

LIGHT_CATEGORIES = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D00", "#5B5B5B"]
DARK_CATEGORIES = ["#56B4E9", "#E69F00", "#2CC295", "#E79BC6", "#F0E442", "#D55E00", "#4C9BE8", "#B8B8B8"]

_SEQUENTIAL_LIGHT = [
    "#f2f7fa", "#ddebf3", "#c3dcea", "#a3c9df", "#7eb3d2", "#5499c2", "#2f80b0", "#15689a", "#0a5381", "#063f64",
]  # fmt: skip
_SEQUENTIAL_DARK = [
    "#17232c", "#1c3341", "#204458", "#235670", "#266a89", "#2b7fa3", "#3a95bb", "#56abcf", "#7cc1df", "#a8d8ee",
]  # fmt: skip

_LIGHT: dict[str, Any] = {
    "primaryColor": "#0B7285",
    "backgroundColor": "#FFFFFF",
    "secondaryBackgroundColor": "#F4F7F8",
    "textColor": "#1B2A30",
    "borderColor": "#DDE5E8",
    "linkColor": "#0B7285",
    "dataframeHeaderBackgroundColor": "#F4F7F8",
    "chartCategoricalColors": LIGHT_CATEGORIES,
    "chartSequentialColors": _SEQUENTIAL_LIGHT,
    "sidebar.backgroundColor": "#F4F7F8",
    "sidebar.secondaryBackgroundColor": "#E6EDEF",
}
_DARK: dict[str, Any] = {
    "primaryColor": "#1797AE",
    "backgroundColor": "#10181C",
    "secondaryBackgroundColor": "#18242A",
    "textColor": "#E4ECEF",
    "borderColor": "#2B3A41",
    "linkColor": "#4FC3D9",
    "dataframeHeaderBackgroundColor": "#18242A",
    "chartCategoricalColors": DARK_CATEGORIES,
    "chartSequentialColors": _SEQUENTIAL_DARK,
    "sidebar.backgroundColor": "#0C1316",
    "sidebar.secondaryBackgroundColor": "#18242A",
}

THEME: dict[str, Any] = {
    "paddingTop": "0.5rem",
    "baseRadius": "0.5rem",
    "buttonRadius": "0.5rem",
    "showWidgetBorder": True,
    "linkUnderline": False,
    "headingFontSizes": ["1.9rem", "1.1rem", "1rem", "1rem", "0.9rem", "0.85rem"],
    "headingFontWeights": [650, 600, 600, 600, 600, 600],
    "metricValueFontSize": "1.55rem",
    **{f"light.{name}": value for name, value in _LIGHT.items()},
    **{f"dark.{name}": value for name, value in _DARK.items()},
}
