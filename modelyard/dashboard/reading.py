"""How the file of a table is read, if it is not as it seems: the fields of a request that say so, folded away."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Any

import streamlit as st

from modelyard.dashboard.formats import NOTHING, escaped
from modelyard.dashboard.tables import Table
from modelyard.dashboard.texts import t
from modelyard.schemas import Reading

_ENCODINGS = ["utf-8", "utf-16", "cp1251", "cp1252", "latin-1", "shift_jis", "gb18030"]
_DELIMITERS = [",", ";", "\t", "|", " "]
_DECIMALS = [".", ","]
_THOUSANDS = ["", ".", ",", " ", "'"]
_PREVIEW_ROWS = 8
_MARKERS = ["?", "NA", "N/A", "null", "-", "-999"]


def ask_reading(purpose: str, table: Table, usual: Reading | None, *, training: bool) -> dict[str, Any]:
    """Ask how a table's file is read; return what was said as fields of a request.

    What is left empty is found out, or is as in the training of the model whose `usual` reading is given.
    """
    if table.is_typed and not training:
        return {}
    fields = _Fields(reading_key(purpose, table), table.said, usual)
    names = [] if table.sheets is None else table.sheets.names
    is_open = bool(table.problem or table.said or len(names) > 1)
    with st.expander(t("reading.title"), icon=":material/file_open:", expanded=is_open, key=f"reading-{purpose}"):
        st.caption(t("reading.help") if usual is None else t("reading.help_model"))
        grid = st.grid(3, min_column_width=200)
        said: dict[str, Any] = {}
        if table.sheets is not None:
            said["sheet"] = fields.choice(grid, "sheet", names)
        elif not table.is_typed:
            said["encoding"] = fields.choice(grid, "encoding", _ENCODINGS, new=True)
        if table.is_csv:
            said["delimiter"] = fields.choice(grid, "delimiter", _DELIMITERS, new=True)
            said["decimal"] = fields.choice(grid, "decimal", _DECIMALS)
            said["thousands"] = fields.choice(grid, "thousands", _THOUSANDS)
        if table.is_csv or table.sheets is not None:
            said["skip_rows"] = fields.number(grid, "skip_rows")
            said["header"] = fields.choice(grid, "header", [True, False])
            if said["header"] is False or (said["header"] is None and usual is not None and not usual.header):
                said["names"] = fields.texts(grid, "names")
        if training:
            said["missing_markers"] = fields.several(grid, "missing_markers", _MARKERS)
            if not table.columns:  # else the table of the columns asks it
                said["exclude"] = fields.several(grid, "exclude", [])
        if table.rows:
            st.caption(t("reading.preview"))
            key = f"preview-{reading_key(purpose, table)}"
            st.dataframe(table.head.head(_PREVIEW_ROWS), hide_index=True, placeholder=NOTHING, key=key)
    return {name: value for name, value in said.items() if value is not None}


def laid_out(table: Table) -> list[str]:
    """Say in Markdown how a file was read: the layout of a CSV, a workbook's sheet; and where the names come from."""
    header = table.said.get("header", table.usual is None or table.usual.header)
    names = t("reading.with_header" if header else "reading.without_header")
    if table.sheets is not None:
        return [t("reading.sheet_read", sheet=escaped(table.sheets.read), n=len(table.sheets.names)), names]
    if table.layout is None:
        return []
    return [
        t("reading.parted", mark=escaped(_spoken(table.layout.delimiter))),
        escaped(table.layout.encoding.upper()),
        t("reading.decimals", mark=table.decimal),
        names,
    ]


def reading_key(purpose: str, table: Table, name: str = "") -> str:
    """Return the key of the widget that asks for a field of reading, or what all such keys begin with."""
    return f"reading-{purpose}-{table.path.name}" + (f"-{name}" if name else "")


class _Fields:
    """Widgets whose value is None while nothing is said; they begin with what was said before."""

    def __init__(self, key: str, said: dict[str, Any], usual: Reading | None) -> None:
        self._key = key
        self._said = said
        self._hint = t("reading.as_usual") if usual is None else t("reading.as_trained")

    def choice(self, place: Any, name: str, options: Sequence[Any], *, new: bool = False) -> Any:
        said = self._said.get(name)
        offered = [*options, *([] if said is None or said in options else [said])]
        return place.selectbox(
            t(f"reading.{name}"),
            offered,
            None if said is None else offered.index(said),
            format_func=_spoken,
            placeholder=self._hint,
            accept_new_options=new,
            key=f"{self._key}-{name}",
            persist_state="session",
        )

    def several(self, place: Any, name: str, options: Sequence[str]) -> list[str] | None:
        said = self._said.get(name) or []
        chosen = place.multiselect(
            t(f"reading.{name}"),
            [*options, *(text for text in said if text not in options)],
            said,
            placeholder=self._hint,
            accept_new_options=True,
            key=f"{self._key}-{name}",
            persist_state="session",
        )
        return list(chosen) or None

    def number(self, place: Any, name: str) -> int | None:
        value = place.number_input(
            t(f"reading.{name}"),
            0,
            value=self._said.get(name),
            placeholder=self._hint,
            key=f"{self._key}-{name}",
            persist_state="session",
        )
        return None if value is None else int(value)

    def text(self, place: Any, name: str, said: str | None = None) -> str | None:
        value = place.text_input(
            t(f"reading.{name}"),
            said or self._said.get(name) or "",
            placeholder=self._hint,
            key=f"{self._key}-{name}",
            persist_state="session",
        )
        return value.strip() or None

    def texts(self, place: Any, name: str) -> list[str] | None:
        text = self.text(place, name, ", ".join(self._said.get(name) or []))
        return None if text is None else next(csv.reader([text], skipinitialspace=True), None)


def _spoken(value: Any) -> str:
    known = {
        "\t": t("reading.tab"),
        " ": t("reading.blank"),
        "": t("reading.none"),
        True: t("form.yes"),
        False: t("form.no"),
    }
    return known.get(value, str(value))
