"""Put the results of the serving benchmarks into `benchmarks/README.md` and draw the picture of them.

Run it after `rest_serving` and `peers_serving`: it reads their JSON and measures nothing.
"""

from __future__ import annotations

import datetime as dt
import json
import platform
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import peers_serving, rest_serving

README = Path(__file__).parent / "README.md"
PICTURE = Path(__file__).parents[1] / "docs" / "img" / "serving.svg"
_LIBRARIES = ("fastapi", "uvicorn", "scikit-learn", "catboost", "polars", "orjson")
_WIDTH, _BAR, _LEFT = 760, 22, 210


def publish() -> None:
    """Write the tables and the picture."""
    if rest_serving.RESULTS.exists():
        measured = json.loads(rest_serving.RESULTS.read_text())
        _replace("rest_serving", f"{_stamp()}\n\n{rest_serving.as_markdown(measured)}")
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        PICTURE.write_text(draw(_bars(measured)))
    if peers_serving.RESULTS.exists():
        rows = json.loads(peers_serving.RESULTS.read_text())["rows"]
        _replace("peers_serving", f"{_stamp()}\n\n{peers_serving.as_markdown(rows)}")


def draw(bars: list[tuple[str, float, str]]) -> str:
    """Draw bars of a name, a length and the words at its end, as SVG that reads on white and on black."""
    longest = max(length for _, length, _ in bars)
    height = len(bars) * (_BAR + 8) + 46
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        '<g font-family="sans-serif" font-size="13" fill="#777">',
        '<text x="0" y="18" font-size="15">One row over REST, 16 connections: requests a second</text>',
    ]
    for i, (name, length, words) in enumerate(bars):
        y = 36 + i * (_BAR + 8)
        width = max(1.0, length / longest * (_WIDTH - _LEFT - 250))
        color = "#2f7d5b" if name.startswith("Modelyard") else "#9aa5b1"
        parts += [
            f'<text x="{_LEFT - 10}" y="{y + 16}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{color}"/>',
            f'<text x="{_LEFT + width + 8:.1f}" y="{y + 16}">{escape(words)}</text>',
        ]
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"


def _bars(measured: dict[str, Any]) -> list[tuple[str, float, str]]:
    bars = [
        (name, found["per second"], _words(name, found))
        for name, found in measured["one row"]["c16"].items()
        if name != "raw ASGI"
    ]
    if peers_serving.RESULTS.exists():
        for row in json.loads(peers_serving.RESULTS.read_text())["rows"]:
            if "note" not in row:
                found = row["1 row, c16"]["theirs per second"]
                bars.append((f"{row['peer'].replace('==', ' ')}, {row['model']}", found, f"{found:,.0f}/s"))
    return sorted(bars, key=lambda bar: -bar[1])


def _words(name: str, found: dict[str, Any]) -> str:
    words = f"{found['per second']:,.0f}/s"
    return words if name == "empty FastAPI" else f"{words}, {found['ratio']:g} times empty FastAPI"


def _stamp() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, Python {platform.python_version()}, {libraries}"


def _replace(name: str, text: str) -> None:
    """Put text between the marks of a name, which stand in the README."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, _, rest = README.read_text().partition(begin)
    _, _, after = rest.partition(end)
    README.write_text(f"{before}{begin}\n{text}\n{end}{after}")


if __name__ == "__main__":
    publish()
