"""How a training is to be judged, and whether its probabilities are to be calibrated."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from modelyard.dashboard.texts import t
from modelyard.schemas import Evaluation, ModelMetadata

_METHODS: tuple[Literal["holdout", "time", "cv", "none"], ...] = ("holdout", "time", "cv", "none")
_CALIBRATIONS = ("none", "sigmoid", "isotonic")


def ask_evaluation(parent: ModelMetadata | None, *, is_search: bool = False) -> Evaluation:
    """Ask how the training is to be judged; a search not by folds, because each would take a search."""
    methods = tuple(method for method in _METHODS if not (is_search and method == "cv"))
    start = parent.evaluation if parent else Evaluation()
    key = f"evaluation-{'search' if is_search else parent.model_id if parent else ''}"
    method = st.segmented_control(
        t("train.method"),
        methods,
        default=start.method,
        required=True,
        format_func=lambda name: t(f"evaluation.{name}"),
        key=f"{key}-method",
        persist_state="session",
    )
    grid = st.grid(2, min_column_width=200)
    fraction, folds = start.fraction, start.folds
    if method in ("holdout", "time"):
        share = grid.slider(t("train.fraction"), 1, 90, round(fraction * 100), format="%d %%", key=f"{key}-fraction")
        fraction = fraction if share == round(fraction * 100) else share / 100
    elif method == "cv":
        folds = grid.slider(t("train.folds"), 2, 50, folds, key=f"{key}-folds")
    seed = start.seed
    if method != "time":
        seed = grid.number_input(
            t("train.seed"), 0, 2**32 - 1, seed, key=f"{key}-seed", help=t("train.seed_help"), persist_state="session"
        )
    st.caption(t(f"evaluation.{method}_help"))
    return Evaluation(method=method, fraction=fraction, folds=folds, seed=int(seed))


def ask_calibration(parent: ModelMetadata | None) -> str:
    """Ask whether probabilities are to be calibrated, and how."""
    start = (parent.calibrate if parent else None) or "none"
    return str(
        st.selectbox(
            t("train.calibrate"),
            _CALIBRATIONS,
            _CALIBRATIONS.index(start),
            format_func=lambda name: t(f"calibrate.{name}"),
            help=t("train.calibrate_help"),
            key=f"calibrate-{parent.model_id if parent else ''}",
        )
    )
