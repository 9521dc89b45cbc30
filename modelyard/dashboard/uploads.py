"""Take a table from the visitor: an upload, or the sample. It is written to a file of the session at once.

Streamlit holds an upload in memory while its widget is there; the widget is replaced as soon as the file is written.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import streamlit as st

from modelyard.dashboard import notices, session
from modelyard.dashboard.formats import count, escaped, size
from modelyard.dashboard.places import kept_place
from modelyard.dashboard.reading import ask_reading, laid_out, reading_key
from modelyard.dashboard.tables import EXTENSIONS, Table, name_for, open_table, stem
from modelyard.dashboard.texts import said, t

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from modelyard.schemas import ModelMetadata

TRAINING = "train"
"""The purpose of the table that the training form asks for."""

_CHUNK_BYTES = 1 << 20
_PLAIN = {"delimiter": ",", "skip_rows": 0, "header": True}
"""How the tables are read that are written here, whatever the file was like that they come from."""


def ask_for_table(
    purpose: str, model: ModelMetadata | None = None, *, training: bool = False, sample: bool = False
) -> Table | None:
    """Show the table given for a purpose, or ask for one; it stays until another is given.

    None, too, for a table that the server would refuse: what is wrong is said, and it may be read in another way.

    `model` is the one that it is for, or in a `training` the parent: it is read as the table of that model.
    """
    here = session.current()
    table = here.tables.get(purpose)
    if table is not None:
        st.query_params["visit"] = here.visit  # so that it outlives a page that is loaded anew
        _show_chosen(purpose, table)
        table = _as_read(purpose, table, model, training=training)
        return None if table.is_refused else table
    if st.query_params.get("visit", here.visit) != here.visit:
        st.info(t("upload.gone"), icon=":material/history:")
    turn = here.uploads.get(purpose, 0)
    help_text = t("upload.help", mb=st.get_option("server.maxUploadSize"))
    given = st.file_uploader(t("upload.label"), type=EXTENSIONS, key=f"upload-{purpose}-{turn}", help=help_text)
    if given is not None:
        here.tables[purpose] = _keep(given)
        here.uploads[purpose] = turn + 1
        st.rerun()
    if sample and _has_sample(None if training else model) and st.button(t("upload.sample"), icon=":material/science:"):
        take_sample(purpose)
        st.rerun()
    return None


def take_sample(purpose: str) -> None:
    """Give the sample table for a purpose."""
    path = penguins()
    if path is not None:
        session.current().tables[purpose] = open_table(path, path.name)


def say_of_reading(purpose: str, table: Table, **said: Any) -> None:
    """Say how a table is read, as its form would; it is looked at anew by the next rerun."""
    for name, value in said.items():
        st.session_state[reading_key(purpose, table, name)] = value


def drop_twins(purpose: str, table: Table, beside: Sequence[str]) -> None:
    """Take a table without the rows that repeat an earlier one; the columns `beside` do not count."""
    compared = [name for name in table.names if name not in beside]
    _take_rows(
        purpose,
        table,
        lambda rows: rows.unique(subset=compared, keep="first", maintain_order=True),
        t("upload.without_twins"),
    )


def drop_rows(purpose: str, table: Table, dropped: pl.Series) -> None:
    """Take a table without some rows, of each of which `dropped` says whether it is one of them."""
    _take_rows(purpose, table, lambda rows: rows.filter(~dropped), t("upload.cleaned"))


def _take_rows(purpose: str, table: Table, take: Callable[[pl.DataFrame], pl.DataFrame], words: str) -> None:
    """Take some rows of a table as a file of its own; what was chosen for the table before stays.

    `words` say after the table's name which rows they are.
    """
    here = session.current()
    with notices.errors_in_place():
        frame = take(table.scan().collect(engine="streaming"))
        path = here.scratch / name_for("table.csv" if table.format == "csv" else "table.parquet")
        name = f"{stem(table.name)} {words}{path.suffix}"
        if table.format == "csv":
            frame.write_csv(path)
        else:
            frame.write_parquet(path)
        said = {key: value for key, value in table.said.items() if key in ("decimal", "thousands", "missing_markers")}
        if table.usual is not None and table.format == "csv":
            said |= {key: value for key, value in _PLAIN.items() if getattr(table.usual, key) not in (value, None)}
        _keep_choices(table.path.name, path.name)
        here.tables[purpose] = open_table(path, name, said, table.usual)


def _keep_choices(before: str, now: str) -> None:
    """Let what was chosen for one file hold for another: its target, its task, what its columns are."""
    here = session.current()
    for key, value in list(st.session_state.items()):
        if before in str(key) and str(key).startswith(("target-", "task-")):
            st.session_state[str(key).replace(before, now)] = value
    for key in [key for key in here.kinds if before in key]:
        here.kinds[key.replace(before, now)] = dict(here.kinds[key])


def penguins() -> Path | None:
    """Return the sample's CSV, which a package of this installation holds; None without it."""
    try:
        found = distribution("palmerpenguins").locate_file("palmerpenguins/data/penguins.csv")
    except PackageNotFoundError:
        return None
    path = Path(str(found))
    return path if path.is_file() else None


def _has_sample(model: ModelMetadata | None) -> bool:
    """Whether there is a sample, with the columns of the model that is to predict it."""
    path = penguins()
    if path is None or model is None:
        return path is not None
    with path.open(encoding="utf-8") as file:
        return set(model.feature_names) <= set(file.readline().strip().split(","))


def _keep(given: UploadedFile) -> Table:
    # The name is the visitor's; the file's own is not made of it.
    path = session.current().scratch / name_for(given.name)
    with path.open("wb") as file:
        shutil.copyfileobj(given, file, _CHUNK_BYTES)
    return open_table(path, Path(given.name).name)


def _as_read(purpose: str, table: Table, model: ModelMetadata | None, *, training: bool) -> Table:
    """Ask how the table is read, and look at it anew if that has changed."""
    usual = None if model is None else model.reading
    expected = () if model is None or training else tuple(model.feature_names)
    said = ask_reading(purpose, table, usual, training=training)
    if (said, usual, expected) != (table.said, table.usual, table.expected):
        with notices.errors_in_place():
            session.current().tables[purpose] = open_table(table.path, table.name, said, usual, expected)
            st.rerun()
    return table


def _show_chosen(purpose: str, table: Table) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        facts = [size(table.n_bytes)]
        if table.rows is not None:
            facts = [t("upload.rows", n=count(table.rows)), t("upload.columns", n=len(table.columns)), *facts]
        facts += laid_out(table)
        st.markdown(f":material/table: **{escaped(table.name)}**  \n:small[{' · '.join(facts)}]")
        if st.button(t("upload.another"), key=f"another-{purpose}", icon=":material/swap_horiz:"):
            del session.current().tables[purpose]
            st.rerun()
    with kept_place():
        if table.is_refused:
            st.error(t("upload.refused", problem=escaped(said(table.problem))), icon=":material/block:")
        elif table.problem:
            st.warning(t("upload.no_preview", problem=escaped(said(table.problem))), icon=":material/visibility_off:")
