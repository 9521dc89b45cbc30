"""A model's details: its hyperparams and columns, what it was made of, and what happened to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import polars as pl
import streamlit as st

from modelyard.dashboard import formats, session
from modelyard.dashboard.charts import side_by_side
from modelyard.dashboard.decision import in_words
from modelyard.dashboard.forms import shown
from modelyard.dashboard.listing import class_title, classes, report_of
from modelyard.dashboard.monotone import told_monotone
from modelyard.dashboard.texts import known, said, t
from modelyard.schemas import ENSEMBLE, ModelEvent, ModelMetadata, Tracking

_LATEST = 5
_ADDRESS = re.compile(r"https?://[^\s()<>\[\]]+")


def show_details(model: ModelMetadata) -> None:
    """Show all that is known of a model but its report."""
    pair = side_by_side()
    with pair.cell():
        st.header(t("model.hyperparams"), anchor=False)
        _show_hyperparams(model)
    with pair.cell():
        st.header(t("model.made_of"), anchor=False)
        _show_origin(model)
    st.header(t("model.columns"), anchor=False)
    _show_columns(model)
    st.header(t("model.history"), anchor=False)
    _show_history(model)


def _show_hyperparams(model: ModelMetadata) -> None:
    """Show the hyperparams of a model, or of each member of an ensemble a click away, beside its weight."""
    if model.model_class_key != ENSEMBLE:
        _show_values(model.model_class_key, model.hyperparams)
        return
    for key, weight in model.hyperparams.items():
        if "." not in key:
            own = f"{key}."
            words = f"{formats.escaped(class_title(key))} · {t('search.weight')}: {shown(weight)}"
            with st.expander(words, key=f"member-{key}"):
                found = {name.removeprefix(own): one for name, one in model.hyperparams.items() if name.startswith(own)}
                _show_values(key, found)


def _show_values(key: str, hyperparams: Mapping[str, object]) -> None:
    """Show hyperparams of a model class beside their defaults; those that differ are bold."""
    schema = next((info.hyperparams for info in classes() if info.key == key), {})
    fields = schema.get("properties", {})
    rows = {
        fields.get(name, {}).get("title", name): (shown(value), shown(fields.get(name, {}).get("default")))
        for name, value in hyperparams.items()
    }
    st.table(
        {
            t("model.hyperparam"): [formats.escaped(name) for name in rows],
            t("report.value"): [
                f"**{formats.escaped(value)}**" if value != default else formats.escaped(value)
                for value, default in rows.values()
            ],
            t("model.default"): [formats.escaped(default) for _, default in rows.values()],
        },
        hide_index=True,
        border="horizontal",
    )


def _roles(model: ModelMetadata) -> dict[str, str]:
    """Return the columns that are no features, with what they are instead."""
    told = ", ".join(f"{name}: {t(f'columns.{role}')}" for name, role in model.roles.items())
    return {t("model.roles"): told} if told else {}


def _monotone(model: ModelMetadata) -> dict[str, str]:
    """Return with which columns the answer only rises or falls."""
    told = told_monotone(model)
    return {t("model.monotone"): told} if told else {}


def _promotion(model: ModelMetadata) -> dict[str, str]:
    """Return whether the model took an alias over, and why."""
    found = model.promotion
    if found is None:
        return {}
    key = "promotion.moved" if found.moved else "promotion.stayed"
    return {t("model.promotion"): t(key, alias=found.alias, reason=said(found.reason))}


def _show_origin(model: ModelMetadata) -> None:
    facts = {
        t("column.rows"): formats.count(model.n_rows),
        t("columns.target"): model.target or formats.NOTHING,
        t("model.task"): t(f"task.{model.task}"),
        **_roles(model),
        **_monotone(model),
        **({} if model.calibrate is None else {t("model.calibrate"): t(f"calibrate.{model.calibrate}")}),
        **_promotion(model),
        **_labels(model),
        t("model.trained_at"): f"{model.created_at:%Y-%m-%d %H:%M} UTC",
        t("model.libraries"): ", ".join(f"{name} {version}" for name, version in model.environment.items()),
        t("model.id"): f"`{model.model_id}`",
        t("model.sha"): f"`{model.artifact.sha256[:16]}…`",
    }
    cells = {what: value if value.startswith("`") else formats.escaped(value) for what, value in facts.items()}
    if model.tracking.status != "off":
        cells[t("model.tracking")] = _tracked(model.tracking)
    st.table(
        {t("model.what"): list(cells), " ": list(cells.values())},
        hide_index=True,
        hide_header=True,
        border="horizontal",
    )


def _labels(model: ModelMetadata) -> dict[str, str]:
    """Return the line that names the first classes; none for regression."""
    if model.classes is None:
        return {}
    named = ", ".join(formats.label(value) for value in model.classes[:10])
    return {t("model.classes", n=len(model.classes)): named + (" …" if len(model.classes) > 10 else "")}


def _tracked(tracking: Tracking) -> str:
    """Say as Markdown whether the tracker knows of the model, with a link to where it shows it."""
    told = t(f"tracking.{tracking.status}")
    if tracking.url and _ADDRESS.fullmatch(tracking.url):
        return f"[{told}]({tracking.url})"
    return f"{told}: {formats.escaped(said(tracking.reason))}" if tracking.reason else told


def _show_columns(model: ModelMetadata) -> None:
    found = report_of(model).columns
    profiles = [found.get(name, {}) for name in model.feature_names]
    rows = max(1, model.n_rows)
    frame = pl.DataFrame(
        {
            "name": model.feature_names,
            "kind": [t(f"columns.{model.feature_types[name]}") for name in model.feature_names],
            "spread": [_spread(profile) for profile in profiles],
            "typical": [typical(profile) for profile in profiles],
            "missing": [100 * profile.get("missing", 0) / rows for profile in profiles],
        },
        schema_overrides={"spread": pl.List(pl.Int64), "missing": pl.Float64},
    )
    config = st.column_config
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "name": config.TextColumn(t("columns.column"), width="medium"),
            "kind": config.TextColumn(t("columns.type"), width=90),
            "spread": config.BarChartColumn(t("columns.spread"), width="small", color="primary", y_min=0),
            "typical": config.TextColumn(t("columns.typical"), width="large"),
            "missing": config.NumberColumn(t("columns.missing"), format=formats.PERCENT, width="small"),
        },
    )


def _spread(profile: dict[str, object]) -> list[int]:
    histogram, top = profile.get("histogram"), profile.get("top")
    if isinstance(histogram, dict):
        return list(histogram["counts"])
    return [item["count"] for item in top] if isinstance(top, list) else []


def typical(profile: Mapping[str, object]) -> str:
    """Write the most frequent values of a column, or between which it lies."""
    top, low, high = profile.get("top"), profile.get("min"), profile.get("max")
    if isinstance(top, list):
        return ", ".join(formats.NOTHING if item["value"] is None else str(item["value"]) for item in top[:4])
    if isinstance(low, int | float) and isinstance(high, int | float):
        return f"{formats.number(low)} … {formats.number(high)}"
    if "earliest" in profile:
        return f"{formats.minute(str(profile['earliest']))} … {formats.minute(str(profile['latest']))}"
    return ""


def _show_history(model: ModelMetadata) -> None:
    """Show every event, the latest first; those before the last few are folded away."""
    events = session.yard().get_history(model.model_id).events[::-1]
    _show_events(events[:_LATEST])
    if earlier := events[_LATEST:]:
        with st.expander(t("history.earlier", n=len(earlier)), key="earlier-events"):
            _show_events(earlier)


def _show_events(events: Sequence[ModelEvent]) -> None:
    st.table(
        {
            t("history.when"): [f"{event.at:%Y-%m-%d %H:%M} UTC" for event in events],
            t("history.what"): [_in_words(event) for event in events],
            t("history.ago"): [formats.ago(event.at) for event in events],
        },
        hide_index=True,
        border="horizontal",
    )


def _in_words(event: ModelEvent) -> str:
    key = f"history.{event.verb}"
    if event.decision is not None:
        return t(key, decision=in_words(event.decision))
    return t(key) if known(key) else formats.escaped(event.verb)
