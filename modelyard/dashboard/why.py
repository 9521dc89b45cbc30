"""Why a model says what it says of a row: how far each column moved the score away from the base."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import nlargest
from typing import Any

import polars as pl
import streamlit as st

from modelyard.dashboard import session
from modelyard.dashboard.charts import draw
from modelyard.dashboard.charts.waterfall import waterfall
from modelyard.dashboard.formats import escaped, label
from modelyard.dashboard.predicted import Predicted
from modelyard.dashboard.texts import said, t
from modelyard.errors import FailedPrecondition
from modelyard.schemas import ExplainRequest, Explanations, ModelMetadata, parse
from modelyard.verbs import Verbs

MOST_NUMBERS = 500_000
"""The most contributions that are asked for of a table; the download of a larger one has no reasons."""

REASONS = 3


def show_why(model: ModelMetadata, row: Mapping[str, Any]) -> bool:
    """Explain a row as a waterfall from the base; return whether the model's class can, and say so if not."""
    try:
        found = session.yard().explain(parse(ExplainRequest, {"model_id": model.model_id, "X": [row]}))
    except FailedPrecondition as error:
        st.caption(escaped(said(error.detail)))
        return False
    at = found.output_of(0)
    shares = found.contributions[0][at]
    named = {f"{name} = {label(row[name])}": share for name, share in zip(found.feature_names, shares, strict=True)}
    st.markdown(f"**{t('why.of', prediction=escaped(label(found.predictions[0])))}**")
    draw(waterfall(found.base[at], named, found.score(0, at)), t("why.title"))
    key = "why.log_odds" if found.unit == "log_odds" else "why.target"
    st.caption(t(key, output=escaped(label(found.outputs[at]))))
    return True


def can_give_reasons(predicted: Predicted, model: ModelMetadata) -> bool:
    """Whether a table is small enough for its download to have reasons."""
    outputs = len(predicted.classes) if len(predicted.classes) > 2 else 1
    return predicted.frame.height * outputs * len(model.feature_names) <= MOST_NUMBERS


def reasons_of(yard: Verbs, predicted: Predicted) -> pl.DataFrame:
    """Ask for the three main reasons of each row, as columns; none if the model's class cannot explain."""
    table = predicted.table
    try:
        found = yard.explain(parse(ExplainRequest, {"model_id": predicted.model_id, "X": table.path, **table.said}))
    except FailedPrecondition:
        return pl.DataFrame()
    rows = [_reasons(found, row) for row in range(len(found.predictions))]
    return pl.DataFrame(rows, schema=[(f"reason {n}", pl.String) for n in range(1, REASONS + 1)], orient="row")


def _reasons(found: Explanations, row: int) -> list[str | None]:
    """Return the columns that moved a row's score most, each with how far; None in the place of one that moved none."""
    shares = zip(found.feature_names, found.contributions[row][found.output_of(row)], strict=True)
    most = [one for one in nlargest(REASONS, shares, key=lambda one: abs(one[1])) if one[1]]
    told: list[str | None] = [f"{name} {_signed(share)}" for name, share in most]
    return told + [None] * (REASONS - len(told))


def _signed(share: float) -> str:
    """Write a number with its sign and three digits that matter, without an exponent if it is large."""
    return f"{share:+.0f}" if abs(share) >= 1000 else f"{share:+.3g}"
