"""What is shown of the predictions for a table: how they are spread, how often they are right, whom to act on first."""

from __future__ import annotations

import streamlit as st

from modelyard.dashboard import notices
from modelyard.dashboard.charts import bars, draw, side_by_side
from modelyard.dashboard.decision import in_words
from modelyard.dashboard.first_rows import ask_share, offer_rows, ranked_of
from modelyard.dashboard.places import kept_place
from modelyard.dashboard.predicted import PREDICTION, Predicted
from modelyard.dashboard.predicted_numbers import show_spread
from modelyard.dashboard.predicted_rows import show_rows
from modelyard.dashboard.predicted_truth import show_truth
from modelyard.dashboard.texts import t
from modelyard.schemas import ModelMetadata, ModelWarning


def show_predicted(predicted: Predicted, model: ModelMetadata) -> None:
    """Show predictions: warnings, the truth if it is known, how answers are spread (then a click away), the rows."""
    with kept_place():
        notices.show_warnings(
            [warning for warning in predicted.warnings if not _only_the_target(warning, predicted, model)]
        )
        is_judged = show_truth(predicted, model)
        if predicted.decision is not None:
            st.caption(t("decision.obeyed", decision=in_words(predicted.decision)))
        if predicted.prediction_id is not None:
            by_ids = "_by_ids" if predicted.ids.width else ""
            st.caption(t(f"predict.kept{by_ids}", prediction_id=predicted.prediction_id))
    place = st.container()
    if is_judged:
        place = place.expander(t("predict.spread"), icon=":material/bar_chart:", key="spread")
    with place:
        if predicted.classes:
            _show_labels(predicted)
        else:
            show_spread(predicted.frame[PREDICTION])
    _show_first(predicted, model)
    show_rows(predicted, model)


def _show_labels(predicted: Predicted) -> None:
    pair = side_by_side()
    counts = predicted.frame[PREDICTION].value_counts(sort=True, name="rows")
    with pair.cell():
        st.header(t("predict.distribution"), anchor=False)
        draw(
            bars.counts_of_labels(dict(zip(counts[PREDICTION], counts["rows"], strict=True))),
            t("predict.distribution"),
        )
    with pair.cell():
        st.header(t("predict.certainty"), anchor=False)
        draw(bars.histogram_of_certainty(predicted.certainty), t("predict.certainty"))


def _only_the_target(warning: ModelWarning, predicted: Predicted, model: ModelMetadata) -> bool:
    """Whether the one column that was dropped is the one of the labels, which is no news."""
    extra = [name for name in predicted.table.names if name not in (*model.feature_names, *model.roles)]
    return warning.code == "extra_columns" and extra == [model.target]


def _show_first(predicted: Predicted, model: ModelMetadata) -> None:
    """Offer the rows that are most probably of the class to act on: the decision's first, else the rarest."""
    if not predicted.classes or predicted.table.rows != predicted.frame.height:
        return
    decided = None if predicted.decision is None else predicted.decision.label
    key = f"predicted-{model.model_id}"
    with st.expander(t("gain.title"), icon=":material/filter_alt:", key="gain"):
        at = predicted.classes.index(decided or rarest(predicted))
        label = st.selectbox(t("cut.class"), predicted.classes, at, key=f"{key}-class")
        ranked = ranked_of(predicted, label)
        if ranked is not None:
            offer_rows(ranked, ask_share(key), label, key)


def rarest(predicted: Predicted) -> str:
    """Return the class that has the fewest rows by the probabilities."""
    return min(predicted.classes, key=lambda name: predicted.frame[f"probability {name}"].sum())
