"""Errors where they happen, in words: what is wrong, in which row and column, what can be done."""

from __future__ import annotations

import re
from collections.abc import Sequence

import streamlit as st

from modelyard.dashboard import session
from modelyard.dashboard.doors import DOOR_NAMES, DOOR_TITLES
from modelyard.dashboard.formats import count, escaped
from modelyard.dashboard.listing import height_of_rows
from modelyard.dashboard.patience import ask_anew
from modelyard.dashboard.tables import Table
from modelyard.dashboard.texts import known, said, t
from modelyard.errors import MAX_FIELD_ERRORS, FieldError, ModelyardError, NotFound, Unauthenticated, Unavailable
from modelyard.schemas import ModelWarning

_SEEN_PLACES = 7
"""So many places are seen at once, the others are scrolled to."""

_ROW = re.compile(r"(?<=, )(row|строка) \d+(?=:)")
"""Where a text of the core, or its Russian one, names the row of a cell."""


class errors_in_place:  # noqa: N801 - reads as what it does
    """Show the errors of the verbs called within, instead of what would have come after.

    If they are about a `table`, its rows are told as the lines of its file. A page that has no title yet gives one;
    it shows nothing else, so it offers a way to all models if what its address names is not there.
    """

    def __init__(self, table: Table | None = None, *, title: str | None = None) -> None:
        self._table = table
        self._title = title

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Unauthenticated):  # as of a key that was revoked: the way in begins anew
            session.current().visitor.refused = error
            st.rerun()
        if isinstance(error, ModelyardError) and self._title is not None:
            st.title(self._title, anchor=False)
        if isinstance(error, Unavailable):
            _show_unavailable(error)
        elif isinstance(error, ModelyardError):
            show_error(error, self._table)
        if isinstance(error, NotFound) and self._title is not None:
            offer_way_back()
        return isinstance(error, ModelyardError)


def offer_way_back() -> None:
    """Offer to go to the page of all models."""
    if st.button(t("page.models"), type="tertiary", icon=":material/arrow_back:", key="back"):
        session.go("models")


class errors_kept:  # noqa: N801 - reads as what it does
    """Keep an error of a verb that a callback has called, to be shown by the page that is drawn next."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, ModelyardError):
            session.current().kept[self._key] = error
        return isinstance(error, ModelyardError)


def show_error(error: ModelyardError, table: Table | None = None) -> None:
    """Show one error, its places as a table if there are several; rows are told as the lines of the table's file."""
    title = t(f"error.{error.code}") if known(f"error.{error.code}") else error.title
    detail = _in_lines(error.detail, error.errors[0], table) if error.errors else said(error.detail)
    st.error(f"**{escaped(title)}**  \n{escaped(detail)}", icon=":material/error:")
    if len(error.errors) > 1:
        _show_places(error.errors, table)


def show_warnings(warnings: Sequence[ModelWarning]) -> None:
    """Show what is legal but worth knowing, in plain words."""
    if not warnings:
        return
    lines = [f"- {in_words(warning)}" for warning in warnings]
    st.warning("\n".join([f"**{t('warnings.title')}**", "", *lines]), icon=":material/info:")


def in_words(warning: ModelWarning) -> str:
    """Say a warning as Markdown, in the session's language."""
    key = f"warning.{warning.code}"
    if known(key):
        n = None if warning.count is None else count(warning.count)
        return t(key, column=escaped(warning.column or ""), n=n)
    return escaped(said(warning.message))


def _show_unavailable(error: Unavailable) -> None:
    here = session.current()
    title = DOOR_TITLES[here.door]
    st.error(
        f"**{t('door.down', door=title)}**  \n{escaped(said(error.detail))}",
        icon=":material/cloud_off:",
    )
    with st.container(horizontal=True):
        if st.button(t("door.try_again"), icon=":material/refresh:", type="primary", key="try-again"):
            ask_anew(here.yard)
            st.rerun()
        for other in DOOR_NAMES:
            if other != here.door and here.doors.look(other).well:
                st.button(
                    t("door.use_other", door=DOOR_TITLES[other]),
                    icon=":material/swap_horiz:",
                    key=f"use-{other}",
                    on_click=lambda name=other: setattr(here, "door", name),
                )


def _show_places(places: Sequence[FieldError], table: Table | None) -> None:
    rows = [_place(wrong, table) for wrong in places]
    row = "errors.line" if table is not None and table.first_line is not None else "error.row"
    columns = [t(row), t("error.column"), t("error.value"), t("error.message")]
    words = t("error.places" if len(places) < MAX_FIELD_ERRORS else "error.first_places", n=len(places))
    with st.expander(words, expanded=True):
        st.dataframe(
            {name: [row[index] for row in rows] for index, name in enumerate(columns)},
            hide_index=True,
            height=height_of_rows(len(rows), _SEEN_PLACES),
        )


def _place(wrong: FieldError, table: Table | None) -> tuple[str, str, str, str]:
    """Split a place: tables have rows, or lines, and columns, other requests a path."""
    row = next((part for part in wrong.loc if isinstance(part, int)), None)
    line = _line(wrong, table)
    texts = [part for part in wrong.loc if isinstance(part, str) and part not in ("X", "y", "hyperparams")]
    return (
        "" if row is None else str(row if line is None else line),
        ".".join(texts),
        "" if wrong.value is None else str(wrong.value),
        _in_lines(wrong.message, wrong, table),
    )


def _line(wrong: FieldError, table: Table | None) -> int | None:
    """Return the line of a table's file in which a place is; None if it names no row, or rows are no lines there."""
    if table is None or table.first_line is None or wrong.loc[:1] not in (("X",), ("y",)):
        return None
    return next((part + table.first_line for part in wrong.loc if isinstance(part, int)), None)


def _in_lines(text: str, wrong: FieldError, table: Table | None) -> str:
    """Return what is said of a place in the session's language, its row as the line of the table's file."""
    line = _line(wrong, table)
    if table is None or line is None:
        return said(text)
    words = t("error.line", line=line, file=table.name)
    return _ROW.sub(lambda _: words, said(text), count=1)
