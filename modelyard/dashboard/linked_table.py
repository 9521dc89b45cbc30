"""Tables with links: a click turns the page within the session, and what is shown stays open to the keyboard.

Streamlit's own tables open links in a tab of their own, which is another visitor to it, and one without a key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from modelyard.dashboard import session

_ART = Path(__file__).parent / "art"

Cell = Any
"""A text, one of the makings below, or a list of them."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, and its kinds with a space between them.

    `number` is written to the right, `short` in one line, `moment` in at most two, `long` broken anywhere on phones,
    `wide` not shown there; `name` leads the row.
    """

    title: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row: what it is known by, what it is called, its cells in the order of the columns."""

    id: str
    title: str
    cells: Sequence[Cell]
    faded: bool = False


def link(text: str, page: str, **query: str) -> Cell:
    """Make a link to a page of the dashboard."""
    return {"text": text, "page": page, "query": query}


def badge(text: str, *, strong: bool = False) -> Cell:
    """Make a badge."""
    return {"badge": text, "color": "strong" if strong else ""}


def second(text: str, *, wide: bool = False) -> Cell:
    """Make a text of second rank; `wide`: not on phones."""
    return {"text": text, "kind": "second wide" if wide else "second"}


def sparkline(values: Sequence[float | None], words: str) -> Cell:
    """Make a line through values, in order; `words` say what it shows."""
    return {"line": list(values), "words": words}


def show(key: str, label: str, columns: Sequence[Column], rows: Iterable[Row], *, ticks: str = "") -> list[str]:
    """Show a table and return the ids of the rows that are ticked; `ticks` says in words what a tick is for.

    A click on a link turns the page.
    """
    shown = [{"id": row.id, "title": row.title, "cells": list(row.cells), "faded": row.faded} for row in rows]
    titles = [{"title": column.title, "kind": column.kind} for column in columns]
    data = {"label": label, "ticks": ticks, "columns": titles, "rows": shown}
    found = _component()(key=key, data=data, on_ticked_change=_nothing, on_opened_change=_nothing)
    opened = found.get("opened")
    if opened:
        session.go(opened["page"], **opened["query"])
    there = {row["id"] for row in shown}
    return [one for one in found.get("ticked") or () if one in there]


def _component() -> Any:
    css, js = _sources()
    return st.components.v2.component("modelyard.linked_table", css=css, js=js)


@cache
def _sources() -> tuple[str, str]:
    return (_ART / "linked_table.css").read_text(), (_ART / "linked_table.js").read_text()


def _nothing() -> None:
    """Have Streamlit run the page again, which is all that is to be done."""
