"""Take a table from the visitor: an upload, or the sample. It is written to a file of the session at once.

Streamlit holds an upload in memory while its widget is there; the widget is replaced as soon as the file is written.
"""

from __future__ import annotations

import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from modelyard.dashboard import notices, session
from modelyard.dashboard.formats import count, escaped, size
from modelyard.dashboard.reading import ask_reading
from modelyard.dashboard.tables import EXTENSIONS, Table, name_for, open_table
from modelyard.dashboard.texts import t

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from modelyard.schemas import Reading

_CHUNK_BYTES = 1 << 20


def ask_for_table(
    purpose: str, usual: Reading | None = None, *, training: bool = False, sample: bool = False
) -> Table | None:
    """Show the table given for a purpose, or ask for one; it stays until another is given.

    `usual` is how the table of the model was read that it is for.
    """
    here = session.current()
    table = here.tables.get(purpose)
    if table is not None:
        st.query_params["visit"] = here.visit  # so that it outlives a page that is loaded anew
        _show_chosen(purpose, table)
        return _as_read(purpose, table, usual, training=training)
    if st.query_params.get("visit", here.visit) != here.visit:
        st.info(t("upload.gone"), icon=":material/history:")
    turn = here.uploads.get(purpose, 0)
    given = st.file_uploader(t("upload.label"), type=EXTENSIONS, key=f"upload-{purpose}-{turn}", help=t("upload.help"))
    if given is not None:
        here.tables[purpose] = _keep(given)
        here.uploads[purpose] = turn + 1
        st.rerun()
    if sample and penguins() is not None and st.button(t("upload.sample"), icon=":material/science:"):
        take_sample(purpose)
        st.rerun()
    return None


def take_sample(purpose: str) -> None:
    """Give the sample table for a purpose."""
    path = penguins()
    if path is not None:
        session.current().tables[purpose] = open_table(path, path.name)


def penguins() -> Path | None:
    """Return the sample's CSV, which a package of this installation holds; None without it."""
    try:
        found = distribution("palmerpenguins").locate_file("palmerpenguins/data/penguins.csv")
    except PackageNotFoundError:
        return None
    path = Path(str(found))
    return path if path.is_file() else None


def _keep(given: UploadedFile) -> Table:
    # The name is the visitor's; the file's own is not made of it.
    path = session.current().scratch / name_for(given.name)
    with path.open("wb") as file:
        shutil.copyfileobj(given, file, _CHUNK_BYTES)
    return open_table(path, Path(given.name).name)


def _as_read(purpose: str, table: Table, usual: Reading | None, *, training: bool) -> Table:
    """Ask how the table is read, and look at it anew if that has changed."""
    said = ask_reading(purpose, table, usual, training=training)
    if (said, usual) != (table.said, table.usual):
        with notices.errors_in_place():
            session.current().tables[purpose] = open_table(table.path, table.name, said, usual)
            st.rerun()
    return table


def _show_chosen(purpose: str, table: Table) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        facts = [size(table.n_bytes)]
        if table.rows is not None:
            facts = [t("upload.rows", n=count(table.rows)), t("upload.columns", n=len(table.columns)), *facts]
        st.markdown(f":material/table: **{escaped(table.name)}**  \n:small[{' · '.join(facts)}]")
        if st.button(t("upload.another"), key=f"another-{purpose}", icon=":material/swap_horiz:"):
            del session.current().tables[purpose]
            st.rerun()
    with st.container():  # there in any case, so that what comes after it keeps its place
        if table.problem:
            st.warning(t("upload.no_preview", problem=escaped(table.problem)), icon=":material/visibility_off:")
