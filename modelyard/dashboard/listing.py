"""Models by their titles and metrics, as an entry of a list, and tables that rows can be picked from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import polars as pl
import streamlit as st

from modelyard.dashboard import formats, session
from modelyard.dashboard.as_decided import is_decided
from modelyard.dashboard.texts import said, t
from modelyard.schemas import ENSEMBLE, ModelClassInfo, ModelMetadata, Report, headline, meaning


def report_of(model: ModelMetadata) -> Report:
    """Return a model's report; the last one asked for is kept, because reports never change."""
    kept = session.current().kept
    if kept.get("report", ("",))[0] != model.model_id:
        kept["report"] = model.model_id, session.yard().get_report(model.model_id)
    found: Report = kept["report"][1]
    return found


def class_title(key: str) -> str:
    """Return the title of a model class, its key if the server does not know it any more."""
    if key == ENSEMBLE:
        return t("search.ensemble")
    return next((info.title for info in classes() if info.key == key), key)


def classes() -> list[ModelClassInfo]:
    """Return the model classes, asked for once in a while, described in the session's language."""
    here = session.current()
    return [_described(info) for info in _classes(here.doors.address(here.door), here)]


def _described(info: ModelClassInfo) -> ModelClassInfo:
    schema = info.hyperparams
    fields = {
        name: {**field, "description": said(str(field.get("description", "")))}
        for name, field in schema.get("properties", {}).items()
    }
    words = {"title": said(info.title), "description": said(info.description)}
    return info.model_copy(update={**words, "hyperparams": {**schema, "properties": fields}})


@st.cache_resource(ttl=60, show_spinner=False)  # nobody changes them; cache_data warns outside of a server
def _classes(address: str, _here: session.Session) -> list[ModelClassInfo]:
    return _here.yard.list_model_classes()


def title(model: ModelMetadata) -> str:
    """Name a model as people do."""
    return f"{model.name} · v{model.version}"


def key_metric(model: ModelMetadata) -> tuple[str, float | None]:
    """Return the name and value of the metric that tells most: of rows held out, or of the training if none were."""
    name = headline(model.task, model.metrics) or ""
    return name, model.metrics.get(name)


def written_metric(model: ModelMetadata) -> str:
    """Write the metric that tells most; its name too, unless it is accuracy, and whether it is that of its answers."""
    text = written_value(*key_metric(model))
    return t("metric.undecided", metric=text) if is_decided(model) else text


def written_value(name: str, value: float | None) -> str:
    """Write a metric and its value; its name too, unless it is accuracy."""
    measure = meaning(name).measure
    text = formats.metric_value(name, value)
    return text if measure in ("", "accuracy") else f"{t(f'metric.{measure}')} {text}"


def height_of_rows(rows: int, most: int) -> int:
    """Return how high a table of rows is in pixels; of more rows than `most` the others are scrolled to."""
    return 38 + 35 * min(max(1, rows), most)


def pick_rows(
    frame: pl.DataFrame,
    key: str,
    ids: Iterable[str],
    columns: dict[str, Any],
    selection: Literal["single-row", "multi-row"] = "single-row",
) -> list[int]:
    """Show a table, a row for each of the ids, and return the positions of the rows that were picked."""
    event = st.dataframe(
        frame,
        key=selection_key(key, ids),
        hide_index=True,
        placeholder=formats.NOTHING,
        on_select="rerun",
        selection_mode=selection,
        column_config=columns,
    )
    return [row for row in event.selection.rows if row < frame.height]


def selection_key(key: str, ids: Iterable[str]) -> str:
    """Return the key of a table whose rows are picked by position: another list begins with nothing picked.

    Otherwise a click could act on what has moved into the place of the row that was picked.
    """
    return f"{key}-{hash(tuple(ids))}"


def entry(model: ModelMetadata) -> str:
    """Write a model as an entry of a list."""
    return f"{title(model)} — {written_metric(model)}, {formats.ago(model.created_at)}"
