"""Charts as SVG: lines, bins and points over labelled axes. Colours come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelyard.dashboard.formats import number, with_unit
from modelyard.dashboard.report_file.elements import Markup, element, joined

Point = tuple[float, float]
Span = tuple[float, float]

_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 22, 12, 46
_COLOURS = 8
UNIT: Span = (0.0, 1.0)


def lines(
    series: Mapping[str, Sequence[Point]], x_title: str, y_title: str, *, unit: bool = True, diagonal: bool = False
) -> Markup:
    """Draw a line for each name; `unit`: both axes are shares of 1, and the diagonal is where they are equal."""
    points = [point for one in series.values() for point in one]
    x, y = (UNIT, UNIT) if unit else (_span([p[0] for p in points]), _span([0.0, *(p[1] for p in points)]))
    axes = _Axes(x, y, x_title, y_title, _share if unit else number)
    drawn = [axes.line([(0.0, 0.0), (1.0, 1.0)], "dashed")] if diagonal else []
    drawn += [axes.line(one, f"line c{at % _COLOURS}") for at, one in enumerate(series.values())]
    legend = [element("span", element("i", class_=f"c{at % _COLOURS}"), name) for at, name in enumerate(series)]
    shown = axes.drawing(drawn, ", ".join(series))
    return joined(element("p", *legend, class_="legend"), shown) if len(series) > 1 else shown


def bins(edges: Sequence[float], counts: Sequence[int], x_title: str, y_title: str) -> Markup:
    """Draw how many values are in each bin."""
    low, high = edges[0], edges[-1]
    if low == high:  # all are equal: a bar needs a width
        edges, low, high = [low - 0.5, low + 0.5], low - 0.5, low + 0.5
    axes = _Axes((low, high), (0.0, float(max(counts, default=1)) or 1.0), x_title, y_title, number)
    bars = []
    for left, right, count in zip(edges, edges[1:], counts, strict=False):
        x, y = axes.place((left, float(count)))
        width = axes.place((right, 0.0))[0] - x
        bars.append(element("rect", x=_at(x), y=_at(y), width=_at(max(width - 1, 0.5)), height=_at(axes.foot - y)))
    return axes.drawing(bars, x_title)


def points(actual: Sequence[float], predicted: Sequence[float], x_title: str, y_title: str) -> Markup:
    """Draw predicted numbers over the true ones, and the line on which they would be equal."""
    span = _span([*actual, *predicted])
    axes = _Axes(span, span, x_title, y_title, number)
    diagonal = axes.line([(span[0], span[0]), (span[1], span[1])], "dashed")
    places = [axes.place(point) for point in zip(actual, predicted, strict=True)]
    return axes.drawing([diagonal, *(element("circle", cx=_at(x), cy=_at(y), r=2.2) for x, y in places)], y_title)


@dataclass(frozen=True, slots=True)
class _Axes:
    """Two axes: between which values they go, what they are called, how their numbers are written."""

    x: Span
    y: Span
    x_title: str
    y_title: str
    written: Callable[[float], str]

    @property
    def foot(self) -> float:
        return _HEIGHT - _BOTTOM

    def place(self, point: Point) -> Point:
        """Return where a point stands in the drawing."""
        across = (point[0] - self.x[0]) / ((self.x[1] - self.x[0]) or 1.0)
        up = (point[1] - self.y[0]) / ((self.y[1] - self.y[0]) or 1.0)
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), self.foot - up * (self.foot - _TOP)

    def line(self, line: Sequence[Point], kind: str) -> Markup:
        """Draw a line through points."""
        places = " ".join(f"{_at(x)},{_at(y)}" for x, y in map(self.place, line))
        return element("polyline", points=places, class_=kind)

    def drawing(self, drawn: Sequence[Markup], words: str) -> Markup:
        """Return what was drawn with the axes; `words` say what it shows."""
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        beside = f"translate(14 {self.foot / 2}) rotate(-90)"
        titles = (
            element("text", self.x_title, x=middle, y=_HEIGHT - 8, text_anchor="middle", class_="title"),
            element("text", self.y_title, transform=beside, class_="title middle"),
        )
        return element(
            "svg",
            *(*self._ticks(), *titles, *drawn),
            viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
            role="img",
            aria_label=f"{words}: {self.y_title}, {self.x_title}",
        )

    def _ticks(self) -> Iterator[Markup]:
        for value in _round_values(*self.x):
            x = _at(self.place((value, self.y[0]))[0])
            yield element("text", self.written(value), x=x, y=self.foot + 16, text_anchor="middle")
        for value in _round_values(*self.y):
            y = self.place((self.x[0], value))[1]
            yield element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=_at(y), y2=_at(y), class_="grid")
            yield element("text", self.written(value), x=_LEFT - 6, y=_at(y + 4), text_anchor="end")


def _span(values: Sequence[float]) -> Span:
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _round_values(low: float, high: float) -> Iterator[float]:
    """Yield four to eight round values between two others."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough * 0.8)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    yield from (at * step for at in range(first, last + 1))


def _share(value: float) -> str:
    return with_unit(f"{value * 100:.0f}")


def _at(place: float) -> str:
    return f"{place:.1f}"
