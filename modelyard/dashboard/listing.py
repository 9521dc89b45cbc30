"""Models as a table that rows can be picked from, and as an entry of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl
import streamlit as st

from modelyard.dashboard import formats, session
from modelyard.dashboard.texts import t
from modelyard.schemas import ModelClassInfo, ModelMetadata, ModelQuery, StatusFilter


def every_model(status: StatusFilter = "active", name: str | None = None, most: int = 1000) -> list[ModelMetadata]:
    """List models, newest first, page by page."""
    yard, found, cursor = session.yard(), list[ModelMetadata](), None
    while len(found) < most:
        page = yard.list_models(ModelQuery(status=status, name=name, limit=min(200, most), cursor=cursor))
        found += page.models
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def class_titles() -> dict[str, str]:
    """Return the title of each model class by its key."""
    return {info.key: info.title for info in classes()}


def classes() -> list[ModelClassInfo]:
    """Return the model classes, asked for once in a while."""
    here = session.current()
    return _classes(here.doors.address(here.door), here)


@st.cache_data(ttl=60, show_spinner=False)
def _classes(address: str, _here: session.Session) -> list[ModelClassInfo]:
    return _here.yard.list_model_classes()


def title(model: ModelMetadata) -> str:
    """Name a model as people do."""
    return f"{model.name} · v{model.version}"


def key_metric(model: ModelMetadata) -> float | None:
    """Return the accuracy on rows that were held out, or on those of the training where none were."""
    return model.metrics.get("validation_accuracy", model.metrics.get("train_accuracy"))


def models_table(
    models: Sequence[ModelMetadata], *, key: str, selection: Literal["single-row", "multi-row"], status: bool = False
) -> list[ModelMetadata]:
    """Show models as a table and return those that were picked."""
    titles = class_titles()
    frame = pl.DataFrame(
        {
            "name": [model.name for model in models],
            "version": [model.version for model in models],
            "class": [titles.get(model.model_class_key, model.model_class_key) for model in models],
            "accuracy": [key_metric(model) for model in models],
            "auc": [model.metrics.get("validation_roc_auc") for model in models],
            "rows": [model.n_rows for model in models],
            "made": [model.created_at for model in models],
            "status": [t(f"status.{model.status}") for model in models],
        },
        schema_overrides={"accuracy": pl.Float64, "auc": pl.Float64},
    )
    config = st.column_config
    event = st.dataframe(
        frame if status else frame.drop("status"),
        key=key,
        hide_index=True,
        on_select="rerun",
        selection_mode=selection,
        column_config={
            "name": config.TextColumn(t("column.name"), width=140),
            "version": config.NumberColumn(t("column.version"), format="v%d", width=65),
            "class": config.TextColumn(t("column.class"), width=150),
            "accuracy": config.ProgressColumn(
                t("metric.accuracy"), format="percent", min_value=0, max_value=1, color="primary", width=120
            ),
            "auc": config.NumberColumn(t("metric.roc_auc"), format="percent", width=75),
            "rows": config.NumberColumn(t("column.rows"), format="localized", width=65),
            "made": config.DatetimeColumn(t("column.made"), format=formats.moment_format(), width=130),
            "status": config.TextColumn(t("column.status"), width=70),
        },
    )
    return [models[row] for row in event.selection.rows if row < len(models)]


def pick_model(label: str, key: str, *, active: bool = True) -> ModelMetadata | None:
    """Let one model be picked from a list, the one last dealt with first; None where there is none."""
    models = every_model("active" if active else "all")
    if not models:
        return None
    here = session.current()
    by_id = {model.model_id: model for model in models}
    last = here.model if here.model in by_id else models[0].model_id
    if st.session_state.get(key) not in by_id:
        st.session_state[key] = last
    chosen = st.selectbox(label, list(by_id), format_func=lambda model_id: entry(by_id[model_id]), key=key)
    here.model = chosen
    return by_id[chosen]


def entry(model: ModelMetadata) -> str:
    """Write a model as an entry of a list."""
    return f"{title(model)} — {formats.percent(key_metric(model))}, {formats.ago(model.created_at)}"
