"""Elements of HTML and SVG. What is text is escaped; what is markup already is not escaped again."""

from __future__ import annotations

import html
import re

from modelyard.schemas.showing import valid_unicode

_EMPTY = ("meta", "br")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_MARKDOWN = re.compile(r"\\(.)|\*\*|:material/\w+: ?")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: object) -> Markup:
    """Return an element; attributes that are None are left out, `class_` and `text_anchor` mean what HTML calls so."""
    named = {attribute.rstrip("_").replace("_", "-"): value for attribute, value in attributes.items()}
    said = "".join(f' {key}="{_escaped(str(value))}"' for key, value in named.items() if value is not None)
    if name in _EMPTY:
        return Markup(f"<{name}{said}>")
    return Markup(f"<{name}{said}>{joined(*children)}</{name}>")


def joined(*parts: str) -> Markup:
    """Return parts one after another."""
    return Markup("".join(part if isinstance(part, Markup) else _escaped(part) for part in parts))


def plain(markdown: str) -> str:
    """Return the words of a sentence that was made for the pages, without its marks."""
    return _MARKDOWN.sub(lambda mark: mark[1] or "", markdown)


def table(head: list[str], rows: list[list[str]], *, numbers_from: int = 1) -> Markup:
    """Return a table; cells stand to the right from the column `numbers_from` on."""

    def cells(kind: str, row: list[str]) -> Markup:
        return joined(
            *(element(kind, cell, class_="number" if at >= numbers_from else None) for at, cell in enumerate(row))
        )

    body = [element("tr", cells("td", row)) for row in rows]
    top = element("thead", element("tr", cells("th", head))) if head else Markup()
    return element("table", top, element("tbody", *body))


def _escaped(text: str) -> str:
    return html.escape(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", valid_unicode(text)))
