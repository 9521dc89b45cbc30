"""Models by their titles and metrics, as an entry of a list, and tables that rows can be picked from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import polars as pl
import streamlit as st

from modelyard.dashboard import formats, notices, session
from modelyard.dashboard.texts import said, t
from modelyard.errors import ModelyardError
from modelyard.schemas import ModelClassInfo, ModelMetadata, ModelQuery, Report, StatusFilter, headline, meaning

OFFERED = 50
"""The newest models that a list to choose from offers; others are named by a reference."""

_PROBLEM = "picked-problem"


def newest_models(status: StatusFilter = "active", name: str | None = None) -> list[ModelMetadata]:
    """List the newest models."""
    return session.yard().list_models(ModelQuery(status=status, name=name, limit=OFFERED)).models


def report_of(model: ModelMetadata) -> Report:
    """Return a model's report; the last one asked for is kept, because reports never change."""
    kept = session.current().kept
    if kept.get("report", ("",))[0] != model.model_id:
        kept["report"] = model.model_id, session.yard().get_report(model.model_id)
    found: Report = kept["report"][1]
    return found


def class_title(key: str) -> str:
    """Return the title of a model class, its key if the server does not know it any more."""
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


@st.cache_data(ttl=60, show_spinner=False)
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
    """Write the metric that tells most; its name too, unless it is accuracy."""
    return written_value(*key_metric(model))


def written_value(name: str, value: float | None) -> str:
    """Write a metric and its value; its name too, unless it is accuracy."""
    measure = meaning(name).measure
    text = formats.metric_value(name, value)
    return text if measure in ("", "accuracy") else f"{t(f'metric.{measure}')} {text}"


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


def pick_model(label: str, key: str, models: Sequence[ModelMetadata]) -> ModelMetadata | None:
    """Let one of these models be picked, or named by a reference, the one in the address first; None if it is deleted.

    The choice is kept in the address, so that the page stays with its model.
    """
    here, by_id = session.current(), {model.model_id: model for model in models}
    asked = session.resolved("id")
    if asked is None:
        asked = by_id.get(here.model or "", models[0])
        st.query_params["id"] = asked.model_id
    if asked.status == "active":
        by_id.setdefault(asked.model_id, asked)
    ids = list(by_id)
    st.session_state[key] = asked.model_id if asked.model_id in by_id else None
    st.selectbox(
        label,
        ids,
        ids.index(asked.model_id) if asked.model_id in by_id else None,
        format_func=lambda model_id: entry(by_id[model_id]) if model_id in by_id else model_id,
        key=key,
        on_change=lambda: _take(st.session_state[key] or asked.model_id),
        placeholder=title(asked),
        accept_new_options=True,
        help=t("compare.models_help"),
    )
    problem: ModelyardError | None = here.kept.pop(_PROBLEM, None)
    if problem is not None:
        notices.show_error(problem)
    if asked.status == "deleted":
        st.warning(t("model.is_deleted", model=formats.escaped(title(asked))), icon=":material/delete:")
        return None
    here.model = asked.model_id
    return asked


def _take(reference: str) -> None:
    """Write the id of the model that was picked, or named by a reference, into the address."""
    with notices.errors_kept(_PROBLEM):
        st.query_params["id"] = session.yard().get_model(reference).model_id


def entry(model: ModelMetadata) -> str:
    """Write a model as an entry of a list."""
    return f"{title(model)} — {written_metric(model)}, {formats.ago(model.created_at)}"
