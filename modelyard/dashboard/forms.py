"""A form for hyperparams, made from their JSON Schema alone: numbers with ranges, choices, help texts, defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from modelyard.dashboard.formats import escaped, number
from modelyard.dashboard.texts import t
from modelyard.schemas import types_of

Schema = Mapping[str, Any]

_FIELDS_A_LINE = 3


def ask_hyperparams(key: str, schema: Schema, initial: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Ask for every hyperparam of the schema and return those that differ from the start.

    The start is the schema's defaults, with `initial` over them (a parent's hyperparams). `key` tells forms apart.
    """
    fields = _fields(schema)
    start = {name: (initial or {}).get(name, field.get("default")) for name, field in fields.items()}
    version = st.session_state.setdefault(f"{key}-version", 0)
    chosen: dict[str, Any] = {}
    grid = st.grid(_FIELDS_A_LINE, min_column_width=170)
    for name, field in fields.items():
        with grid.cell():
            chosen[name] = _ask(f"{key}-{version}-{name}", name, field, start[name])
    changed = {name: value for name, value in chosen.items() if not _same(value, start[name])}
    _offer_defaults(key, [_title(name, fields[name]) for name in changed])
    return changed


def difference(schema: Schema, hyperparams: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparams that are not the schema's defaults."""
    fields = _fields(schema)
    return {name: value for name, value in hyperparams.items() if not _same(value, fields.get(name, {}).get("default"))}


def shown(value: Any) -> str:
    """Write a hyperparam's value: `null` and booleans in words."""
    if value is None:
        return t("form.unset")
    if isinstance(value, bool):
        return t("form.yes") if value else t("form.no")
    return number(value, 6) if isinstance(value, int | float) else str(value)


def _fields(schema: Schema) -> dict[str, Schema]:
    properties: dict[str, Schema] = schema.get("properties", {})
    return properties


def _offer_defaults(key: str, changed: list[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(
            t("form.defaults"),
            key=f"{key}-defaults",
            icon=":material/restart_alt:",
            type="tertiary",
            disabled=not changed,
        )
        if changed:
            st.caption(t("form.changed", names=", ".join(escaped(name) for name in changed)))
    if pressed:
        st.session_state[f"{key}-version"] += 1  # new widgets, which begin with the defaults
        st.rerun()


def _ask(key: str, name: str, field: Schema, start: Any) -> Any:
    title, help_text = _title(name, field), _help(field)
    kinds = _kinds(field)
    if "enum" in field:
        options = list(field["enum"])
        index = options.index(start) if start in options else 0
        return st.selectbox(title, options, index, format_func=shown, key=key, help=help_text, persist_state="session")
    if kinds == ["boolean"]:
        return st.toggle(title, bool(start), key=key, help=help_text)
    if "boolean" in kinds:
        return _ask_switch_or_number(key, title, field, start, help_text)
    if "integer" in kinds or "number" in kinds:
        return _ask_number(key, title, field, start, help_text)
    if kinds == ["string"]:
        return st.text_input(title, start or "", key=key, help=help_text) or (None if "null" in kinds else "")
    return _ask_json(key, title, start, help_text)


def _ask_number(key: str, title: str, field: Schema, start: Any, help_text: str) -> int | float | None:
    whole = "integer" in _kinds(field)
    cast: Any = int if whole else float
    low, high = _bounds(field)
    ask: Any = st.number_input  # its overloads cannot know whether the schema says integer
    value: int | float | None = ask(
        title,
        min_value=None if low is None else cast(low),
        max_value=None if high is None else cast(high),
        value=None if start is None else cast(start),
        step=1 if whole else _step(start, high),
        format="%d" if whole else "%g",
        key=key,
        help=help_text,
        placeholder=t("form.unset"),
        persist_state="session",
    )
    # An emptied field means null if null is allowed, else the start.
    return value if value is not None or "null" in types_of(field) else start


def _ask_switch_or_number(key: str, title: str, field: Schema, start: Any, help_text: str) -> Any:
    options = [False, True, "number"]
    names = {False: t("form.no"), True: t("form.yes"), "number": t("form.number")}
    default = start if isinstance(start, bool) else "number"
    choice = st.segmented_control(
        title,
        options,
        default=default,
        required=True,
        format_func=lambda option: names[option],
        key=key,
        help=help_text,
        persist_state="session",
    )
    if choice != "number":
        return choice
    first = int(start) if isinstance(start, int) else int(field.get("minimum", 0))
    return _ask_number(
        f"{key}-number", t("form.number_of", title=title), {**field, "type": "integer"}, first, help_text
    )


def _ask_json(key: str, title: str, start: Any, help_text: str) -> Any:
    text = st.text_input(title, "" if start is None else json.dumps(start), key=key, help=help_text)
    try:
        return json.loads(text) if text.strip() else None
    except json.JSONDecodeError:
        st.caption(f":red[{t('form.not_json')}]")
        return text


def _title(name: str, field: Schema) -> str:
    return str(field.get("title", name))


def _help(field: Schema) -> str:
    parts = [escaped(str(field.get("description", "")))]
    low, high = _bounds(field)
    if low is not None and high is not None:
        parts.append(t("form.range", low=number(low), high=number(high)))
    elif low is not None:
        parts.append(t("form.more_than" if "exclusiveMinimum" in field else "form.at_least", low=number(low)))
    parts.append(t("form.default", value=escaped(shown(field.get("default")))))
    return "  \n".join(part for part in parts if part)


def _bounds(field: Schema) -> tuple[Any, Any]:
    return field.get("minimum", field.get("exclusiveMinimum")), field.get("maximum", field.get("exclusiveMaximum"))


def _kinds(field: Schema) -> list[str]:
    return [kind for kind in types_of(field) if kind != "null"]


def _step(start: Any, high: Any) -> float:
    """Return a step that suits the number: a tenth of its magnitude, or a hundredth of a small range."""
    if isinstance(start, int | float) and start:
        return float(10 ** (len(str(int(abs(start)))) - 2))
    return 0.01 if high is not None and high <= 1 else 0.1


def _same(one: Any, other: Any) -> bool:
    """Compare values as JSON does, where true is not 1."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
