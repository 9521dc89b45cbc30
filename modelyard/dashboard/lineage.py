"""A model's line of versions: from parent to child, their metrics side by side."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import streamlit as st

from modelyard.dashboard import session
from modelyard.dashboard.charts import bars, draw
from modelyard.dashboard.formats import PERCENT, SHORT, WHOLE, is_share, moment_format
from modelyard.dashboard.listing import key_metric, pick_rows
from modelyard.dashboard.report import metric_title, say_undecided
from modelyard.dashboard.texts import t
from modelyard.schemas import ModelMetadata, ModelQuery

_METRICS = ("accuracy", "balanced_accuracy", "f1", "roc_auc", "rmse", "mae", "r2")


def show_versions(model: ModelMetadata) -> None:
    """Show every version of the model's name; picking one opens it."""
    if st.button(t("name.all_about", name=model.name), icon=":material/account_tree:", key="to-name"):
        session.go("name", name=model.name)
    line = sorted(
        session.yard().list_models(ModelQuery(status="all", name=model.name)).models, key=lambda one: one.version
    )
    bare = "rmse" if model.task == "regression" else "accuracy"
    points = [(one.version, value, one.status) for one in line if (value := _value(one, bare)) is not None]
    if len(points) > 1:
        draw(bars.versions(points, metric_title(bare), share=is_share(bare)), t("model.versions"))
    picked = _table(line)
    say_undecided(line)
    if picked is not None and picked.model_id != model.model_id:
        session.go("model", id=picked.model_id)
    if len(line) == 1:
        st.caption(t("model.one_version"))


def _value(model: ModelMetadata, bare: str) -> float | None:
    name, value = key_metric(model)
    return value if name.endswith(bare) else None


def _shown(metric: str, value: float | None) -> float | None:
    """Return a metric as its column writes it: shares in percent."""
    return 100 * value if value is not None and is_share(metric) else value


def _table(line: Sequence[ModelMetadata]) -> ModelMetadata | None:
    versions = {one.model_id: one.version for one in line}
    shown = list(reversed(line))
    metrics = [name for name in _METRICS if any(f"validation_{name}" in one.metrics for one in shown)]
    frame = pl.DataFrame(
        {
            "version": [one.version for one in shown],
            "parent": [versions.get(one.parent_id or "") for one in shown],
            **{name: [_shown(name, one.metrics.get(f"validation_{name}")) for one in shown] for name in metrics},
            "rows": [one.n_rows for one in shown],
            "made": [one.created_at for one in shown],
            "status": [t(f"status.{one.status}") for one in shown],
        },
        schema_overrides={"parent": pl.Int64, **dict.fromkeys(metrics, pl.Float64)},
    )
    config = st.column_config
    picked = pick_rows(
        frame,
        "versions",
        versions,
        {
            "version": config.NumberColumn(t("column.version"), format="v%d", width="small"),
            "parent": config.NumberColumn(t("column.parent"), format="v%d", width="small"),
            **{
                name: config.NumberColumn(
                    metric_title(f"validation_{name}"), format=PERCENT if is_share(name) else SHORT, width="small"
                )
                for name in metrics
            },
            "rows": config.NumberColumn(t("column.rows"), format=WHOLE, width="small"),
            "made": config.DatetimeColumn(t("column.made"), format=moment_format(), width=130),
            "status": config.TextColumn(t("column.status"), width="small"),
        },
    )
    return shown[picked[0]] if picked else None
