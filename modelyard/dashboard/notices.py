"""Errors where they happen, in words: what is wrong, in which row and column, what can be done."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from modelyard.dashboard import session
from modelyard.dashboard.doors import DOOR_NAMES, DOOR_TITLES
from modelyard.dashboard.formats import count, escaped
from modelyard.dashboard.patience import ask_anew
from modelyard.dashboard.tables import Table
from modelyard.dashboard.texts import known, said, t
from modelyard.errors import FieldError, ModelyardError, Unauthenticated, Unavailable
from modelyard.schemas import ModelWarning


class errors_in_place:  # noqa: N801 - reads as what it does
    """Show the errors of the verbs called within, instead of what would have come after.

    If they are about a `table`, its rows are told as the lines of its file, too.
    """

    def __init__(self, table: Table | None = None) -> None:
        self._first_line = None if table is None else table.first_line

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Unauthenticated):  # as of a key that was revoked: the way in begins anew
            session.current().visitor.refused = error
            st.rerun()
        if isinstance(error, Unavailable):
            _show_unavailable(error)
        elif isinstance(error, ModelyardError):
            show_error(error, self._first_line)
        return isinstance(error, ModelyardError)


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


def show_error(error: ModelyardError, first_line: int | None = None) -> None:
    """Show one error, its places as a table if there are several; `first_line` is that of row 0 in the file."""
    title = t(f"error.{error.code}") if known(f"error.{error.code}") else error.title
    st.error(f"**{escaped(title)}**  \n{escaped(said(error.detail))}", icon=":material/error:")
    if len(error.errors) > 1:
        _show_places(error.errors, first_line)
    elif first_line is not None and error.errors and (line := _line(error.errors[0], first_line)):
        st.caption(t("error.in_line", line=line))


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


def _show_places(places: Sequence[FieldError], first_line: int | None) -> None:
    rows: list[tuple[str, ...]] = [_place(wrong) for wrong in places]
    columns = [t("error.row"), t("error.column"), t("error.value"), t("error.message")]
    if first_line is not None:
        rows = [(_line(wrong, first_line), *row) for wrong, row in zip(places, rows, strict=True)]
        columns = [t("errors.line"), *columns]
    with st.expander(t("error.places", n=len(places)), expanded=True):
        st.dataframe(
            {name: [row[index] for row in rows] for index, name in enumerate(columns)},
            hide_index=True,
            height=min(38 + 35 * len(rows), 300),
        )


def _line(wrong: FieldError, first_line: int) -> str:
    """Return the line of a file in which a place is; nothing if it names no row."""
    if wrong.loc[:1] not in (("X",), ("y",)):
        return ""
    return next((str(part + first_line) for part in wrong.loc if isinstance(part, int)), "")


def _place(wrong: FieldError) -> tuple[str, str, str, str]:
    """Split a place: tables have rows and columns, other requests a path."""
    row = next((str(part) for part in wrong.loc if isinstance(part, int)), "")
    texts = [part for part in wrong.loc if isinstance(part, str) and part not in ("X", "y", "hyperparams")]
    return row, ".".join(texts), "" if wrong.value is None else str(wrong.value), said(wrong.message)
